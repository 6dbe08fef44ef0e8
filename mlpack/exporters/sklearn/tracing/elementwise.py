"""Applies a formula to arrays element by element, as numpy broadcasts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import Cell, Cells, Dtype, Tape
from mlpack.exporters.sklearn.tracing.values import Value


class Traced:
    """What an array that is traced has; see `mlpack.exporters.sklearn.tracing.arrays.Array`."""

    tape: Tape
    cells: Cells
    dtype: Dtype
    axis: int
    mask: Traced | None

    @property
    def ndim(self) -> int:
        """How many axes, the rows among them."""
        return self.cells.ndim + 1

    def __array__(self, *_arguments: Any, **_options: Any) -> NDArray[Any]:
        raise TraceError("it is handed to code that wants the numbers themselves")


def same(first: Traced | None, second: Traced | None) -> bool:
    """Whether two arrays are the same cells."""
    if first is None or second is None:
        return first is second
    return (
        first.cells.shape == second.cells.shape
        and first.axis == second.axis
        and all(a == b for a, b in zip(first.cells.flat, second.cells.flat, strict=True))
    )


def without_rows(value: NDArray[Any], behind: int, tape: Tape) -> NDArray[Any]:
    """A constant without the axis of the rows, which stands `behind` the end.

    Raises:
        TraceError: its values differ from row to row.
    """
    if value.ndim < behind:
        return value
    place = value.ndim - behind
    size = value.shape[place]
    first = value.take(0, axis=place) if size else value.sum(axis=place)
    if size == 1:
        return first
    if size != tape.rows:
        raise TraceError(
            f"an array of shape {value.shape} meets rows: it only fits if there are {size} of them"
        )
    if not np.array_equal(
        np.broadcast_to(np.expand_dims(first, place), value.shape),
        value,
        equal_nan=value.dtype.kind == "f",
    ):
        raise TraceError("a constant array differs from row to row: it depends on a row's position")
    return first


def broadcast(
    tape: Tape, operands: Sequence[Any]
) -> tuple[tuple[int, ...], int, list[NDArray[Any]]]:
    """The operands' cells or constants in one shape.

    Returns:
        The shape without the rows, how far the rows stand from the end, and the operands.
    """
    behind = {each.ndim - each.axis for each in operands if isinstance(each, Traced)}
    if len(behind) > 1:
        shapes = " and ".join(str(shape_of(each)) for each in operands if isinstance(each, Traced))
        raise TraceError(
            f"arrays of shape {shapes} meet, so that rows meet columns: "
            "give both two axes, for example with x[:, None]"
        )
    (end,) = behind
    parts = [
        each.cells if isinstance(each, Traced) else without_rows(np.asarray(each), end, tape)
        for each in operands
    ]
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    if len(shape) < end - 1:
        shape = (1,) * (end - 1 - len(shape)) + shape
    return shape, end, [np.broadcast_to(part, shape) for part in parts]


def shape_of(array: Traced) -> tuple[Any, ...]:
    """The shape with ``rows`` in its place, for messages."""
    shape: list[Any] = list(array.cells.shape)
    shape.insert(array.axis, "rows")
    return tuple(shape)


def mask_of(operands: Sequence[Any]) -> Traced | None:
    """The mask that chose the rows of the operands.

    Raises:
        TraceError: they were chosen differently.
    """
    traced = [each for each in operands if isinstance(each, Traced)]
    mask = traced[0].mask
    if not all(same(mask, each.mask) for each in traced):
        raise TraceError("some of the rows meet all of them: use np.where(condition, a, b)")
    return mask


def values_of(
    tape: Tape, parts: Sequence[NDArray[Any]], operands: Sequence[Any], dtypes: Sequence[Dtype]
) -> list[Value]:
    """Each operand as one tensor: as wide as the result, or of one column, or a constant."""
    made: list[Value] = []
    for part, operand, dtype in zip(parts, operands, dtypes, strict=True):
        flat = part.ravel()
        if not isinstance(operand, Traced):
            with np.errstate(all="ignore"):
                row = flat.astype(dtype)
            one = len(row) and row.tobytes() == row[:1].tobytes() * len(row)
            constant = tape.constant(row[0] if one else row.reshape(1, -1), dtype)
            made.append(Value(tape, constant, dtype))
            continue
        cells = list(flat)
        if len(set(cells)) == 1:
            cells = cells[:1]
        cast = tape.cast(_objects(cells), operand.dtype, dtype)
        made.append(Value(tape, tape.matrix(list(cast)), dtype))
    return made


def _objects(cells: Sequence[Cell]) -> Cells:
    made = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made


def apply(
    tape: Tape,
    operands: Sequence[Any],
    dtypes: Sequence[Dtype],
    result: Dtype,
    formula: Callable[..., Value],
) -> tuple[Cells, int]:
    """The cells of ``formula(*operands)``, and how far the rows stand from the end.

    Args:
        tape: what to write on.
        operands: traced arrays, and constants; at least one is traced.
        dtypes: what each is cast to before.
        result: the type of the result.
        formula: of values of these types.
    """
    shape, end, parts = broadcast(tape, operands)
    if 0 in shape:
        return np.empty(shape, dtype=object), end
    values = values_of(tape, parts, operands, dtypes)
    made = formula(*values)
    if made.dtype != result:
        made = made.cast(result)
    tensor = made.tensor
    count = int(np.prod(shape, dtype=np.int64))
    if count > 1 and all(
        (isinstance(each, Traced) and len(set(part.flat)) == 1) or _constant(each, part)
        for each, part in zip(operands, parts, strict=True)
    ):
        # One column stands for all of them.
        one = tape.cells(tensor, (1,))
        return np.broadcast_to(one, (count,)).reshape(shape).copy(), end
    return tape.cells(tensor, shape), end


def _constant(operand: Any, part: NDArray[Any]) -> bool:
    if isinstance(operand, Traced):
        return False
    flat = part.ravel()
    return flat.tobytes() == flat[:1].tobytes() * len(flat)
