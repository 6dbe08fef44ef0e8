"""Reads raw values into the signature's types, and says precisely which it cannot read.

This is the slow and precise way in, for anything that Python or a file may hold: numpy scalars,
pandas' NA, decimals, object arrays. Missing values (absent, None, NaN, NA, NaT) become None.
The compiled way for requests is in ``validate``; both accept the same.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from . import moments
from .columns import Figured, Range
from .contract import Column, ColumnType, Signature
from .kinds import FLOAT32_EDGE, INT64_MAX, INT64_MIN, expected, is_number, limits, single
from .predictions import Refusal, shown
from .words import Words

Values = Sequence[Any] | np.ndarray
"""The clean values of one column: a sequence of values of the column's type and None, or a numeric
array in which NaN is missing."""

PRESENT = "a value: it may not be missing"
FINITE = "a finite number"

_BAD = object()


class Texts(list[Any]):
    """Strings that were decoded from UTF-8, and None: no further look is needed."""


class Clean(msgspec.Struct, frozen=True):
    """Columns whose values have the signature's types, in the signature's order.

    Attributes:
        columns: the values of each column; those of refused cells are None.
        rows: how many rows.
        refusals: the cells that could not be read.
    """

    columns: Sequence[Values]
    rows: int
    refusals: tuple[Refusal, ...] = ()


_PLAIN = frozenset((int, str, bool, type(None)))
"""What most values are; the others are looked at more closely."""


def plain(value: Any) -> Any:  # noqa: ANN401 - anything that a caller may pass
    """A value as plain Python; None if it is any of the ways to say missing."""
    kind = type(value)
    if kind is float:
        return value if value == value else None
    if kind in _PLAIN:
        return value
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value  # as an item, nanoseconds would be a number
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and value != value):
        return None
    # pandas' own markers, recognised without importing pandas.
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value


def _number(value: object) -> object:
    if isinstance(value, bool):
        return _BAD
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (int, decimal.Decimal)):
        try:
            number = float(value)
        except (OverflowError, ValueError):
            return _BAD
        return None if math.isnan(number) else number
    return _BAD


def _integer(value: object) -> object:
    if (isinstance(value, decimal.Decimal) and value.is_finite() and value == int(value)) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _BAD
    return int(value) if INT64_MIN <= value <= INT64_MAX else _BAD


def _boolean(value: object) -> object:
    return value if isinstance(value, bool) else _BAD


def _string(value: object) -> object:
    if not isinstance(value, str):
        return _BAD
    try:
        value.encode()
    except UnicodeEncodeError:
        return _BAD  # a lone surrogate is no text
    return str.__str__(value)  # an enumeration's own str may be its member's name


def _reads(column: Column) -> Callable[[object], object]:
    """What reads the values of a column."""
    if column.type in ("date", "datetime"):

        def moment(value: object) -> object:
            try:
                return moments.moment(value, column)
            except ValueError:
                return _BAD

        return moment
    low, high = limits(column)
    if column.type != "integer" or (low, high) == (INT64_MIN, INT64_MAX):
        return _READ[column.type]

    def within(value: object) -> object:
        found = _integer(value)
        return found if isinstance(found, int) and low <= found <= high else _BAD

    return within


_READ: dict[ColumnType, Callable[[object], object]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
}


class Reader:
    """Reads rows and columns for one signature.

    Args:
        signature: what the pipeline learned.
        finite: refuse infinities in every column, as a JSON body demands, and not only where the
            original pipeline refuses them.
    """

    def __init__(self, signature: Signature, *, finite: bool = False) -> None:
        self._columns = signature.columns
        self.names = tuple(column.name for column in signature.columns)
        self._known = frozenset(self.names)
        self._finite = finite
        self._figured = Figured(
            [
                Range(place, *_range(column), column.type == "integer", column.nullable)
                for place, column in enumerate(self._columns)
                if is_number(column)
            ]
        )
        # Per column what reads a value, and from where on a number rounds to an infinity.
        self._plans = {
            column.name: (
                _reads(column),
                FLOAT32_EDGE if column.finite and single(column) else math.inf,
            )
            for column in signature.columns
        }

    def unknown(self, names: Sequence[str], row: int = 0) -> list[Refusal]:
        """A refusal for each of `names` that is not a column."""
        return [
            Refusal(row, shown(name)[1:-1], "a column of the model", "an unknown one")
            for name in names
            if name not in self._known
        ]

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Clean:
        """Read rows; keys that are no columns are ignored."""
        refusals: list[Refusal] = []
        columns = [
            self._cells(column, [row.get(column.name) for row in rows], refusals)
            for column in self._columns
        ]
        return Clean(columns, len(rows), _in_order(refusals))

    def columns(self, columns: Mapping[str, Any]) -> Clean:
        """Read columns: lists, arrays, and the series of data frame libraries.

        A column that is absent is missing in every row; names that are no columns are ignored.

        Raises:
            ValueError: the columns have different lengths, or none of them is known.
        """
        data = {name: _listed(columns[name]) for name in self.names if name in columns}
        lengths = {len(values) for values in data.values()}
        if len(lengths) != 1:
            raise ValueError(
                "the columns have different lengths: "
                + ", ".join(f"{name} {len(values)}" for name, values in data.items())
                if lengths
                else "none of the columns is known"
            )
        count = lengths.pop()
        refusals: list[Refusal] = []
        given = [data.get(name) for name in self.names]
        table = self._figured.read(given, count)
        clean: list[Values] = []
        for place, (column, values) in enumerate(zip(self._columns, given, strict=True)):
            if table is not None and place in table.found:
                clean.append(table.found[place])
            elif isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
                clean.append(self._array(column, values, refusals))
            elif type(values) is Words and _usable(column, values):
                clean.append(values)
            else:
                cells = [None] * count if values is None else values
                if not isinstance(cells, Texts):
                    cells = Texts(cells) if type(cells) is Words else list(cells)
                clean.append(self._cells(column, cells, refusals))
        if table is not None and not refusals:
            clean = table.whole(clean)
        return Clean(clean, count, _in_order(refusals))

    def _cells(self, column: Column, cells: list[Any], refusals: list[Refusal]) -> list[Any]:
        if column.type == "string" and (
            (column.nullable or None not in cells) if isinstance(cells, Texts) else _texts(cells)
        ):
            return cells
        read, edge = self._plans[column.name]
        finite = self._finite or column.finite
        for row, cell in enumerate(cells):
            value = plain(cell)
            if value is not None:
                result = read(value)
                if result is _BAD:
                    refusals.append(Refusal(row, column.name, expected(column), shown(value)))
                    result = None
                elif finite and isinstance(result, float) and abs(result) >= edge:
                    refusals.append(Refusal(row, column.name, FINITE, shown(value)))
                    result = None
                cells[row] = result
                continue
            if not column.nullable:
                refusals.append(Refusal(row, column.name, PRESENT, "missing"))
            cells[row] = None
        return cells

    def _array(self, column: Column, values: np.ndarray, refusals: list[Refusal]) -> Values:
        """Read a numeric array at once where it is clean, cell by cell where it is not."""
        kind = values.dtype.kind
        if column.type == "boolean" and kind == "b":
            booleans: list[bool] = values.tolist()
            return booleans
        if column.type == "integer" and kind in "iu" and values.dtype != np.uint64:
            low, high = limits(column)
            # A comparison of every value, where the array's own type does not say it.
            if not len(values) or (low <= values.min() and values.max() <= high):
                return values.astype(np.int64, copy=False)
        if column.type == "number" and kind in "fiu":
            numbers = values.astype(np.float64, copy=False)
            usable = np.isfinite(numbers)
            if single(column):
                usable &= np.abs(numbers) < FLOAT32_EDGE
            if column.nullable:
                usable |= np.isnan(numbers)
            if usable.all():
                return numbers
        return self._cells(column, values.tolist(), refusals)


def _texts(cells: list[Any]) -> bool:
    """Whether there are only strings that need no further look."""
    return set(map(type, cells)) == {str} and all(map(str.isascii, cells))


def _listed(data: Any) -> Sequence[Any] | np.ndarray:  # noqa: ANN401 - any library's column
    """A column of any library as an array or a list."""
    if type(data) is Words:
        return data
    if isinstance(data, np.ndarray):
        if data.ndim == 1:
            return data
        if data.ndim == 2 and data.shape[1] == 1:
            return data[:, 0]
        raise ValueError(f"a column has one dimension, not the shape {data.shape}")
    kind = getattr(data, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind in "fiub" and hasattr(data, "to_numpy"):
        array: np.ndarray = data.to_numpy()  # pandas, where it holds numpy's own numbers
        return array
    # pandas and polars; Arrow; the array module. A name that pandas does not know costs it long.
    for method in ("to_list", "to_pylist", "tolist"):
        convert = getattr(data, method, None)
        if convert is not None:
            listed: list[Any] = convert()
            return listed
    if isinstance(data, (str, bytes)) or not isinstance(data, Sequence):
        raise TypeError(f"a column is a list or an array, not {type(data).__name__}")
    return data


def _range(column: Column) -> tuple[float, float]:
    """The least and the largest number that can be read without a closer look."""
    if column.type == "integer":
        return limits(column)
    edge = math.nextafter(FLOAT32_EDGE if single(column) else math.inf, 0)
    return -edge, edge


def _usable(column: Column, words: Words) -> bool:
    """Whether words need no further look."""
    return column.type == "string" and (column.nullable or not words.missing())


def _in_order(refusals: list[Refusal]) -> tuple[Refusal, ...]:
    return tuple(sorted(refusals, key=lambda refusal: refusal.row))


def cells(values: Values) -> Sequence[Any]:
    """Clean values as plain Python values, None where one is missing."""
    if isinstance(values, np.ndarray):
        return [None if value != value else value for value in values.tolist()]
    return values
