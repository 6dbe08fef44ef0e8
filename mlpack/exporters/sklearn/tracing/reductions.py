"""One number per row out of several columns, summed in numpy's order."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.tracing.arrays import Array, combine
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, TRUTH, WHOLE, lib
from mlpack.exporters.sklearn.tracing.values import Value

_OTHERS = (
    "over the rows, so one row's answer depends on the other rows: learn it in fit and keep it, "
    "or give axis=1 for a number per row"
)
UNROLLED = 8
BLOCK = 128


def _columns(name: str, array: Array, axis: Any) -> tuple[list[Array], int]:
    """The arrays along the reduced axes, in order, and where the result's rows stand."""
    if axis is None:
        axes = tuple(range(array.ndim))
    else:
        axes = tuple(int(each) % array.ndim for each in np.atleast_1d(axis))
    if array.axis in axes:
        raise TraceError(f"{name} goes {_OTHERS}")
    place = [each - (each > array.axis) for each in axes]
    moved = np.moveaxis(array.cells, place, range(-len(place), 0))
    flat = moved.reshape(*moved.shape[: moved.ndim - len(place)], -1)
    row = array.axis - sum(each < array.axis for each in axes)
    return [array.made(flat[..., index], row) for index in range(flat.shape[-1])], row


def _stacked(parts: list[Array]) -> Array:
    """The parts side by side, on a new last axis."""
    cells = np.stack([part.cells for part in parts], axis=-1)
    return parts[0].made(cells, parts[0].axis)


def total(parts: list[Array]) -> Array:
    """The sum in the order of numpy's pairwise summation of a row."""
    count = len(parts)
    if count < UNROLLED:
        return reduce(operator.add, parts)
    if count <= BLOCK:
        whole = count - count % UNROLLED
        lanes = _stacked(parts[:UNROLLED])
        for start in range(UNROLLED, whole, UNROLLED):
            lanes = lanes + _stacked(parts[start : start + UNROLLED])
        while lanes.cells.shape[-1] > 1:
            lanes = lanes[..., ::2] + lanes[..., 1::2]
        return reduce(operator.add, parts[whole:], lanes[..., 0])
    half = count // 2
    half -= half % UNROLLED
    return total(parts[:half]) + total(parts[half:])


def _kept(result: Array, array: Array, axis: Any, *, keepdims: bool) -> Array:
    """The reduced axes back with the size of one, if asked."""
    if not keepdims:
        return result
    axes = sorted(int(each) % array.ndim for each in np.atleast_1d(axis))
    key: list[Any] = [slice(None)] * array.ndim
    for each in axes:
        key[each] = None
    return result[tuple(key)]


