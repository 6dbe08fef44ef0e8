"""numpy's functions that are no ufuncs: choosing, binning, looking up, products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.tracing import derived, reductions, structure
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.elementwise import Traced, apply, mask_of
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, TRUTH, WHOLE, lib
from mlpack.exporters.sklearn.tracing.ufuncs import truth
from mlpack.exporters.sklearn.tracing.values import Value


def _first(*given: Any) -> Array:
    for each in given:
        if isinstance(each, Array):
            return each
    raise TraceError("nothing here is traced")


def _types(*given: Any) -> np.dtype[Any]:
    return np.result_type(
        *(
            each.dtype
            if isinstance(each, Traced)
            else each
            if type(each) in (int, float, bool)
            else np.asarray(each)
            for each in given
        )
    )


def where(condition: Any, *choices: Any) -> Array:
    """One of two element by element."""
    if len(choices) != 2:
        raise TraceError("np.where(condition) alone counts rows: give it two choices")
    yes, no = choices
    if any(isinstance(each, str) or hasattr(each, "coded") for each in choices):
        return _text(condition, yes, no)
    dtype = _types(yes, no)
    if dtype.kind not in "biuf":
        raise TraceError(f"np.where of {dtype} is not traced: choose numbers")
    traced = _first(condition, yes, no)
    if not isinstance(condition, Traced):
        condition = np.asarray(condition).astype(bool)
    mask_of([condition, yes, no])
    kind = condition.dtype if isinstance(condition, Traced) else TRUTH

    def formula(chosen: Value, a: Value, b: Value) -> Value:
        return truth(chosen).where(a, b)

    cells, end = apply(traced.tape, (condition, yes, no), (kind, dtype, dtype), dtype, formula)
    return Array(traced.tape, cells, dtype, cells.ndim + 1 - end, traced.mask)


def _text(condition: Any, yes: Any, no: Any) -> Any:
    """One of two texts: a column of categories."""
    if not isinstance(condition, Array) or condition.ndim != 1:
        raise TraceError("text is chosen for one column at a time")
    tape = condition.tape
    given = [getattr(each, "coded", each) for each in (yes, no)]
    return tape.functions["pandas.series"](tape, derived.where(tape, condition, *given))


def clip(array: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    """Between two bounds; NaN stays."""
    low = options.pop("min", a_min)
    high = options.pop("max", a_max)
    if options:
        raise TraceError(f"np.clip({', '.join(options)}) is not traced")
    made = array
    if low is not None:
        made = lib.maximum(made, low)
    if high is not None:
        made = lib.minimum(made, high)
    return _out(made, out)


def _out(made: Array, out: Any) -> Array:
    if out is None:
        return made
    target = out[0] if isinstance(out, tuple) else out
    return target._into(made)  # noqa: SLF001


def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    """The choice of the first condition that holds."""
    if len(conditions) != len(choices):
        raise ValueError("list of cases must be same length as list of conditions")
    made: Any = default
    if any(isinstance(each, str) for each in (*choices, default)):
        for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
            made = lib.where(condition, choice, made)
        return made
    dtype = _types(*choices, default)
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        made = lib.where(condition, choice, made)
    return made.astype(dtype) if isinstance(made, Array) else made


def piecewise(
    array: Array, conditions: Any, functions: Sequence[Any], *arguments: Any, **options: Any
) -> Any:
    """A function per condition, all computed and one chosen."""
    listed = list(conditions) if isinstance(conditions, list | tuple) else [conditions]
    rest = functions[len(listed)] if len(functions) > len(listed) else 0

    def answer(function: Any) -> Any:
        return function(array, *arguments, **options) if callable(function) else function

    made: Any = lib.zeros_like(array)
    covered: Any = None
    for condition, function in zip(listed, functions, strict=False):
        made = lib.where(condition, answer(function), made)
        covered = condition if covered is None else covered | condition
    return lib.where(covered, made, answer(rest)).astype(array.dtype)


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Numbers in the place of NaN and the infinities."""
    if x.dtype.kind != "f":
        return x.copy() if copy else x
    limits = np.finfo(x.dtype)
    made: Any = lib.where(lib.isnan(x), x.dtype.type(nan), x)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    made = lib.where(x == np.inf, x.dtype.type(high), made)
    made = lib.where(x == -np.inf, x.dtype.type(low), made)
    return made if copy else x._into(made)  # noqa: SLF001


