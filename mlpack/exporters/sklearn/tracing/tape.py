"""What a trace writes on: nodes that are made once, whoever asks, and cells of matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, FLOAT, INT64
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.folding import chosen, folded

Dtype = np.dtype[Any]

lib: Any = np
"""numpy, where it is handed stand-ins: they answer through its protocols, which no type tells."""

Cells = NDArray[Any]

FLOAT64: Dtype = np.dtype(np.float64)
FLOAT32: Dtype = np.dtype(np.float32)
WHOLE: Dtype = np.dtype(np.int64)
TRUTH: Dtype = np.dtype(np.bool_)
SMALL = {
    np.dtype(np.int8): 3,
    np.dtype(np.uint8): 2,
    np.dtype(np.int16): 5,
    np.dtype(np.uint16): 4,
    np.dtype(np.int32): 6,
    np.dtype(np.uint32): 12,
}
"""Whole numbers that are kept as int64 and wrapped after each operation: ONNX's element types."""


def element(dtype: Dtype) -> int:
    """The element type that holds `dtype` in the graph.

    Raises:
        TraceError: there is none.
    """
    if dtype == FLOAT64:
        return int(DOUBLE)
    if dtype == FLOAT32:
        return int(FLOAT)
    if dtype == TRUTH:
        return int(BOOL)
    if dtype == WHOLE or dtype in SMALL:
        return int(INT64)
    raise TraceError(f"arrays of {dtype} cannot be in the graph: use float, int or bool")


