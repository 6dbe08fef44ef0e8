"""Versions that stand in the source or in a file of their own, found without running anything."""

from __future__ import annotations

import re
from pathlib import Path

from mlpack import files
from mlpack.inspection import source
from mlpack.inspection.metadata import read_source

_ASSIGNED = re.compile(r"""(?im)^(?:__version__|VERSION)(?:\s*:\s*str)?\s*=\s*v?(['"])(.+?)\1""")


def resolve_attr(root: Path, reference: str) -> str | None:
    """The string that ``package.module.__version__`` is, if it is written out."""
    module, _, name = reference.rpartition(".")
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for base in (root / "src", root):
        module_path = base.joinpath(*parts)
        for path in (module_path / "__init__.py", module_path.with_suffix(".py")):
            tree = source.parse(path, path.relative_to(root).as_posix())
            if tree is not None:
                return source.string(tree, name)
    return None


def resolve_file(root: Path, name: str) -> str | None:
    """The version in a file that holds it alone."""
    path = _inside(root, name)
    text = read_source(path, name) if path else None
    return text.strip() or None if text is not None else None


def resolve_assignment(root: Path, name: str) -> str | None:
    """The version that a file assigns to ``__version__`` or ``VERSION`` (as Hatch finds it)."""
    path = _inside(root, name)
    text = read_source(path, name) if path else None
    if text is None:
        return None
    match = _ASSIGNED.search(text)
    return match[2] if match else None


def _inside(root: Path, name: str) -> Path | None:
    try:
        return root / files.contained(name)
    except ValueError:
        return None
