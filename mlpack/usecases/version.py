"""``mlpack version``: show the project's version, or raise it in pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass

import tomlkit
from packaging.version import InvalidVersion, Version
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from mlpack.errors import InputError
from mlpack.files import write
from mlpack.project import Project

PARTS = ("major", "minor", "patch")
WHERE = "pyproject.toml"


@dataclass(frozen=True)
class Versions:
    """The version before and after; the same where nothing was changed."""

    before: str
    after: str


def show(project: Project) -> Versions:
    """The project's version.

    Raises:
        InputError: it has none.
    """
    if project.version is None:
        raise InputError(
            "the project has no version", where=WHERE, hint='Add to [project]: version = "0.1.0"'
        )
    return Versions(project.version, project.version)


def raise_version(project: Project, to: str) -> Versions:
    """Raise the version in pyproject.toml, whose other lines stay as they are.

    Args:
        project: whose version.
        to: ``major``, ``minor``, ``patch``, or the new version itself.

    Raises:
        InputError: `to` is none of these, the version does not stand in pyproject.toml, or the
            new one is not above the old.
    """
    before = show(project).before
    after = _next(Version(before), to)
    if Version(after) <= Version(before):
        raise InputError(
            f"{after} is not above {before}", hint="A version that was pushed is never used again."
        )
    if project.pyproject is None:
        raise InputError("there is no pyproject.toml to write it to", where=WHERE)
    try:
        document = tomlkit.parse(project.pyproject.read_text(encoding="utf-8"))
    except TOMLKitError as error:
        raise InputError(f"it is no TOML: {error}", where=WHERE) from error
    table = document.get("project")
    if not isinstance(table, Table) or "version" not in table:
        raise InputError(
            f"the version {before} does not stand in [project]",
            where=WHERE,
            hint="Raise it where it stands.",
        )
    table["version"] = after
    write(project.pyproject, tomlkit.dumps(document))
    return Versions(before, after)


def _next(version: Version, to: str) -> str:
    if to in PARTS:
        numbers = [*version.release, 0, 0, 0][:3]
        place = PARTS.index(to)
        numbers[place] += 1
        return ".".join(str(number if i <= place else 0) for i, number in enumerate(numbers))
    try:
        return str(Version(to))
    except InvalidVersion as error:
        raise InputError(
            f"{to!r} is neither a version nor one of {', '.join(PARTS)}",
            hint="For example: mlpack version patch",
        ) from error
