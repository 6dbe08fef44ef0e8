"""Builds the data frame that the original pipeline is given: in serving, and in the proof.

Both use this very function, so that a difference between them cannot hide here. A column comes
back in the dtype it had in training, or, where a missing value does not fit that dtype, in the
one in which pandas would have read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .contract import Column, Signature
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
    build = _BUILD.get(column.dtype) or _BUILD.get(column.dtype.rstrip("0123456789"), _other)
    try:
        return build(values, column)
    except (TypeError, ValueError, OverflowError):
        # A hostile value: let the original pipeline say what it thinks of it.
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)


def _float(values: list[Any], column: Column) -> pd.Series[Any]:
    # Through float64, as the numbers were when they came: 0.1 is then rounded once more.
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
    return pd.Series(pd.Categorical(kept, categories=list(column.categories)))


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
