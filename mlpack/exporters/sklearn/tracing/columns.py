"""What the stand-ins of pandas hold: columns of numbers or of categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Feature
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.coded import Coded
from mlpack.exporters.sklearn.tracing.dates import Dated
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, TRUTH, Dtype, Tape, lib

OTHER_ROWS = (
    "needs the other rows, and one row's answer may not depend on another: "
    "learn it in fit and keep it"
)
DATES = "dates or times are computed with: take parts of them, such as .dt.hour"


class Rows:
    """Stands for the index: it may be handed on, but nobody may look."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.name = None

    def __len__(self) -> int:
        return self.tape.rows

    def copy(self, *_arguments: Any, **_options: Any) -> Rows:
        """Itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise TraceError(f"the index is looked at (.index.{name}): it is not part of a row")


class Column:
    """One column.

    Attributes:
        coded: its categories; None for computed numbers.
        origin: what the step before handed over, as long as nothing was done to it.
        dated: its dates or times, which have parts and no numbers.
    """

    def __init__(
        self,
        array: Array | None = None,
        coded: Coded | None = None,
        origin: Feature | None = None,
        *,
        make: Callable[[], Array] | None = None,
        kind: Any = None,
        dated: Dated | None = None,
    ) -> None:
        self.coded, self.origin, self.dated = coded, origin, dated
        self._array, self._make = array, make
        self._kind = array.dtype if array is not None else kind

    @property
    def array(self) -> Array | None:
        """Its numbers, one-dimensional; None for text. A raw column's are made when asked for."""
        if self._array is None and self._make is not None:
            self._array = self._make()
        return self._array

    @property
    def has_array(self) -> bool:
        """Whether there are numbers that are not found by looking a category up."""
        return self._array is not None or self._make is not None

    def numbers(self) -> Array:
        """The column as numbers.

        Raises:
            TraceError: it is text.
        """
        array = self.array
        if array is not None:
            return array
        if self.dated is not None:
            raise TraceError(DATES)
        if self.coded is None:
            raise TraceError("the column is empty")
        return self.coded.numbers()

    @property
    def is_text(self) -> bool:
        """Whether it holds something else than numbers."""
        return not self.has_array and not (self.coded is not None and self.coded.numeric)

    @property
    def dtype(self) -> Any:
        """The type that pandas would tell."""
        if self._kind is not None:
            return self._kind
        if self.dated is not None:
            return self.dated.dtype
        if self.coded is None or self.coded.dtype in ("object", "str"):
            return np.dtype(object)
        return self.coded.dtype


def _undated(column: Column) -> None:
    if column.dated is not None:
        raise TraceError(DATES)


def of(value: Any, tape: Tape) -> Column:
    """A column of what an assignment gives: a traced array, or the same constant in every row."""
    if hasattr(value, "column") and isinstance(value.column, Column):
        found: Column = value.column
        return found
    if isinstance(value, Array):
        if value.ndim == 2 and value.axis == 0 and value.cells.shape == (1,):
            value = value[:, 0]
        if value.ndim != 1:
            raise TraceError("a column is set to an array of several columns")
        if value.mask is not None:
            raise TraceError("a column is set to some of the rows: use np.where")
        return Column(array=value.copy())
    plain = np.asarray(value)
    if plain.ndim == 1 and len(plain) == tape.rows and len(plain):
        if not all(each == plain[0] for each in plain):
            raise TraceError("a column is set to constants that differ from row to row")
        plain = plain[0:1].reshape(())
    if plain.ndim or plain.dtype.kind not in "biuf":
        raise TraceError(f"a column is set to {value!r}, which is neither a number nor traced")
    cells = tape.filled(plain, plain.dtype)
    return Column(array=Array(tape, cells, plain.dtype))


def as_type(column: Column, dtype: Any) -> Column:
    """``astype``: pandas refuses to make a whole number of what is none."""
    _undated(column)
    if isinstance(dtype, str) and dtype in ("category", "str", "string", "object"):
        return _as_text(column, dtype)
    if dtype in (str, object):
        return _as_text(column, "str" if dtype is str else "object")
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise TraceError(f"astype({dtype!r}) is not traced") from None
    array = column.numbers()
    if kind.kind in "iu" and array.dtype.kind == "f":
        refuse_not_finite(array)
    return Column(array=array.astype(kind))


def _as_text(column: Column, dtype: str) -> Column:
    if column.coded is None:
        raise TraceError(f"computed numbers become {dtype}: do it before computing")
    if column.coded.numeric or (column.has_array and dtype != "category"):
        raise TraceError(f"numbers become {dtype}: that is not traced, leave them numbers")
    if (
        dtype != "category"
        and column.coded.dtype != dtype
        and any(
            not isinstance(value, str) and column.coded.known(value)
            for value in column.coded.values
        )
    ):
        raise TraceError(f"astype({dtype!r}) of a column with missing values is not traced")
    return column


