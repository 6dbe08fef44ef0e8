"""Writes the streaming format of Arrow IPC: one batch of flat columns in which nothing is missing.

The format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, and the tables
of format/Schema.fbs and format/Message.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np

from ..tables import Coded

_SCHEMA, _BATCH = 1, 3
_INT, _FLOAT, _UTF8, _BOOL = 2, 3, 5, 6
_VERSION = 4  # V5, as Arrow calls it
_DETAILS = {_INT: (("<i", 64), ("<?", True)), _FLOAT: (("<h", 2),)}  # signed; double precision
_END = struct.pack("<Ii", 0xFFFFFFFF, 0)


def written(columns: Mapping[str, np.ndarray | Coded], rows: int) -> bytes:
    """A stream with one batch.

    Args:
        columns: int64, float64 or boolean arrays, or texts; each has `rows` values.
        rows: how many rows there are.
    """
    buffers = [_buffers(values) for values in columns.values()]
    body = [_padded(buffer) for parts in buffers for buffer in parts]
    lengths = [len(buffer) for parts in buffers for buffer in parts]
    return b"".join(
        (
            _schema(tuple((name, _kind(values)) for name, values in columns.items())),
            _batch(lengths, len(columns), rows, sum(map(len, body))),
            *body,
            _END,
        )
    )


class _Flat:
    """A flatbuffer, written from its root on: what is pointed to stands behind what points to it.

    The format: https://flatbuffers.dev/internals.
    """

    def __init__(self) -> None:
        self.data = bytearray(4)  # where the root is

    def table(self, at: int, *slots: tuple[str, int] | None) -> list[int]:
        """Write the table that the offset `at` points to; where the values of its slots are."""
        head = 4 + 2 * len(slots)
        self._pad(8, head)
        start = len(self.data) + head
        struct.pack_into("<I", self.data, at, start - at)
        body = bytearray(struct.pack("<i", head))
        places = []
        for slot in slots:
            if slot is not None:
                kind, value = slot
                body += bytes(-len(body) % struct.calcsize(kind))
            places.append(0 if slot is None else len(body))
            if slot is not None:
                body += struct.pack(kind, value)
        self.data += struct.pack(f"<{2 + len(slots)}H", head, len(body), *places) + body
        return [start + place for place in places]

    def vector(self, at: int, count: int, elements: bytes, align: int = 4) -> int:
        """Write the vector that the offset `at` points to; where its elements are."""
        self._pad(align, 4)
        struct.pack_into("<I", self.data, at, len(self.data) - at)
        self.data += struct.pack("<I", count) + elements
        return len(self.data) - len(elements)

    def text(self, at: int, text: str) -> None:
        """Write the text that the offset `at` points to."""
        encoded = text.encode()
        self.vector(at, len(encoded), encoded)
        self.data += b"\0"

    def _pad(self, align: int, ahead: int) -> None:
        self.data += bytes(-(len(self.data) + ahead) % align)

    def message(self) -> bytes:
        """The whole of it as the head of a message."""
        self._pad(8, 0)
        return struct.pack("<Ii", 0xFFFFFFFF, len(self.data)) + self.data


_OFFSET = ("<I", 0)  # known when what it points to is written


def _message(kind: int, length: int) -> tuple[_Flat, int]:
    """A message with a body of so many bytes, and where it points to its particulars."""
    flat = _Flat()
    slots = flat.table(0, ("<h", _VERSION), ("<B", kind), _OFFSET, ("<q", length))
    return flat, slots[2]


def _kind(values: np.ndarray | Coded) -> int:
    if isinstance(values, Coded):
        return _UTF8
    return {"b": _BOOL, "i": _INT}.get(values.dtype.kind, _FLOAT)


@lru_cache(maxsize=16)
def _schema(columns: tuple[tuple[str, int], ...]) -> bytes:
    """The first message, which is the same for every answer of a model."""
    flat, at = _message(_SCHEMA, 0)
    _, fields = flat.table(at, None, _OFFSET)
    place = flat.vector(fields, len(columns), bytes(4 * len(columns)))
    for name, kind in columns:
        text, _, _, detail, _, children = flat.table(
            place, _OFFSET, None, ("<B", kind), _OFFSET, None, _OFFSET
        )
        flat.text(text, name)
        flat.table(detail, *_DETAILS.get(kind, ()))
        flat.vector(children, 0, b"")
        place += 4
    return flat.message()


def _batch(lengths: Sequence[int], columns: int, rows: int, size: int) -> bytes:
    """The head of a batch whose buffers have these lengths, and its body this size."""
    flat, at = _message(_BATCH, size)
    _, nodes, buffers = flat.table(at, ("<q", rows), _OFFSET, _OFFSET)
    flat.vector(nodes, columns, struct.pack("<qq", rows, 0) * columns, 8)
    starts = accumulate((length + -length % 8 for length in lengths), initial=0)
    pairs = [struct.pack("<qq", *pair) for pair in zip(starts, lengths, strict=False)]
    flat.vector(buffers, len(pairs), b"".join(pairs), 8)
    return flat.message()


def _buffers(values: np.ndarray | Coded) -> list[bytes]:
    """The buffers of a column; the first, of what is missing, is empty."""
    if not isinstance(values, Coded):
        if values.dtype == np.bool_:
            return [b"", np.packbits(values, bitorder="little").tobytes()]
        kind = np.dtype("<i8" if values.dtype == np.int64 else "<f8")
        return [b"", values.astype(kind, copy=False).tobytes()]
    words = [word.encode() for word in values.words]
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    offsets = np.zeros(len(values.places) + 1, dtype="<i4")
    np.cumsum(lengths[values.places], out=offsets[1:])
    return [
        b"",
        offsets.tobytes(),
        b"".join(map(words.__getitem__, values.places.tolist())),
    ]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