def around(array: Any, decimals: int = 0, out: Any = None) -> Any:
    """Rounded to the even neighbour, after numpy's multiplication by a power of ten."""
    if array.dtype.kind != "f":
        if decimals < 0:
            raise TraceError("whole numbers rounded to tens are not traced: use float")
        return array
    if decimals == 0:
        made: Any = lib.rint(array)
    elif decimals > 0:
        made = lib.rint(array * 10.0**decimals) / 10.0**decimals
    else:
        made = lib.rint(array / 10.0**-decimals) * 10.0**-decimals
    return _out(made, out)


def _reached(array: Any, edges: Any, side: str) -> Array:
    """How many of the edges each element reaches: `searchsorted`."""
    if isinstance(edges, Traced) or np.ndim(edges) != 1:
        raise TraceError("the bins must be constants")
    edges = np.asarray(edges)
    array = array if array.dtype == FLOAT64 else array.astype(FLOAT64)
    row = edges.astype(FLOAT64)
    if lib.isnan(row).any():
        raise TraceError("bins with NaN are not traced")
    counted: Array | None = None
    # One column at a time, so that no matrix is wider than the bins.
    made = np.empty(array.cells.shape, dtype=object)
    for place in np.ndindex(*array.cells.shape):
        one = array.made(np.array([array.cells[place]], dtype=object), 0)
        if not len(row):
            counted = lib.zeros_like(one, dtype=WHOLE)
        else:
            hit = one >= row if side == "right" else one > row
            cells = array.tape.cells(
                Value(array.tape, array.tape.matrix(list(hit.cells.flat)), TRUTH)
                .sum_columns()
                .tensor,
                (1,),
            )
            # NaN comes after everything else.
            counted = lib.where(lib.isnan(one), len(row), one.made(cells, 0, WHOLE))
        made[place] = counted.cells[0]
    return array.made(made, array.axis, WHOLE)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Array:
    """Where the elements belong among sorted constants."""
    if sorter is not None:
        a = np.asarray(a)[sorter]
    if isinstance(a, Traced):
        raise TraceError("the sorted array must be a constant")
    return _reached(v, a, side)


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The bin of each element."""
    edges: Any = bins if isinstance(bins, Traced) else np.asarray(bins)
    steps = np.diff(edges)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError("bins must be monotonically increasing or decreasing")
    side = "left" if right else "right"
    if len(edges) > 1 and (steps <= 0).all() and edges[0] != edges[-1]:
        return len(edges) - _reached(x, edges[::-1], side)
    return _reached(x, edges, side)


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Straight lines between constants."""
    if period is not None or isinstance(xp, Traced) or isinstance(fp, Traced):
        raise TraceError("np.interp is traced with constants and without period")
    points, heights = np.asarray(xp, np.float64), np.asarray(fp, np.float64)
    array = x.astype(FLOAT64)
    low = heights[0] if left is None else float(left)
    high = heights[-1] if right is None else float(right)
    if len(points) == 1:
        made: Any = lib.where(
            array < points[0], low, lib.where(array > points[0], high, heights[0])
        )
        return lib.where(lib.isnan(array), array, made)
    place = lib.minimum(lib.maximum(_reached(array, points, "right") - 1, 0), len(points) - 2)
    slopes = np.diff(heights) / np.diff(points)

    def entry(table: NDArray[Any]) -> Array:
        tensors, end = apply(
            array.tape, (place,), (WHOLE,), FLOAT64, lambda v: v.lookup(table.tolist())
        )
        return array.made(tensors, tensors.ndim + 1 - end, FLOAT64)

    made = entry(slopes) * (array - entry(points[:-1])) + entry(heights[:-1])
    made = lib.where(array == entry(points[:-1]), entry(heights[:-1]), made)
    made = lib.where(array == points[-1], heights[-1], made)
    made = lib.where(array > points[-1], high, lib.where(array < points[0], low, made))
    return lib.where(lib.isnan(array), array, made)


