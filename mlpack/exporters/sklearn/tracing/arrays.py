"""A stand-in for a numpy array: rows that nobody counts, columns that are tensors of the graph.

The cells of an array, one per column, stand in a real numpy array of objects. So slices are views,
copies are copies, and an assignment to a view reaches the array behind it, by numpy's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.tracing import elementwise, indexing
from mlpack.exporters.sklearn.tracing.calls import call
from mlpack.exporters.sklearn.tracing.elementwise import Traced
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import (
    TRUTH,
    Cells,
    Dtype,
    Tape,
    element,
    lib,
)
from mlpack.exporters.sklearn.tracing.values import Value

_BRANCH = (
    "a decision for all rows at once depends on the data: "
    "use np.where(condition, a, b), np.select or np.clip"
)
_ROWS = "it goes through the rows one by one: compute with whole columns instead"


class Array(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in.

    Attributes:
        tape: what its operations are written on.
        cells: its columns; their shape is the array's without the rows.
        dtype: of its elements.
        axis: which axis the rows are.
        mask: the truth by which its rows were chosen, where they were.
    """

    def __init__(
        self,
        tape: Tape,
        cells: Cells,
        dtype: Dtype,
        axis: int = 0,
        mask: Traced | None = None,
    ) -> None:
        element(dtype)
        self.tape, self.cells, self.dtype, self.axis, self.mask = tape, cells, dtype, axis, mask

    def made(self, cells: Cells, axis: int | None = None, dtype: Dtype | None = None) -> Array:
        """Another array of the same rows."""
        place = self.axis if axis is None else axis
        return Array(self.tape, cells, dtype or self.dtype, place, self.mask)

    # What it is

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, with a number nobody would write for the rows."""
        if self.mask is not None:
            raise TraceError("how many rows a condition chooses depends on the other rows")
        shape = list(self.cells.shape)
        shape.insert(self.axis, self.tape.rows)
        return tuple(shape)

    @property
    def device(self) -> str:
        """Where it would be; scikit-learn asks."""
        return "cpu"

    @property
    def size(self) -> int:
        """How many elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def T(self) -> Array:  # noqa: N802 - numpy's name
        """With its axes turned around."""
        return self.made(self.cells.T, self.ndim - 1 - self.axis)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<array {elementwise.shape_of(self)} of {self.dtype}, traced>"

    def __bool__(self) -> bool:
        raise TraceError(_BRANCH)

    def __float__(self) -> float:
        raise TraceError("a number is taken out of the data")

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self) -> Iterator[Array]:
        if self.axis == 0:
            raise TraceError(_ROWS)
        for index in range(self.cells.shape[0]):
            yield self[index]

    def __contains__(self, _value: object) -> bool:
        raise TraceError(_BRANCH)

    def __hash__(self) -> int:
        return id(self)

    # Operators that numpy does not hand to a ufunc

    def __pow__(self, other: Any) -> Any:
        """numpy takes its own way for some constants."""
        if isinstance(other, int | float) and not isinstance(other, bool):
            quick = _QUICK.get(float(other))
            if quick is not None and self.dtype.kind == "f":
                return quick(self)
            if self.dtype.kind in "iu" and isinstance(other, int):
                return whole_power(self, other)
        return lib.power(self, other)

    def __ipow__(self, other: Any) -> Any:
        return self._into(self**other)

    def _into(self, result: Array) -> Array:
        """Take over what an operation in place made."""
        if not elementwise.same(self.mask, result.mask):
            raise TraceError(f"rows are set to others' values: {indexing.BRANCH}")
        if result.ndim - result.axis != self.ndim - self.axis:
            raise TraceError(f"{result!r} does not fit into {self!r}")
        made = result.astype(self.dtype).cells
        self.cells[...] = np.broadcast_to(made, self.cells.shape)
        return self

    # numpy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if any(hasattr(each, "frame_like") for each in inputs):
            return NotImplemented
        if method == "reduce":
            name = _REDUCED.get(ufunc.__name__)
            if name is None:
                raise TraceError(f"np.{ufunc.__name__}.reduce is not traced")
            options.setdefault("axis", 0)
            return self.tape.functions[name](*inputs, **options)
        if method == "accumulate" and ufunc.__name__ in ("add", "multiply"):
            name = "cumsum" if ufunc.__name__ == "add" else "cumprod"
            return self.tape.functions[name](*inputs, **options)
        if method != "__call__":
            raise TraceError(f"np.{ufunc.__name__}.{method} is not traced")
        if ufunc.__name__ in ("matmul", "vecdot", "matvec", "vecmat"):
            result = self.tape.functions["matmul"](*inputs)
        elif ufunc.__name__ == "divmod":
            return lib.floor_divide(*inputs), lib.remainder(*inputs)
        elif ufunc.__name__ == "clip":
            result = lib.minimum(lib.maximum(inputs[0], inputs[1]), inputs[2])
        else:
            result = Array(self.tape, *call(self.tape, ufunc, inputs, options))
        if out is None:
            return result
        (target,) = out
        if not isinstance(target, Array):
            raise TraceError("it is written into an array that is not traced")
        if not np.can_cast(result.dtype, target.dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc {ufunc.__name__!r} output from {result.dtype} to "
                f"{target.dtype} with casting rule 'same_kind'"
            )
        return target._into(result)  # noqa: SLF001 - its own class

    def __array_function__(
        self,
        function: Callable[..., Any],
        _types: Any,
        arguments: tuple[Any, ...],
        options: Mapping[str, Any],
    ) -> Any:
        name = function.__name__
        known = self.tape.functions.get(name)
        if known is None:
            module = getattr(function, "__module__", "numpy") or "numpy"
            raise TraceError(f"{module}.{name} is not traced")
        return known(*arguments, **options)

    # Taking and setting

    def __getitem__(self, key: Any) -> Array:
        found = indexing.parse(self, key)
        cells = self.cells[found.cells] if found.cells else self.cells
        mask = self.mask
        if found.mask is not None:
            if mask is not None:
                raise TraceError("rows are chosen twice: join both conditions with &")
            mask, cells = found.mask, cells.copy()
        return Array(self.tape, cells, self.dtype, found.axis, mask)

    def __setitem__(self, key: Any, value: Any) -> None:
        found = indexing.parse(self, key)
        target = Array(
            self.tape, self.cells[found.cells] if found.cells else self.cells, self.dtype,
            found.axis,
        )  # fmt: skip
        cells = self._fitting(target, value, found.mask)
        if found.cells:
            self.cells[found.cells] = cells
        else:
            self.cells[...] = cells

    def _fitting(self, target: Array, value: Any, mask: Traced | None) -> Cells:
        """The cells that an assignment puts in the place of the target's."""
        if isinstance(value, Traced):
            if not elementwise.same(value.mask, mask):
                raise TraceError(f"rows are set to others' values: {indexing.BRANCH}")
            value = Array(self.tape, value.cells, value.dtype, value.axis)
        else:
            value = np.asarray(value)
            if value.dtype.kind not in "biuf":
                raise TraceError(f"a number becomes {value.dtype}")
        if mask is not None:
            if isinstance(mask, Array) and mask.ndim < target.ndim:
                mask = mask[(...,) + (None,) * (target.ndim - mask.ndim)]
            if isinstance(value, np.ndarray):
                with np.errstate(all="ignore"):
                    value = value.astype(self.dtype)
            else:
                value = value.astype(self.dtype)
            where = self.tape.functions["where"]
            chosen: Array = where(mask, value, target)
            return np.broadcast_to(chosen.astype(self.dtype).cells, target.cells.shape)
        if not isinstance(value, Array):
            behind = target.ndim - target.axis
            plain = elementwise.without_rows(value, behind, self.tape)
            with np.errstate(all="ignore"):
                shaped = np.broadcast_to(plain, target.cells.shape)
                return self.tape.filled(shaped, self.dtype)
        if value.ndim - value.axis != target.ndim - target.axis:
            raise TraceError(
                f"{elementwise.shape_of(value)} does not fit into {elementwise.shape_of(target)}"
            )
        return np.broadcast_to(value.astype(self.dtype).cells, target.cells.shape)

    def astype(self, dtype: Any, *_order: Any, **_options: Any) -> Array:
        """Another type of elements, rounded or cut as numpy does it; a copy."""
        kind = np.dtype(dtype)
        if kind.kind not in "biuf":
            raise TraceError(f"numbers become {kind}: that has no graph")
        if kind == TRUTH and self.dtype != TRUTH:
            return self != 0
        element(kind)
        return self.made(self.tape.cast(self.cells, self.dtype, kind).copy(), dtype=kind)

    def copy(self, *_order: Any) -> Array:
        """A copy."""
        return self.made(self.cells.copy())

    __copy__ = copy

    def __deepcopy__(self, _memo: Any) -> Array:
        return self.copy()

    def toarray(self, *_order: Any) -> Array:
        """What a sparse matrix would answer: it stands for those too."""
        return self

    todense = toarray

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("columns", "iloc", "loc", "values", "frame_like"):
            raise AttributeError(name)
        known = self.tape.functions.get(name)
        if known is not None and hasattr(np.ndarray, name):
            return lambda *arguments, **options: known(self, *arguments, **options)
        if hasattr(np.ndarray, name):
            raise TraceError(f"array.{name} is not traced")
        raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")


