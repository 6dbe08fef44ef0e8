"""Calls a function with stand-ins and takes what it answers as columns of the graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn import config_context

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.exporters.sklearn.tracing import functions, pandas_functions
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.coded import Coded
from mlpack.exporters.sklearn.tracing.columns import Column
from mlpack.exporters.sklearn.tracing.dates import Dated
from mlpack.exporters.sklearn.tracing.elementwise import without_rows
from mlpack.exporters.sklearn.tracing.errors import TraceError, where
from mlpack.exporters.sklearn.tracing.frames import Frame
from mlpack.exporters.sklearn.tracing.located import numbers
from mlpack.exporters.sklearn.tracing.series import Series
from mlpack.exporters.sklearn.tracing.substitutes import substituted
from mlpack.exporters.sklearn.tracing.tape import (
    FLOAT32,
    FLOAT64,
    TRUTH,
    WHOLE,
    Cell,
    Tape,
)
from mlpack.ports import NotExportableError

MANY, FEW = 10_007, 3
"""Two numbers of rows: a function that looks at them gives itself away."""

FUNCTIONS = {**functions.FUNCTIONS, **pandas_functions.FUNCTIONS}


@dataclass(frozen=True)
class _Answer:
    """What a function answered, column by column."""

    holder: Literal["frame", "series", "array", "vector"]
    names: tuple[Any, ...]
    columns: tuple[Column, ...]

    def agrees(self, other: _Answer) -> bool:
        """Whether two calls answered the same."""
        return (self.holder, self.names) == (other.holder, other.names) and all(
            _identity(a) == _identity(b) for a, b in zip(self.columns, other.columns, strict=True)
        )


def _identity(column: Column) -> tuple[Any, ...]:
    if column.origin is not None:
        return ("origin", column.origin.name, column.origin.tensor, column.origin.index)
    array = column.array
    coded = column.coded
    return (
        None if array is None else (array.cells[()], array.dtype),
        None if coded is None else (coded.raw, repr(coded.values)),
    )


def trace(
    path: str,
    function: Callable[[Any], Any],
    features: tuple[Feature, ...],
    context: Context,
    *,
    packages: set[str],
    more: Sequence[dict[str, Any]] = (),
    name: str = "the function",
) -> tuple[Feature, ...]:
    """The columns that `function` makes of `features`, as nodes of the graph.

    Args:
        path: of the step.
        function: it is given a stand-in for a frame, a series or an array, whatever holds the
            features; it is called several times.
        features: what the step receives.
        context: what the export shares.
        packages: the user's own packages, in which names are substituted.
        more: other namespaces of the user's.
        name: what the function is called in messages.

    Raises:
        NotExportableError: it does something that no graph can do; the reason has the line.
    """
    base = next((each for each in features if each.tensor or each.raw), None)
    tape = Tape(path, context, base, FUNCTIONS)

    def once(rows: int, *, whole: bool = True) -> _Answer:
        tape.rows = rows
        with (
            substituted(tape, packages, list(more)),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            config_context(transform_output="default"),
        ):
            warnings.simplefilter("ignore")
            return _answer(tape, function(stand_in(tape, features, whole=whole)), rows)

    try:
        answer = once(MANY)
        agrees = once(FEW).agrees(answer)
        absent = _may_be_missing(tape)
        other = once(MANY, whole=False) if absent else None
    except NotExportableError:
        raise
    except (TraceError, Exception) as error:
        raise NotExportableError(path, _reason(name, error)) from error
    if tape.absent:
        raise NotExportableError(path, f"{name} is given numbers that are not in the graph")
    if not agrees:
        raise NotExportableError(
            path,
            f"{name} gives another answer when it is called again: it depends on chance, on time, "
            "on the number of rows or on what it remembers",
        )
    return _made(tape, path, answer, other, absent)


def _reason(name: str, error: BaseException) -> str:
    line = where(error.__traceback__)
    place = f" ({line})" if line else ""
    if isinstance(error, TraceError):
        return f"{name} cannot be traced{place}: {error}"
    told = (str(error).splitlines() or [""])[0][:200]
    return f"{name} raises while it is traced{place}: {type(error).__name__}: {told}"


# What goes in


def stand_in(tape: Tape, features: tuple[Feature, ...], *, whole: bool = True) -> Any:
    """A stand-in for what the step is given: a frame, a series or an array."""
    holder = features[0].holder if features else "array"
    columns = [_column(tape, feature, whole=whole) for feature in features]
    if holder == "frame":
        names = [feature.name for feature in features]
        if len(set(names)) != len(names):
            raise TraceError("two columns of the frame have the same name")
        return Frame(tape, dict(zip(names, columns, strict=True)))
    if holder == "series":
        return Series(tape, columns[0], features[0].name)
    if holder == "other":
        raise TraceError(
            "it is given a frame that is not pandas': use set_output(transform='pandas')"
        )
    if any(column.is_text for column in columns):
        raise TraceError(
            "it is given an array of text: let it be the first step, on a frame, or encode before"
        )
    made = numbers(tape, columns)
    return made[:, 0] if holder == "vector" else made


def _column(tape: Tape, feature: Feature, *, whole: bool) -> Column:
    """One column of what the step before handed over."""
    raw = next((c for c in tape.context.signature.columns if c.name == feature.raw), None)
    coded = None
    if feature.values is not None and feature.raw is not None:
        dtype = raw.dtype if raw is not None else "object"
        coded = Coded(tape, feature.raw, feature.values, dtype, feature.text)
    if raw is not None and raw.type in ("date", "datetime"):
        return Column(origin=feature, dated=Dated(tape, raw, whole=whole))
    if feature.tensor is None or (raw is not None and raw.dtype == "category"):
        if raw is not None and raw.type != "string" and raw.dtype != "category":
            return Column(coded=coded, origin=feature, make=lambda: _nothing(tape), kind=FLOAT64)
        return Column(coded=coded, origin=feature)
    cell = Cell(feature.tensor, feature.index)
    kind = FLOAT64
    if raw is not None and feature.tensor == "numbers":
        kinds = {"integer": WHOLE, "boolean": TRUTH}
        kind = kinds.get(raw.type, FLOAT32 if raw.dtype == "float32" else FLOAT64)
    if not whole and kind in (WHOLE, TRUTH):
        kind = FLOAT64

    def make() -> Array:
        found = cell
        if kind in (WHOLE, TRUTH):
            found = tape.whole(cell, str(feature.raw), kind)
        cells = np.empty((), dtype=object)
        cells[()] = found
        if kind == FLOAT32:
            cells = tape.cast(cells, FLOAT64, FLOAT32)
        return Array(tape, cells, kind)

    return Column(coded=coded, origin=feature, make=make, kind=kind)


def _nothing(tape: Tape) -> Array:
    """In the place of a raw number that the graph does not have, because nobody could use it."""
    tape.absent = True
    plain = np.array(np.nan)
    return Array(tape, tape.filled(plain, FLOAT64), FLOAT64)


def _may_be_missing(tape: Tape) -> list[Cell]:
    """Whole raw numbers that were used, and that a row may lack: pandas then has floats."""
    nullable = {column.name for column in tape.context.signature.columns if column.nullable}
    return [tape.whole_used[name] for name in sorted(tape.whole_used) if name in nullable]


# What comes out


def _answer(tape: Tape, result: Any, rows: int) -> _Answer:
    if isinstance(result, Frame):
        return _Answer("frame", tuple(result.parts), tuple(result.parts.values()))
    if isinstance(result, Series):
        return _Answer("series", (result.name,), (result.column,))
    given: Any = result
    if type(given) is np.ndarray:
        if result.ndim in (1, 2) and result.shape[:1] == (rows,) and result.dtype.kind in "biuf":
            plain = without_rows(result, result.ndim, tape)
            result = Array(tape, tape.filled(plain, plain.dtype), plain.dtype)
        else:
            raise TraceError("it answers an array that has no row for each row")
    if not isinstance(result, Array):
        raise TraceError(f"it answers {type(result).__name__}, which is no array and no frame")
    if result.mask is not None:
        raise TraceError("it answers some of the rows only")
    if result.axis != 0 or result.ndim > 2:
        raise TraceError(f"it answers {result!r}: one row for each row is wanted")
    flat = [result.made(np.array(None, dtype=object), 0) for _ in result.cells.flat]
    for part, cell in zip(flat, result.cells.flat, strict=True):
        part.cells = np.empty((), dtype=object)
        part.cells[()] = cell
    return _Answer(
        "array" if result.ndim == 2 else "vector",
        (None,) * len(flat),
        tuple(Column(array=part) for part in flat),
    )


def _made(
    tape: Tape, path: str, answer: _Answer, other: _Answer | None, absent: list[Cell]
) -> tuple[Feature, ...]:
    """The features of an answer; of the other one in rows where a whole number is missing."""
    if other is not None and (answer.holder, answer.names) != (other.holder, other.names):
        raise NotExportableError(path, "its columns depend on whether a whole number is missing")
    missing = _any_missing(tape, absent) if other is not None else ""
    made: list[Feature] = []
    for index, (name, column) in enumerate(zip(answer.names, answer.columns, strict=True)):
        named = None if name is None else name if isinstance(name, str) else str(name)
        if column.origin is not None:
            made.append(replace(column.origin, name=named, holder=answer.holder))
            continue
        feature = Feature(name=named, holder=answer.holder)
        if column.coded is not None and not (column.has_array and column.coded.text):
            coded = column.coded
            feature = replace(
                feature,
                raw=coded.raw,
                values=coded.values,
                text=None if coded.fill is not None else coded.text,
            )
        if not column.is_text:
            cell = _double(tape, column)
            if other is not None:
                second = _double(tape, other.columns[index])
                if second != cell:
                    cell = tape.cells(
                        tape.node("Where", [missing, tape.matrix([second]), tape.matrix([cell])]),
                        (1,),
                    )[0]
            feature = replace(feature, tensor=cell.tensor, index=cell.index)
        made.append(feature)
    return tuple(made)


def _double(tape: Tape, column: Column) -> Cell:
    array = column.numbers()
    cell: Any = tape.cast(array.cells, array.dtype, FLOAT64)[()]
    return cell


def _any_missing(tape: Tape, cells: list[Cell]) -> str:
    """Rows in which one of some raw columns is missing: bool [rows, 1]."""
    absent = tape.node("Cast", [tape.node("IsNaN", [tape.matrix(cells)])], to=int(DOUBLE))
    most = tape.node("ReduceMax", [absent, tape.indices([1])], keepdims=1)
    return tape.node("Cast", [most], to=9)


def trace_numbers(
    path: str, function: Callable[[Any], Any], tensor: str, width: int, context: Context
) -> str:
    """What a function of an array of numbers makes of a tensor, such as the inverse of a target.

    Args:
        path: of the step.
        function: it is given a stand-in for an array: float64 [rows, width], or [rows] for a
            width of 0.
        tensor: float64 [rows, max(width, 1)].
        width: how many columns.
        context: what the export shares.

    Returns:
        float64 [rows, columns of the answer].

    Raises:
        NotExportableError: it does something that no graph can do.
    """
    features = tuple(
        replace(each, holder="array" if width else "vector")
        for each in context.made(tensor, [None] * max(width, 1))
    )
    made = trace(
        path,
        function,
        features,
        context,
        packages=own_packages(function),
        more=globals_of(function),
        name=name_of_function(function),
    )
    return context.matrix(made, path)


def own_packages(function: Any) -> set[str]:
    """The package of a function or a class, and of what it is made of."""
    kinds = type.mro(function) if isinstance(function, type) else [_inner(function)]
    found = {str(getattr(kind, "__module__", "")).split(".")[0] for kind in kinds}
    return found - {"", "builtins", "numpy", "pandas", "sklearn", "scipy"}


def globals_of(function: Any) -> list[dict[str, Any]]:
    """The names that a function sees."""
    found = getattr(_inner(function), "__globals__", None)
    return [found] if isinstance(found, dict) else []


def _inner(function: Any) -> Any:
    while hasattr(function, "func") and callable(function.func):  # functools.partial
        function = function.func
    return getattr(function, "__func__", function)


def name_of_function(function: Any) -> str:
    """A function as the user would call it."""
    inner = _inner(function)
    name = getattr(inner, "__name__", None) or type(inner).__name__
    return "the lambda" if name == "<lambda>" else f"{name}()"
