"""Reads JSON for those who must know where it goes wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

_DIGITS = 400  # more than a float64 can hold, fewer than Python refuses to read


class MalformedError(ValueError):
    """A body that is not JSON, CSV or whatever it claims to be; says where it goes wrong."""


def loads(body: bytes, constant: Callable[[str], Any]) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value as Python has it.

    Args:
        body: in UTF-8.
        constant: what becomes of ``NaN``, ``Infinity`` and ``-Infinity``, which are no JSON.

    Raises:
        MalformedError: it is no JSON.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_int=_integer, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _DIGITS else math.inf
