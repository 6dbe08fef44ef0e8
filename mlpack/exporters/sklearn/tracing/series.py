"""A stand-in for a pandas Series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.tracing import columns as col
from mlpack.exporters.sklearn.tracing import derived
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.coded import Coded
from mlpack.exporters.sklearn.tracing.columns import OTHER_ROWS, Column, Rows
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import Tape, lib


class Series(np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in: a column and its name."""

    frame_like = True
    __pandas_priority__ = 9000

    def __init__(self, tape: Tape, column: Column, name: Any = None) -> None:
        self.tape, self.column, self.name = tape, column, name

    def made(self, column: Column | Array, name: Any = ...) -> Series:
        """Another series of the same rows."""
        if isinstance(column, Array):
            column = Column(array=column)
        return Series(self.tape, column, self.name if name is ... else name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return pd.Series

    def __repr__(self) -> str:
        return f"<series {self.name!r}, traced>"

    # What it is

    @property
    def dtype(self) -> Any:
        """The type of its values."""
        return self.column.dtype

    @property
    def index(self) -> Rows:
        """Its index, which nobody may look at."""
        return Rows(self.tape)

    @property
    def shape(self) -> tuple[int]:
        """How many rows."""
        return (self.tape.rows,)

    @property
    def values(self) -> Array:
        """Its numbers."""
        return self.to_numpy()

    array = values
    ndim = 1
    empty = False

    @property
    def size(self) -> int:
        """How many rows."""
        return self.tape.rows

    @property
    def loc(self) -> Any:
        """Rows by a condition, to be set."""
        return self

    iloc = loc

    @property
    def str(self) -> Any:
        """Methods of text."""
        return _Text(self)

    @property
    def dt(self) -> Any:
        """Parts of dates and times."""
        return _Dates(self)

    def __len__(self) -> int:
        return self.tape.rows

    def __bool__(self) -> bool:
        raise TraceError(
            "a decision for all rows at once depends on the data: use np.where(condition, a, b)"
        )

    def __iter__(self) -> Any:
        raise TraceError("it goes through the rows one by one: compute with whole columns instead")

    def __array__(self, *_arguments: Any, **_options: Any) -> Any:
        raise TraceError("it is handed to code that wants the numbers themselves")

    def __hash__(self) -> int:
        return id(self)

    def to_numpy(self, dtype: Any = None, *_rest: Any, **_options: Any) -> Array:
        """Its numbers."""
        array = self.column.numbers()
        return array.copy() if dtype is None else array.astype(dtype)

    def to_frame(self, name: Any = None) -> Any:
        """A frame of one column."""
        frame = self.tape.functions["pandas.frame"]
        return frame(self.tape, {self.name if name is None else name: self.column})

    # numpy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **options: Any) -> Any:
        return self.tape.functions["pandas.ufunc"](self.tape, ufunc, method, inputs, options)

    def __array_function__(self, function: Any, _types: Any, arguments: Any, options: Any) -> Any:
        return self.tape.functions["pandas.function"](function, arguments, options)

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, int | float) and not isinstance(other, bool):
            return self.made(self.column.numbers() ** other)
        return lib.power(self, other)

    # Taking and setting

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key == slice(None):
            return self.made(self.column)
        raise TraceError(f"it takes some of the rows: one row {OTHER_ROWS}")

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice) and key == slice(None):
            self.column = col.of(value, self.tape)
            return
        if not hasattr(key, "dtype"):
            raise TraceError("it sets single rows: use a condition")
        condition: Any = key.column.numbers() if isinstance(key, Series) else key
        self.column = col.chosen(~condition, self.column, value)

    # Methods

    def copy(self, *_arguments: Any, **_options: Any) -> Series:
        """A copy."""
        return self.made(self.column)

    __copy__ = copy

    def __deepcopy__(self, _memo: Any) -> Series:
        return self.copy()

    def rename(self, name: Any = None, **options: Any) -> Series:
        """Another name."""
        if options or isinstance(name, Mapping) or callable(name):
            raise TraceError("rename of the index is not traced")
        return self.made(self.column, name)

    def reset_index(self, *_arguments: Any, drop: bool = False, **_options: Any) -> Series:
        """The same rows."""
        if not drop:
            raise TraceError("reset_index(drop=False) makes the index a column")
        return self.copy()

    def squeeze(self, *_arguments: Any) -> Series:
        """Itself."""
        return self

    def abs(self) -> Series:
        """Without the sign."""
        return self.made(lib.abs(self.column.numbers()))

    def round(self, decimals: int = 0) -> Series:
        """Rounded."""
        return self.made(lib.round(self.column.numbers(), decimals))

    def clip(self, lower: Any = None, upper: Any = None, **_options: Any) -> Series:
        """Between two bounds."""
        bounds = [
            each.column.numbers() if isinstance(each, Series) else each for each in (lower, upper)
        ]
        return self.made(self.tape.functions["clip"](self.column.numbers(), *bounds))

    def astype(self, dtype: Any, *_rest: Any, **_options: Any) -> Series:
        """Another type."""
        return self.made(col.as_type(self.column, dtype))

    def fillna(self, value: Any = None, **options: Any) -> Series:
        """A constant for what is missing."""
        if options.get("inplace"):
            self.column = col.filled(self.column, value)
        return self.made(col.filled(self.column, value))

    def isna(self) -> Series:
        """Which rows are missing."""
        return self.made(col.missing(self.column))

    isnull = isna

    def notna(self) -> Series:
        """Which rows are not missing."""
        return ~self.isna()

    notnull = notna

    def where(self, condition: Any, other: Any = np.nan, **_options: Any) -> Series:
        """The values where a condition holds, else others."""
        return self.made(col.chosen(condition, self.column, other))

    def mask(self, condition: Any, other: Any = np.nan, **_options: Any) -> Series:
        """The values where a condition does not hold, else others."""
        return self.made(col.chosen(~condition, self.column, other))

    def map(self, arg: Any, na_action: Any = None, **_options: Any) -> Series:
        """Other values by a table or a function."""
        if na_action is not None:
            raise TraceError("map(na_action=...) is not traced")
        return self.made(col.mapped(self.column, arg))

    def apply(self, func: Any, args: Any = (), **options: Any) -> Series:
        """A function of each value."""
        if isinstance(func, str):
            return getattr(self, func)(*args, **options)
        if isinstance(func, np.ufunc) and not self.column.is_text:
            return func(self)
        return self.made(col.mapped(self.column, lambda value: func(value, *args, **options)))

    transform = apply

    def pipe(self, func: Any, *args: Any, **options: Any) -> Any:
        """A function of the whole series."""
        return func(self, *args, **options)

    def replace(self, to_replace: Any = None, value: Any = None, **options: Any) -> Series:
        """Some values by others."""
        if options.get("regex"):
            raise TraceError("replace(regex=True) is not traced")
        return self.made(col.replaced(self.column, pairs(to_replace, value)))

    def isin(self, values: Any) -> Series:
        """Which values are among these."""
        return self.made(col.isin(self.column, values))

    def between(self, left: Any, right: Any, inclusive: Any = "both") -> Series:
        """Which values lie between two."""
        low = self >= left if inclusive in ("both", "left") else self > left
        high = self <= right if inclusive in ("both", "right") else self < right
        return low & high

    def dot(self, _other: Any) -> Any:
        """A product over the rows, which is refused."""
        raise TraceError(f"a product over the rows {OTHER_ROWS}")

    def __getattr__(self, name: Any) -> Any:
        if name.startswith("_") or not hasattr(pd.Series, name):
            raise AttributeError(name)
        operation = ARITHMETIC.get(name)
        if operation is not None:
            return lambda other, *_, fill_value=None, **__: operation(
                self if fill_value is None else self.fillna(fill_value), other
            )
        if name in OVER_ROWS:
            raise TraceError(f"Series.{name} {OTHER_ROWS}")
        raise TraceError(f"Series.{name} is not traced")


