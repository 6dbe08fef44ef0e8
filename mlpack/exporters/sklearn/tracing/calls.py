"""Calls of numpy's ufuncs: the loop that numpy would choose, and its formula."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlpack.exporters.sklearn.tracing import elementwise
from mlpack.exporters.sklearn.tracing.elementwise import Traced
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, TRUTH, WHOLE, Cells, Dtype, Tape
from mlpack.exporters.sklearn.tracing.ufuncs import COMPARISONS, UFUNCS


def constant_type(value: Any) -> Any:
    """What numpy's own choice of a loop is told of an operand."""
    if isinstance(value, Traced):
        return value.dtype
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int | float) and type(value) in (int, float):
        return type(value)
    return np.asarray(value).dtype


class Called(NamedTuple):
    """What a ufunc made: cells, their type, where the rows stand, and which they are."""

    cells: Cells
    dtype: Dtype
    axis: int
    mask: Traced | None


def call(tape: Tape, ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any]) -> Called:
    """What a ufunc makes of arrays."""
    name = ufunc.__name__
    formula = UFUNCS.get(name)
    if formula is None or ufunc.nout != 1:
        raise TraceError(f"the function {name} is not traced")
    chosen = options.pop("where", True)
    wanted = options.pop("dtype", None)
    options.pop("casting", None)
    if options or chosen is not True:
        named = ", ".join(sorted(options)) or "where"
        raise TraceError(f"np.{name}({named}=...) is not traced")
    inputs = tuple(
        each if isinstance(each, Traced) or type(each) in (bool, int, float) else np.asarray(each)
        for each in inputs
    )
    told = (*(constant_type(each) for each in inputs), None)
    if wanted is None:
        loop = ufunc.resolve_dtypes(told)
    else:
        fixed = (None,) * ufunc.nin + (np.dtype(wanted),)
        loop = ufunc.resolve_dtypes(told, signature=fixed)
    *dtypes, result = loop
    if (
        name in COMPARISONS
        and all(each == WHOLE for each in dtypes)
        and _came_as_floats(tape, inputs)
    ):
        dtypes = [FLOAT64, FLOAT64]
    mask = elementwise.mask_of(inputs)
    cells, end = elementwise.apply(tape, inputs, dtypes, result, formula)
    return Called(cells, result, cells.ndim + 1 - end, mask)


def _came_as_floats(tape: Tape, inputs: tuple[Any, ...]) -> bool:
    """Whether whole numbers are raw ones, which a double holds, and may be missing."""
    return all(
        tape.is_raw(each.cells)
        if isinstance(each, Traced)
        else bool(np.all(np.abs(np.asarray(each, np.float64)) < 2.0**53))
        for each in inputs
    )
