"""Parts of dates and times, as pandas' ``.dt`` has them: whole numbers and truths, NaN if missing.

All is arithmetic of whole numbers in numpy: no row is looked at by itself, and nothing depends on
the machine's own zone or on its table of zones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from .contract import Clock, Column, Encoding, Moment, Signature
from .kinds import TICKS, unit
from .values import Values

DAY = 86_400
CYCLE = 146_097 * DAY
"""The calendar, its weekdays too, repeats after 400 years: so many seconds."""

LAST = int(np.datetime64("2500-01-01", "s").astype(np.int64))
"""A clock is known up to here. By then its rules are those of one year, again and again."""


class Ahead:
    """By how many seconds a clock is ahead of UTC, at seconds since 1970 in UTC."""

    __slots__ = ("_offsets", "_since")

    def __init__(self, clock: Clock) -> None:
        self._since = np.array(clock.since, dtype=np.int64)
        self._offsets = np.array(clock.offsets, dtype=np.int64)

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """The seconds to add to each."""
        if len(self._offsets) == 1:
            return self._offsets
        cycles = np.maximum((seconds - LAST) // CYCLE + 1, 0)
        places = self._since.searchsorted(seconds - cycles * CYCLE, side="right")
        offsets: np.ndarray = self._offsets[places]
        return offsets


Whole = Any
"""Whole numbers, one for each moment: an int64 array, or what stands for one in a graph."""


class Local:
    """Moments on the clock of their column's zone.

    Written once for all that computes as whole numbers do: only how days and months become one
    another (`months_of`, `days_of`) is numpy's own, which a subclass may know otherwise.

    Attributes:
        days: since 1970-01-01.
        seconds: since midnight.
        rest: ticks since the last full second, of which there are `per` in one.
    """

    __slots__ = ("days", "per", "rest", "seconds")

    def __init__(
        self, ticks: Whole, held: str, ahead: Callable[[Whole], Whole] | None = None
    ) -> None:
        self.per = TICKS.get(held, 1)
        if held == "D":
            ticks = ticks * DAY
        seconds = ticks // self.per
        self.rest = ticks - seconds * self.per
        if ahead is not None:
            seconds = seconds + ahead(seconds)
        self.days = seconds // DAY
        self.seconds = seconds - self.days * DAY

    def months_of(self, days: Whole) -> Whole:
        """Days since 1970-01-01 as months since January 1970."""
        return days.view("M8[D]").astype("M8[M]").view(np.int64)

    def days_of(self, months: Whole) -> Whole:
        """The first days of months since January 1970, as days since 1970-01-01."""
        return months.view("M8[M]").astype("M8[D]").view(np.int64)

    def months(self) -> Whole:
        """Months since January 1970."""
        return self.months_of(self.days)

    def first_of_month(self, after: int = 0) -> Whole:
        """The first day of the month, or of one after it, since 1970-01-01."""
        return self.days_of(self.months() + after)

    def month(self) -> Whole:
        """1 to 12."""
        return self.months() % 12 + 1

    def day(self) -> Whole:
        """1 to 31."""
        return self.days - self.first_of_month() + 1

    def year(self) -> Whole:
        """The calendar's year."""
        return self.months() // 12 + 1970

    def first_of_year(self, after: int = 0) -> Whole:
        """The first day of the year, or of one after it, since 1970-01-01."""
        return self.days_of((self.months() // 12 + after) * 12)

    def day_of_week(self) -> Whole:
        """0 for Monday: 1970-01-01 was a Thursday."""
        return (self.days + 3) % 7

    def first_of(self, months: int) -> Whole:
        """Whether it is the first day of a month, of a quarter (3) or of a year (12)."""
        return (self.day() == 1) & (self.months() % months == 0)

    def last_of(self, months: int) -> Whole:
        """Whether it is the last day of a month, of a quarter (3) or of a year (12)."""
        after = self.months() + 1
        return (self.days + 1 == self.days_of(after)) & (after % months == 0)

    def thursday(self) -> Local:
        """The Thursday of its week, which says in which year ISO 8601 counts that week."""
        return type(self)(self.days - self.day_of_week() + 3, "D")


PARTS: dict[str, Callable[[Local], Whole]] = {
    "year": Local.year,
    "month": Local.month,
    "day": Local.day,
    "hour": lambda at: at.seconds // 3600,
    "minute": lambda at: at.seconds // 60 % 60,
    "second": lambda at: at.seconds % 60,
    "microsecond": lambda at: at.rest * 10**6 // at.per,
    "nanosecond": lambda at: at.rest % 1000 if at.per == 10**9 else at.rest * 0,
    "day_of_week": Local.day_of_week,
    "day_of_year": lambda at: at.days - at.first_of_year() + 1,
    "quarter": lambda at: at.months() % 12 // 3 + 1,
    "days_in_month": lambda at: at.first_of_month(1) - at.first_of_month(),
    "is_leap_year": lambda at: at.first_of_year(1) - at.first_of_year() == 366,
    "is_month_start": lambda at: at.first_of(1),
    "is_month_end": lambda at: at.last_of(1),
    "is_quarter_start": lambda at: at.first_of(3),
    "is_quarter_end": lambda at: at.last_of(3),
    "is_year_start": lambda at: at.first_of(12),
    "is_year_end": lambda at: at.last_of(12),
    "iso_year": lambda at: at.thursday().year(),
    "iso_week": lambda at: (PARTS["day_of_year"](at.thursday()) - 1) // 7 + 1,
    "iso_day": lambda at: at.day_of_week() + 1,
}
"""What each part is of moments."""


def ticks_of(values: Values, held: str) -> np.ndarray:
    """Clean dates or times as an array, NaT where one is missing."""
    return np.array(values, dtype=f"datetime64[{held}]")


class _Source:
    """One column, and the parts that are taken of it."""

    __slots__ = ("ahead", "held", "index", "parts")

    def __init__(
        self, column: Column, index: int, parts: Sequence[tuple[int, Moment]], clock: Clock | None
    ) -> None:
        self.index, self.held = index, unit(column)
        self.ahead = None if clock is None else Ahead(clock)
        self.parts = tuple((place, PARTS[moment.part]) for place, moment in parts)

    def write(self, values: Values, out: np.ndarray) -> None:
        """Its parts into their columns of `out`, float64 [rows, moments]."""
        ticks = ticks_of(values, self.held)
        missing = np.isnat(ticks)
        counts = ticks.view(np.int64)
        some = missing.any()
        if some:
            counts = np.where(missing, 0, counts)
        local = Local(counts, self.held, self.ahead)
        for place, part in self.parts:
            out[:, place] = part(local)
            if some:
                out[missing, place] = np.nan


def _column(placed: tuple[int, Moment]) -> str:
    return placed[1].column


class Moments:
    """The moments of an Encoding, compiled for one signature. Has no state."""

    def __init__(self, signature: Signature, encoding: Encoding) -> None:
        names = [column.name for column in signature.columns]
        clocks = {clock.column: clock for clock in encoding.clocks}
        placed = sorted(enumerate(encoding.moments), key=_column)
        self._width = len(placed)
        self._sources = [
            _Source(signature.column(name), names.index(name), list(parts), clocks.get(name))
            for name, parts in groupby(placed, key=_column)
        ]

    def of(self, columns: Sequence[Values], rows: int) -> np.ndarray:
        """The parts side by side: float64 [rows, moments]."""
        made = np.empty((rows, self._width))
        for source in self._sources:
            source.write(columns[source.index], made)
        return made
