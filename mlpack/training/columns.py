"""What the columns of a training frame hold, and its rows as JSON has them."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlpack.errors import InputError
from mlpack.runtime.contract import Category, Column, ColumnType, Distribution
from mlpack.runtime.kinds import INT64_MAX
from mlpack.runtime.values import plain
from mlpack.training.spread import of_counts, of_numbers

FEW = 50
"""At most so many different values are told as categories; more are free text or numbers."""

_CONVERT = "Make it a number or a text in data.load, for example with .dt.year or .astype(str)."


def column(series: pd.Series[Any]) -> Column:
    """What one column of the training frame holds."""
    name = str(series.name)
    kind = _kind(series)
    present = series.dropna()
    missing = float(1 - len(present) / len(series)) if len(series) else 0.0
    minimum: float | int | None = None
    maximum: float | int | None = None
    if kind in ("number", "integer") and len(present):
        # Categories have no least one, even if they are numbers.
        categorical = isinstance(series.dtype, pd.CategoricalDtype)
        numbers = pd.Series(present.unique().tolist()) if categorical else present
        finite = numbers[np.isfinite(numbers.to_numpy(dtype=np.float64))]
        if len(finite):
            minimum, maximum = _json(finite.min()), _json(finite.max())
    if kind == "integer" and maximum is not None and maximum > INT64_MAX:
        raise InputError(
            f"the column {name!r} has whole numbers of more than 64 bits with a sign",
            hint="Make it a text or a number in data.load: .astype(str) or .astype(float).",
        )
    categories = _categories(series, present, kind)
    return Column(
        name=name,
        type=kind,
        dtype=_named(series.dtype),
        minimum=minimum,
        maximum=maximum,
        categories=categories,
        missing=missing,
        zone=_zone(series) if kind == "datetime" else None,
        held=_held(present),
        ordered=isinstance(series.dtype, pd.CategoricalDtype) and bool(series.dtype.ordered),
        spread=_spread(present, kind, categories),
    )


def _spread(
    present: pd.Series[Any], kind: ColumnType, categories: tuple[Category, ...] | None
) -> Distribution | None:
    if categories is not None:
        found = present.value_counts()
        counted = {(type(plain(value)), plain(value)): int(n) for value, n in found.items()}
        counts = np.array([counted.get((type(each), each), 0) for each in categories])
        return of_counts(counts, len(present))
    if kind not in ("number", "integer"):
        return None
    values = np.asarray([float(value) for value in present.tolist()], dtype=np.float64)
    return of_numbers(values[np.isfinite(values)])


def _named(dtype: Any) -> str:
    """The name of a dtype, from which `mlpack.runtime.frames` makes it again."""
    if isinstance(dtype, pd.StringDtype) and str(dtype) == "string":
        # The name alone means the one that pandas prefers.
        return "string" if dtype == pd.StringDtype() else f"string[{dtype.storage}]"
    return str(dtype)


def _zone(series: pd.Series[Any]) -> str | None:
    """The zone of a column of times, by a name that makes it again."""
    if series.dtype == np.dtype(object):
        return None
    zone = series.dt.tz
    if zone is None:
        return None
    name = str(zone)
    try:
        known = pd.DatetimeTZDtype("ns", name)
    except (TypeError, ValueError, KeyError) as error:  # what pandas and zoneinfo raise
        raise InputError(
            f"the column {series.name!r} has the time zone {name}, which has no name of its own",
            hint='Give it a zone with a name in data.load: .dt.tz_convert("UTC").',
        ) from error
    return str(known.tz)


def _held(present: pd.Series[Any]) -> Any:
    """The class of the objects of a column, where JSON has none of the kind."""
    if present.dtype != np.dtype(object) or not len(present):
        return None
    name = type(present.iloc[0]).__name__
    return name if name in ("Decimal", "date", "datetime", "Timestamp") else None


def _kind(series: pd.Series[Any]) -> ColumnType:
    dtype: Any = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    categorical = isinstance(dtype, pd.CategoricalDtype)
    if dtype.kind == "M" and not categorical:
        # Arrow's dates are of the same kind as its times.
        return "date" if dtype.type is dt.date else "datetime"
    values = (
        series.cat.categories.tolist()
        if categorical
        else series.dropna().tolist()
        if dtype == np.dtype(object) or isinstance(dtype, pd.StringDtype | pd.ArrowDtype)
        else None
    )
    if values is None:
        raise InputError(
            f"the column {series.name!r} has the type {dtype}, which cannot be a raw column yet",
            hint=_CONVERT,
        )
    kinds = {type(plain(value)) for value in values}
    if kinds <= {str}:
        return "string"
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "number"
    if len(kinds) == 1 and not categorical and (kind := _of_objects(kinds.copy().pop(), values)):
        return kind
    held = ", ".join(sorted(kind.__name__ for kind in kinds))
    if len(kinds) == 1:
        raise InputError(
            f"the column {series.name!r} holds {held} objects, which cannot be raw values yet",
            hint=_CONVERT,
        )
    raise InputError(
        f"the column {series.name!r} mixes types: {held}",
        hint="Give it one type in data.load, for example with .astype(str).",
    )


def _of_objects(kind: type, values: list[Any]) -> ColumnType | None:
    """What a column of such objects is; None where they cannot be served."""
    if kind is decimal.Decimal:
        return "number"
    if kind is dt.date:
        return "date"
    if kind in (dt.datetime, pd.Timestamp) and all(each.tzinfo is None for each in values):
        return "datetime"
    return None


def _categories(
    series: pd.Series[Any], present: pd.Series[Any], kind: ColumnType
) -> tuple[Category, ...] | None:
    if isinstance(series.dtype, pd.CategoricalDtype):
        known = series.cat.categories
        if len(known) > FEW and len(known) * 2 > len(present):
            return None  # free text too, though somebody called it a category
        return tuple(plain(value) for value in known)
    if kind in ("number", "date", "datetime"):
        return None
    values = present.unique().tolist()
    # Free text would carry real rows into the artifact: only what repeats is a category.
    if len(values) > FEW or (kind == "string" and len(values) * 2 > len(present)):
        return None
    return tuple(sorted(plain(value) for value in values))


def real_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as JSON has them, missing values as None."""
    names = [str(name) for name in frame.columns]
    columns = [[_json(value) for value in frame[name].tolist()] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(value: Any) -> Any:
    """A value as JSON has it: decimals are numbers, dates and times texts of ISO 8601."""
    value = plain(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def bare_columns(names: Sequence[str], texts: frozenset[str]) -> pd.DataFrame:
    """A frame of one made-up row, where an estimator's own attributes are all that is known."""
    return pd.DataFrame({name: pd.Series([""] if name in texts else [0.0]) for name in names})
