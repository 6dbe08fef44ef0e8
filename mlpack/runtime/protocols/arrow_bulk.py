"""Reads a batch of Arrow IPC with many rows at once, where nothing about it is in doubt.

It only ever reads what ``arrow_read`` would read column by column, and to the same values; where it
has doubts it reads nothing, and that module says what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..columns import many
from ..malformed import MalformedError
from ..values import Values
from ..vocabulary import Texts, Vocabulary
from ..words import Words
from .arrow_buffers import Buffers
from .arrow_fields import FLOAT, INT, LARGE_UTF8, UTF8, Field, Layout
from .arrow_tables import Tables

_NUMBERS = (INT, FLOAT)
_OFFSETS: dict[int, np.dtype[Any]] = {UTF8: np.dtype("<i4"), LARGE_UTF8: np.dtype("<i8")}
_BYTE = np.dtype(np.uint8)


def columns(
    layout: Layout,
    about: Tables,
    body: memoryview,
    rows: int,
    vocabulary: Vocabulary | None,
    each: Callable[[Field, Buffers], Values],
) -> list[Values] | None:
    """The columns of a batch; None where there are doubts.

    Args:
        layout: of the stream.
        about: what the batch's message tells.
        body: the batch's bytes.
        rows: how many rows it has.
        vocabulary: texts that are among its words are not decoded.
        each: reads a column of another type.
    """
    try:
        batch = _checked(layout, about, body, rows)
        return None if batch is None else batch.columns(vocabulary, each)
    except (MalformedError, UnicodeDecodeError, struct.error, ValueError):
        return None


def _checked(layout: Layout, about: Tables, body: memoryview, rows: int) -> _Batch | None:
    """The batch, if its columns have so many rows and its buffers lie where they may."""
    if not (many(len(layout.fields), rows) and layout.regular) or about.table(3) is not None:
        return None
    nodes = about.longs(1, pairs=True)
    buffers = np.array(about.longs(2, pairs=True), dtype=np.int64).reshape(-1, 2)
    if len(buffers) < layout.firsts[-1] or len(nodes) < 2 * len(layout.fields):
        return None
    buffers = buffers[: layout.firsts[-1]]
    starts, lengths = buffers[:, 0], buffers[:, 1]
    if buffers.min(initial=0) < 0 or (lengths > len(body) - starts).any():
        return None
    if (starts[1:] < starts[:-1] + lengths[:-1]).any():
        return None
    count = len(layout.fields)
    if nodes[: 2 * count : 2].count(rows) < count:
        return None
    return _Batch(layout, body, buffers.tolist(), nodes[1::2], rows)


class _Batch:
    """A batch whose buffers lie where they may.

    Args:
        layout: of the stream.
        body: its bytes.
        places: where each buffer begins, and how long it is.
        missing: how many values each column lacks.
        rows: how many rows it has.
    """

    def __init__(
        self,
        layout: Layout,
        body: memoryview,
        places: list[list[int]],
        missing: Sequence[int],
        rows: int,
    ) -> None:
        self._layout = layout
        self._body = body
        self._places = places
        self._missing = missing
        self._rows = rows

    def columns(
        self, vocabulary: Vocabulary | None, each: Callable[[Field, Buffers], Values]
    ) -> list[Values]:
        """All columns.

        Raises:
            MalformedError: a column cannot be read.
            ValueError: a buffer is too short, or a text is no UTF-8.
        """
        found: list[Values] = []
        texts: list[int] = []
        for place, field in enumerate(self._layout.fields):
            if vocabulary is not None and field.kind in _OFFSETS and field.name in vocabulary:
                texts.append(place)
                found.append(())
            else:
                values = self._numbers(field, place)
                found.append(self._other(field, place, each) if values is None else values)
        if vocabulary is not None and texts:
            words = self._words(texts, vocabulary)
            for place, column in zip(texts, words, strict=True):
                field = self._layout.fields[place]
                found[place] = self._other(field, place, each) if column is None else column
        return found

    def _array(self, buffer: int, dtype: np.dtype[Any], count: int) -> np.ndarray:
        start, length = self._places[buffer]
        if length < count * dtype.itemsize:
            raise ValueError("a buffer is too short")
        return np.frombuffer(self._body, dtype, count, start)

    def _there(self, place: int) -> np.ndarray:
        """For each row, whether a column has a value."""
        packed = self._array(self._layout.firsts[place], _BYTE, (self._rows + 7) // 8)
        return np.unpackbits(packed, count=self._rows, bitorder="little").view(np.bool_)

    def _numbers(self, field: Field, place: int) -> np.ndarray | None:
        """A column of numbers; None if it is another, or whole numbers are missing."""
        dtype, missing = field.dtype, self._missing[place]
        if dtype is None or field.kind not in _NUMBERS or field.dictionary is not None:
            return None
        if missing and field.kind != FLOAT:
            return None
        values = self._array(self._layout.firsts[place] + 1, dtype, self._rows)
        if missing:
            return np.where(self._there(place), values, np.array(np.nan, dtype))
        return values

    def _other(self, field: Field, place: int, each: Callable[[Field, Buffers], Values]) -> Values:
        """A column of any type, read by itself."""
        first, last = self._layout.firsts[place : place + 2]
        places = [(start, length) for start, length in self._places[first:last]]
        return each(field, Buffers(self._body, places, [(self._rows, self._missing[place])]))

    def _words(self, places: Sequence[int], vocabulary: Vocabulary) -> list[Words | None]:
        """Columns of texts, as far as their words are known."""
        fields = [self._layout.fields[place] for place in places]
        cuts = np.empty((len(places), self._rows + 1), dtype=np.int64)
        data = np.empty((len(places), 2), dtype=np.int64)
        for row, (place, field) in enumerate(zip(places, fields, strict=True)):
            first = self._layout.firsts[place]
            cuts[row] = self._array(first + 1, _OFFSETS[field.kind], self._rows + 1)
            data[row] = self._places[first + 2]
        lengths = np.diff(cuts)
        if (cuts[:, 0] < 0).any() or (cuts[:, -1] > data[:, 1]).any() or lengths.min() < 0:
            raise ValueError("texts outside of their buffer")
        texts = Texts(self._body, cuts[:, :-1] + data[:, :1], lengths)
        absent = [~self._there(place) if self._missing[place] else None for place in places]
        return vocabulary.read(texts, [field.name for field in fields], absent)
