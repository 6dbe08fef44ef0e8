"""``[tool.poetry]`` of pyproject.toml, for projects from before Poetry read ``[project]``.

Format: https://python-poetry.org/docs/dependency-specification/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpack.config import read_toml
from mlpack.inspection.metadata import Metadata

SOURCE = "pyproject.toml"

_SHOWN = "[tool.poetry] of pyproject.toml"
_BOUND = re.compile(r"([~^])\s*(\d+(?:\.\d+)*)")
_BARE = re.compile(r"\d+(?:\.\d+)*(?:\.\*)?")


def read(root: Path) -> Metadata | None:
    """What ``[tool.poetry]`` says; None where there is none.

    ``^1.2`` becomes ``>=1.2,<2``, which is what Poetry means by it.

    Raises:
        InputError: pyproject.toml is no TOML.
    """
    tool = _table(read_toml(root / SOURCE, SOURCE), "tool")
    poetry = _table(tool, "poetry")
    if not poetry:
        return None
    dependencies = dict(_table(poetry, "dependencies"))
    python = dependencies.pop("python", None)
    group = _table(_table(_table(poetry, "group"), "dev"), "dependencies")
    dev = group or _table(poetry, "dev-dependencies")
    name, version = poetry.get("name"), poetry.get("version")
    return Metadata(
        source=_SHOWN,
        name=name if isinstance(name, str) else None,
        version=version if isinstance(version, str) else None,
        requires_python=_specifier(python) if isinstance(python, str) else None,
        dependencies=_requirements(dependencies),
        dev_dependencies=_requirements(dev),
    )


def _requirements(table: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for name, value in table.items():
        if isinstance(value, str):
            found.append(f"{name}{_specifier(value)}")
        elif isinstance(value, Mapping) and not value.get("optional"):
            version = value.get("version", "*")
            extras = ",".join(str(one) for one in value.get("extras", []))
            marker = f"; {value['markers']}" if "markers" in value else ""
            found.append(
                f"{name}{f'[{extras}]' if extras else ''}{_specifier(str(version))}{marker}"
            )
    return tuple(found)


def _specifier(written: str) -> str:
    """A version constraint of Poetry's as PyPI's tools write it."""
    parts = [_part(part.strip()) for part in written.split(",")]
    return ",".join(part for part in parts if part)


def _part(part: str) -> str:
    if part in ("*", ""):
        return ""
    if bound := _BOUND.fullmatch(part):
        numbers = [int(number) for number in bound[2].split(".")]
        return f">={bound[2]},<{'.'.join(map(str, _next(bound[1], numbers)))}"
    return f"=={part}" if _BARE.fullmatch(part) else part.replace(" ", "")


def _next(sign: str, numbers: list[int]) -> list[int]:
    """The first version that is too new: the next minor one for ~, the next breaking one for ^."""
    if sign == "~":
        place = min(1, len(numbers) - 1)
    else:
        place = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    return [*numbers[:place], numbers[place] + 1]


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    return value if isinstance(value, Mapping) else {}
