"""``loc`` and ``iloc`` of the stand-in for a frame, and columns side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.tracing import columns as col
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.columns import OTHER_ROWS, Column
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.series import Series
from mlpack.exporters.sklearn.tracing.tape import TRUTH, Tape


class Located:
    """``loc`` and ``iloc``: all rows of some columns, or some columns where a condition holds."""

    def __init__(self, frame: Any, *, by_name: bool) -> None:
        self._frame, self._by_name = frame, by_name

    def _at(self, places: pd.DataFrame, key: Any) -> Any:
        return places.loc[key] if self._by_name else places.iloc[key]

    def __getitem__(self, key: Any) -> Any:
        rows, _ = key if isinstance(key, tuple) else (key, None)
        if not isinstance(rows, slice) or rows != slice(None):
            raise TraceError(f"it takes some of the rows: one row {OTHER_ROWS}")
        return self._frame.moved(lambda places: self._at(places, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        rows, which = key if isinstance(key, tuple) else (key, slice(None))
        names = [which] if which != slice(None) and not isinstance(which, list | slice) else None
        if names is None or not self._by_name:
            made = self._frame.moved(lambda places: self._at(places, (slice(None), which)))
            names = [made.name] if isinstance(made, Series) else list(made.parts)
        if isinstance(rows, slice) and rows == slice(None):
            self._frame[names if len(names) > 1 else names[0]] = value
            return
        if isinstance(rows, Series):
            rows = rows.column.numbers()
        if not isinstance(rows, Array) or rows.dtype != TRUTH:
            raise TraceError("it sets single rows: use a condition")
        for name in names:
            old = self._frame.parts.get(name)
            if old is None:
                old = col.of(np.nan, self._frame.tape)
            self._frame.parts[name] = col.chosen(~rows, old, value)


def part_of(condition: Any, series: Series, frame: Any) -> Any:
    """The part of a condition that belongs to one column."""
    if hasattr(condition, "parts"):
        return condition[series.name]
    if isinstance(condition, Array) and condition.ndim == 2:
        return condition[:, list(frame.parts).index(series.name)]
    return condition


def numbers(tape: Tape, parts: list[Column]) -> Array:
    """Columns side by side as one array.

    Raises:
        TraceError: one of them is text.
    """
    if not parts:
        raise TraceError("a frame without columns")
    dtype = col.result_type(parts)
    cells = np.empty(len(parts), dtype=object)
    for index, part in enumerate(parts):
        cells[index] = part.numbers().astype(dtype).cells[()]
    return Array(tape, cells, dtype)
