"""The buffers of a batch of Arrow IPC, each compared with the bytes that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..malformed import MalformedError
from .arrow_tables import MOST_FIELDS, Tables


class Buffers:
    """The buffers of a batch, one after the other.

    Args:
        body: the batch's.
        places: where each begins, and how long it is.
        nodes: of each column, how many values it has, and how many are missing.
        views: of each column of views, how many buffers of texts it has.
    """

    def __init__(
        self,
        body: memoryview,
        places: Iterable[tuple[int, int]],
        nodes: Iterable[tuple[int, int]],
        views: Iterable[int] = (),
    ) -> None:
        self._body = body
        self._places = iter(places)
        self._nodes = iter(nodes)
        self._views = iter(views)
        self._end = 0

    @classmethod
    def of(cls, batch: Tables, body: memoryview) -> Buffers:
        """Those of a batch.

        Raises:
            MalformedError: it is compressed.
        """
        if batch.table(3) is not None:
            raise MalformedError("the stream is compressed: send it uncompressed")
        return cls(
            body,
            _pairs(batch.longs(2, pairs=True)),
            _pairs(batch.longs(1, pairs=True)),
            batch.longs(4),
        )

    def node(self) -> tuple[int, int]:
        """How many values the next column has, and how many are missing."""
        return next(self._nodes)

    def views(self) -> int:
        """How many buffers of texts the next column of views has."""
        count = next(self._views)
        if not 0 <= count <= MOST_FIELDS:
            raise MalformedError(f"a column has {count} buffers")
        return count

    def next(self) -> memoryview:
        """The next one. They may not overlap: a body cannot grow by being read."""
        start, length = next(self._places)
        if not (self._end <= start and 0 <= length <= len(self._body) - start):
            raise MalformedError("a buffer of the stream lies outside of its batch")
        self._end = start + length
        return self._body[start : start + length]

    def array(self, dtype: np.dtype[Any], count: int) -> np.ndarray:
        """The next one as so many numbers."""
        buffer = self.next()
        if len(buffer) < count * dtype.itemsize:
            raise MalformedError("a buffer of the stream is too short")
        return np.frombuffer(buffer, dtype, count)

    def bits(self, count: int) -> np.ndarray:
        """The next one as so many booleans."""
        packed = self.array(np.dtype(np.uint8), (count + 7) // 8)
        return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def _pairs(flat: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return iter(zip(flat[::2], flat[1::2], strict=True))
