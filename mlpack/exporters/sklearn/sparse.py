"""Matrices of which more is known than their numbers: their entries, or the table behind them.

Texts give entries. A product with constants needs no more than those, and so do the weights of
tf-idf: the vocabulary's width is neither in the time nor in the memory. Codes give tables; see
`lookups`. A step that asks for anything else is given the full matrix, which nothing computes
unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mlpack.exporters.sklearn.graph import DOUBLE, INT64, Graph
from mlpack.exporters.sklearn.lookups import CODES, Lookup, added, plain, together
from mlpack.ports import NotExportableError

WIDEST = 2**17
"""Columns of a matrix that may be asked for in full: one MiB a row."""

ENTRIES = 32
"""So many entries a row are reckoned with where a batch's memory is limited."""


@dataclass(frozen=True)
class Sparse:
    """A matrix as its entries; what has no entry is 0.

    Attributes:
        rows: int64 [1], how many rows it has.
        row: int64 [entries, 1], the row of each entry, ascending.
        column: int64 [entries], ascending within a row.
        values: float64 [entries].
        width: how many columns it has.
        finite: no value can be infinite or NaN.
        path, what: the step that made it, for messages.
    """

    rows: str
    row: str
    column: str
    values: str
    width: int
    finite: bool
    path: str
    what: str


Parts = tuple[tuple[str, int], ...]
"""Matrices that stand side by side: name and width."""


