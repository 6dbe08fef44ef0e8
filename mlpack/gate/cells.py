"""Values of files as requests have them, and what would be right as the model says it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from mlpack.errors import InputError
from mlpack.runtime.contract import Signature


def plain_row(
    row: Mapping[str, Any], place: int, kinds: Mapping[str, str], source: str
) -> Mapping[str, Any]:
    """A row as JSON has it; what only unknown columns have and JSON has not is left out.

    Raises:
        InputError: a column that the model knows holds what no request can.
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        try:
            plain = _plain(value)
        except (TypeError, ValueError, OverflowError) as error:
            if name not in kinds:
                continue
            raise InputError(
                f"row {place}, column {name}: {type(value).__name__} is nothing that a request "
                "can have there",
                where=source,
                hint="Values are texts, numbers, true and false; a missing one is null.",
            ) from error
        if kinds.get(name) == "integer" and isinstance(plain, float) and plain.is_integer():
            plain = int(plain)  # a table in which one is missing has all of them as floats
        found[name] = plain
    return found


def _plain(value: Any) -> str | float | bool | None:  # noqa: ANN401 - anything of a file
    """A value as JSON has it: what is not finite is missing there.

    Raises:
        TypeError, ValueError, OverflowError: JSON has nothing of the kind.
    """
    if not isinstance(value, (str, int, float, bool, type(None))):
        if isinstance(value, (bytes, bytearray)):
            raise TypeError("bytes are no text")
        value = msgspec.to_builtins(value)
    if isinstance(value, str):
        value.encode()  # half a surrogate pair has no UTF-8
        return value
    if isinstance(value, (int, float)):
        return value if math.isfinite(float(value)) else None
    if value is None:
        return None
    raise TypeError("it is no single value")


def labels(right: Sequence[Any], signature: Signature, source: str) -> tuple[Any, ...]:
    """What would be right, as the model says it: a table with gaps has 1.0 where a label is 1.

    Raises:
        InputError: it cannot be right: no label of it is the model's, or it is no number.
    """
    if signature.task == "regression":
        return _numbers(right, source)
    if not signature.labels or signature.groups:
        return tuple(right)
    texts = {str(each): each for each in signature.labels}
    numbers = {float(each): each for each in signature.labels if number(each)}
    found = [
        numbers.get(each, each) if number(each) else texts.get(str(each), each) for each in right
    ]
    if not any(str(each) in texts for each in found):
        told = ", ".join(list(texts)[:10])
        raise InputError(
            f"what would be right is in no row one of the labels {told}",
            where=source,
            hint="--target names the column with what would be right.",
        )
    return tuple(found)


def _numbers(right: Sequence[Any], source: str) -> tuple[Any, ...]:
    try:
        shapes = {np.shape(np.asarray(each, dtype=np.float64)) for each in right}
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            "what would be right is no number in some row",
            where=source,
            hint="--target names the column with what would be right.",
        ) from error
    if len(shapes) > 1:
        raise InputError("what would be right has more numbers in some rows", where=source)
    return tuple(right)


def number(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a value is a number of JSON's: true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