def pairs(to_replace: Any, value: Any) -> dict[Any, Any]:
    """What ``replace`` is told, as a table."""
    if isinstance(to_replace, Mapping):
        if any(isinstance(each, Mapping) for each in to_replace.values()):
            raise TraceError("replace with a table per column is not traced: replace each column")
        return dict(to_replace)
    if isinstance(to_replace, list | tuple):
        new = value if isinstance(value, list | tuple) else [value] * len(to_replace)
        return dict(zip(to_replace, new, strict=True))
    return {to_replace: value}


class _Text:
    """The methods of ``.str``."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def __getattr__(self, name: str) -> Any:
        coded = self._series.column.coded
        if coded is None or self._series.column.has_array:
            raise AttributeError("Can only use .str accessor with string values")
        return lambda *arguments, **options: self._call(coded, name, arguments, options)

    def _call(
        self, coded: Coded, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if name == "split" and len(arguments) == 1 and not options:
            return _Split(self._series, coded, arguments)
        found = derived.read(coded, name, arguments, options)
        if isinstance(found, Array):
            return self._series.made(found)
        made = found if found is not None else coded.string(name, arguments, options)
        return self._series.made(Column(coded=made))

    def __getitem__(self, key: Any) -> Series:
        return self.__getattr__("__getitem__")(key)


class _Dates:
    """The properties of ``.dt``."""

    def __init__(self, series: Series) -> None:
        if series.column.dated is None:
            raise AttributeError("Can only use .dt accessor with datetimelike values")
        self._series, self._dated = series, series.column.dated

    def __getattr__(self, name: str) -> Any:
        return self._series.made(Column(*self._dated.part(name)))

    def isocalendar(self) -> Any:
        """Year, week and day of ISO 8601."""
        parts = {name: Column(*self._dated.iso(name)) for name in ("year", "week", "day")}
        return self._series.tape.functions["pandas.frame"](self._series.tape, parts)


def _floor(a: Any, b: Any) -> Any:
    return a // b


class _Split:
    """``.str.split(sep)``, of which the first part can be had."""

    def __init__(self, series: Series, coded: Coded, arguments: tuple[Any, ...]) -> None:
        self._series, self._coded, self._arguments = series, coded, arguments

    @property
    def str(self) -> _Split:
        """The lists' own methods."""
        return self

    def __getitem__(self, key: Any) -> Series:
        return self.get(key)

    def get(self, key: Any) -> Series:
        """One part of each."""
        found = None
        if key == 0:
            found = derived.read(self._coded, "first of split", self._arguments, {})
        if found is None:
            parts = self._coded.string("split", self._arguments, {})
            values = [
                each[key] if isinstance(each, list) and -len(each) <= key < len(each) else np.nan
                for each in parts.values
            ]
            found = self._coded.with_values(values)
        return self._series.made(Column(coded=found))


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "radd": lambda a, b: b + a,
    "sub": lambda a, b: a - b,
    "subtract": lambda a, b: a - b,
    "rsub": lambda a, b: b - a,
    "mul": lambda a, b: a * b,
    "multiply": lambda a, b: a * b,
    "rmul": lambda a, b: b * a,
    "div": lambda a, b: a / b,
    "divide": lambda a, b: a / b,
    "truediv": lambda a, b: a / b,
    "rdiv": lambda a, b: b / a,
    "rtruediv": lambda a, b: b / a,
    "floordiv": _floor,
    "rfloordiv": lambda a, b: b // a,
    "mod": lambda a, b: a % b,
    "rmod": lambda a, b: b % a,
    "pow": lambda a, b: a**b,
    "rpow": lambda a, b: b**a,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
OVER_ROWS = frozenset(
    [
        *("sum", "mean", "median", "min", "max", "std", "var", "sem", "prod", "product", "mode"),
        *("quantile", "rank", "shift", "diff", "pct_change", "cumsum", "cumprod", "cummax"),
        *("cummin", "rolling", "expanding", "ewm", "groupby", "value_counts", "unique", "nunique"),
        *("duplicated", "drop_duplicates", "sort_values", "sort_index", "nlargest", "nsmallest"),
        *("sample", "head", "tail", "any", "all", "describe", "idxmax", "idxmin", "argmax"),
        *("argmin", "corr", "cov", "ffill", "bfill", "interpolate", "dropna", "agg", "aggregate"),
        *("factorize", "searchsorted", "item", "tolist", "to_list", "first", "last", "count"),
        *("iterrows", "itertuples"),
    ]
)