def whole_power(array: Any, exponent: int) -> Any:
    """A power of whole numbers, by squaring as numpy does: it runs over in the same way."""
    if exponent < 0:
        raise ValueError("Integers to negative integer powers are not allowed.")
    result: Any = None
    square = array
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return lib.ones_like(array) if result is None else result


_QUICK: dict[float, Callable[[Any], Any]] = {
    -1.0: lib.reciprocal,
    0.0: lib.ones_like,
    0.5: lib.sqrt,
    1.0: lib.positive,
    2.0: lib.square,
}
_REDUCED = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}


def combine(tape: Tape, formula: Callable[..., Value], result: Dtype, *operands: Any) -> Array:
    """A formula of our own for arrays, all of their own types; constants as doubles."""
    mask = elementwise.mask_of(operands)
    dtypes = [each.dtype if isinstance(each, Traced) else result for each in operands]
    cells, end = elementwise.apply(tape, operands, dtypes, result, formula)
    return Array(tape, cells, result, cells.ndim + 1 - end, mask)


def constant_array(tape: Tape, value: NDArray[Any], like: Traced) -> Array:
    """A constant beside `like`: the same in every row."""
    behind = like.ndim - like.axis
    plain = elementwise.without_rows(value, behind, tape)
    return Array(tape, tape.filled(plain, plain.dtype), plain.dtype, plain.ndim + 1 - behind)
