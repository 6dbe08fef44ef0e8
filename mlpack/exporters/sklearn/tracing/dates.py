"""Columns of dates and times: their parts are taken before the graph, as pandas takes them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.coded import Coded
from mlpack.exporters.sklearn.tracing.derived import part_of_date
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, SMALL, TRUTH, WHOLE, Dtype, Tape, lib
from mlpack.runtime import dateparts
from mlpack.runtime.contract import Clock, Column, Moment, Signature
from mlpack.runtime.frames import frame
from mlpack.runtime.kinds import TICKS, unit

_ALIASES = {
    "weekday": "day_of_week",
    "dayofweek": "day_of_week",
    "dayofyear": "day_of_year",
    "daysinmonth": "days_in_month",
}
_STEP = 43_200
"""Seconds between looks at a clock: nobody puts one forth and back within half a day."""
_FIRST = int(np.datetime64("1800-01-01", "s").astype(np.int64))
_LAST_NANOSECONDS = int(np.datetime64("2262-01-01", "s").astype(np.int64))
_SAMPLES = 2_000


@dataclass(frozen=True)
class Dated:
    """A raw column of dates or times.

    Attributes:
        column: as the signature has it.
        whole: whether none is missing: pandas has whole numbers then, else floats.
    """

    tape: Tape
    column: Column
    whole: bool

    @property
    def dtype(self) -> Any:
        """The type that pandas would tell."""
        if self.column.dtype == "object":
            return np.dtype(object)
        return _series(self.column, np.array([0], np.int64)).dtype

    def part(self, name: str) -> tuple[Array, Coded | None]:
        """A part of ``.dt``, by its name there: as numbers, and whole ones as categories too.

        Raises:
            AttributeError: pandas has none of this name for such a column.
            TraceError: it is none that can be taken before the graph.
        """
        part = _ALIASES.get(name, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asked = _series(self.column, _samples(self.column))
            found = getattr(asked.dt, name)
        if part not in dateparts.PARTS or not isinstance(found, pd.Series):
            raise TraceError(f".dt.{name} is not traced")
        return self._taken(part, found, f".dt.{name}")

    def iso(self, name: str) -> tuple[Array, Coded | None]:
        """A column of ``.dt.isocalendar()``."""
        found = _series(self.column, _samples(self.column)).dt.isocalendar()[name]
        return self._taken(f"iso_{name}", found, f".dt.isocalendar().{name}")

    def missing(self) -> Array:
        """Which rows are missing."""
        found: Array = lib.isnan(self._number("year"))
        return found

    def _taken(self, part: str, asked: pd.Series[Any], told: str) -> tuple[Array, Coded | None]:
        ours = dateparts.PARTS[part](_local(self.column, _samples(self.column)))
        if not np.array_equal(ours, asked.to_numpy(dtype=ours.dtype)):
            raise TraceError(f"{told} is another number in this version of pandas")
        kind = _kind(asked.dtype)
        if kind == TRUTH and not self.column.dtype.endswith("[pyarrow]"):
            # A missing one is False to pandas, and its type stays bool.
            truth: Array = self._number(part) > 0
            return truth, None
        number = self._number(part)
        (cell,) = number.cells.flat
        coded = None
        if kind != TRUTH:
            coded = part_of_date(self.tape, cell.tensor, (self.column.name, part))
        if not self.whole:
            return number, coded
        cells = np.empty((), dtype=object)
        cells[()] = self.tape.whole(cell, self.column.name, kind)
        return Array(self.tape, cells, kind), coded

    def _number(self, part: str) -> Array:
        """A part as floats, NaN where it is missing."""
        moment = Moment(column=self.column.name, part=part)
        tensor = self.tape.kept(
            ("moment", moment), lambda: self.tape.context.moment(moment, _clock(self.column))
        )
        cells = np.empty((), dtype=object)
        cells[()] = self.tape.cells(tensor, (1,))[0]
        return Array(self.tape, cells, FLOAT64)


def _kind(dtype: Any) -> Dtype:
    """The numpy type of a part; Arrow's and pandas' own have one too."""
    kind = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    if kind in (TRUTH, WHOLE) or kind in SMALL:
        return kind
    raise TraceError(f"parts of dates as {dtype} are not traced")


def _series(column: Column, ticks: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """The column as the original is given it, with these moments: in UTC if it has a zone.

    Raises:
        AttributeError: the original has Python's objects, which have no ``.dt``.
    """
    if column.dtype == "object":
        raise AttributeError("Can only use .dt accessor with datetimelike values")
    one = Signature(task="regression", columns=(column,), outputs=())
    return frame(one, {column.name: list(ticks.view(f"M8[{unit(column)}]"))})[column.name]


@lru_cache(maxsize=16)
def _samples(column: Column) -> np.ndarray[Any, Any]:
    """Moments all over the years that the column can hold, and around the ends of months."""
    held = unit(column)
    ends = ("1678-01-01", "2261-12-31") if held == "ns" else ("0001-01-03", "9999-12-29")
    first, last = np.array(ends, dtype=f"M8[{held}]").view(np.int64).tolist()
    spread = np.arange(first, last, (last - first) // _SAMPLES)
    months = np.arange("1899-01", "1905-01", dtype="M8[M]")
    more = np.arange("1967-01", "2025-01", dtype="M8[M]")
    edges = np.concatenate([months, more]).astype(f"M8[{held}]").view(np.int64)
    return np.concatenate([spread, edges - 1, edges])


def _local(column: Column, ticks: np.ndarray[Any, Any]) -> dateparts.Local:
    clock = _clock(column)
    return dateparts.Local(ticks, unit(column), None if clock is None else dateparts.Ahead(clock))


@lru_cache(maxsize=16)
def _clock(column: Column) -> Clock | None:
    """The clock of the column's zone, looked at through the original's own library."""
    if column.zone in (None, "UTC"):
        return None
    per = TICKS[unit(column)]

    def ahead(seconds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        local = _series(column, seconds * per).dt.tz_localize(None)
        wall: np.ndarray[Any, Any] = local.to_numpy(dtype="M8[s]").view(np.int64)
        return wall - seconds

    last = _LAST_NANOSECONDS if unit(column) == "ns" else dateparts.LAST
    times = np.arange(_FIRST, last, _STEP)
    offsets = ahead(times)
    before = np.flatnonzero(offsets[:-1] != offsets[1:])
    low, high = times[before], times[before + 1]
    while (high - low > 1).any():
        middle = (low + high) // 2
        old = ahead(middle) == offsets[before]
        low, high = np.where(old, middle, low), np.where(old, high, middle)
    return Clock(
        column=column.name,
        since=tuple(high.tolist()),
        offsets=(int(offsets[0]), *offsets[before + 1].tolist()),
    )
