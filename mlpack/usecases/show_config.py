"""``mlpack config show``: what a configuration comes to, and where each of its values is from.

Nothing secret is told: a reference stays as it is written, with whether it leads to something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpack import config
from mlpack.inspection.metadata import at, line_of
from mlpack.project import Project

MASK = "***"
"""What stands for a value that may be a secret."""

_SECRET = re.compile(
    r"(^|[-_.])(pass(word|wd|phrase)?|secrets?|tokens?|credentials?|(api|access|private)[-_]?keys?)$",
    re.IGNORECASE,
)

_REFERRED = re.compile(r"[^:${}]*:\$\{[^{}]*\}")
"""A login whose password is nothing but a reference."""


@dataclass(frozen=True)
class Setting:
    """A value of the configuration.

    Attributes:
        key: with its tables, such as ``deploy.repository``.
        value: as it is written; `MASK` for one that may be a secret.
        origin: the file, with its line where it can be told.
        missing: the references in it that lead to nothing here.
    """

    key: str
    value: Any
    origin: str
    missing: tuple[str, ...] = ()


def show(project: Project, environment: str, env: Mapping[str, str]) -> tuple[Setting, ...]:
    """The settings of an environment, by their keys.

    Args:
        project: what inspection found.
        environment: such as ``production``.
        env: the process's environment, where references are looked for.

    Raises:
        InputError: there is no such environment, or a file is no TOML.
    """
    merged = config.load(project.config_dir, environment)
    files = [
        (f"{folder.name}/{name}.toml", path)
        for folder in (project.config_dir,)
        if folder is not None
        for name in (environment, "default")
        if (path := folder / f"{name}.toml").is_file()
    ]
    known = [
        (where, dict(_flat(config.read_toml(path, where))), path.read_text(encoding="utf-8-sig"))
        for where, path in files
    ]
    return tuple(
        Setting(
            key=".".join(keys),
            value=_told(keys[-1], value),
            origin=next((_origin(*each, keys) for each in known if keys in each[1]), ""),
            missing=tuple(_missing(value, env, project.root)),
        )
        for keys, value in sorted(_flat(merged))
    )


def _flat(
    table: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no table, by its keys. An empty table is a value."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, (*above, key))
        else:
            yield (*above, key), value


def _origin(where: str, _values: Mapping[Any, Any], text: str, keys: tuple[str, ...]) -> str:
    *tables, key = keys
    return at(where, line_of(text, key, ".".join(tables) or None))


def _told(key: str, value: Any) -> Any:  # noqa: ANN401 - any TOML value
    if isinstance(value, Mapping):
        return {inner: _told(inner, each) for inner, each in value.items()}
    if isinstance(value, list):
        return [_told(key, each) for each in value]
    if not isinstance(value, str):
        return value if not _SECRET.search(key) else MASK
    if _SECRET.search(key) and not _is_reference(value):
        return MASK
    return _without_login(value)


def _is_reference(text: str) -> bool:
    """Whether a text is a reference and nothing else."""
    return [text] == [written for written, *_ in config.references(text)]


def _without_login(value: str) -> str:
    """An address without the user and password in it."""
    try:
        place = urlsplit(value).netloc
    except ValueError:
        return value
    login, sign, _ = place.rpartition("@")
    if not sign or _is_reference(login) or _REFERRED.fullmatch(login):
        return value
    return value.replace(f"{login}@", f"{MASK}@", 1)


def _missing(value: Any, env: Mapping[str, str], root: Path) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _missing(each, env, root)
    elif isinstance(value, str):
        for written, scheme, name in config.references(value):
            there = name in env if scheme == "env" else scheme == "file" and (root / name).is_file()
            if not there:
                yield written
