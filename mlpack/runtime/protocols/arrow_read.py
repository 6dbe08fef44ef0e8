"""Reads the streaming format of Arrow IPC: flat columns, dictionaries, any number of batches.

The format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, and the tables
of format/Schema.fbs and format/Message.fbs. Nothing that the body says is believed before it was
compared with the bytes that are there: libraries in C crash on a body that lies.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..malformed import MalformedError
from ..predictions import shown
from ..problems import ProblemError
from ..values import Texts
from .arrow_tables import MOST_FIELDS, Tables, header, messages

_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_SHORT = 65_536  # a schema of so many bytes is remembered
_TWICE = 4  # how often the bytes of a view may be told in the mean
_HALF, _SINGLE, _DOUBLE = 0, 1, 2
_UNITS = ("s", "ms", "us", "ns")
_NAMES = (
    "none", "null", "int", "float", "binary", "utf8", "bool", "decimal", "date", "time",
    "timestamp", "interval", "list", "struct", "union", "fixed size binary", "fixed size list",
    "map", "duration", "large binary", "large utf8", "large list", "run-end encoded",
    "binary view", "utf8 view", "list view", "large list view",
)  # fmt: skip
_NULL, _INT, _FLOAT, _UTF8, _BOOL, _DATE, _TIMESTAMP, _LARGE_UTF8, _UTF8_VIEW = (
    _NAMES.index(name)
    for name in (
        "null", "int", "float", "utf8", "bool", "date", "timestamp", "large utf8", "utf8 view",
    )
)  # fmt: skip
_TEXTS = frozenset((_UTF8, _LARGE_UTF8, _UTF8_VIEW))


class _Field(NamedTuple):
    """A column as the schema tells it.

    Attributes:
        name: its name.
        kind: its type, a place in `_NAMES`.
        dtype: numpy's type of what is stored, where that has a fixed size.
        zoned: of a timestamp, whether it is one of the world's clock.
        dictionary: the number of its dictionary, whose values its integers point to.
        values: what the dictionary holds.
    """

    name: str
    kind: int
    dtype: np.dtype[Any] | None = None
    zoned: bool = False
    dictionary: int | None = None
    values: _Field | None = None


class _Buffers:
    """The buffers of a batch, one after the other."""

    def __init__(self, batch: Tables, body: memoryview) -> None:
        if batch.table(3) is not None:
            raise MalformedError("the stream is compressed: send it uncompressed")
        self._body = body
        self._places = _pairs(batch.longs(2, pairs=True))
        self._nodes = _pairs(batch.longs(1, pairs=True))
        self._views = iter(batch.longs(4))
        self._end = 0

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


def read(
    body: bytes, max_rows: int, check: Callable[[Sequence[str]], None]
) -> dict[str, list[Any] | np.ndarray]:
    """The columns of a stream: numbers as arrays where none is missing, or NaN; the rest as lists.

    Args:
        body: the stream.
        max_rows: no more rows than these are read.
        check: is told the names of the columns, and may raise.

    Raises:
        MalformedError: it is no such stream, or one that is compressed or nested.
        ProblemError: 413, it has more rows.
    """
    try:
        return _read(body, max_rows, check)
    except (struct.error, UnicodeDecodeError, StopIteration, OverflowError) as error:
        raise MalformedError(f"not an Arrow IPC stream: {error}") from error


def _read(
    body: bytes, max_rows: int, check: Callable[[Sequence[str]], None]
) -> dict[str, list[Any] | np.ndarray]:
    stream = messages(body)
    head, _ = next(stream, (b"", None))
    # The same client sends the same schema each time.
    fields = _fields(head) if len(head) < _SHORT else _fields.__wrapped__(head)
    check([field.name for field in fields])
    for field in fields:
        _supported(field)
    known = {each.dictionary: each.values for each in fields if each.values is not None}
    # Each ends with None, which the place -1 of a missing value finds.
    dictionaries: dict[int, list[Any]] = {}
    parts: list[list[list[Any] | np.ndarray]] = [[] for _ in fields]
    rows = words = 0
    for head, rest in stream:
        kind, about = header(head)
        if kind == _DICTIONARY:
            number, batch = about.number(0, "<q"), about.table(1)
            values = known.get(number)
            if batch is None or values is None:
                raise MalformedError(f"the stream has a dictionary {number} that no column has")
            length = _length(batch, len(body) - words)
            words += length
            found = _listed(_column(values, _Buffers(batch, rest), length, {}))
            if about.number(2, "<?") and number in dictionaries:
                dictionaries[number][-1:] = [*found, None]
            else:
                dictionaries[number] = [*found, None]
        elif kind == _BATCH:
            length = _length(about, 2**62)
            rows += length
            if rows > max_rows:
                detail = f"{rows} rows, at most {max_rows} are answered at once"
                raise ProblemError(413, "too-many-rows", detail)
            buffers = _Buffers(about, rest)
            for field, part in zip(fields, parts, strict=True):
                part.append(_column(field, buffers, length, dictionaries))
        else:
            raise MalformedError(f"the stream has a message of the unknown kind {kind}")
    return {field.name: _joined(part) for field, part in zip(fields, parts, strict=True)}


@lru_cache(maxsize=16)
def _fields(head: bytes) -> tuple[_Field, ...]:
    """The columns that the first message of a stream tells."""
    kind, schema = header(head) if head else (0, None)
    if kind != _SCHEMA or schema is None:
        raise MalformedError("not an Arrow IPC stream: it begins with no schema")
    if schema.number(0, "<h"):
        raise MalformedError("the stream is big-endian")
    fields = tuple(map(_field, schema.tables(1)))
    if len({field.name for field in fields}) < len(fields):
        raise MalformedError("the stream has two columns of the same name")
    return fields


def _length(batch: Tables, most: int) -> int:
    length = batch.number(0, "<q")
    if not 0 <= length <= most:
        raise MalformedError(f"a batch has {length} rows")
    return length


def _field(table: Tables) -> _Field:
    kind = table.number(2, "<B")
    name = table.text(0)
    detail = table.table(3)
    dtype, zoned = None, False
    if detail is not None:
        dtype = _dtype(kind, detail)
        zoned = kind == _TIMESTAMP and bool(detail.text(1))
    plain = _Field(name, kind, dtype, zoned)
    encoding = table.table(4)
    if encoding is None:
        return plain
    index = encoding.table(1)
    places = np.dtype("<i4") if index is None else _dtype(_INT, index)
    return _Field(name, _INT, places, False, encoding.number(0, "<q"), plain)


def _dtype(kind: int, detail: Tables) -> np.dtype[Any] | None:
    """How a type of a fixed size is stored; None if it is none that can be read."""
    if kind == _INT:
        letter = "i" if detail.number(1, "<?") else "u"
        size = {8: 1, 16: 2, 32: 4, 64: 8}.get(detail.number(0, "<i"))
        return None if size is None else np.dtype(f"<{letter}{size}")
    if kind == _FLOAT:
        size = {_HALF: 2, _SINGLE: 4, _DOUBLE: 8}.get(detail.number(0, "<h"))
        return None if size is None else np.dtype(f"<f{size}")
    if kind == _DATE:
        days = detail.number(0, "<h", 1) == 0
        return np.dtype("<i4" if days else "<i8")
    if kind == _TIMESTAMP:
        unit = detail.number(0, "<h")
        return np.dtype(f"<M8[{_UNITS[unit]}]") if 0 <= unit < len(_UNITS) else None
    return None


def _supported(field: _Field) -> None:
    stored = field if field.values is None else field.values
    if field.dtype is not None and stored.dtype is not None:
        return
    if stored.kind in (_NULL, _BOOL, *_TEXTS):
        return
    kind = _NAMES[stored.kind] if 0 <= stored.kind < len(_NAMES) else "unknown"
    raise MalformedError(f"column {shown(field.name)} has the type {kind}, which is not read")


def _column(
    field: _Field, buffers: _Buffers, rows: int, dictionaries: dict[int, list[Any]]
) -> list[Any] | np.ndarray:
    """The values of the next column of a batch."""
    length, missing = buffers.node()
    if length != rows:
        raise MalformedError(f"column {shown(field.name)} has {length} values, the batch {rows}")
    if field.kind == _NULL:
        return [None] * rows
    there: np.ndarray | None = None
    if missing:
        there = buffers.bits(rows)
    else:
        buffers.next()
    if field.dictionary is not None:
        return _looked_up(field, buffers, rows, there, dictionaries)
    if field.kind == _BOOL:
        return _with_none(buffers.bits(rows), there)
    if field.dtype is None:
        return _without(_texts(field, buffers, rows), there)
    values = buffers.array(field.dtype, rows)
    if field.kind == _DATE:
        values = values.astype("M8[D]" if field.dtype.itemsize == 4 else "M8[ms]")
    if values.dtype.kind == "M":
        if there is not None:
            values = np.where(there, values, np.array("NaT", values.dtype))
        if field.zoned:
            told = [f"{text}Z" for text in np.datetime_as_string(values).tolist()]
            return [None if text == "NaTZ" else text for text in told]
        return list(values)
    if there is not None and values.dtype.kind == "f":
        return np.where(there, values, np.array(np.nan, values.dtype))
    return _with_none(values, there)


def _looked_up(
    field: _Field,
    buffers: _Buffers,
    rows: int,
    there: np.ndarray | None,
    dictionaries: dict[int, list[Any]],
) -> list[Any]:
    """The values that integers point to in a dictionary."""
    if field.dtype is None or field.values is None or field.dictionary is None:
        raise MalformedError(f"column {shown(field.name)} has no usable dictionary")
    places = buffers.array(field.dtype, rows)
    words = dictionaries.get(field.dictionary, [None])
    used = places if there is None else places[there]
    if len(used) and not (int(used.min()) >= 0 and int(used.max()) < len(words) - 1):
        raise MalformedError(f"column {shown(field.name)} points outside of its dictionary")
    if there is not None:
        places = np.where(there, places.astype(np.int64), -1)
    found = map(words.__getitem__, places.tolist())
    return Texts(found) if field.values.kind in _TEXTS else list(found)


def _texts(field: _Field, buffers: _Buffers, rows: int) -> Texts:
    if field.kind == _UTF8_VIEW:
        return _viewed(field, buffers, rows)
    offsets = buffers.next()
    data = buffers.next()
    if not rows:
        return Texts()
    dtype = np.dtype("<i8" if field.kind == _LARGE_UTF8 else "<i4")
    if len(offsets) < (rows + 1) * dtype.itemsize:
        raise MalformedError("a buffer of the stream is too short")
    places = np.frombuffer(offsets, dtype, rows + 1)
    if places[0] < 0 or places[-1] > len(data) or (places[1:] < places[:-1]).any():
        raise MalformedError(f"column {shown(field.name)} has texts outside of its buffer")
    start = int(places[0])
    raw = bytes(data[start : int(places[-1])])
    text = raw.decode()
    cuts = pairwise((places - start).tolist())
    if len(text) == len(raw):
        return Texts([text[first:end] for first, end in cuts])
    return Texts([raw[first:end].decode() for first, end in cuts])


def _viewed(field: _Field, buffers: _Buffers, rows: int) -> Texts:
    """Texts as views: short ones stand in the view, others in one of several buffers."""
    views = bytes(buffers.array(np.dtype("V16"), rows).data) if rows else bytes(buffers.next())
    pools = [bytes(buffers.next()) for _ in range(buffers.views())]
    left = _TWICE * (len(views) + sum(map(len, pools)))
    known: dict[bytes, str] = {}
    found = Texts()
    for place in range(0, 16 * rows, 16):
        view = views[place : place + 16]
        text = known.get(view)
        if text is None:
            length, _, pool, start = struct.unpack("<iiii", view)
            raw = b""
            if 0 <= length <= 12:
                raw = view[4 : 4 + length]
            elif 0 <= pool < len(pools) and start >= 0:
                raw = pools[pool][start : start + length]
                left -= length
            if len(raw) != length or left < 0:
                raise MalformedError(f"column {shown(field.name)} has texts outside of its buffers")
            text = known[view] = raw.decode()
        found.append(text)
    return found


def _without(values: Texts, there: np.ndarray | None) -> Texts:
    if there is not None:
        for place in np.flatnonzero(~there).tolist():
            values[place] = None
    return values


def _with_none(values: np.ndarray, there: np.ndarray | None) -> list[Any] | np.ndarray:
    if there is None:
        return values
    listed: list[Any] = values.tolist()
    for place in np.flatnonzero(~there).tolist():
        listed[place] = None
    return listed


def _joined(parts: list[list[Any] | np.ndarray]) -> list[Any] | np.ndarray:
    if len(parts) == 1:
        return parts[0]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if arrays and len(arrays) == len(parts):
        return np.concatenate(arrays)
    same = Texts if all(isinstance(part, Texts) for part in parts) else list
    return same(each for part in parts for each in _listed(part))


def _listed(values: list[Any] | np.ndarray) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values
