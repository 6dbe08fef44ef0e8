"""Counts values that training did not see: outside the observed range, or of no known category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .contract import Signature
from .values import Values, cells


class Drift:
    """Finds what was never observed. Has no state: who counts adds the figures up.

    Attributes:
        ranges: the columns with an observed range, by their place in the signature.
        known: the columns with observed categories.
    """

    def __init__(self, signature: Signature) -> None:
        self.ranges: list[tuple[int, float, float]] = []
        self.known: list[tuple[int, frozenset[Any]]] = []
        for index, column in enumerate(signature.columns):
            if column.type in ("number", "integer"):
                if column.minimum is not None and column.maximum is not None:
                    self.ranges.append((index, column.minimum, column.maximum))
            elif column.categories:
                # None is no value: whether it may be missing is another question.
                self.known.append((index, frozenset((*column.categories, None))))

    def one(self, values: Sequence[Any]) -> list[tuple[int, int]]:
        """The places of the columns whose value was never observed, each with the count 1."""
        found = []
        for index, low, high in self.ranges:
            value = values[index]
            if value is not None and not low <= value <= high:
                found.append((index, 1))
        for index, known in self.known:
            if values[index] not in known:
                found.append((index, 1))
        return found

    def many(self, columns: Sequence[Values]) -> list[tuple[int, int]]:
        """The places of the columns with values that were never observed, and how many."""
        found = []
        for index, low, high in self.ranges:
            numbers = np.asarray(columns[index], dtype=np.float64)
            found.append((index, int(((numbers < low) | (numbers > high)).sum())))
        for index, known in self.known:
            values = cells(columns[index])
            found.append((index, sum(value not in known for value in values)))
        return [(index, count) for index, count in found if count]
