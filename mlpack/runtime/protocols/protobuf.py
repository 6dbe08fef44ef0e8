"""The wire format of protobuf: https://protobuf.dev/programming-guides/encoding.

As much of it as messages of proto3 need, since an artifact need not have the package ``protobuf``.
What is cut off is an error, and so are groups, which proto3 does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..malformed import MalformedError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Field = tuple[int, int, memoryview]
"""A field's number, its wire type, and its bytes."""

_SIZES = {FIXED64: 8, FIXED32: 4}
_LONGEST = 10  # bytes of a varint
_MOST_FIELDS = 2**29 - 1
_FEW = 40  # bytes of numbers, for which numpy takes longer
_PORTION = 65_536
"""So many numbers are decoded together, which takes some forty times their memory."""


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message in order.

    Raises:
        MalformedError: the bytes are no message.
    """
    place, end = 0, len(data)
    while place < end:
        start, tag = place, data[place]
        place += 1
        if tag >= 0x80:
            place = _behind(data, start)
            tag = integer(data[start:place])
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= _MOST_FIELDS:
            raise MalformedError(f"there is no field {number}, at byte {start}")
        start = place
        if kind == VARINT:
            place = _behind(data, place)
        elif kind == BYTES:
            if place < end and data[place] < 0x80:  # most are short
                start = place + 1
                place = start + data[place]
            else:
                start = _behind(data, place)
                place = start + integer(data[place:start])
        elif kind in _SIZES:
            place += _SIZES[kind]
        else:
            raise MalformedError(f"field {number} has the wire type {kind}")
        if place > end:
            raise MalformedError(f"field {number} is cut off")
        yield number, kind, data[start:place]


def _behind(data: memoryview, start: int) -> int:
    """Where the varint that starts there ends."""
    for place in range(start, min(start + _LONGEST, len(data))):
        if data[place] < 0x80:
            return place + 1
    raise MalformedError(f"the number at byte {start} has no end")


def integer(piece: memoryview) -> int:
    """A whole varint; of more than 64 bits the lowest."""
    value = 0
    for place, byte in enumerate(piece):
        value |= (byte & 0x7F) << 7 * place
    return value & 0xFFFF_FFFF_FFFF_FFFF


def signed(value: int) -> int:
    """A number of 64 bits as one that may be negative."""
    return value - 2**64 if value >= 2**63 else value


def piece_of(field: Field, kind: int) -> memoryview:
    """A field's bytes.

    Raises:
        MalformedError: it has another wire type.
    """
    if field[1] != kind:
        raise MalformedError(f"field {field[0]} has the wire type {field[1]}, not {kind}")
    return field[2]


def text_of(field: Field) -> str:
    """A string.

    Raises:
        MalformedError: it is none.
    """
    try:
        return str(piece_of(field, BYTES), "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"field {field[0]} is not UTF-8: {error.reason}") from error


def gather(found: bytearray, field: Field, kind: int) -> None:
    """Add elements of a repeated field: many as one piece, or a single one; the bytes are alike.

    Args:
        found: the bytes of all elements.
        field: some more.
        kind: the wire type of a single one.

    Raises:
        MalformedError: these are no such elements.
    """
    number, given, piece = field
    if given == kind:
        found += piece
        return
    if given != BYTES:
        raise MalformedError(f"field {number} has the wire type {given}, not {kind}")
    size = _SIZES.get(kind)
    if (len(piece) % size) if size else (len(piece) and piece[-1] >= 0x80):
        raise MalformedError(f"the last element of field {number} is cut off")
    found += piece


def varints(data: bytes, dtype: np.dtype[Any]) -> np.ndarray:
    """The numbers of varints, each cut to the bits of `dtype` as protobuf does.

    Args:
        data: whole ones, as `gather` puts them together.
        dtype: of whole numbers, or of booleans.

    Raises:
        MalformedError: one is too long.
    """
    if len(data) <= _FEW:
        numbers = [integer(piece) for piece in _pieces(memoryview(data))]
        return np.array(numbers, np.uint64).astype(dtype)
    encoded = np.frombuffer(data, np.uint8)
    if not (encoded >= 0x80).any():
        return encoded.astype(dtype)
    ends = np.flatnonzero(encoded < 0x80) + 1
    found = np.empty(ends.size, dtype)
    start = 0
    for place in range(0, ends.size, _PORTION):
        some = ends[place : place + _PORTION]
        found[place : place + _PORTION] = _decoded(encoded[start : some[-1]], some - start)
        start = int(some[-1])
    return found


def integers(data: bytes) -> list[int]:
    """The same of a few ``int64``."""
    return [signed(integer(piece)) for piece in _pieces(memoryview(data))]


def _pieces(data: memoryview) -> Iterator[memoryview]:
    """The varints in some bytes, each by itself."""
    place = 0
    while place < len(data):
        start, place = place, _behind(data, place)
        yield data[start:place]


def _decoded(encoded: np.ndarray, ends: np.ndarray) -> np.ndarray:
    starts = np.concatenate(([0], ends[:-1]))
    lengths = ends - starts
    if lengths.max() > _LONGEST:
        raise MalformedError(f"a number has more than {_LONGEST} bytes")
    places = np.arange(encoded.size) - np.repeat(starts, lengths)
    bits = (encoded & 0x7F).astype(np.uint64) << (7 * places).astype(np.uint64)
    found: np.ndarray = np.bitwise_or.reduceat(bits, starts)
    return found


def text_field(number: int, text: str) -> bytes:
    """A string as a field; an empty one is none."""
    return bytes_field(number, text.encode()) if text else b""


def bytes_field(number: int, data: bytes) -> bytes:
    """Bytes, a message, or numbers together, as a field."""
    return b"".join((varint(number << 3 | BYTES), varint(len(data)), data))


def varint(value: int) -> bytes:
    """A whole number; a negative one as protobuf's ``int64``."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
