"""What Python source says, read from its syntax tree: it is never imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from mlpack.errors import InputError
from mlpack.inspection.metadata import Metadata, read_source

_NOT_LITERAL = object()


def parse(path: Path, where: str) -> ast.Module | None:
    """The syntax tree of a file; None where there is no file.

    Raises:
        InputError: it is not Python; the error names the line.
    """
    text = read_source(path, where)
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            # An odd escape in a user's string is for their own tools to warn of.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise InputError(
            f"not valid Python: {error.msg}", where=f"{where}:{error.lineno}"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"not valid Python: {error}", where=where) from error


def functions(tree: ast.Module) -> frozenset[str]:
    """The names of the functions that a module has at its top level, or imports there."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(found)


def string(tree: ast.Module, name: str) -> str | None:
    """The string that a module assigns to `name` at its top level, if it is written out."""
    for node in tree.body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = literal(node.value)  # type: ignore[attr-defined]
            return value if isinstance(value, str) else None
    return None


def literal(node: ast.expr | None) -> object:
    """The value of an expression that is written out; a lone object where it is not."""
    if node is None:
        return _NOT_LITERAL
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NOT_LITERAL


def setup_py(root: Path) -> Metadata | None:
    """The arguments of ``setup(...)`` in setup.py, as far as they are written out.

    Raises:
        InputError: setup.py is not Python.
    """
    tree = parse(root / "setup.py", "setup.py")
    if tree is None:
        return None
    for call in _calls(tree, "setup"):
        given = {keyword.arg: literal(keyword.value) for keyword in call.keywords if keyword.arg}
        extras = given.get("extras_require")
        dev = extras.get("dev") if isinstance(extras, dict) else None
        return Metadata(
            source="setup.py",
            name=_string(given.get("name")),
            version=_string(given.get("version")),
            requires_python=_string(given.get("python_requires")),
            dependencies=_strings(given.get("install_requires")),
            dev_dependencies=_strings(dev),
            unresolved=frozenset(key for key, value in given.items() if value is _NOT_LITERAL),
        )
    return Metadata(source="setup.py")


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if (isinstance(called, ast.Name) and called.id == name) or (
                isinstance(called, ast.Attribute) and called.attr == name
            ):
                yield node


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        return None
    return tuple(value)
