"""Builds the data frame that the original pipeline is given: in serving, and in the proof.

Both use this very function, so that a difference between them cannot hide here. A column comes
back in the dtype it had in training, or, where a missing value does not fit that dtype, in the
one in which pandas would have read it.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

try:
    import pyarrow as pa
except ImportError:  # only columns that were Arrow's need it, and their lock has it
    pa = None

from .contract import Column, Signature
from .kinds import unit
from .moments import moment
from .values import plain

_PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3


def frame(
    signature: Signature, data: Sequence[Mapping[str, Any]] | Mapping[str, Any]
) -> pd.DataFrame:
    """A data frame with the signature's columns, in its order and dtypes.

    Args:
        signature: what the pipeline learned.
        data: rows, or columns by name; other keys are ignored, absent ones are missing values.

    Returns:
        The frame, its rows numbered from 0. Values are not checked: a value that does not fit
        its column's dtype leaves the column in the dtype that pandas infers.
    """
    if isinstance(data, Mapping):
        count = max((len(values) for values in data.values()), default=0)
        columns = {
            column.name: _series(_values(data.get(column.name), count), column)
            for column in signature.columns
        }
    else:
        count = len(data)
        columns = {
            column.name: _series([plain(row.get(column.name)) for row in data], column)
            for column in signature.columns
        }
    return pd.DataFrame(columns, index=pd.RangeIndex(count), copy=False)


def _values(values: Any, count: int) -> list[Any]:  # noqa: ANN401 - any column
    if values is None:
        return [None] * count
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [plain(value) for value in values]


def _series(values: list[Any], column: Column) -> pd.Series[Any]:
    """One column, in its own dtype where its values fit it."""
    try:
        return _builder(column)(values, column)
    except (TypeError, ValueError, OverflowError):
        # A hostile value: let the original pipeline say what it thinks of it.
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)


def _builder(column: Column) -> Callable[[list[Any], Column], pd.Series[Any]]:
    if column.held == "Decimal":
        return _decimal
    if column.dtype.endswith("[pyarrow]"):
        return _arrow
    if column.type in ("date", "datetime"):
        return _moment
    return _BUILD.get(column.dtype) or _BUILD.get(column.dtype.rstrip("0123456789"), _other)


def _float(values: list[Any], column: Column) -> pd.Series[Any]:
    # Through float64, as the numbers were when they came: 0.1 is then rounded once more.
    with np.errstate(over="ignore"):  # an infinity, as in any frame of that dtype
        return pd.Series(np.array(values, dtype=np.float64).astype(column.dtype))


def _integer(values: list[Any], column: Column) -> pd.Series[Any]:
    """Whole numbers; float64 with a missing value or a fraction, int64 where they do not fit."""
    if any(type(value) is not int for value in values):
        return pd.Series(np.array(values, dtype=np.float64))
    limits = np.iinfo(column.dtype)
    fits = all(limits.min <= value <= limits.max for value in values)
    return pd.Series(np.array(values, dtype=column.dtype if fits else np.int64))


def _boolean(values: list[Any], column: Column) -> pd.Series[Any]:
    """Booleans; with a missing value, objects, as pandas reads them."""
    if all(type(value) is bool for value in values):
        return pd.Series(values, dtype=column.dtype)
    return _object(values, column)


def _object(values: list[Any], _column: Column) -> pd.Series[Any]:
    return pd.Series([np.nan if value is None else value for value in values], dtype=object)


def _string(values: list[Any], column: Column) -> pd.Series[Any]:
    """Pandas 3's ``str``, whose missing value is NaN. Older ones know it as ``object``."""
    if not _PANDAS_3 or any(not (value is None or isinstance(value, str)) for value in values):
        return _object(values, column)
    return pd.Series(values, dtype="str")


def _category(values: list[Any], column: Column) -> pd.Series[Any]:
    """Categories as observed; a value that was never observed is missing, as it is to pandas."""
    if column.categories is None:
        return pd.Series(pd.Categorical(values))
    known = frozenset(column.categories)
    kept = [value if value in known else None for value in values]
    return pd.Series(
        pd.Categorical(kept, categories=list(column.categories), ordered=column.ordered)
    )


def _decimal(values: list[Any], _column: Column) -> pd.Series[Any]:
    """Python's decimals, of the digits that JSON shows."""
    made = [None if value is None else decimal.Decimal(str(value)) for value in values]
    return pd.Series(made, dtype=object)


def _moment(values: list[Any], column: Column) -> pd.Series[Any]:
    """Dates and times, as numpy's or pandas' own or as the objects that they were."""
    ticks = _ticks(values, column)
    if column.dtype != "object":
        series: pd.Series[Any] = pd.Series(ticks)
        if column.zone is not None:
            series = series.dt.tz_localize("UTC").dt.tz_convert(column.zone)
        return series
    if column.held == "Timestamp":
        made = [pd.NaT if np.isnat(each) else pd.Timestamp(each) for each in ticks]
    else:
        made = ticks.tolist()  # None where one is missing, as in the frames of databases
    return pd.Series(made, dtype=object)


def _ticks(values: list[Any], column: Column) -> np.ndarray:
    """Clean or raw dates and times as an array; of one with a zone in UTC.

    Raises:
        ValueError: a value is neither.
    """
    held = f"datetime64[{unit(column)}]"
    return np.array(
        [
            value if value is None or isinstance(value, np.datetime64) else moment(value, column)
            for value in values
        ],
        dtype=held,
    )


def _arrow(values: list[Any], column: Column) -> pd.Series[Any]:
    """Arrow's own types, which pandas cannot all tell by their names."""
    name = column.dtype.removesuffix("[pyarrow]")
    dtype: Any = pd.ArrowDtype(_arrow_type(name))
    if column.type == "number" and dtype.kind not in "fiu":
        exact = [None if value is None else decimal.Decimal(str(value)) for value in values]
        try:
            return pd.Series(exact, dtype=dtype)
        except pa.ArrowInvalid:
            # More digits than training had: as many as it takes.
            return pd.Series(exact, dtype=pd.ArrowDtype(pa.array(exact).type))
    if column.type in ("date", "datetime"):
        ticks = _ticks(values, column)
        if column.type == "datetime":
            counts = pa.array(ticks.astype(np.int64), mask=np.isnat(ticks))
            return pd.Series(pd.array(counts.cast(dtype.pyarrow_dtype), dtype=dtype))
        values = ticks.tolist()
    elif dtype.kind == "f":
        # Through float64, as the numbers were when they came.
        values = [None if value is None else float(value) for value in values]
    return pd.Series(pd.array(pa.array(values, type=dtype.pyarrow_dtype), dtype=dtype))


def _arrow_type(name: str) -> Any:  # noqa: ANN401 - pyarrow has no types of its own
    if found := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", name):
        make = getattr(pa, f"decimal{found[1]}")
        return make(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>", name):
        return pa.dictionary(_arrow_type(found[2]), _arrow_type(found[1]), ordered=found[3] == "1")
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]", name):
        return pa.timestamp(found[1], found[2])
    return pa.type_for_alias(name)


def _other(values: list[Any], column: Column) -> pd.Series[Any]:
    """A nullable or otherwise special dtype: pandas knows its own missing value."""
    dtype: Any = column.dtype
    series: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return series


_BUILD: dict[str, Callable[[list[Any], Column], pd.Series[Any]]] = {
    "float": _float,
    "int": _integer,
    "uint": _integer,
    "bool": _boolean,
    "object": _object,
    "str": _string,
    "category": _category,
}
