"""``setup.cfg``, as setuptools reads it.

Format: https://setuptools.pypa.io/en/latest/userguide/declarative_config.html
"""

from __future__ import annotations

import configparser
from pathlib import Path

from mlpack.errors import InputError
from mlpack.inspection.metadata import Metadata, read_source
from mlpack.inspection.versions import resolve_attr, resolve_file

SOURCE = "setup.cfg"


def read(root: Path) -> Metadata | None:
    """What setup.cfg says; None where there is none or it does not describe a package.

    Raises:
        InputError: it cannot be parsed.
    """
    text = read_source(root / SOURCE, SOURCE)
    if text is None:
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text, SOURCE)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(
            (number for number, _ in getattr(error, "errors", [])), None
        )
        where = SOURCE if line is None else f"{SOURCE}:{line}"
        raise InputError(f"cannot be parsed: {type(error).__name__}", where=where) from error
    if not parser.has_section("metadata") and not parser.has_section("options"):
        return None
    version, unresolved = _version(root, parser.get("metadata", "version", fallback=None))
    return Metadata(
        source=SOURCE,
        name=parser.get("metadata", "name", fallback=None),
        version=version,
        requires_python=parser.get("options", "python_requires", fallback=None),
        dependencies=_list(parser.get("options", "install_requires", fallback=None)),
        dev_dependencies=_list(parser.get("options.extras_require", "dev", fallback=None)),
        unresolved=unresolved,
    )


def _version(root: Path, written: str | None) -> tuple[str | None, frozenset[str]]:
    found = written
    if written and written.startswith("attr:"):
        found = resolve_attr(root, written.removeprefix("attr:").strip())
    elif written and written.startswith("file:"):
        found = resolve_file(root, written.removeprefix("file:").strip())
    missing = written is not None and found is None
    return found, frozenset({"version"} if missing else ())


def _list(value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    # One a line, or divided by semicolons where it is a single line without markers.
    lines = [line.strip() for line in value.splitlines()]
    return tuple(line for line in lines if line and not line.startswith("#"))
