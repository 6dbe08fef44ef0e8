"""The author's constraints on clean values, checked one by one so that every problem is named."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .columns import Figures, figures_of
from .contract import Column, Signature
from .kinds import fits, is_number
from .predictions import Refusal, shown
from .schema import Constraint, Schema
from .values import PRESENT, Values, cells
from .words import Said, Words

_EXACT = 2**53
"""Bounds below it: numpy, which turns whole numbers to floats, compares as Python does."""


class _Rule:
    """One column's constraint, compiled."""

    __slots__ = ("_refused", "allowed", "column", "constraint", "index", "pattern")

    def __init__(self, index: int, column: Column, constraint: Constraint) -> None:
        self.index = index
        self.column = column
        self.constraint = constraint
        self.pattern = None if constraint.pattern is None else re.compile(constraint.pattern)
        self.allowed = (
            None
            if constraint.categories is None
            else frozenset(c for c in constraint.categories if fits(c, column.type))
        )
        self._refused = Said(lambda word: self.problem(word) is not None)

    def bounds(self) -> tuple[float, float] | None:
        """Where it demands no more of numbers than to lie between two, these; else None."""
        if not is_number(self.column) or self.allowed is not None:
            return None
        low, high = self.constraint.minimum, self.constraint.maximum
        exact = self.column.type == "integer"
        if any(
            abs(bound) >= _EXACT
            for bound in (low, high)
            if bound is not None and (exact or isinstance(bound, int))
        ):
            return None
        return -math.inf if low is None else low, math.inf if high is None else high

    def problem(self, value: Any) -> str | None:  # noqa: ANN401 - a clean value
        """What was expected instead of `value`; None if it is allowed."""
        constraint = self.constraint
        if value is None:
            # Where the pipeline itself needs a value, the reader has said so already.
            return PRESENT if constraint.required and self.column.nullable else None
        if self.allowed is not None and value not in self.allowed:
            return "one of " + ", ".join(shown(c) for c in constraint.categories or ())
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"a string that matches {constraint.pattern}"
        if self.column.type in ("number", "integer"):
            if constraint.minimum is not None and value < constraint.minimum:
                return f"at least {constraint.minimum}"
            if constraint.maximum is not None and value > constraint.maximum:
                return f"at most {constraint.maximum}"
        return None

    def fine(self, values: Values) -> bool:
        """Whether a look at all values together finds no problem: False says nothing."""
        constraint = self.constraint
        if type(values) is Words:
            return not np.dot(self._refused(values), values.counts())
        if self.pattern is not None:
            return False
        if isinstance(values, np.ndarray):
            low, high = constraint.minimum, constraint.maximum
            bounds = [bound for bound in (low, high) if bound is not None]
            if self.allowed is not None or self.column.type not in ("number", "integer"):
                return False
            if values.dtype.kind != "f" and any(abs(bound) >= _EXACT for bound in bounds):
                return False
            # What is missing is neither below nor above.
            return not (
                (low is not None and bool((values < low).any()))
                or (high is not None and bool((values > high).any()))
                or (constraint.required and bool((values != values).any()))
            )
        if self.allowed is None or self.column.type != "string":
            return False
        met = set(values)
        if None in met:
            if constraint.required:
                return False
            met.remove(None)
        return met <= self.allowed


class Rules:
    """The constraints of a schema on a signature's columns.

    Args:
        signature: what the pipeline learned.
        schema: what the author demands; names that are no columns are ignored.
        without: columns whose constraints somebody else checks.

    Raises:
        ValueError: a pattern is not a regular expression.
    """

    def __init__(
        self, signature: Signature, schema: Schema, without: frozenset[str] = frozenset()
    ) -> None:
        try:
            self._rules = tuple(
                _Rule(index, column, schema.columns[column.name])
                for index, column in enumerate(signature.columns)
                if column.name in schema.columns and column.name not in without
            )
        except re.error as error:
            raise ValueError(f"the schema has a bad pattern: {error}") from error
        numbers = [i for i, column in enumerate(signature.columns) if is_number(column)]
        bounded = [
            (place, numbers.index(rule.index), *bounds, rule.constraint.required)
            for place, rule in enumerate(self._rules)
            if (bounds := rule.bounds()) is not None
        ]
        self._bounded = [np.array(part) for part in zip(*bounded, strict=True)]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def one(self, values: Sequence[Any]) -> tuple[Refusal, ...]:
        """The problems of one row of clean values."""
        found = []
        for rule in self._rules:
            value = values[rule.index]
            expected = rule.problem(value)
            if expected is not None:
                found.append(Refusal(0, rule.column.name, expected, shown(value)))
        return tuple(found)

    def many(self, columns: Sequence[Values], told: Iterable[Refusal] = ()) -> list[Refusal]:
        """The problems of clean columns, but for the cells that were refused before."""
        known = {(refusal.row, refusal.column) for refusal in told}
        found: list[Refusal] = []
        rules: Sequence[_Rule] = self._rules
        numbers = figures_of(columns)
        if numbers is not None and self._bounded:
            kept = self._beyond(numbers)
            rules = [rule for rule, keep in zip(rules, kept.tolist(), strict=True) if keep]
        for rule in rules:
            name = rule.column.name
            if rule.fine(columns[rule.index]):
                continue
            for row, value in enumerate(cells(columns[rule.index])):
                expected = rule.problem(value)
                if expected is not None and (row, name) not in known:
                    found.append(Refusal(row, name, expected, shown(value)))
        return found

    def _beyond(self, numbers: Figures) -> np.ndarray:
        """For each rule false where the bounds of its column say that all is well."""
        places, rows, low, high, required = self._bounded
        kept = np.ones(len(self._rules), dtype=np.bool_)
        # What is missing is neither below nor above.
        kept[places] = (
            (numbers.low[rows] < low)
            | (numbers.high[rows] > high)
            | (required & (numbers.missing[rows] > 0))
        )
        return kept
