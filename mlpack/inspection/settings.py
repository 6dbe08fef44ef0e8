"""``[tool.mlpack]`` of pyproject.toml: every key optional, unknown ones refused."""

from __future__ import annotations

from collections.abc import Mapping

from mlpack import files
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.inspection import image_settings
from mlpack.inspection.checks import SOURCE, Check, one_of, place, strings
from mlpack.oci.machine import PLATFORMS
from mlpack.project import Settings


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


_KEYS: Mapping[str, Check] = {
    "package": _package,
    "target": _column,
    "resolver": one_of("uv", "pip-tools"),
    "format": one_of("auto", "onnx", "hybrid", "python"),
    "model": _model,
}


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
    further = ("image", "platforms", "serving")
    plain = {key: value for key, value in table.items() if key not in further}
    checked = strings(plain, _KEYS, "tool.mlpack", text, further=further)
    return Settings(
        **checked,
        serving=_serving(table.get("serving", []), text),
        platforms=_platforms(table.get("platforms", []), text),
        image=image_settings.read(table.get("image", {}), text),
    )


def _serving(given: object, text: str) -> tuple[str, ...]:
    """What production installs besides; whether each can be locked is seen when it is."""
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        return tuple(given)
    raise InputError(
        "serving in [tool.mlpack] is a list of requirements",
        where=place(text, "serving", "tool.mlpack"),
        hint='Write it like: serving = ["grpcio>=1.66"]',
    )


def _platforms(given: object, text: str) -> tuple[str, ...]:
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        unknown = [each for each in given if each not in PLATFORMS]
        if not unknown:
            return tuple(sorted(set(given)))
        hint = did_you_mean(unknown[0], PLATFORMS) or f"There are: {', '.join(PLATFORMS)}."
        what = f"platforms in [tool.mlpack] has {unknown[0]!r}, which is none"
    else:
        hint = 'Write it like: platforms = ["linux/amd64", "linux/arm64"]'
        what = "platforms in [tool.mlpack] is a list of platforms"
    raise InputError(what, where=place(text, "platforms", "tool.mlpack"), hint=hint)
