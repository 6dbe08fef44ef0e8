"""Compares columns of a step's answer, in the forms in which the original and the graph have it."""

from __future__ import annotations

import numbers as kinds
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.export import Block

Array = NDArray[Any]
Entries = tuple[Array, Array, Array]
"""Rows, columns and values of what a matrix holds beside zeros."""


@dataclass(frozen=True)
class Difference:
    """What was found in some columns; see `mlpack.export.Figures`."""

    columns: int
    largest: float
    beyond: int


class Answer:
    """What a transformer of the original answered: an array, a frame, a series, a sparse matrix."""

    def __init__(self, said: Any) -> None:
        self._said = said
        self._sparse = said.tocsc() if hasattr(said, "tocsc") else None
        self.width = 1 if len(said.shape) == 1 else int(said.shape[1])

    def cells(self, column: int) -> Array:
        """One column, its values as they are."""
        if self._sparse is not None:
            return np.asarray(self._sparse[:, [column]].toarray()).reshape(-1)
        if len(self._said.shape) == 1:
            return np.asarray(self._said)
        if hasattr(self._said, "iloc"):
            return np.asarray(self._said.iloc[:, column])
        return np.asarray(self._said)[:, column]

    def numbers(self, where: slice) -> Array | None:
        """Some columns as float64, what is missing as NaN; None where they are no numbers."""
        if self._sparse is not None:
            return np.asarray(self._sparse[:, where].toarray(), np.float64)
        if isinstance(self._said, np.ndarray) and self._said.dtype.kind in "biuf":
            return self._said.reshape(len(self._said), -1)[:, where].astype(np.float64)
        columns = [as_numbers(self.cells(column)) for column in range(where.start, where.stop)]
        there = [column for column in columns if column is not None]
        return np.stack(there, axis=1) if len(there) == len(columns) else None

    def entries(self, where: slice) -> Entries:
        """What some columns hold beside zeros."""
        if self._sparse is not None:
            found = self._sparse[:, where].tocoo()
            return found.row, found.col, np.asarray(found.data, np.float64)
        whole = np.asarray(self._said, np.float64).reshape(len(self._said), -1)[:, where]
        row, column = np.nonzero(whole)
        return row, column, whole[row, column]


def as_numbers(column: Array) -> Array | None:
    """A column as float64, what is missing as NaN; None where it holds anything but numbers."""
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    if column.dtype.kind != "O":
        return None
    cells = [np.nan if _missing(value) else value for value in column]
    if not all(isinstance(value, kinds.Real | np.bool_) for value in cells):
        return None
    return np.array(cells, np.float64)


def numbers(original: Array, served: Array, tolerance: float) -> Difference:
    """Numbers: what is missing on one side only differs, and has no size."""
    served = served.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        same = (original == served) | (np.isnan(original) & np.isnan(served))
        apart = np.abs(original - served) / np.maximum(1.0, np.abs(original))
    apart = np.where(same, 0.0, apart)
    sized = apart[np.isfinite(apart)]
    return Difference(
        columns=original.shape[1] if original.ndim > 1 else 1,
        largest=float(sized.max(initial=0.0)),
        beyond=int((~(apart <= tolerance)).sum()),
    )


def labels(original: Array, served: Array) -> Difference:
    """Labels: each is right or wrong."""
    wrong = [a != b for a, b in zip(original.tolist(), served.tolist(), strict=True)]
    return Difference(columns=1, largest=0.0, beyond=sum(wrong))


def entries(original: Entries, served: Entries, block: Block, tolerance: float) -> Difference:
    """Columns of which only the entries are known; what has none is 0."""
    row, column, value = (np.asarray(each).reshape(-1) for each in served)
    # The graph's columns are those of a matrix of which the step may have chosen some.
    indices = np.asarray(block.indices, np.int64)
    order = np.argsort(indices, kind="stable")
    place = np.searchsorted(indices, column, sorter=order)
    place = order[np.minimum(place, len(order) - 1)]
    kept = indices[place] == column
    keys = row[kept] * block.width + place[kept]
    wanted = original[0].astype(np.int64) * block.width + original[1]
    every = np.union1d(keys, wanted)
    ours, theirs = np.zeros(len(every)), np.zeros(len(every))
    np.add.at(ours, np.searchsorted(every, keys), value[kept])
    np.add.at(theirs, np.searchsorted(every, wanted), original[2])
    found = numbers(theirs, ours, tolerance)
    return Difference(columns=block.width, largest=found.largest, beyond=found.beyond)


def coded(original: Array, codes: Array, block: Block, tolerance: float) -> Difference | None:
    """One column whose value depends on the code of a raw column; None if it cannot be compared."""
    known = np.array([value is not block.unknown for value in block.values])[codes]
    # Of an unknown category the graph knows no more than that it is not missing.
    hidden = sum(_missing(value) for value in original[~known].tolist())
    values = [None if value is block.unknown else value for value in block.values]
    made, wanted = as_numbers(_objects(values)), as_numbers(original[known])
    if made is not None and wanted is not None:
        found = numbers(wanted, made[codes[known]], tolerance)
    elif original.dtype.kind in "OUST":
        served = [values[code] for code in codes[known].tolist()]
        wrong = [not _same(a, b) for a, b in zip(original[known].tolist(), served, strict=True)]
        found = Difference(columns=1, largest=0.0, beyond=sum(wrong))
    else:
        return None
    return Difference(columns=1, largest=found.largest, beyond=found.beyond + hidden)


def _objects(values: Sequence[Any]) -> Array:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _same(one: Any, other: Any) -> bool:
    if _missing(one) or _missing(other):
        return _missing(one) and _missing(other)
    return bool(one == other)


def _missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA, which says neither yes nor no when it is compared."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and value != value