def refuse_not_finite(array: Array) -> None:
    """The original raises for rows with NaN or an infinity."""
    odd: Any = ~lib.isfinite(array)
    array.tape.refuse(array.tape.matrix([odd.cells[()]]))


def float_column(column: Column) -> Array:
    """The numbers as float64."""
    return column.numbers().astype(FLOAT64)


def truths(column: Column) -> Array:
    """The column as a condition.

    Raises:
        TraceError: it is none.
    """
    array = column.numbers()
    if array.dtype != TRUTH:
        raise TraceError("a condition must be True or False in every row")
    return array


def filled(column: Column, value: Any) -> Column:
    """``fillna`` with a constant or another column."""
    _undated(column)
    if hasattr(value, "column"):
        other = value.column.numbers()
        array = column.numbers()
        if array.dtype.kind != "f":
            return column
        return Column(array=lib.where(lib.isnan(array), other, array))
    coded = column.coded.filled(value) if column.coded is not None else None
    if not column.has_array or isinstance(value, str):
        if coded is None:
            raise TraceError("computed numbers are filled with text")
        return Column(coded=coded)
    array = column.numbers()
    if array.dtype.kind != "f":
        return column
    full: Any = lib.where(lib.isnan(array), value, array)
    return Column(array=full, coded=coded)


def chosen(condition: Any, column: Column, other: Any) -> Column:
    """The column where the condition holds, else something else."""
    if hasattr(condition, "column"):
        condition = condition.column.numbers()
    if hasattr(other, "column"):
        other = other.column.numbers()
    _undated(column)
    if isinstance(other, str) or column.is_text:
        raise TraceError("text is chosen by a condition: use .map({...}) or .replace({...})")
    array: Any = column.numbers()
    if isinstance(other, float) and array.dtype.kind in "biu":
        array = array.astype(FLOAT64)
    return Column(array=lib.where(condition, array, other))


def mapped(column: Column, table: Any) -> Column:
    """``map``: a table, or a function that is asked or traced."""
    _undated(column)
    if hasattr(table, "to_dict") and not isinstance(table, Mapping):
        table = table.to_dict()
    if isinstance(table, Mapping):
        if column.coded is not None:
            return Column(coded=column.coded.mapped(table))
        return Column(array=_by_table(column.numbers(), table))
    if not callable(table):
        raise TraceError("map is traced with a dict, a Series or a function")
    if column.is_text and column.coded is not None:
        return Column(coded=column.coded.mapped(table))
    return of(called(table, column), column.numbers().tape)


def called(function: Callable[..., Any], column: Column) -> Any:
    """A function of one number, called with all of them."""
    return function(column.numbers())


def _by_table(array: Array, table: Mapping[Any, Any]) -> Array:
    """Numbers by numbers; NaN for any other."""
    made: Any = lib.full(array.tape.rows, np.nan)
    for old, new in table.items():
        if isinstance(new, str) or isinstance(old, str):
            raise TraceError("computed numbers are mapped to text: use numbers")
        made = lib.where(lib.isnan(array) if old != old else array == old, float(new), made)
    if not isinstance(made, Array):
        raise TraceError("an empty table")
    return made


def replaced(column: Column, table: Mapping[Any, Any]) -> Column:
    """``replace``: some values by others, all at once."""
    if not column.has_array and column.coded is not None:
        return Column(coded=column.coded.replaced(table))
    array: Any = column.numbers()
    if any(isinstance(each, str) for pair in table.items() for each in pair):
        raise TraceError("numbers are replaced by text")
    made = array
    for old, new in reversed(list(table.items())):
        value = np.nan if new is None else new
        made = lib.where(lib.isnan(array) if old != old else array == old, value, made)
    return Column(array=made)


def missing(column: Column) -> Array:
    """``isna``."""
    if column.has_array:
        return lib.isnan(column.numbers())
    if column.dated is not None:
        return column.dated.missing()
    if column.coded is None:
        raise TraceError("the column is empty")
    return column.coded.missing()


def isin(column: Column, constants: Any) -> Array:
    """``isin``: unlike numpy's, NaN is found."""
    listed = list(constants)
    if not column.has_array and column.coded is not None:
        return column.coded.isin(listed)
    array = column.numbers()
    numbers = [each for each in listed if not isinstance(each, str)]
    made: Any = lib.zeros_like(array, dtype=bool)
    for each in numbers:
        made = made | (lib.isnan(array) if each != each else array == each)
    result: Array = made
    return result


def result_type(columns: list[Column]) -> Dtype:
    """What the numbers of several columns become together."""
    kinds = {column.numbers().dtype for column in columns}
    if len(kinds) == 1:
        return kinds.pop()
    return np.result_type(*(FLOAT64 if kind == TRUTH else kind for kind in kinds))