class SparseGraph(Graph):
    """A graph that remembers what is behind a matrix, and uses that where it is enough.

    Attributes:
        lookups: the tables behind matrices that were looked up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lookups: dict[str, Lookup] = {}
        self._never: set[str] = set()
        self._entries: dict[str, Sparse] = {}
        self._joined: dict[str, Parts] = {}
        self._dense: dict[tuple[str, ...], str] = {}
        self._cells: dict[str, int] = {}
        self._wide: dict[str, Sparse] = {}

    def counted(self, name: str, width: int, path: str, what: str) -> Sparse:
        """The terms of a text: the input `name`, as `mlpack.runtime.contract.Encoding` has it."""
        self._inputs.setdefault(
            name, helper.make_tensor_value_info(name, INT64, [f"{name}_entries", 3])
        )
        self._inputs.setdefault("rows", helper.make_tensor_value_info("rows", INT64, [1]))
        return Sparse(
            rows="rows",
            row=self.columns(name, [0]),
            column=self._at(name, 1),
            values=self.cast(self._at(name, 2), DOUBLE),
            width=width,
            finite=True,
            path=path,
            what=what,
        )

    def _at(self, a: str, column: int) -> str:
        return self.node("Gather", [a, self.constant(np.int64(column))], axis=1)

    def looked_up(self, table: np.ndarray, place: int, code: str) -> str:
        """Rows of a table by a code: float64 [rows, table.shape[1]].

        Args:
            table: float64 [codes, columns].
            place: of the codes in the input that has them all.
            code: the same by themselves, int64 [rows].
        """
        made = self.node("Gather", [self.constant(np.ascontiguousarray(table)), code], axis=0)
        if plain(table):
            self.lookups[made] = Lookup(place, table)
        return made

    def entries(self, a: str, width: int, path: str, what: str) -> Sparse:
        """The entries of a matrix: those that it was made of, or all that are not 0."""
        if a in self._entries:
            return self._entries[a]
        zero = self.node("Equal", [a, self.constant(np.float64(0))])
        at = self.node("Transpose", [self.node("NonZero", [self.node("Not", [zero])])])
        return Sparse(
            rows=self.node("Shape", [a], start=0, end=1),
            row=self.columns(at, [0]),
            column=self._at(at, 1),
            values=self.node("GatherND", [a, at]),
            width=width,
            finite=False,
            path=path,
            what=what,
        )

    def behind(self, a: str) -> Sparse | None:
        """The entries that a matrix was made of; None where it was made otherwise."""
        return self._entries.get(a)

    def full(self, sparse: Sparse) -> str:
        """The matrix of these entries: float64 [rows, width]."""
        column = self.reshape(sparse.column, [-1, 1])
        made = self.node(
            "ScatterND",
            [
                self._zeros(sparse, [sparse.width]),
                self.node("Concat", [sparse.row, column], axis=1),
                sparse.values,
            ],
        )
        self._entries[made] = sparse
        self._cells[made] = sparse.width
        if sparse.width > WIDEST:
            self._wide[made] = sparse
        return made

    def join(self, parts: Sequence[tuple[str, int]]) -> str:
        """Matrices side by side, each with its width."""
        flat = tuple(
            each for name, width in parts for each in self._joined.get(name, ((name, width),))
        )
        names = self._beside_each_other([name for name, _ in flat])
        # The matrices side by side are a full one themselves, which nobody may ask for.
        joined = names[0] if len(names) == 1 else super().nodes("Concat", names, axis=1)[0]
        for name in names:
            if name in self._wide:
                self._wide[joined] = self._wide[name]
        if len(flat) > 1 and any(self._is_known(name) for name, _ in flat):
            self._joined[joined] = flat
        return joined

    def _beside_each_other(self, names: Sequence[str]) -> list[str]:
        """The matrices, with neighbours that are looked up made together where that pays."""
        made: list[str] = []
        for is_lookup, group in groupby(names, key=self.lookups.__contains__):
            members = list(group)
            one = together(self, [self.lookups[name] for name in members]) if is_lookup else None
            made += members if one is None else [one]
        return made

    def _is_known(self, name: str) -> bool:
        return name in self._entries or name in self.lookups

    def summed(self, sparse: Sparse, values: str) -> str:
        """The sum of each row's entries, in their order: float64 [rows]."""
        return self._add(self._zeros(sparse, []), sparse, values)

    def columns(self, a: str, indices: Sequence[int]) -> str:
        """Some columns of a matrix, in the given order; see `Graph.columns`."""
        if a in self.lookups:
            looked = self.lookups[a]
            code = self.node("Gather", [CODES, self.constant(np.int64(looked.place))], axis=1)
            return self.looked_up(looked.table[:, list(indices)], looked.place, code)
        sparse = self._entries.get(a)
        if sparse is None or len(set(indices)) < len(indices):
            return super().columns(a, indices)
        place = np.zeros(sparse.width, np.int64)
        place[list(indices)] = np.arange(len(indices))
        chosen = np.zeros(sparse.width, np.bool_)
        chosen[list(indices)] = True
        kept = self.node("Gather", [self.constant(chosen), sparse.column])
        row, column, values = (
            self.node("Compress", [each, kept], axis=0)
            for each in (sparse.row, sparse.column, sparse.values)
        )
        return self.full(
            replace(
                sparse,
                row=row,
                column=self.node("Gather", [self.constant(place), column]),
                values=values,
                width=len(indices),
            )
        )

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        outputs: int = 1,
        **attributes: Any,
    ) -> list[str]:
        """Add a node; see `Graph.nodes`.

        Raises:
            NotExportableError: it reads a full matrix that is too wide for that.
        """
        for name in inputs:
            if name in self._wide:
                wide = self._wide[name]
                raise NotExportableError(
                    wide.path,
                    f"{wide.what} has {wide.width} columns, and a step behind it needs them as a "
                    f"full matrix: choose at most {WIDEST}, or a linear model behind it",
                )
        return super().nodes(operator, inputs, domain=domain, outputs=outputs, **attributes)

    def multiply(self, a: str, b: str) -> str:
        """a * b, element by element; a weight of the whole matrix is one of its entries."""
        sparse, factor = self._entries.get(a), self._initializers.get(b)
        if sparse is None or factor is None or any(size != 1 for size in factor.dims):
            return super().multiply(a, b)
        finite = sparse.finite and bool(np.isfinite(numpy_helper.to_array(factor)).all())
        values = super().multiply(sparse.values, self.reshape(b, [-1]))
        return self.full(replace(sparse, values=values, finite=finite))

    def matmul(self, a: str, b: str) -> str:
        """The matrix product; with constants by what is known behind the matrix."""
        parts = self._parts(a)
        if parts is None or b not in self._initializers:
            return super().matmul(a, b)
        weights = numpy_helper.to_array(self._initializers[b])
        if weights.ndim != 2 or weights.dtype != np.float64:
            return super().matmul(a, b)
        dense: list[str] = []
        rows: list[np.ndarray] = []
        sparse: list[tuple[Sparse, np.ndarray]] = []
        looked: list[tuple[int, np.ndarray]] = []
        start = 0
        for name, width in parts:
            part = weights[start : start + width]
            start += width
            if name in self._entries:
                sparse.append((self._entries[name], part))
            elif name in self.lookups:
                lookup = self.lookups[name]
                looked.append((lookup.place, lookup.table @ part))
            else:
                dense.append(name)
                rows.append(part)
        outputs = weights.shape[1]
        totals = []
        if dense:
            product = super().matmul(self._beside(dense), self.constant(np.concatenate(rows)))
            totals.append(product)
        if looked:
            totals.append(added(self, looked))
        total = self._zeros(sparse[0][0], [outputs]) if not totals else totals[0]
        for each_total in totals[1:]:
            total = self.add(total, each_total)
        for each, part in sparse:
            chosen = self.node("Gather", [self.constant(np.ascontiguousarray(part)), each.column])
            products = self.multiply(chosen, self.reshape(each.values, [-1, 1]))
            total = self._add(total, each, products)
            self._cells[total] = ENTRIES * outputs
        return total

    def not_finite(self, a: str, *, allow_nan: bool = False, width: int | None = None) -> str:
        """Whether a row has an infinity, or a NaN unless allowed; see `Graph.not_finite`."""
        parts = self._parts(a)
        if parts is None:
            return super().not_finite(a, allow_nan=allow_nan, width=width)
        found: list[str] = []
        unsure = self.unsure(a, 0)
        if unsure is not None:
            found.append(super().not_finite(unsure[0], allow_nan=allow_nan, width=unsure[1]))
        for name, _ in parts:
            sparse = self._entries.get(name)
            if sparse is None or sparse.finite:
                continue
            if allow_nan:
                found.append(super().not_finite(name, allow_nan=True))
                continue
            zero = self.multiply(sparse.values, self.constant(np.float64(0)))
            found.append(self.node("IsNaN", [self.summed(sparse, zero)]))
        if not found:
            sparse = self._entries.get(parts[0][0])
            rows = self.node("Shape", [CODES], start=0, end=1) if sparse is None else sparse.rows
            never = self.node("Expand", [self.constant(np.array([False])), rows])
            self._never.add(never)
            return never
        total = found[0]
        for each in found[1:]:
            total = self.node("Or", [total, each])
        return total

    def laid_out(self, a: str) -> str:
        """The same matrix, to be multiplied column by column in their order.

        The order of a sum decides its last digits, and what follows may make much of those.
        """
        known = [name for name, _ in self._parts(a) or () if self._is_known(name)]
        looked_up = bool(known) and all(name in self.lookups for name in known)
        return self.node("Identity", [a]) if looked_up else a

    def never(self, name: str) -> bool:
        """Whether it is known to be false for every row."""
        return name in self._never

    def unsure(self, a: str, width: int) -> tuple[str, int] | None:
        """The columns of a matrix of which nothing is known, and their number; None for none.

        Those of a matrix that was not put together are all, so its `width` is needed.
        """
        parts = self._parts(a)
        if parts is None:
            return a, width
        dense = [(name, size) for name, size in parts if not self._is_known(name)]
        if not dense:
            return None
        return self._beside([name for name, _ in dense]), sum(size for _, size in dense)

    def hold(self, name: str, cells: int) -> None:
        """What makes this tensor holds about so many numbers a row at once."""
        self._cells[name] = cells

    def cells(self, model: onnx.ModelProto) -> int:
        """How many numbers a row the finished model holds at once where that is many, about."""
        made = (name for node in model.graph.node for name in node.output)
        return max((self._cells.get(name, 0) for name in made), default=0)

    def _parts(self, a: str) -> Parts | None:
        if a in self._entries:
            return ((a, self._entries[a].width),)
        if a in self.lookups:
            return ((a, self.lookups[a].width),)
        return self._joined.get(a)

    def _beside(self, names: Sequence[str]) -> str:
        """Matrices side by side, made once however often they are asked for."""
        key = tuple(names)
        if key not in self._dense:
            self._dense[key] = self.concat(names)
        return self._dense[key]

    def _zeros(self, sparse: Sparse, shape: Sequence[int]) -> str:
        size = sparse.rows
        if shape:
            size = self.node("Concat", [size, self.constant(np.array(shape, np.int64))], axis=0)
        zero = helper.make_tensor("zero", DOUBLE, [1], [0.0])
        return self.node("ConstantOfShape", [size], value=zero)

    def _add(self, total: str, sparse: Sparse, values: str) -> str:
        return self.node("ScatterND", [total, sparse.row, values], reduction="add")
