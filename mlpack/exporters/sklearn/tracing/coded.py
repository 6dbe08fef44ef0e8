"""Columns of categories: what a function makes of each is found by asking while exporting.

Such a column is known by the codes of a raw column: one value per known category, one for all
others, one for a missing value. Constants that the function names become known categories, so that
"all others" are then none of them, and the answer for these is exact as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.features import NAN, UNKNOWN, Feature, plain
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import FLOAT64, TRUTH, Dtype, Tape

_ANY = (
    "its answer depends on the text of categories that nobody has seen: "
    "name the ones you mean, as in .map({...}), .isin([...]) or =="
)


@dataclass(frozen=True)
class Coded:
    """A column of categories.

    Attributes:
        raw: the raw column whose codes `values` belong to.
        values: one per code.
        dtype: the pandas type that the original has here.
        text: the raw text column, as long as nothing was done to it.
        fill: what stands in it for a missing text, as the one thing that was done.
    """

    tape: Tape
    raw: str
    values: tuple[Any, ...]
    dtype: str
    text: str | None = None
    fill: str | None = None

    def with_values(self, values: Sequence[Any], dtype: str = "object") -> Coded:
        """The column after something was done to it."""
        return replace(self, values=tuple(values), dtype=dtype, text=None, fill=None)

    def learn(self, constants: Sequence[Any]) -> None:
        """Constants that the function tells apart from other values."""
        self.tape.context.learn(Feature(raw=self.raw), list(constants))

    def known(self, value: Any) -> bool:
        """Whether it stands for one value, and not for all others."""
        return value is not UNKNOWN

    def equals(self, constant: Any) -> Array:
        """Which rows hold this constant: no missing ones."""
        self.learn([constant])
        return self.number(
            [value is not UNKNOWN and same(value, constant) for value in self.values], TRUTH
        )

    def isin(self, constants: Sequence[Any]) -> Array:
        """Which rows hold one of the constants; a missing one is found if it is among them."""
        self.learn(list(constants))
        empty = any(missing(each) for each in constants)
        return self.number(
            [
                empty if missing(value) else any(same(value, each) for each in constants)
                for value in self.values
            ],
            TRUTH,
        )

    def missing(self) -> Array:
        """Which rows are missing."""
        return self.number([missing(value) for value in self.values], TRUTH)

    def filled(self, constant: Any) -> Coded:
        """The constant where a value is missing."""
        if self.dtype == "category" and not any(same(v, constant) for v in self.values):
            raise TypeError(f"Cannot setitem on a Categorical with a new category ({constant})")
        self.learn([constant])
        made = self.with_values([constant if missing(v) else v for v in self.values], self.dtype)
        if self.text is not None and self.fill is None and isinstance(constant, str):
            return replace(made, text=self.text, fill=constant)
        return made

    def mapped(self, table: Mapping[Any, Any] | Callable[[Any], Any]) -> Coded:
        """Another value for each."""
        if isinstance(table, Mapping):
            if type(table) is not dict and hasattr(table, "__missing__"):
                raise TraceError("map with a defaultdict is not traced: use a dict and fillna")
            self.learn(list(table))
            answers = [self._entry(table, value) for value in self.values]
            return self.with_values(answers)
        answers = []
        for value in self.values:
            if value is UNKNOWN:
                raise TraceError(_ANY)
            answers.append(table(NAN if missing(value) else value))
        return self.with_values(answers)

    @staticmethod
    def _entry(table: Mapping[Any, Any], value: Any) -> Any:
        if value is UNKNOWN:
            return NAN
        if missing(value):
            return next((table[key] for key in table if missing(key)), NAN)
        return table.get(value, NAN)

    def replaced(self, table: Mapping[Any, Any]) -> Coded:
        """Some values by others, all others as they were."""
        self.learn(list(table))
        return self.with_values(
            [
                value
                if value is UNKNOWN
                else next((new for old, new in table.items() if same(old, value)), value)
                for value in self.values
            ],
            self.dtype,
        )

    def chosen(self, truths: Sequence[bool], other: Any) -> Coded:
        """A constant where the truth of a code does not hold."""
        return self.with_values(
            [value if truth else other for value, truth in zip(self.values, truths, strict=True)]
        )

    def string(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Coded:
        """A method of ``.str``, asked of pandas for each category."""
        if any(value is UNKNOWN for value in self.values):
            raise TraceError(f".str.{method}: {_ANY}")
        dtype: Any = "str" if self.dtype == "str" else object
        texts = [None if missing(value) else value for value in self.values]
        series = pd.Series(texts, dtype=dtype)
        made = getattr(series.str, method)(*arguments, **options)
        if not isinstance(made, pd.Series):
            raise TraceError(f".str.{method} gives several columns: that is not traced")
        return self.with_values(made.tolist())

    def number(self, values: Sequence[Any], dtype: Dtype) -> Array:
        """A column of numbers, one per code."""
        cell = self.tape.lookup(self.raw, list(values), dtype)
        cells = np.empty((), dtype=object)
        cells[()] = cell
        return Array(self.tape, cells, dtype)

    def numbers(self) -> Array:
        """The column as numbers, if its values are.

        Raises:
            TraceError: some are text.
        """
        values = [NAN if missing(value) else value for value in self.values]
        if any(value is UNKNOWN or isinstance(value, str) for value in values):
            raise TraceError("a column of text is computed with: encode or map it before")
        if all(isinstance(value, bool | np.bool_) for value in values):
            return self.number(values, TRUTH)
        return self.number([float(value) for value in values], FLOAT64)

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers or missing."""
        return all(
            value is not UNKNOWN and not isinstance(value, str)
            and (missing(value) or isinstance(value, int | float | np.number | np.bool_))
            for value in self.values
        )  # fmt: skip


def missing(value: Any) -> bool:
    """Whether it is None, NaN or pandas' own missing value."""
    if value is UNKNOWN or isinstance(value, str):
        return False
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def same(first: Any, second: Any) -> bool:
    """Whether two known values are equal, text to text and number to number."""
    a, b = plain(first), plain(second)
    if a is None or b is None or isinstance(a, str) != isinstance(b, str):
        return False
    return bool(a == b)
