"""Requirements files, as pip reads them.

Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from mlpack.errors import InputError
from mlpack.inspection.metadata import Metadata, read_source

PRODUCTION = (
    "requirements.in",
    "requirements.txt",
    "requirements/base.txt",
    "requirements/prod.txt",
)
DEVELOPMENT = (
    "requirements-dev.in",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements/dev.txt",
)

_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(r"\s--?[a-z][a-z-]*(?:[= ]|$).*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s*=\s*|\s+|(?=[^\s=-]))(.+)")
_KEPT = re.compile(r"(?:-e|--editable)(?:\s+|=)(.+)")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")


def find(root: Path) -> Metadata | None:
    """What the project's requirements files say; None where there are none.

    A ``.in`` file comes before a ``.txt`` file, which is often made from it.

    Raises:
        InputError: see `read`.
    """
    production = next((name for name in PRODUCTION if (root / name).is_file()), None)
    development = next((name for name in DEVELOPMENT if (root / name).is_file()), None)
    if production is None and development is None:
        return None
    dependencies = read(root, production) if production else None
    further = read(root, development) if development else None
    if further and dependencies:
        # A file for development usually includes the one for production.
        further = tuple(one for one in further if one not in dependencies)
    return Metadata(
        source=production or development or "",
        dependencies=dependencies,
        dev_dependencies=further,
    )


def read(root: Path, name: str) -> tuple[str, ...]:
    """The requirements in the file `name` and in those that it includes, in their order.

    Comments, options and hashes are left out. Editable installs, URLs and paths stay as they are
    written.

    Raises:
        InputError: a line is none of these, a file that is included is not there, lies outside
            the project or includes itself.
    """
    found = _read(root, _inside(root, root / name, name), ())
    return tuple(dict.fromkeys(found))


def _read(root: Path, path: Path, parents: tuple[Path, ...]) -> list[str]:
    shown = path.relative_to(root).as_posix()
    text = read_source(path, shown)
    if text is None:
        raise InputError("is included, but not there", where=shown)
    found: list[str] = []
    for number, line in _logical_lines(text):
        where = f"{shown}:{number}"
        if include := _INCLUDE.fullmatch(line):
            target = _inside(root, path.parent / include[1].strip(), where)
            if target in (*parents, path):
                raise InputError(f"{include[1]} includes itself", where=where)
            if not target.is_file():
                raise InputError(f"{include[1]}, which is included, is not there", where=where)
            found += _read(root, target, (*parents, path))
        elif not line.startswith("-") or _KEPT.fullmatch(line):
            found.append(_requirement(line, where))
    return found


def _inside(root: Path, path: Path, where: str) -> Path:
    """`path` without its dots, which must not lead out of the project; a link may."""
    plain = Path(os.path.normpath(path))
    if not plain.is_relative_to(root):
        raise InputError(f"{path.name} lies outside the project", where=where)
    return plain


def _requirement(line: str, where: str) -> str:
    if _KEPT.fullmatch(line):
        return line
    line = _OPTION.sub("", line).strip()
    if "://" in line or _VARIABLE.search(line) or line.startswith((".", "/")):
        return line
    try:
        Requirement(line)
    except InvalidRequirement as error:
        if line.endswith((".whl", ".tar.gz", ".zip")):
            return line
        reason = str(error).splitlines()[0]
        raise InputError(f'"{line}" is not a requirement: {reason}', where=where) from error
    return line


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers: continued ones joined, without comments and empty ones."""
    lines: list[tuple[int, str]] = []
    begun: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if begun else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun.append(line[:-1].strip())
            continue
        whole = _COMMENT.sub("", " ".join([*begun, line.strip()])).strip()
        begun = []
        if whole:
            lines.append((first, whole))
    return lines
