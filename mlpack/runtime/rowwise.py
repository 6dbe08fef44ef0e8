"""Columns of rows that were decoded one after the other, which lie so in memory.

To go through them column by column would fetch every row as often as there are columns: what a row
has is put down while it is at hand. No row is kept as a tuple: Python's collector would look at it
again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from .columns import Columns, figures, many
from .contract import Column, Signature
from .kinds import is_number
from .words import Places, Words


class Rows:
    """Turns rows of the compiled type into clean columns.

    Args:
        signature: what the pipeline learned.
    """

    def __init__(self, signature: Signature) -> None:
        columns = signature.columns
        kinds = [column.type for column in columns]
        self._width = len(columns)
        self._figures = [place for place, column in enumerate(columns) if is_number(column)]
        self._words = {
            place: _known(column) for place, column in enumerate(columns) if column.type == "string"
        }
        self._numbers = [place for place, kind in enumerate(kinds) if kind == "number"]
        self._whole = [place for place, kind in enumerate(kinds) if kind == "integer"]
        self._others = [place for place, column in enumerate(columns) if not is_number(column)]
        self._picks = [_picker(some) for some in (self._numbers, self._whole, self._others)]

    def columns(self, rows: Sequence[msgspec.Struct]) -> Sequence[Any] | None:
        """Clean columns; None where they are better made otherwise."""
        if not self._figures or not many(self._width, len(rows)):
            return None
        numbers: list[Any] = []
        whole: list[Any] = []
        others: list[Any] = []
        first, second, third = self._picks
        for values in map(msgspec.structs.astuple, rows):
            numbers += first(values)
            whole += second(values)
            others += third(values)
        found: list[Any] = [None] * self._width
        for place, column in zip(self._numbers, _table(numbers, np.float64, rows), strict=True):
            found[place] = column
        try:
            table = _table(whole, np.int64, rows)
        except TypeError:
            return None  # a whole number is missing
        for place, column in zip(self._whole, table, strict=True):
            found[place] = column
        for start, place in enumerate(self._others):
            found[place] = self._coded(place, others[start :: len(self._others)])
        table = np.empty((len(self._figures), len(rows)))
        for row, place in enumerate(self._figures):
            table[row] = found[place]
        return Columns(found, figures(table))

    def _coded(self, place: int, column: list[Any]) -> Sequence[Any]:
        """A column of strings as words, of which there are few; any other as it is."""
        if place not in self._words:
            return column
        known, at = self._words[place]
        places = Places(known, at)
        found = np.fromiter(map(places.__getitem__, column), np.int64, len(column))
        more = places.more
        return Words(known, more, found) if len(more) * 2 <= len(column) else column


def _known(column: Column) -> tuple[tuple[str | None, ...], dict[str | None, int]]:
    """The column's categories and None, and their places."""
    words = [each for each in column.categories or () if isinstance(each, str)]
    known = (*dict.fromkeys(words), None)
    return known, {word: place for place, word in enumerate(known)}


def _table(values: list[Any], dtype: type, rows: Sequence[Any]) -> np.ndarray:
    """Values row by row as columns."""
    flat: np.ndarray = np.fromiter(values, dtype, len(values))
    return np.ascontiguousarray(flat.reshape(len(rows), -1).T)


def _picker(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Takes some values of a row."""
    if not places:
        return lambda _: ()
    first, last = places[0], places[-1] + 1
    if list(places) == list(range(first, last)):
        return itemgetter(slice(first, last))
    return itemgetter(*places)
