"""Writes the steps of a program down, each once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.unrolled_trees import Told, Total, UnknownError
from mlpack.runtime.program import Number

Array = NDArray[Any]

MOST = 2_000
"""More numbers than that in all steps, and ONNX Runtime is as fast."""

_NUMBERED = frozenset(("number", "code", "row", "place", "pick"))
"""Steps with whole numbers that are no places."""

_TRUTHS = frozenset(("isnan", "isinf", "greater", "less", "equal", "and", "or", "not"))


class Place(int):
    """The place of a result."""


class Steps:
    """What is done, in order.

    Attributes:
        written: the steps.
        tables: of ``row``.
        lists: of ``pick``.
    """

    def __init__(self) -> None:
        self.written: list[tuple[str, tuple[Number, ...]]] = []
        self.tables: list[tuple[tuple[float, ...], ...]] = []
        self.lists: dict[tuple[float, ...], int] = {}
        # Place 1 and the number 1.0 are equal, and so are steps with them but for their types.
        self._known: dict[tuple[str, tuple[Number, ...], tuple[type, ...]], int] = {}
        self._truths: set[int] = set()
        self._singles: set[int] = set()
        self._count = 0
        self._size = 0

    def add(self, operation: str, *arguments: Any, results: int = 1) -> Place:
        """The place of the first result of a step; the same one for the same step.

        Raises:
            UnknownError: a number is not finite, or there are too many.
        """
        given: list[Number] = []
        for each in map(self.told, arguments):
            if isinstance(each, Place) or operation in _NUMBERED:
                given.append(int(each))
            else:
                if isinstance(each, bool | np.bool_) or not math.isfinite(each):
                    raise UnknownError
                given.append(float(each))
        key = (operation, tuple(given), tuple(map(type, given)))
        if key not in self._known:
            self._known[key] = self._count
            self.written.append(key[:2])
            self._count += results
            self._grow(1 if operation in ("leaf", "pick") else len(given))
            if operation in _TRUTHS:
                self._truths.add(self._known[key])
        return Place(self._known[key])

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MOST:
            raise UnknownError

    def told(self, cell: Any) -> Any:
        """A number that trees' leaves tell, as a result; others as they are."""
        if isinstance(cell, Total):
            if cell.shift:
                raise UnknownError
            parts = [self.told(part) for part in cell.parts]
            return parts[0] if len(parts) == 1 else self.add("sum", *parts)
        if not isinstance(cell, Told):
            return cell
        if not all(map(math.isfinite, cell.values)):
            raise UnknownError
        index = self.lists.setdefault(cell.values, len(self.lists))
        return self.add("pick", Place(index), Place(cell.leaf))

    def row(self, data: Array, place: Place) -> list[Place]:
        """The cells of a table's row, which a result names."""
        table = tuple(map(tuple, data.tolist()))
        if table not in self.tables:
            self.tables.append(table)
            self._grow(data.size // 10)
        width = data.shape[1]
        first = self.add("row", self.tables.index(table), place, results=width)
        return [Place(first + column) for column in range(width)]

    def rounded(self, cells: Sequence[Any]) -> list[Any]:
        """Each number as float32 has it."""
        asked = [each for each in dict.fromkeys(cells) if not self.is_single(each)]
        if any(not isinstance(each, Place) for each in asked):
            raise UnknownError
        if not asked:
            return list(cells)
        first = self.add("single", *asked, results=len(asked))
        made = {each: Place(first + index) for index, each in enumerate(asked)}
        self._singles.update(made.values())
        return [made.get(each, each) for each in cells]

    def is_truth(self, cell: Any) -> bool:
        """Whether it is a result that is true or false."""
        return isinstance(cell, Place) and cell in self._truths

    def is_single(self, cell: Any) -> bool:
        """Whether it is a result that float32 holds."""
        return isinstance(cell, Place) and cell in self._singles
