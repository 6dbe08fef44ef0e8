"""``[tool.mlpack]`` of pyproject.toml: every key optional, unknown ones refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlpack import files
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.inspection.metadata import at, line_of
from mlpack.project import ImageSettings, Settings

SOURCE = "pyproject.toml"

# An image's name as registries, layouts and engines have it: no blank, quote or line end, which
# is what lets it stand in a Dockerfile.
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+~-]*")
_PATH_IMAGE = re.compile(r"(?:oci|archive):[A-Za-z0-9._/:@+~-]+")
_LONGEST_IMAGE = 512

_Check = Callable[[str], str | None]


def _one_of(*values: str) -> _Check:
    def check(value: str) -> str | None:
        if value in values:
            return None
        guess = did_you_mean(value, values)
        return f"is one of {', '.join(values)}" + (f". {guess}" if guess else "")

    return check


def _package(value: str) -> str | None:
    return None if value.isidentifier() else "is the name of a package, such as churn"


def _model(value: str) -> str | None:
    try:
        files.contained(value)
    except ValueError:
        return "is a path inside the project, such as models/model.joblib"
    return None


def _column(value: str) -> str | None:
    return None if value else "is the name of a column"


def _base(value: str) -> str | None:
    known = _IMAGE.fullmatch(value) or _PATH_IMAGE.fullmatch(value)
    if known and len(value) <= _LONGEST_IMAGE:
        return None
    return "is an image such as docker.io/library/python:3.11-slim, oci:PATH or docker:NAME"


_KEYS: Mapping[str, _Check] = {
    "package": _package,
    "target": _column,
    "resolver": _one_of("uv", "pip-tools"),
    "format": _one_of("auto", "onnx", "hybrid", "python"),
    "model": _model,
}
_IMAGE_KEYS: Mapping[str, _Check] = {"base": _base, "builder": _one_of("mlpack", "docker")}


def read(table: object, text: str) -> Settings:
    """The settings in the table ``[tool.mlpack]``.

    Args:
        table: its value; None where there is none.
        text: the whole file, to find lines in.

    Raises:
        InputError: a key is unknown (the hint says which is meant), or a value is not allowed.
    """
    if table is None:
        return Settings()
    if not isinstance(table, Mapping):
        raise InputError("[tool.mlpack] is not a table", where=SOURCE)
    image = table.get("image", {})
    if not isinstance(image, Mapping):
        raise InputError(
            "image is a table in [tool.mlpack]",
            where=at(SOURCE, line_of(text, "image", "tool.mlpack")),
            hint='[tool.mlpack.image]\nbase = "docker.io/library/python:3.11-slim"',
        )
    plain = {key: value for key, value in table.items() if key != "image"}
    checked = _checked(plain, _KEYS, "tool.mlpack", text, further=("image",))
    built_on = _checked(image, _IMAGE_KEYS, "tool.mlpack.image", text)
    return Settings(**checked, image=ImageSettings(**built_on))


def _checked(
    given: Mapping[str, Any],
    keys: Mapping[str, _Check],
    table: str,
    text: str,
    further: tuple[str, ...] = (),
) -> dict[str, Any]:
    for key, value in given.items():
        where = at(SOURCE, line_of(text, key, table))
        if key not in keys:
            known = (*keys, *further)
            raise InputError(
                f'[{table}] has no key "{key}"; there are {", ".join(known)}',
                where=where,
                hint=did_you_mean(key, known),
            )
        if not isinstance(value, str):
            raise InputError(f"{key} in [{table}] is a string, not {value!r}", where=where)
        if (reason := keys[key](value)) is not None:
            raise InputError(f'{key} in [{table}], "{value}", {reason}', where=where)
    return dict(given)