def matmul(a: Any, b: Any, out: Any = None) -> Any:
    """The product with a constant matrix or vector."""
    if out is not None:
        raise TraceError("a product with out= is not traced")
    if isinstance(a, Array) and isinstance(b, Array):
        if a.axis == 0 and b.axis == 0 and a.ndim == b.ndim == 1:
            raise TraceError("a product over the rows depends on the other rows")
        raise TraceError("a product of two arrays of data is not traced: sum(a * b, axis=1)")
    if isinstance(b, Array):
        left = np.asarray(a)
        if left.ndim == 2 and b.ndim == 2 and b.axis == 1:
            return matmul(b.T, left.T).T
        raise TraceError("a product from the left sums over the rows: X @ weights is per row")
    weights = np.asarray(b)
    if not (isinstance(a, Array) and a.axis == 0 and a.ndim == 2) or weights.ndim > 2:
        raise TraceError("a product of this shape is not traced: X @ weights is")
    if a.cells.shape[0] != weights.shape[0]:
        raise ValueError(f"matmul: {a.cells.shape[0]} columns meet {weights.shape[0]} weights")
    dtype = np.result_type(a.dtype, weights.dtype)
    if dtype.kind != "f":
        dtype = FLOAT64 if dtype.kind not in "iu" else WHOLE
    tape = a.tape
    tensor = tape.matrix(list(a.astype(dtype).cells.flat))
    wide = weights.astype(dtype).reshape(len(weights), -1)
    product = tape.node("MatMul", [tensor, tape.constant(wide, dtype)])
    cells = tape.cells(product, (wide.shape[1],))
    return a.made(cells if weights.ndim == 2 else cells[0:1].reshape(()), 0, dtype)


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """A product; with a number, each element times it."""
    if np.ndim(b) == 0 or np.ndim(a) == 0:
        return a * b
    return matmul(a, b, out)


def isin(element: Any, test_elements: Any, *_more: Any, invert: bool = False, **_o: Any) -> Any:
    """Whether each element is one of some constants."""
    if isinstance(test_elements, Traced):
        raise TraceError("np.isin is traced with constants")
    listed = np.asarray(list(test_elements) if isinstance(test_elements, set) else test_elements)
    made: Any = lib.zeros_like(element, dtype=bool)
    for each in listed.ravel().tolist():
        made = made | (element == each)
    return ~made if invert else made


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether elements are next to each other."""
    near: Any = (lib.abs(a - b) <= atol + rtol * lib.abs(b)) & lib.isfinite(b) | (a == b)
    if equal_nan:
        near = near | (lib.isnan(a) & lib.isnan(b))
    return near


def average(a: Any, axis: Any = None, weights: Any = None, **options: Any) -> Any:
    """The mean, weighed."""
    if options:
        raise TraceError(f"np.average({', '.join(options)}) is not traced")
    if weights is None:
        return lib.mean(a, axis=axis)
    weights = np.asarray(weights, np.float64)
    return lib.sum(a * weights, axis=axis) / weights.sum()


def polyval(coefficients: Any, x: Any) -> Any:
    """A polynomial after Horner, as numpy's."""
    made: Any = lib.zeros_like(x)
    for coefficient in np.asarray(coefficients):
        made = made * x + coefficient
    return made


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **structure.FUNCTIONS,
    **reductions.FUNCTIONS,
    "where": where,
    "clip": clip,
    "select": select,
    "piecewise": piecewise,
    "nan_to_num": nan_to_num,
    "around": around,
    "round": around,
    "round_": around,
    "fix": lambda array, out=None: _out(lib.trunc(array), out),
    "isposinf": lambda array, out=None: _out(array == np.inf, out),
    "isneginf": lambda array, out=None: _out(array == -np.inf, out),
    "searchsorted": searchsorted,
    "digitize": digitize,
    "interp": interp,
    "matmul": matmul,
    "dot": dot,
    "isin": isin,
    "in1d": isin,
    "isclose": isclose,
    "average": average,
    "polyval": polyval,
    "sinc": lambda x: lib.where(x == 0, 1.0, lib.sin(np.pi * x) / (np.pi * x)),
}
