"""What a file says of a distribution, in whichever of the usual formats it is written."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from mlpack.errors import InputError
from mlpack.inspection import names

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""The minor versions of Python that mlpack knows."""

_LAST_MICRO = 40


@dataclass(frozen=True)
class Metadata:
    """What one file says. None means that it says nothing of the sort.

    Attributes:
        source: the file, relative to the project's root.
        name, version, requires_python: as written.
        dependencies: requirements as written; None where the file does not have the list.
        dev_dependencies: further ones for development.
        packages: import packages that the file names, such as ``src/churn``.
        license: the SPDX expression of its licence, if it is one.
        source_url: the URL of its repository.
        unresolved: what the file says elsewhere, computed, so that it cannot be read: ``version``.
    """

    source: str
    name: str | None = None
    version: str | None = None
    requires_python: str | None = None
    dependencies: tuple[str, ...] | None = None
    dev_dependencies: tuple[str, ...] | None = None
    packages: tuple[str, ...] = ()
    license: str | None = None
    source_url: str | None = None
    unresolved: frozenset[str] = field(default_factory=frozenset)


def line_of(text: str, key: str, table: str | None = None) -> int | None:
    """The number of the first line that sets `key`, inside ``[table]`` if one is given."""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[]").strip()
        elif table in (None, current) and _sets(stripped, key):
            return number
    return None


def _sets(line: str, key: str) -> bool:
    if not line.startswith((key, f'"{key}"')):
        return False
    return line.removeprefix('"').removeprefix(key).removeprefix('"').lstrip()[:1] in ("=", ":")


def at(source: str, line: int | None) -> str:
    """``source`` or ``source:line``."""
    return source if line is None else f"{source}:{line}"


def check_name(name: str, where: str) -> str:
    """`name`, if it is a distribution's.

    Raises:
        InputError: it is not; the hint is a line with one that is.
    """
    if not names.is_distribution(name):
        raise InputError(
            f'"{name}" is not a valid name: it has letters, digits, -, _ and ., and begins and '
            "ends with a letter or digit",
            where=where,
            hint=f'name = "{names.valid(name)}"',
        )
    return name


def check_version(version: str, where: str) -> str:
    """`version` in its normal form (PEP 440).

    Raises:
        InputError: it is not one; the hint is a line with one.
    """
    try:
        return str(Version(version))
    except InvalidVersion as error:
        digits = "".join(c if c.isdigit() else "." for c in version)
        near = ".".join(part for part in digits.split(".") if part) or "0.1.0"
        raise InputError(
            f'"{version}" is not a valid version (PEP 440)',
            where=where,
            hint=f'version = "{near}"',
        ) from error


def check_requires_python(requirement: str, where: str) -> str:
    """`requirement`, if some Python that mlpack knows satisfies it.

    Raises:
        InputError: it is no version specifier, or excludes every such Python.
    """
    try:
        wanted = SpecifierSet(requirement)
    except InvalidSpecifier as error:
        raise InputError(
            f'requires-python = "{requirement}" is not a version specifier',
            where=where,
            hint='requires-python = ">=3.10"',
        ) from error
    versions = [f"{minor}.{micro}" for minor in PYTHONS for micro in range(_LAST_MICRO)]
    if not any(wanted.contains(version) for version in versions):
        raise InputError(
            f'requires-python = "{requirement}" excludes every Python that mlpack knows, '
            f"{PYTHONS[0]} to {PYTHONS[-1]}",
            where=where,
            hint='requires-python = ">=3.10"',
        )
    return requirement


def check_requirements(lines: Iterable[str], where: str) -> tuple[str, ...]:
    """`lines`, if each is a requirement (PEP 508).

    Raises:
        InputError: one is not; the error shows it.
    """
    checked = []
    for line in lines:
        try:
            Requirement(line)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f'"{line}" is not a requirement: {reason}',
                where=where,
                hint='Write it like "scikit-learn>=1.5".',
            ) from error
        checked.append(line.strip())
    return tuple(checked)


def read_source(path: Path, where: str) -> str | None:
    """The text of one of the project's files; None where there is none.

    Raises:
        InputError: it is not UTF-8 text, or cannot be read.
    """
    try:
        data = path.read_bytes()
        # PowerShell writes UTF-16 where output is sent to a file, and pip reads it too.
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=where) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
