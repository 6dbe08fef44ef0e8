"""Which modules a piece of the user's code imports, read from its syntax tree and never run.

A pickle names the classes and functions that it needs. Those of the user's own package live in
modules that import others in turn: what is reached from there is what loading the pickle imports.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpack.inspection import source


@dataclass(frozen=True)
class Reached:
    """What names reach.

    Attributes:
        own: whether something of the user's own package is among it.
        named: top-level modules of others that are named directly, the standard library's left out.
        imported: those that the user's own modules import, wherever in them.
    """

    own: bool
    named: frozenset[str]
    imported: frozenset[str]


def reached(names: Iterable[str], code: Path | None) -> Reached:
    """The modules of others that loading something would import.

    Args:
        names: dotted names of classes and functions, as `mlpack.inspection.pickles` finds them.
        code: the folder, or the single file, of the user's own package; None where there is none.

    Raises:
        InputError: a module of the user's own is not Python.
    """
    package = None if code is None else code.stem
    named: set[str] = set()
    imported: set[str] = set()
    todo: list[tuple[str, ...]] = []
    for name in names:
        first = name.split(".")[0]
        if first == package:
            todo.append(tuple(name.split(".")))
        elif first not in sys.stdlib_module_names:
            named.add(first)
    own = bool(todo)
    seen: set[Path] = set()
    while todo and code is not None:
        for path, module in _files(todo.pop(), code):
            if path in seen:
                continue
            seen.add(path)
            tree = source.parse(path, path.relative_to(code.parent).as_posix())
            for target in _imports(tree, module) if tree else ():
                if target[0] == package:
                    todo.append(target)
                elif target[0] not in sys.stdlib_module_names:
                    imported.add(target[0])
    return Reached(own, frozenset(named), frozenset(imported))


def _files(name: tuple[str, ...], code: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The files that importing a dotted name runs, each with the package that it stands in."""
    if code.is_file():
        yield code, ()
        return
    folder = code.parent
    for depth, part in enumerate(name):
        folder = folder / part
        if folder.is_dir():
            if (folder / "__init__.py").is_file():
                yield folder / "__init__.py", name[: depth + 1]
            continue
        module = folder.with_suffix(".py")
        if module.is_file():
            yield module, name[:depth]
        return  # the rest are names inside the module


def _imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The dotted names that a module of `package` imports; what only a type checker sees is not."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = (*above, *(node.module.split(".") if node.module else ()))
            yield from ((*base, alias.name) for alias in node.names if base)
        todo += ast.iter_child_nodes(node)
