"""Reads the streaming format of Arrow IPC: flat columns, dictionaries, any number of batches.

The format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, and the tables
of format/Schema.fbs and format/Message.fbs. Nothing that the body says is believed before it was
compared with the bytes that are there: libraries in C crash on a body that lies.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..malformed import MalformedError
from ..predictions import shown
from ..problems import ProblemError
from ..values import Texts, Values
from ..vocabulary import Vocabulary
from ..words import Words
from . import arrow_bulk
from .arrow_buffers import Buffers
from .arrow_fields import (
    BOOL,
    DATE,
    LARGE_UTF8,
    NULL,
    TEXTS,
    UTF8_VIEW,
    Field,
    schema,
    supported,
)
from .arrow_tables import Tables, header, messages

_DICTIONARY, _BATCH = 2, 3
_TWICE = 4  # how often the bytes of a view may be told in the mean


def read(
    body: bytes,
    max_rows: int,
    check: Callable[[Sequence[str]], None],
    vocabulary: Vocabulary | None = None,
) -> dict[str, Values]:
    """The columns of a stream: numbers as arrays where none is missing, or NaN; the rest as lists.

    Args:
        body: the stream.
        max_rows: no more rows than these are read.
        check: is told the names of the columns, and may raise.
        vocabulary: texts that are among its words are not decoded.

    Raises:
        MalformedError: it is no such stream, or one that is compressed or nested.
        ProblemError: 413, it has more rows.
    """
    try:
        return _read(body, max_rows, check, vocabulary)
    except (struct.error, UnicodeDecodeError, StopIteration, OverflowError) as error:
        raise MalformedError(f"not an Arrow IPC stream: {error}") from error


def _read(
    body: bytes,
    max_rows: int,
    check: Callable[[Sequence[str]], None],
    vocabulary: Vocabulary | None,
) -> dict[str, Values]:
    stream = messages(body)
    head, _ = next(stream, (b"", None))
    layout = schema(head)
    fields = layout.fields
    check([field.name for field in fields])
    for field in fields:
        supported(field)
    known = {each.dictionary: each.values for each in fields if each.values is not None}
    # Each ends with None, which the place -1 of a missing value finds.
    dictionaries: dict[int, list[Any]] = {}
    parts: list[list[Values]] = [[] for _ in fields]
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
            found = _listed(_column(values, Buffers.of(batch, rest), length, {}))
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
            each = partial(_column, rows=length, dictionaries=dictionaries)
            columns = arrow_bulk.columns(layout, about, rest, length, vocabulary, each)
            if columns is None:
                buffers = Buffers.of(about, rest)
                columns = [each(field, buffers) for field in fields]
            for column, part in zip(columns, parts, strict=True):
                part.append(column)
        else:
            raise MalformedError(f"the stream has a message of the unknown kind {kind}")
    return {field.name: _joined(part) for field, part in zip(fields, parts, strict=True)}


def _length(batch: Tables, most: int) -> int:
    length = batch.number(0, "<q")
    if not 0 <= length <= most:
        raise MalformedError(f"a batch has {length} rows")
    return length


def _column(
    field: Field, buffers: Buffers, rows: int, dictionaries: dict[int, list[Any]]
) -> list[Any] | np.ndarray:
    """The values of the next column of a batch."""
    length, missing = buffers.node()
    if length != rows:
        raise MalformedError(f"column {shown(field.name)} has {length} values, the batch {rows}")
    if field.kind == NULL:
        return [None] * rows
    there: np.ndarray | None = None
    if missing:
        there = buffers.bits(rows)
    else:
        buffers.next()
    if field.dictionary is not None:
        return _looked_up(field, buffers, rows, there, dictionaries)
    if field.kind == BOOL:
        return _with_none(buffers.bits(rows), there)
    if field.dtype is None:
        return _without(_texts(field, buffers, rows), there)
    values = buffers.array(field.dtype, rows)
    if field.kind == DATE:
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
    field: Field,
    buffers: Buffers,
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
    return Texts(found) if field.values.kind in TEXTS else list(found)


def _texts(field: Field, buffers: Buffers, rows: int) -> Texts:
    if field.kind == UTF8_VIEW:
        return _viewed(field, buffers, rows)
    offsets = buffers.next()
    data = buffers.next()
    if not rows:
        return Texts()
    dtype = np.dtype("<i8" if field.kind == LARGE_UTF8 else "<i4")
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


def _viewed(field: Field, buffers: Buffers, rows: int) -> Texts:
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


def _joined(parts: list[Values]) -> Values:
    if len(parts) == 1:
        return parts[0]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if arrays and len(arrays) == len(parts):
        return np.concatenate(arrays)
    same = Texts if all(isinstance(part, (Texts, Words)) for part in parts) else list
    return same(each for part in parts for each in _listed(part))


def _listed(values: Values) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values
