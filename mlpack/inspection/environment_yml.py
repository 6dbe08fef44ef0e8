"""``environment.yml``, as conda reads it.

Format: https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/manage-environments.html
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlpack.errors import InputError
from mlpack.inspection.metadata import Metadata, read_source

SOURCES = ("environment.yml", "environment.yaml", "conda.yaml")

# What conda names otherwise than PyPI does, and what is no library of the project.
_PYPI = {
    "pytorch": "torch",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "matplotlib-base": "matplotlib",
    "opencv": "opencv-python-headless",
    "pytables": "tables",
}
_NOT_PYPI = frozenset({"pip", "setuptools", "wheel", "nomkl", "mkl", "openblas", "cudatoolkit"})
_SPEC = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)\s*(.*)")
_EXACT = re.compile(r"=?\s*([\w.!+*-]+?)(?:\s*=\s*[\w.*-]+)?")


def read(root: Path) -> Metadata | None:
    """What the conda environment says; None where there is none.

    ``numpy=1.26`` becomes ``numpy==1.26.*``, which is what conda means by it.

    Raises:
        InputError: it is no YAML, or has no list of dependencies.
    """
    name = next((one for one in SOURCES if (root / one).is_file()), None)
    text = read_source(root / name, name) if name else None
    if name is None or text is None:
        return None
    import yaml  # most projects have no such file, and every command inspects

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"not valid YAML: {problem}", where=where) from error
    entries = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError("has no list of dependencies", where=name)
    python, dependencies = _dependencies(entries, name)
    written = content.get("name")
    return Metadata(
        source=name,
        name=written if isinstance(written, str) and written not in ("base", "root") else None,
        requires_python=python,
        dependencies=tuple(dependencies),
    )


def _dependencies(entries: list[Any], where: str) -> tuple[str | None, list[str]]:
    python: str | None = None
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, dict):
            found += [line for line in entry.get("pip") or () if isinstance(line, str)]
            continue
        match = _SPEC.fullmatch(entry.strip()) if isinstance(entry, str) else None
        if match is None:
            raise InputError(f"{entry!r} is not a dependency", where=where)
        name, specifier = match[1], _specifier(match[2].strip())
        if name == "python":
            python = specifier or None
        elif name not in _NOT_PYPI and not name.startswith(("_", "lib")):
            found.append(f"{_PYPI.get(name, name)}{specifier}")
    return python, found


def _specifier(written: str) -> str:
    """A conda version as PyPI's tools write it."""
    if not written or written == "*":
        return ""
    if written.startswith("=="):
        return written.replace(" ", "")
    if written[0] in "<>!~":
        return written.replace(" ", "")
    exact = _EXACT.fullmatch(written)
    if exact is None:
        return written.replace(" ", "")
    version = exact[1]
    has_build = written.lstrip("=").count("=") > 0
    return f"=={version}" if has_build or version.endswith("*") else f"=={version}.*"
