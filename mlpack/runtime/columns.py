"""Clean columns, and their numbers as one array: looked at once, and not by each who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_LEAST, _CELLS, _MOST = 16, 2_000, 16_384


def many(columns: int, rows: int) -> bool:
    """Whether it pays to look at so many columns of so many rows as a whole.

    Fewer cells are done one by one before a whole is made of them; more rows leave the cache.
    """
    return _LEAST <= rows <= _MOST and columns * rows >= _CELLS


class Figures(NamedTuple):
    """The columns of numbers and whole numbers, in the signature's order.

    Attributes:
        table: float64 [columns, rows], NaN where one is missing. Whole numbers beyond 2^53 are
            rounded.
        low: the least of each column; NaN where all are missing.
        high: the largest of each column; NaN where all are missing.
        missing: how many of each column are missing.
    """

    table: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray


class Columns(list[Any]):
    """Clean columns in the signature's order; a part of them, or a copy, is a plain list.

    Attributes:
        figures: the same numbers.
    """

    __slots__ = ("figures",)

    def __init__(self, columns: Sequence[Any], figures: Figures) -> None:
        super().__init__(columns)
        self.figures = figures


def figures(table: np.ndarray) -> Figures:
    """What is known of a table with at least one row."""
    low, high = table.min(axis=1), table.max(axis=1)
    missing = np.zeros(len(table), dtype=np.int64)
    # One that is missing makes both NaN.
    holed = np.flatnonzero(np.isnan(low))
    if len(holed):
        some = table[holed]
        missing[holed] = np.isnan(some).sum(axis=1)
        low[holed] = np.fmin.reduce(some, axis=1)
        high[holed] = np.fmax.reduce(some, axis=1)
    return Figures(table, low, high, missing)


def figures_of(columns: Sequence[Any]) -> Figures | None:
    """The numbers of columns as one array, where somebody made it."""
    return columns.figures if isinstance(columns, Columns) else None


class Range(NamedTuple):
    """What a column of numbers may hold.

    Attributes:
        place: the column's, in the signature.
        low: the least.
        high: the largest.
        whole: only whole numbers.
        nullable: and what is missing.
    """

    place: int
    low: float
    high: float
    whole: bool
    nullable: bool


class Figured:
    """Reads all arrays of numbers at once, as far as there is no doubt.

    Args:
        ranges: of the columns of numbers and whole numbers, in the signature's order.
    """

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = ranges
        self._low = np.array([each.low for each in ranges], dtype=np.float64)
        self._high = np.array([each.high for each in ranges], dtype=np.float64)
        self._full = np.array([not each.nullable for each in ranges], dtype=np.bool_)

    def read(self, columns: Sequence[Any], rows: int) -> Table | None:
        """What can be read of raw columns, in the signature's order; None where it does not pay."""
        if not self._ranges or not many(len(columns), rows):
            return None
        table = np.zeros((len(self._ranges), rows))
        there = []
        for place, each in enumerate(self._ranges):
            values = columns[each.place]
            if isinstance(values, np.ndarray) and _fits(values.dtype, each.whole):
                table[place] = values
                there.append(place)
        known = figures(table)
        doubtful = (known.low < self._low) | (known.high > self._high)
        doubtful |= self._full & (known.missing > 0)
        found = {}
        for place in there:
            if not doubtful[place]:
                each = self._ranges[place]
                found[each.place] = (
                    columns[each.place].astype(np.int64, copy=False) if each.whole else table[place]
                )
        return Table(known, found, [each.place for each in self._ranges])


class Table(NamedTuple):
    """Numbers that were read.

    Attributes:
        figures: of all columns of numbers; those that are not `found` are still to be filled in.
        found: the clean values, by the column's place in the signature.
        places: of all columns of numbers, in the signature.
    """

    figures: Figures
    found: dict[int, np.ndarray]
    places: list[int]

    def whole(self, clean: Sequence[Any]) -> Columns:
        """All clean columns, when the others were read too."""
        known = self.figures
        if len(self.found) < len(self.places):
            for row, place in enumerate(self.places):
                if place not in self.found:
                    known.table[row] = np.asarray(clean[place], dtype=np.float64)
            known = figures(known.table)
        return Columns(clean, known)


def _fits(dtype: np.dtype[Any], whole: bool) -> bool:
    return dtype.kind in ("iu" if whole else "fiu") and not (whole and dtype == np.uint64)
