"""What numpy's and pandas' functions make of stand-ins for frames and series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.tracing import columns as col
from mlpack.exporters.sklearn.tracing import derived
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.columns import Column, Rows
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.frames import Frame
from mlpack.exporters.sklearn.tracing.series import Series
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, WHOLE, Tape, lib

_ZEROS = ("floor_divide", "remainder")


def unwrapped(value: Any) -> Any:
    """Arrays in the place of frames and series, in lists too."""
    if isinstance(value, Series) and value.column.is_text:
        return value.column  # text is chosen by np.where, and refused elsewhere
    if isinstance(value, Frame | Series):
        return value.to_numpy()
    if isinstance(value, list | tuple):
        return type(value)(unwrapped(each) for each in value)
    return value


def ufunc_of(
    tape: Tape, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """A ufunc of frames and series, with pandas' own rules where they differ from numpy's."""
    out = options.pop("out", None)
    if method != "__call__":
        return getattr(ufunc, method)(*unwrapped(inputs), **options)
    frames = [each for each in inputs if isinstance(each, Frame)]
    if frames:
        made = _framed(tape, ufunc, inputs, frames, options)
    else:
        made = _of_columns(tape, ufunc, inputs, options)
    if out is None:
        return made
    target = out[0]
    if isinstance(target, Series):
        target.column = made.column
    elif isinstance(target, Frame):
        target.__dict__["parts"] = made.parts
    else:
        target[...] = unwrapped(made)
    return target


def _of_columns(
    tape: Tape, ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    series = [each for each in inputs if isinstance(each, Series)]
    names = {each.name if _hashable(each.name) else None for each in series}
    name = names.pop() if len(names) == 1 else None
    text = [each for each in series if each.column.is_text]
    if text:
        return Series(tape, Column(array=_text(ufunc, inputs)), name)
    given = [unwrapped(each) for each in inputs]
    if any(isinstance(each, Array) and each.ndim > 1 for each in given):
        raise TraceError("a series meets an array of several columns")
    if any(isinstance(each, pd.Series) for each in given):
        raise TraceError("a column meets a constant series, row by row")
    if ufunc.__name__ in _ZEROS and all(
        getattr(each, "dtype", np.asarray(0).dtype).kind in "iu" for each in given
    ):
        divisor = given[1]
        if isinstance(divisor, Array) or not np.all(divisor):
            # pandas answers an infinity or NaN for a zero, numpy zero.
            given = [
                each.astype(FLOAT64) if isinstance(each, Array) else float(each) for each in given
            ]
    made = ufunc(*given, **options)
    if isinstance(made, tuple):
        return tuple(Series(tape, Column(array=each), name) for each in made)
    return Series(tape, Column(array=made), name)


def _hashable(name: Any) -> bool:
    return name is None or isinstance(name, str | int | float | tuple)


def _text(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """Text can be compared with a constant."""
    first, second = (*inputs, None)[:2]
    if isinstance(second, Series) and not isinstance(first, Series):
        first, second = second, first
    if ufunc.__name__ not in ("equal", "not_equal") or isinstance(second, Series):
        raise TraceError(f"np.{ufunc.__name__} of a column of text is not traced")
    equal = first.column.coded.equals(second)
    return equal if ufunc.__name__ == "equal" else ~equal


def _framed(
    tape: Tape,
    ufunc: np.ufunc,
    inputs: tuple[Any, ...],
    frames: Sequence[Frame],
    options: dict[str, Any],
) -> Frame:
    names = list(frames[0].parts)
    if any(set(each.parts) != set(names) for each in frames):
        raise TraceError("frames of different columns meet")
    plain = not any(part.is_text for frame in frames for part in frame.parts.values())
    kinds = {part.dtype for frame in frames for part in frame.parts.values()} if plain else set()
    if len(kinds) == 1 and all(each.kind == "f" for each in kinds):
        # All columns in one operation.
        given = [
            each[names].to_numpy() if isinstance(each, Frame) else _row(each, names)
            for each in inputs
        ]
        array = ufunc(*given, **options)
        return Frame(tape, {n: Column(array=array[:, i]) for i, n in enumerate(names)})
    made = {
        name: _of_columns(
            tape, ufunc, tuple(_of_name(each, name, names) for each in inputs), dict(options)
        ).column
        for name in names
    }
    return Frame(tape, made)


def _row(value: Any, names: list[Any]) -> Any:
    """What meets all columns at once, in their order."""
    if isinstance(value, Series):
        raise TraceError("a column is matched with the columns: use frame.mul(column, axis=0)")
    if isinstance(value, pd.Series):
        if set(value.index) != set(names):
            raise TraceError("a constant series does not have the names of the columns")
        return value[names].to_numpy()
    return value


def _of_name(value: Any, name: Any, names: list[Any]) -> Any:
    if isinstance(value, Frame):
        return value[name]
    row = _row(value, names)
    if isinstance(row, Array) and row.ndim == 2:
        return row[:, names.index(name) if row.cells.shape[0] > 1 else 0]
    if np.ndim(row) == 1 and not isinstance(row, Array):
        return np.asarray(row)[names.index(name)]
    return row


def function_of(function: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """A function of numpy, of the numbers of frames and series."""
    if function.__name__ in ("shape", "ndim", "size"):
        return getattr(arguments[0], function.__name__)
    if function.__name__ in ("round", "around", "clip", "copy", "abs") and isinstance(
        arguments[0], Frame | Series
    ):
        name = "round" if function.__name__ == "around" else function.__name__
        return getattr(arguments[0], name)(*arguments[1:], **options)
    given = {name: unwrapped(value) for name, value in options.items()}
    if isinstance(arguments[0], Frame) and function.__name__ in (
        "sum", "mean", "min", "max", "amin", "amax", "std", "var", "prod",
    ):  # fmt: skip
        # numpy asks the frame, and a frame leaves the missing ones out.
        name = {"amin": "min", "amax": "max"}.get(function.__name__, function.__name__)
        axis = given.pop("axis", None if len(arguments) < 2 else arguments[1])
        return getattr(arguments[0], name)(axis=axis, **given)
    return function(*unwrapped(arguments), **given)


# pandas' own functions


def concat(objs: Any, axis: Any = 0, **options: Any) -> Any:
    """Frames and series side by side."""
    listed = list(objs.values()) if isinstance(objs, Mapping) else list(objs)
    if not any(isinstance(each, Frame | Series) for each in listed):
        return pd.concat(objs, axis=axis, **options)
    if axis not in (1, "columns"):
        raise TraceError("rows are put below rows: one row's answer must be one row")
    parts: dict[Any, Column] = {}
    for each in listed:
        if isinstance(each, Frame):
            found = dict(each.parts)
        elif isinstance(each, Series):
            found = {each.name if each.name is not None else len(parts): each.column}
        else:
            raise TraceError("a constant frame is put beside the data")
        if set(found) & set(parts):
            raise TraceError("two columns get the same name")
        parts |= found
    tape = next(each.tape for each in listed if isinstance(each, Frame | Series))
    return Frame(tape, parts)


def is_missing(value: Any) -> Any:
    """``pd.isna``."""
    if isinstance(value, Frame | Series):
        return value.isna()
    return lib.isnan(value) if isinstance(value, Array) else pd.isna(value)


def is_present(value: Any) -> Any:
    """``pd.notna``."""
    made = is_missing(value)
    return not made if isinstance(made, bool) else ~made


def cut(x: Any, bins: Any, right: bool = True, labels: Any = None, **options: Any) -> Any:
    """Bins with constant edges, as numbers: ``labels=False`` or labels that are numbers."""
    if not isinstance(x, Series | Array):
        return pd.cut(x, bins, right=right, labels=labels, **options)
    lowest = options.pop("include_lowest", False)
    if any(value not in (None, False, "raise", 3, True) for value in options.values()):
        raise TraceError(f"pd.cut({', '.join(options)}) is not traced")
    if isinstance(bins, int):
        raise TraceError("pd.cut with a number of bins depends on the other rows: give the edges")
    edges = np.asarray(bins, np.float64)
    array: Any = unwrapped(x).astype(FLOAT64)
    place = array.tape.functions["searchsorted"](edges, array, "left" if right else "right")
    if lowest:
        place = lib.where(array == edges[0], 1, place)
    outside = (place == 0) | (place == len(edges)) | lib.isnan(array)
    number = lib.where(outside, np.nan, (place - 1).astype(FLOAT64))
    if labels is not False:
        if labels is None or any(isinstance(each, str) for each in labels):
            if labels is None:
                raise TraceError("pd.cut without labels is not traced: use labels=False, or names")
            named = lib.where(outside, len(labels), place - 1)
            made = derived.chosen(array.tape, named, [*labels, np.nan])
            array.tape.closed.add(made.raw)
            return Series(array.tape, Column(coded=made), getattr(x, "name", None))
        number = lib.where(
            outside,
            np.nan,
            array.tape.functions["take_table"](
                lib.minimum(lib.maximum(place - 1, 0), len(labels) - 1).astype(WHOLE), list(labels)
            ),
        )
    if isinstance(x, Series):
        return Series(x.tape, Column(array=number), x.name)
    return number


def take_table(place: Array, table: list[float]) -> Array:
    """Constants by their places."""
    made: Any = lib.full(place.tape.rows, float(table[0]))
    for index, value in enumerate(table):
        made = lib.where(place == index, float(value), made)
    result: Array = made
    return result


def to_numeric(arg: Any, *rest: Any, **options: Any) -> Any:
    """Numbers stay numbers."""
    if not isinstance(arg, Series | Array):
        return pd.to_numeric(arg, *rest, **options)
    if isinstance(arg, Series) and arg.column.is_text:
        raise TraceError("pd.to_numeric of a column of text is not traced")
    return arg


def frame(tape: Tape, data: Any, index: Any = None, columns: Any = None) -> Frame:
    """``pd.DataFrame(...)`` of something traced."""
    if index is not None and not isinstance(index, Rows):
        raise TraceError("a frame gets an index of its own")
    if isinstance(data, Frame):
        return data[list(columns)] if columns is not None else data.copy()
    if isinstance(data, Series):
        return Frame(tape, {data.name if columns is None else next(iter(columns)): data.column})
    if isinstance(data, Mapping):
        made = {
            name: value if isinstance(value, Column) else col.of(value, tape)
            for name, value in data.items()
        }
        return Frame(tape, made if columns is None else {name: made[name] for name in columns})
    if isinstance(data, Array) and data.axis == 0:
        array = data if data.ndim == 2 else data[:, None]
        names = range(array.cells.shape[0]) if columns is None else list(columns)
        if len(names) != array.cells.shape[0]:
            raise ValueError(f"{array.cells.shape[0]} columns, {len(names)} names")
        return Frame(tape, {n: Column(array=array[:, i].copy()) for i, n in enumerate(names)})
    raise TraceError("a frame is made of something that is not traced")


def series(tape: Tape, data: Any, index: Any = None, dtype: Any = None, name: Any = None) -> Series:
    """``pd.Series(...)`` of something traced."""
    if index is not None and not isinstance(index, Rows):
        raise TraceError("a series gets an index of its own")
    column = data.column if isinstance(data, Series) else col.of(data, tape)
    made = Series(tape, column, name if name is not None else getattr(data, "name", None))
    return made if dtype is None else made.astype(dtype)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "pandas.ufunc": ufunc_of,
    "pandas.function": function_of,
    "pandas.frame": frame,
    "pandas.series": lambda tape, coded: Series(tape, Column(coded=coded)),
    "take_table": take_table,
}


def refused(name: str, why: str) -> Callable[..., Any]:
    """A function of pandas that no graph can do."""

    def function(*_arguments: Any, **_options: Any) -> Any:
        raise TraceError(f"pd.{name} {why}")

    return function


MODULE: dict[str, Callable[..., Any]] = {
    "get_dummies": refused("get_dummies", "depends on the other rows: use OneHotEncoder"),
    "qcut": refused("qcut", "depends on the other rows: use KBinsDiscretizer"),
    "factorize": refused("factorize", "depends on the other rows: use OrdinalEncoder"),
    "to_datetime": refused("to_datetime", "is not traced"),
    "merge": refused("merge", "is not traced: use .map with a table"),
    "concat": concat,
    "isna": is_missing,
    "isnull": is_missing,
    "notna": is_present,
    "notnull": is_present,
    "cut": cut,
    "to_numeric": to_numeric,
}
"""What stands in the place of pandas' functions while a function is traced."""
