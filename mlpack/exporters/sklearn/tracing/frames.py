"""A stand-in for a pandas DataFrame.

What moves and names columns is done by pandas itself, on a frame of one row that holds the
columns' places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.tracing import columns as col
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.columns import OTHER_ROWS, Column, Rows
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.located import Located, numbers, part_of
from mlpack.exporters.sklearn.tracing.series import ARITHMETIC, OVER_ROWS, Series, pairs
from mlpack.exporters.sklearn.tracing.tape import Tape, lib

MOVING = frozenset(
    ["drop", "rename", "filter", "reindex", "add_prefix", "add_suffix", "set_axis", "rename_axis"]
)
REDUCING = {
    "sum": ("sum", "nansum"),
    "mean": ("mean", "nanmean"),
    "min": ("min", "nanmin"),
    "max": ("max", "nanmax"),
    "prod": ("prod", "nanprod"),
    "product": ("prod", "nanprod"),
    "std": ("std", "nanstd"),
    "var": ("var", "nanvar"),
    "any": ("any", "any"),
    "all": ("all", "all"),
}


class Frame(np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in: columns by name, in order."""

    frame_like = True
    __pandas_priority__ = 9500
    ndim = 2
    empty = False

    def __init__(self, tape: Tape, parts: Mapping[Any, Column]) -> None:
        self.__dict__.update(tape=tape, parts=dict(parts))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return pd.DataFrame

    def __repr__(self) -> str:
        return f"<frame {list(self.parts)}, traced>"

    # What it is

    @property
    def columns(self) -> pd.Index[Any]:
        """The names."""
        return pd.Index(list(self.parts))

    @columns.setter
    def columns(self, names: Any) -> None:
        """Other names, in order."""
        self.__dict__["parts"] = dict(zip(list(names), self.parts.values(), strict=True))

    @property
    def index(self) -> Rows:
        """Its index, which nobody may look at."""
        return Rows(self.tape)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (self.tape.rows, len(self.parts))

    @property
    def size(self) -> int:
        """How many values."""
        return self.tape.rows * len(self.parts)

    @property
    def dtypes(self) -> pd.Series[Any]:
        """The type of each column."""
        return self._ghost().dtypes

    @property
    def values(self) -> Array:
        """The numbers side by side."""
        return self.to_numpy()

    def to_numpy(self, dtype: Any = None, *_rest: Any, **_options: Any) -> Array:
        """The numbers side by side."""
        made = numbers(self.tape, list(self.parts.values()))
        return made if dtype is None else made.astype(dtype)

    def __len__(self) -> int:
        return self.tape.rows

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.parts))

    def __contains__(self, name: object) -> bool:
        return name in self.parts

    def __bool__(self) -> bool:
        raise ValueError("The truth value of a DataFrame is ambiguous.")

    def __array__(self, *_arguments: Any, **_options: Any) -> Any:
        raise TraceError("it is handed to code that wants the numbers themselves")

    def __hash__(self) -> int:
        return id(self)

    def keys(self) -> pd.Index[Any]:
        """The names."""
        return self.columns

    def items(self) -> Iterator[tuple[Any, Series]]:
        """Names and columns."""
        for name in list(self.parts):
            yield name, self[name]

    # Moving columns

    def _ghost(self) -> pd.DataFrame:
        """A frame without rows, with the names and types of this one."""
        return pd.DataFrame(
            {name: pd.Series([], dtype=part.dtype) for name, part in self.parts.items()}
        )

    def moved(self, action: Callable[[pd.DataFrame], Any]) -> Any:
        """What pandas makes of the columns' places: some of them, in some order, by some names."""
        places = pd.DataFrame([range(len(self.parts))], columns=list(self.parts))
        made = action(places)
        listed = list(self.parts.values())
        if isinstance(made, pd.Series):
            if len(made) != 1:
                raise TraceError(f"it takes a row: one row {OTHER_ROWS}")
            return Series(self.tape, listed[int(made.iloc[0])], made.name)
        if not isinstance(made, pd.DataFrame) or len(made) != 1:
            raise TraceError(f"it takes some of the rows: one row {OTHER_ROWS}")
        if made.isna().to_numpy().any():
            raise TraceError("it makes columns of missing values")
        found = [listed[int(place)] for place in made.iloc[0]]
        return Frame(self.tape, dict(zip(made.columns, found, strict=True)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Series | Frame | Array):
            raise TraceError(f"rows are chosen by a condition: one row {OTHER_ROWS}")
        if isinstance(key, slice) and key != slice(None):
            raise TraceError(f"it takes some of the rows: one row {OTHER_ROWS}")
        return self.moved(lambda places: places[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Series | Frame | Array):
            self.__dict__["parts"] = self.mask(key, value).parts
            return
        if not isinstance(key, list | pd.Index | np.ndarray):
            self.parts[key] = col.of(value, self.tape)
            return
        names = list(key)
        if isinstance(value, Frame):
            listed: list[Any] = [Series(self.tape, part) for part in value.parts.values()]
        elif isinstance(value, Array) and value.ndim == 2:
            listed = [value[:, index] for index in range(value.cells.shape[0])]
        else:
            listed = [value] * len(names)
        for name, each in zip(names, listed, strict=True):
            self.parts[name] = col.of(each, self.tape)

    def __delitem__(self, key: Any) -> None:
        del self.parts[key]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "columns":
            object.__setattr__(self, name, value)
        elif name in self.parts:
            self[name] = value
        else:
            raise TraceError(f"an attribute {name!r} is set on a frame: use frame[{name!r}] = ...")

    @property
    def loc(self) -> Located:
        """Columns by name, rows by condition."""
        return Located(self, by_name=True)

    @property
    def iloc(self) -> Located:
        """Columns by place."""
        return Located(self, by_name=False)

    def copy(self, *_arguments: Any, **_options: Any) -> Frame:
        """A copy."""
        return Frame(self.tape, self.parts)

    __copy__ = copy

    def __deepcopy__(self, _memo: Any) -> Frame:
        return self.copy()

    def assign(self, **new: Any) -> Frame:
        """New columns; functions are given the frame so far."""
        made = self.copy()
        for name, value in new.items():
            made[name] = value(made) if callable(value) else value
        return made

    def insert(self, loc: int, column: Any, value: Any, *_rest: Any, **_options: Any) -> None:
        """A new column at a place."""
        listed = list(self.parts.items())
        listed.insert(loc, (column, col.of(value, self.tape)))
        self.__dict__["parts"] = dict(listed)

    def pop(self, name: Any) -> Series:
        """A column, taken out."""
        return Series(self.tape, self.parts.pop(name), name)

    def get(self, name: Any, default: Any = None) -> Any:
        """A column, if it is there."""
        return self[name] if name in self.parts else default

    def reset_index(self, *_arguments: Any, drop: bool = False, **_options: Any) -> Frame:
        """The same rows."""
        if not drop:
            raise TraceError("reset_index(drop=False) makes the index a column")
        return self.copy()

    def squeeze(self, *_arguments: Any) -> Any:
        """The only column."""
        return self[next(iter(self.parts))] if len(self.parts) == 1 else self

    def select_dtypes(self, include: Any = None, exclude: Any = None) -> Frame:
        """Columns by type."""
        chosen = self._ghost().select_dtypes(include, exclude).columns
        return Frame(self.tape, {name: self.parts[name] for name in chosen})

    # Methods by column

    def _each(self, function: Callable[[Series], Any]) -> Frame:
        return Frame(
            self.tape,
            {name: col.of(function(self[name]), self.tape) for name in self.parts},
        )

    def apply(self, func: Any, axis: Any = 0, args: Any = (), **options: Any) -> Frame:
        """A function of each column."""
        if axis not in (0, "index"):
            raise TraceError("apply(axis=1) goes through the rows one by one: use whole columns")
        if isinstance(func, str):
            return getattr(self, func)(*args, **options)
        return self._each(lambda series: func(series, *args, **options))

    transform = apply

    def map(self, func: Any, *_rest: Any, **options: Any) -> Frame:
        """A function of each value."""
        return self._each(lambda series: series.apply(func, **options))

    def applymap(self, func: Any, *rest: Any, **options: Any) -> Frame:
        """The same by its older name."""
        return self.map(func, *rest, **options)

    def pipe(self, func: Any, *args: Any, **options: Any) -> Any:
        """A function of the whole frame."""
        return func(self, *args, **options)

    def fillna(self, value: Any = None, **options: Any) -> Any:
        """Constants for what is missing, one or one per column."""
        if options.get("method"):
            raise TraceError(f"fillna(method=...) {OTHER_ROWS}")
        table = value.to_dict() if isinstance(value, pd.Series) else value
        made = self.copy()
        for name in self.parts:
            if isinstance(table, Mapping) and name not in table:
                continue
            each = table[name] if isinstance(table, Mapping) else table
            made.parts[name] = self[name].fillna(each).column
        return self._inplace(made, options)

    def _inplace(self, made: Frame, options: Mapping[str, Any]) -> Any:
        if not options.get("inplace"):
            return made
        self.__dict__["parts"] = made.parts
        return None

    def astype(self, dtype: Any, *_rest: Any, **_options: Any) -> Frame:
        """Other types, one or one per column."""
        made = self.copy()
        for name in self.parts:
            if not isinstance(dtype, Mapping):
                made.parts[name] = self[name].astype(dtype).column
            elif name in dtype:
                made.parts[name] = self[name].astype(dtype[name]).column
        return made

    def replace(self, to_replace: Any = None, value: Any = None, **options: Any) -> Any:
        """Some values by others in every column."""
        if options.get("regex"):
            raise TraceError("replace(regex=True) is not traced")
        table = pairs(to_replace, value)

        def each(series: Series) -> Series:
            text = series.column.is_text
            own = {old: new for old, new in table.items() if isinstance(old, str) == text}
            return series.replace(own) if own else series

        return self._inplace(self._each(each), options)

    def where(self, condition: Any, other: Any = np.nan, **_options: Any) -> Frame:
        """The values where a condition holds, else others."""
        return self._each(lambda series: series.where(part_of(condition, series, self), other))

    def mask(self, condition: Any, other: Any = np.nan, **_options: Any) -> Frame:
        """The values where a condition does not hold, else others."""
        return self._each(lambda series: series.mask(part_of(condition, series, self), other))

    def dot(self, other: Any) -> Any:
        """The product with constants."""
        made = self.to_numpy() @ np.asarray(other)
        if made.ndim == 1:
            return Series(self.tape, Column(array=made))
        names = list(getattr(other, "columns", range(made.cells.shape[0])))
        return Frame(self.tape, {n: Column(array=made[:, i]) for i, n in enumerate(names)})

    def _over_columns(self, name: str, options: dict[str, Any]) -> Series:
        axis = options.pop("axis", 0)
        if axis not in (1, "columns"):
            raise TraceError(f"DataFrame.{name} without axis=1 {OTHER_ROWS}")
        skip = options.pop("skipna", True)
        options.pop("numeric_only", None)
        if name in ("std", "var"):
            options.setdefault("ddof", 1)
        array = self.to_numpy()
        if name == "median":
            if skip:
                raise TraceError("median(axis=1) is traced with skipna=False")
            return Series(self.tape, Column(array=lib.median(array, axis=1)))
        plain, without = REDUCING[name]
        made = self.tape.functions[without if skip else plain](array, axis=1, **options)
        if skip and name in ("min", "max") and array.dtype.kind == "f":
            pass  # fmin and fmax leave NaN where all are missing, as pandas does
        return Series(self.tape, Column(array=made))

    def __getattr__(self, name: str) -> Any:
        if name in self.parts:
            return self[name]
        if name.startswith("_") or not hasattr(pd.DataFrame, name):
            raise AttributeError(f"'DataFrame' object has no attribute {name!r}")
        if name in MOVING:
            return lambda *args, **options: self._inplace(
                self.moved(
                    lambda places: getattr(places, name)(
                        *args, **{k: v for k, v in options.items() if k != "inplace"}
                    )
                ),
                options,
            )
        if name in REDUCING or name == "median":
            return lambda axis=0, **options: self._over_columns(name, {"axis": axis, **options})
        operation = ARITHMETIC.get(name)
        if operation is not None:
            return lambda other, axis="columns", **_: self._arithmetic(operation, other, axis)
        if name in ("abs", "round", "clip", "isna", "isnull", "notna", "notnull", "isin"):
            return lambda *args, **options: self._each(
                lambda series: getattr(series, name)(*args, **options)
            )
        if name in OVER_ROWS:
            raise TraceError(f"DataFrame.{name} {OTHER_ROWS}")
        raise TraceError(f"DataFrame.{name} is not traced")

    def _arithmetic(self, operation: Callable[[Any, Any], Any], other: Any, axis: Any) -> Any:
        if isinstance(other, Series):
            if axis not in (0, "index"):
                raise TraceError("a column is matched with the columns: use axis=0")
            return self._each(lambda series: operation(series, other))
        return operation(self, other)

    # numpy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return self.tape.functions["pandas.ufunc"](self.tape, ufunc, method, inputs, options)

    def __array_function__(self, function: Any, _types: Any, arguments: Any, options: Any) -> Any:
        return self.tape.functions["pandas.function"](function, arguments, options)

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, int | float) and not isinstance(other, bool):
            return self._each(lambda series: series**other)
        return lib.power(self, other)
