"""Demands that refuse nothing: what fails them is counted, and moved to the bounds if told to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import msgspec
import numpy as np

from .contract import Column, Signature
from .predictions import Refusal
from .rules import Rules
from .schema import Constraint, Schema
from .values import Values, cells


class Lenient:
    """The demands of a schema whose violations are counted or clipped.

    Safe to use from several threads.

    Args:
        signature: what the pipeline learned.
        schema: what the author demands.

    Attributes:
        counted: so many values of each column failed.
    """

    def __init__(self, signature: Signature, schema: Schema) -> None:
        chosen = {
            name: _loose(each)
            for name, each in schema.columns.items()
            if each.violation != "refuse"
        }
        self._rules = Rules(signature, msgspec.structs.replace(schema, columns=chosen))
        self._clipped = [
            (index, *_bounds(column, chosen[column.name]))
            for index, column in enumerate(signature.columns)
            if column.name in chosen and chosen[column.name].violation == "clip"
        ]
        self.counted: Counter[str] = Counter()
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def one(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """One row of clean values, as it is answered."""
        failed = self._rules.one(values)
        self._count(failed)
        return tuple(self._moved(values, _moved_cell)) if failed else values

    def many(self, columns: Sequence[Values], *, answered: bool) -> Sequence[Values]:
        """Clean columns, as they are answered; nothing is counted where they may not be."""
        failed = self._rules.many(columns)
        if answered:
            self._count(failed)
        return self._moved(columns, _moved_column) if failed else columns

    def _count(self, failed: Sequence[Refusal]) -> None:
        if failed:
            with self._lock:
                self.counted.update(str(refusal.column) for refusal in failed)

    def _moved(
        self, values: Sequence[Any], move: Callable[[Any, float, float], Any]
    ) -> Sequence[Any]:
        """The cells of a row, or columns: those with bounds moved into them."""
        moved = list(values)
        for index, low, high in self._clipped:
            moved[index] = move(moved[index], low, high)
        return moved


def _loose(constraint: Constraint) -> Constraint:
    """The part of it that refuses nothing: where values are clipped, the bounds alone."""
    if constraint.violation != "clip":
        return constraint
    return Constraint(
        minimum=constraint.minimum, maximum=constraint.maximum, violation=constraint.violation
    )


def _bounds(column: Column, constraint: Constraint) -> tuple[float, float]:
    """The least and the largest value of the column that are allowed."""
    low = -math.inf if constraint.minimum is None else constraint.minimum
    high = math.inf if constraint.maximum is None else constraint.maximum
    if column.type != "integer":
        return float(low), float(high)
    return (
        low if math.isinf(low) else math.ceil(low),
        high if math.isinf(high) else math.floor(high),
    )


def _moved_column(values: Values, low: float, high: float) -> Values:
    if isinstance(values, np.ndarray):
        return np.clip(values, low if low > -math.inf else None, high if high < math.inf else None)
    return [_moved_cell(value, low, high) for value in cells(values)]


def _moved_cell(value: Any, low: float, high: float) -> Any:  # noqa: ANN401 - a clean value
    return None if value is None else min(max(value, low), high)