def _reduced(name: str, combined: Callable[[list[Array]], Array]) -> Callable[..., Array]:
    def function(
        array: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Array:
        if out is not None or where is not True:
            raise TraceError(f"{name} with out= or where= is not traced")
        if dtype is not None:
            array = array.astype(dtype)
        parts, _ = _columns(name, array, axis)
        if initial is not None and not isinstance(initial, type(np._NoValue)):  # noqa: SLF001
            raise TraceError(f"{name} with initial= is not traced")
        wanted = keepdims if isinstance(keepdims, bool | np.bool_) else False
        return _kept(combined(parts), array, axis, keepdims=bool(wanted))

    return function


def _numbers(parts: list[Array]) -> list[Array]:
    """Truths and small whole numbers are counted as whole numbers."""
    if parts[0].dtype.kind in "bi" and parts[0].dtype != WHOLE:
        return [part.astype(WHOLE) for part in parts]
    return parts


def _sum(parts: list[Array]) -> Array:
    return total(_numbers(parts))


def _floats(parts: list[Array]) -> list[Array]:
    return parts if parts[0].dtype.kind == "f" else [part.astype(FLOAT64) for part in parts]


def _mean(parts: list[Array]) -> Array:
    floats = _floats(parts)
    made: Array = total(floats) / floats[0].dtype.type(len(parts))
    return made


def _product(parts: list[Array]) -> Array:
    return reduce(operator.mul, _numbers(parts))


def _largest(parts: list[Array]) -> Array:
    return reduce(lib.maximum, parts)


def _smallest(parts: list[Array]) -> Array:
    return reduce(lib.minimum, parts)


def _squares(parts: list[Array], ddof: float) -> Array:
    floats = _floats(parts)
    middle = _mean(parts)
    away = [part - middle for part in floats]
    divisor = max(len(parts) - ddof, 0)
    return total([each * each for each in away]) / floats[0].dtype.type(divisor)


def _spread(name: str, *, root: bool, absent: bool) -> Callable[..., Array]:
    def function(
        array: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: Any = False,
        *,
        correction: Any = None,
    ) -> Array:
        if dtype is not None or out is not None:
            raise TraceError(f"{name} with dtype= or out= is not traced")
        if isinstance(correction, int | float):
            ddof = correction
        parts, _ = _columns(name, array, axis)
        made = _present_squares(parts, ddof) if absent else _squares(parts, ddof)
        return _kept(lib.sqrt(made) if root else made, array, axis, keepdims=keepdims is True)

    return function


# Without NaN


def _filled(parts: list[Array], value: float) -> list[Array]:
    if parts[0].dtype.kind != "f":
        return parts
    return [lib.where(lib.isnan(part), part.dtype.type(value), part) for part in parts]


def _count(parts: list[Array]) -> Array:
    if parts[0].dtype.kind != "f":
        return _sum([lib.ones_like(part, dtype=TRUTH) for part in parts])
    return _sum([~lib.isnan(part) for part in parts])


def _present_mean(parts: list[Array]) -> Array:
    return total(_floats(_filled(parts, 0.0))) / _count(parts)


def _present_squares(parts: list[Array], ddof: float) -> Array:
    middle = _present_mean(parts)
    away = [
        lib.where(lib.isnan(part), part.dtype.type(0), part - middle) for part in _floats(parts)
    ]
    degrees = _count(parts) - ddof
    spread = total([each * each for each in away]) / degrees
    return lib.where(degrees <= 0, np.nan, spread)


def _present_largest(parts: list[Array]) -> Array:
    return reduce(lib.fmax, parts)


def _present_smallest(parts: list[Array]) -> Array:
    return reduce(lib.fmin, parts)


# Truths and places


def _truths(parts: list[Array]) -> list[Array]:
    return [part.astype(TRUTH) for part in parts]


def _place(compare: Callable[[Any, Any], Any]) -> Callable[[list[Array]], Array]:
    """The first place of the extreme; a NaN counts as the extreme, as it does to numpy."""

    def combined(parts: list[Array]) -> Array:
        best = parts[0]
        place: Any = lib.zeros_like(best, dtype=WHOLE)
        for index, part in enumerate(parts[1:], start=1):
            better: Any = compare(part, best)
            if best.dtype.kind == "f":
                better = (better | lib.isnan(part)) & ~lib.isnan(best)
            place = lib.where(better, index, place)
            best = lib.where(better, part, best)
        made: Array = place
        return made

    return combined


def _running(name: str, step: Callable[[Any, Any], Any]) -> Callable[..., Array]:
    def function(array: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
        if dtype is not None or out is not None:
            raise TraceError(f"{name} with dtype= or out= is not traced")
        parts = _numbers(_columns(name, array, axis)[0])
        made = [parts[0]]
        for part in parts[1:]:
            made.append(step(made[-1], part))
        stacked = _stacked(made)
        place = int(axis) % array.ndim
        cells = np.moveaxis(stacked.cells, -1, place - (place > array.axis))
        return array.made(cells, array.axis, stacked.dtype)

    return function


def sort(array: Array, axis: Any = -1, kind: Any = None, order: Any = None) -> Array:
    """The columns of a row in order, NaN last."""
    del kind, order
    parts, _ = _columns("sort", array, axis)
    # A network that sorts by comparing neighbours: rows are short.
    ordered = list(parts)
    for end in range(len(ordered) - 1, 0, -1):
        for index in range(end):
            low, high = ordered[index], ordered[index + 1]
            ordered[index], ordered[index + 1] = lib.fmin(low, high), lib.maximum(low, high)
    stacked = _stacked(ordered)
    place = int(axis) % array.ndim
    return array.made(np.moveaxis(stacked.cells, -1, place - (place > array.axis)), array.axis)


def _middle(parts: list[Array]) -> Array:
    floats = _floats(parts)
    ordered = sort(_stacked(floats))
    half = len(parts) // 2
    if len(parts) % 2:
        found = ordered[..., half]
    else:
        found = (ordered[..., half - 1] + ordered[..., half]) / 2
    absent: Any = reduce(operator.or_, [lib.isnan(part) for part in floats])
    return lib.where(absent, np.nan, found)


def norm(array: Array, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Array:  # noqa: A002 - numpy's name
    """The length of a row."""
    parts = _floats(_columns("norm", array, axis)[0])
    if ord in (None, 2):
        made: Any = lib.sqrt(total([part * part for part in parts]))
    elif ord == 1:
        made = total([lib.abs(part) for part in parts])
    elif ord == np.inf:
        made = _largest([lib.abs(part) for part in parts])
    else:
        raise TraceError(f"np.linalg.norm(ord={ord!r}) is not traced")
    return _kept(made, array, axis, keepdims=keepdims is True)


def count_of(truth: Array) -> Array:
    """How many columns of a matrix of truths hold, in one node: int64 [rows, 1]."""
    return combine(truth.tape, Value.sum_columns, WHOLE, truth)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduced("sum", _sum),
    "mean": _reduced("mean", _mean),
    "prod": _reduced("prod", _product),
    "max": _reduced("max", _largest),
    "amax": _reduced("max", _largest),
    "min": _reduced("min", _smallest),
    "amin": _reduced("min", _smallest),
    "std": _spread("std", root=True, absent=False),
    "var": _spread("var", root=False, absent=False),
    "nanstd": _spread("nanstd", root=True, absent=True),
    "nanvar": _spread("nanvar", root=False, absent=True),
    "nansum": _reduced("nansum", lambda parts: _sum(_filled(parts, 0.0))),
    "nanprod": _reduced("nanprod", lambda parts: _product(_filled(parts, 1.0))),
    "nanmean": _reduced("nanmean", _present_mean),
    "nanmax": _reduced("nanmax", _present_largest),
    "nanmin": _reduced("nanmin", _present_smallest),
    "any": _reduced("any", lambda parts: reduce(operator.or_, _truths(parts))),
    "all": _reduced("all", lambda parts: reduce(operator.and_, _truths(parts))),
    "count_nonzero": _reduced("count_nonzero", lambda parts: _sum(_truths(parts))),
    "argmax": _reduced("argmax", _place(operator.gt)),
    "argmin": _reduced("argmin", _place(operator.lt)),
    "median": _reduced("median", _middle),
    "ptp": _reduced("ptp", lambda parts: _largest(parts) - _smallest(parts)),
    "cumsum": _running("cumsum", operator.add),
    "cumprod": _running("cumprod", operator.mul),
    "sort": sort,
    "norm": norm,
}
