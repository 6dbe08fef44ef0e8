"""The columns of a stream of Arrow IPC, as its first message tells them."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from ..malformed import MalformedError
from ..predictions import shown
from .arrow_tables import Tables, header

_SCHEMA = 1
_SHORT = 65_536  # a schema of so many bytes is remembered
_HALF, _SINGLE, _DOUBLE = 0, 1, 2
_UNITS = ("s", "ms", "us", "ns")
_NAMES = (
    "none", "null", "int", "float", "binary", "utf8", "bool", "decimal", "date", "time",
    "timestamp", "interval", "list", "struct", "union", "fixed size binary", "fixed size list",
    "map", "duration", "large binary", "large utf8", "large list", "run-end encoded",
    "binary view", "utf8 view", "list view", "large list view",
)  # fmt: skip
NULL, INT, FLOAT, UTF8, BOOL, DATE, TIMESTAMP, LARGE_UTF8, UTF8_VIEW = (
    _NAMES.index(name)
    for name in (
        "null", "int", "float", "utf8", "bool", "date", "timestamp", "large utf8", "utf8 view",
    )
)  # fmt: skip
TEXTS = frozenset((UTF8, LARGE_UTF8, UTF8_VIEW))


class Field(NamedTuple):
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
    values: Field | None = None


class Layout:
    """The columns of a stream, and which buffers are whose.

    Args:
        fields: the columns.

    Attributes:
        fields: the same.
        regular: whether each column has as many buffers as its type says.
        firsts: of each column the place of its first buffer; then how many buffers there are.
    """

    __slots__ = ("fields", "firsts", "regular")

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.regular = all(field.kind != UTF8_VIEW for field in fields)
        self.firsts = list(accumulate(map(_buffers, fields), initial=0))


def schema(head: bytes) -> Layout:
    """The columns that the first message of a stream tells.

    Raises:
        MalformedError: it tells none, or one that is big-endian.
    """
    # The same client sends the same schema each time.
    return _layout(head) if len(head) < _SHORT else _layout.__wrapped__(head)


@lru_cache(maxsize=16)
def _layout(head: bytes) -> Layout:
    kind, schema = header(head) if head else (0, None)
    if kind != _SCHEMA or schema is None:
        raise MalformedError("not an Arrow IPC stream: it begins with no schema")
    if schema.number(0, "<h"):
        raise MalformedError("the stream is big-endian")
    fields = tuple(map(_field, schema.tables(1)))
    if len({field.name for field in fields}) < len(fields):
        raise MalformedError("the stream has two columns of the same name")
    return Layout(fields)


def _buffers(field: Field) -> int:
    """How many buffers a column has: what is there, perhaps offsets, values."""
    if field.kind == NULL:
        return 0
    return 3 if field.kind in (UTF8, LARGE_UTF8) else 2


def _field(table: Tables) -> Field:
    kind = table.number(2, "<B")
    name = table.text(0)
    detail = table.table(3)
    dtype, zoned = None, False
    if detail is not None:
        dtype = _dtype(kind, detail)
        zoned = kind == TIMESTAMP and bool(detail.text(1))
    plain = Field(name, kind, dtype, zoned)
    encoding = table.table(4)
    if encoding is None:
        return plain
    index = encoding.table(1)
    places = np.dtype("<i4") if index is None else _dtype(INT, index)
    return Field(name, INT, places, False, encoding.number(0, "<q"), plain)


def _dtype(kind: int, detail: Tables) -> np.dtype[Any] | None:
    """How a type of a fixed size is stored; None if it is none that can be read."""
    if kind == INT:
        letter = "i" if detail.number(1, "<?") else "u"
        size = {8: 1, 16: 2, 32: 4, 64: 8}.get(detail.number(0, "<i"))
        return None if size is None else np.dtype(f"<{letter}{size}")
    if kind == FLOAT:
        size = {_HALF: 2, _SINGLE: 4, _DOUBLE: 8}.get(detail.number(0, "<h"))
        return None if size is None else np.dtype(f"<f{size}")
    if kind == DATE:
        days = detail.number(0, "<h", 1) == 0
        return np.dtype("<i4" if days else "<i8")
    if kind == TIMESTAMP:
        unit = detail.number(0, "<h")
        return np.dtype(f"<M8[{_UNITS[unit]}]") if 0 <= unit < len(_UNITS) else None
    return None


def supported(field: Field) -> None:
    """Check that a column can be read.

    Raises:
        MalformedError: it is of a type that is not read.
    """
    stored = field if field.values is None else field.values
    if field.dtype is not None and stored.dtype is not None:
        return
    if stored.kind in (NULL, BOOL, *TEXTS):
        return
    kind = _NAMES[stored.kind] if 0 <= stored.kind < len(_NAMES) else "unknown"
    raise MalformedError(f"column {shown(field.name)} has the type {kind}, which is not read")