def stored(dtype: Dtype) -> Dtype:
    """The numpy type of the elements that stand for `dtype` in the graph."""
    return WHOLE if dtype in SMALL else dtype


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a matrix in the graph."""

    tensor: str
    index: int


class Tape:
    """The nodes of a trace. What is asked for twice is made once, so a second trace of the same
    function gives the same cells.

    Attributes:
        path: of the step that is traced.
        context: what the export shares.
        rows: what stands for the number of rows, a number that nobody has columns of.
        functions: numpy's functions that are no ufuncs, by name.
        whole_used: raw columns that were taken as whole numbers or truths, each with a number
            that is NaN where it is missing.
        closed: derived columns that hold nothing but what is known.
        readings: what was read out of a text, by the derived column.
        dated: parts of dates as columns of categories, by the column and the part. They stay as
            they were first: what is learned meanwhile is for the next walk.
        absent: whether a raw number was asked for that the graph does not have.
    """

    def __init__(
        self,
        path: str,
        context: Context,
        base: Feature | None,
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.functions = functions
        self.path = path
        self.context = context
        self.rows = 0
        self.whole_used: dict[str, Cell] = {}
        self.absent = False
        self.closed: set[str] = set()
        self.readings: dict[str, Any] = {}
        self.dated: dict[Any, Any] = {}
        self._names: dict[Any, str] = {}
        self._base = base
        self._memo: dict[Any, Any] = {}
        self._known: dict[str, NDArray[Any]] = {}
        self._origins: dict[str, tuple[Cell, str]] = {}

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The first output of a node."""
        key = (operator, tuple(inputs), tuple(sorted(attributes.items())))
        if key not in self._memo:
            self._memo[key] = self._node(operator, inputs, attributes)
        return str(self._memo[key])

    def _node(self, operator: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str:
        same = chosen(operator, inputs, self._known)
        if same is not None:
            return same
        if all(name in self._known for name in inputs):
            value = folded(operator, [self._known[name] for name in inputs], attributes)
            if value is not None:
                return self._constant(value)
        return self.context.graph.node(operator, inputs, **attributes)

    def constant(self, value: Any, dtype: Dtype) -> str:
        """A constant of the elements that stand for `dtype`."""
        return self._constant(np.asarray(value).astype(stored(dtype)))

    def _constant(self, array: NDArray[Any]) -> str:
        name = self.context.graph.constant(array)
        self._known[name] = array
        return name

    def indices(self, values: Sequence[int]) -> str:
        """A constant for axes, shapes and the like."""
        return self.context.graph.constant(np.array(values, np.int64))

    def matrix(self, cells: Sequence[Cell]) -> str:
        """Columns side by side: [rows, len(cells)]."""
        key = ("matrix", tuple((cell.tensor, cell.index) for cell in cells))
        if key not in self._memo:
            self._memo[key] = self.context.matrix(
                [Feature(tensor=cell.tensor, index=cell.index) for cell in cells], self.path
            )
        return str(self._memo[key])

    def cells(self, tensor: str, shape: tuple[int, ...]) -> Cells:
        """The columns of a matrix that was made, in the order of `shape`."""
        count = int(np.prod(shape, dtype=np.int64))
        self.context.made(tensor, [None] * count)
        made = np.empty(count, dtype=object)
        for index in range(count):
            made[index] = Cell(tensor, index)
        return made.reshape(shape)

    def filled(self, values: NDArray[Any], dtype: Dtype) -> Cells:
        """Constants, one per cell and the same in every row."""
        flat = np.asarray(values).astype(stored(dtype)).reshape(1, -1)
        if not flat.size:
            return np.empty(np.shape(values), dtype=object)
        base = self.base()
        here = self.node("Equal", [base, base])
        constant = self.constant(flat, dtype)
        if dtype == TRUTH:
            # There is no Where of booleans.
            true = self.node("Or", [here, self.node("Not", [here])])
            return self.cells(self.node("And", [true, constant]), np.shape(values))
        # The same wherever there is a row: a constant alone would not know how many there are.
        return self.cells(self.node("Where", [here, constant, constant]), np.shape(values))

    def named(self, what: Any) -> str:
        """A name for a derived column; the same for the same, in both walks over the pipeline."""
        return self._names.setdefault(what, f"{self.path}#{len(self._names)}")

    def kept(self, key: Any, make: Callable[[], str]) -> str:
        """A tensor that is made once."""
        if key not in self._memo:
            self._memo[key] = make()
        return str(self._memo[key])

    def base(self) -> str:
        """Any matrix of one column: it knows how many rows there are."""
        if self._base is None:
            raise TraceError("it has no columns")
        if self._base.tensor is not None:
            return self.matrix([Cell(self._base.tensor, self._base.index)])
        return self.code(str(self._base.raw))

    def code(self, raw: str) -> str:
        """The codes of a raw column: int64 [rows, 1]."""
        key = ("code", raw)
        if key not in self._memo:
            graph = self.context.graph
            self._memo[key] = graph.reshape(self.context.code(raw), [-1, 1])
        return str(self._memo[key])

    def lookup(self, raw: str, values: Sequence[Any], dtype: Dtype) -> Cell:
        """What a table has for each code of a raw column."""
        table = self.constant(np.array(list(values)), dtype)
        code = self.code(raw)
        if dtype == TRUTH:
            number = self.constant(np.array(list(values)), WHOLE)
            tensor = self.node("Cast", [self.node("Gather", [number, code], axis=0)], to=BOOL)
        else:
            tensor = self.node("Gather", [table, code], axis=0)
        cell: Cell = self.cells(tensor, (1,))[0]
        return cell

    def whole(self, cell: Cell, raw: str, dtype: Dtype) -> Cell:
        """What comes as float64, of a raw column of whole numbers, truths or dates, in its type."""
        tensor = self.node("Cast", [self.matrix([cell])], to=element(dtype))
        self._origins[tensor] = (cell, raw)
        self.whole_used[raw] = cell
        made: Cell = self.cells(tensor, (1,))[0]
        return made

    def is_raw(self, cells: Cells) -> bool:
        """Whether all are raw columns of whole numbers or truths."""
        return all(cell.tensor in self._origins for cell in cells.flat)

    def cast(self, cells: Cells, old: Dtype, new: Dtype) -> Cells:
        """The same columns as elements of another type, rounded as numpy rounds."""
        if old == new or (stored(old) == stored(new) and new not in SMALL):
            return cells
        if not cells.size:
            return cells
        if new == FLOAT64 and self.is_raw(cells):
            back = np.empty(cells.size, dtype=object)
            for index, cell in enumerate(cells.flat):
                back[index] = self._origins[cell.tensor][0]
            return back.reshape(cells.shape)
        tensor = self.matrix(list(cells.flat))
        if stored(old) != stored(new):
            tensor = self.node("Cast", [tensor], to=element(new))
        return self.cells(self.wrapped(tensor, new), cells.shape)

    def wrapped(self, tensor: str, dtype: Dtype) -> str:
        """A small whole number that ran over comes out at the other end, as in C."""
        if dtype not in SMALL:
            return tensor
        return self.node("Cast", [self.node("Cast", [tensor], to=SMALL[dtype])], to=INT64)

    def refuse(self, tensor: str) -> None:
        """The original raises for rows in which `tensor`, bool [rows, 1], is true."""
        key = ("refuse", tensor)
        if key not in self._memo:
            self._memo[key] = self.context.graph.reshape(tensor, [-1])
            self.context.refusals.append(self._memo[key])
