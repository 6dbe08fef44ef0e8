"""``[tool.mlpack.image]`` of pyproject.toml: the base, the builder, and what the Docker one takes.

What stands here reaches a Dockerfile: each word is checked against its grammar in `mlpack.words`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlpack import words
from mlpack.errors import InputError
from mlpack.inspection.checks import SOURCE, Check, listed, one_of, place, strings
from mlpack.project import BuildSecret, ImageSettings, PipSettings

TABLE = "tool.mlpack.image"
PIP = f"{TABLE}.pip"
SECRETS = f"{TABLE}.secrets"

_STRINGS: Mapping[str, Check] = {
    "base": words.image,
    "builder": one_of("mlpack", "docker"),
    "compression": one_of("gzip", "zstd"),
}
_PACKAGES = ("system-packages", "build-packages")
_TABLES = ("pip", "secrets")
_DOCKER_ONLY = (*_PACKAGES, *_TABLES)
_LISTS: Mapping[str, Check] = {
    "extra-index-urls": words.index,
    "no-binary": words.distribution,
    "only-binary": words.distribution,
}
_NUMBERS = ("timeout", "retries")
_LARGEST = 3600
_REFERENCE = re.compile(r"\$\{(env|file):([^{}]*)\}")


def read(image: object, text: str) -> ImageSettings:
    """The settings in the table ``[tool.mlpack.image]``.

    Args:
        image: its value.
        text: the whole file, to find lines in.

    Raises:
        InputError: a key is unknown, or a value is not allowed; the message names it.
    """
    if not isinstance(image, Mapping):
        raise InputError(
            "image is a table in [tool.mlpack]",
            where=place(text, "image", "tool.mlpack"),
            hint='[tool.mlpack.image]\nbase = "docker.io/library/python:3.11-slim"',
        )
    further = ("prune", *_DOCKER_ONLY)
    named = {key: value for key, value in image.items() if key not in further}
    checked = strings(named, _STRINGS, TABLE, text, further)
    prune = image.get("prune", True)
    if not isinstance(prune, bool):
        raise InputError(
            f"prune in [{TABLE}] is true or false, not {prune!r}", where=place(text, "prune", TABLE)
        )
    if checked.get("builder") != "docker":
        _refuse_without_docker(image, text)
    system, build = (
        listed(image.get(key, []), key, words.package, TABLE, text) for key in _PACKAGES
    )
    return ImageSettings(
        base=checked.get("base"),
        builder=checked.get("builder", "mlpack"),
        prune=prune,
        compression=checked.get("compression", "gzip"),
        system_packages=system,
        build_packages=build,
        pip=_pip(_table(image, "pip", text), text),
        secrets=_secrets(_table(image, "secrets", text), text),
    )


def _refuse_without_docker(image: Mapping[str, Any], text: str) -> None:
    for key in _DOCKER_ONLY:
        if key in image:
            raise InputError(
                f"{key} in [{TABLE}] needs an engine: mlpack's own builder runs nothing",
                where=place(text, key, TABLE),
                hint=f'Add to [{TABLE}]: builder = "docker"',
            )


def _table(image: Mapping[str, Any], key: str, text: str) -> Mapping[str, Any]:
    found = image.get(key, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{key} is a table in [{TABLE}]", where=place(text, key, TABLE))
    return found


def _pip(table: Mapping[str, Any], text: str) -> PipSettings:
    further = (*_LISTS, *_NUMBERS)
    named = {key: value for key, value in table.items() if key not in further}
    checked = strings(named, {"index-url": words.index}, PIP, text, further)
    lists = {
        key: listed(table.get(key, []), key, check, PIP, text) for key, check in _LISTS.items()
    }
    return PipSettings(
        index_url=checked.get("index-url"),
        extra_index_urls=lists["extra-index-urls"],
        no_binary=lists["no-binary"],
        only_binary=lists["only-binary"],
        timeout=_number(table, "timeout", text),
        retries=_number(table, "retries", text),
    )


def _number(table: Mapping[str, Any], key: str, text: str) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    raise InputError(
        f"{key} in [{PIP}] is a whole number up to {_LARGEST}, not {value!r}",
        where=place(text, key, PIP),
    )


def _secrets(table: Mapping[str, Any], text: str) -> tuple[BuildSecret, ...]:
    return tuple(_secret(name, value, text) for name, value in table.items())


def _secret(name: str, value: object, text: str) -> BuildSecret:
    if (reason := words.secret(name)) is not None:
        raise InputError(f"[{SECRETS}]: {words.shown(name)} {reason}", where=SOURCE)
    where = place(text, name, SECRETS)
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        # The value may be the secret itself: it is not shown.
        raise InputError(
            f"{name} in [{SECRETS}] does not say where the secret is",
            where=where,
            hint=f'Write it like: {name} = "${{env:INDEX_TOKEN}}", or "${{file:PATH}}"',
        )
    kind, source = found.groups()
    reason = words.variable(source) if kind == "env" else words.path(source)
    if reason is not None:
        raise InputError(f"{name} in [{SECRETS}]: {words.shown(source)} {reason}", where=where)
    return BuildSecret(name, kind, source)
