"""The messages of an Arrow IPC stream, and the flatbuffers that are their heads."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..malformed import MalformedError

MOST_FIELDS = 10_000
_MOST_MESSAGES = 1_000
_LONGEST = 1_000  # bytes of a name


class Tables:
    """Reads a table of a flatbuffer; what is absent has its default.

    The format: https://flatbuffers.dev/internals. An offset that lies ends in a `struct.error`, or
    in some other number of the same buffer.

    Args:
        data: the buffer.
        place: where in it the table is; None for its root.
    """

    def __init__(self, data: bytes, place: int | None = None) -> None:
        self._data = data
        self._place = self._get("<I", 0) if place is None else place

    def _get(self, kind: str, place: int) -> int:
        found: int = struct.unpack_from(kind, self._data, place)[0]
        return found

    def _slot(self, slot: int) -> int:
        """Where the value of a slot is; 0 where it is absent."""
        offsets = self._place - self._get("<i", self._place)
        if 4 + 2 * slot >= self._get("<H", offsets):
            return 0
        offset = self._get("<H", offsets + 4 + 2 * slot)
        return offset and self._place + offset

    def _vector(self, slot: int, most: int) -> tuple[int, int]:
        """Where the elements of the vector of a slot begin, and how many there are."""
        place = self._slot(slot)
        if not place:
            return 0, 0
        place += self._get("<I", place)
        count = self._get("<I", place)
        if count > most:
            raise MalformedError(f"the stream has {count} of what there may be {most}")
        return place + 4, count

    def number(self, slot: int, kind: str, default: int = 0) -> int:
        """The number in a slot, of a kind as `struct` has it."""
        place = self._slot(slot)
        return self._get(kind, place) if place else default

    def text(self, slot: int) -> str:
        """The text in a slot."""
        start, length = self._vector(slot, _LONGEST)
        return self._data[start : start + length].decode()

    def table(self, slot: int) -> Tables | None:
        """The table in a slot."""
        place = self._slot(slot)
        return Tables(self._data, place + self._get("<I", place)) if place else None

    def tables(self, slot: int) -> list[Tables]:
        """The tables of the vector in a slot."""
        start, count = self._vector(slot, MOST_FIELDS)
        places = range(start, start + 4 * count, 4)
        return [Tables(self._data, place + self._get("<I", place)) for place in places]

    def longs(self, slot: int, *, pairs: bool = False) -> tuple[int, ...]:
        """The 64-bit numbers of the vector in a slot, or those of its structs of two."""
        start, count = self._vector(slot, 4 * MOST_FIELDS)
        return struct.unpack_from(f"<{count * (1 + pairs)}q", self._data, start)


def header(head: bytes) -> tuple[int, Tables]:
    """What a message is, and its particulars."""
    message = Tables(head)
    header = message.table(2)
    if header is None:
        raise MalformedError("the stream has an empty message")
    return message.number(1, "<B"), header


def messages(body: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The messages of a stream: their heads and bodies."""
    whole = memoryview(body)
    place = count = 0
    while place < len(body):
        mark, size = struct.unpack_from("<Ii", body, place)
        if mark != 0xFFFFFFFF:
            raise MalformedError("not an Arrow IPC stream")
        if size == 0:
            return
        count += 1
        if count > _MOST_MESSAGES:
            raise MalformedError(f"the stream has more than {_MOST_MESSAGES} batches")
        start = place + 8 + size
        if size < 0 or start > len(body):
            raise MalformedError("the stream ends too early")
        head = body[place + 8 : start]
        length = Tables(head).number(3, "<q")
        place = start + length
        if length < 0 or place > len(body):
            raise MalformedError("the stream ends too early")
        yield head, whole[start:place]
