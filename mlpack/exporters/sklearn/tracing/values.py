"""Tensors with Python's operators, so that a formula in the graph reads as a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpack.exporters.sklearn.graph import INT64
from mlpack.exporters.sklearn.tracing.tape import (
    FLOAT64,
    SMALL,
    TRUTH,
    WHOLE,
    Dtype,
    Tape,
    element,
    stored,
)

Number = float | int | bool


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of known elements."""

    tape: Tape
    tensor: str
    dtype: Dtype = FLOAT64

    def make(self, operator: str, *others: Value, dtype: Dtype | None = None) -> Value:
        """What an operator makes of this value and others."""
        kind = dtype or self.dtype
        tensor = self.tape.node(operator, [self.tensor, *(other.tensor for other in others)])
        return Value(self.tape, self.tape.wrapped(tensor, kind), kind)

    def like(self, other: Value | Number) -> Value:
        """`other`, as a constant of the same elements if it is a number."""
        if isinstance(other, Value):
            return other
        return Value(self.tape, self.tape.constant(np.array(other), self.dtype), self.dtype)

    def __add__(self, other: Value | Number) -> Value:
        return self.make("Add", self.like(other))

    def __sub__(self, other: Value | Number) -> Value:
        return self.make("Sub", self.like(other))

    def __rsub__(self, other: Number) -> Value:
        return self.like(other) - self

    def __mul__(self, other: Value | Number) -> Value:
        return self.make("Mul", self.like(other))

    def __rmul__(self, other: Number) -> Value:
        return self.like(other) * self

    def __truediv__(self, other: Value | Number) -> Value:
        return self.make("Div", self.like(other))

    def __rtruediv__(self, other: Number) -> Value:
        return self.like(other) / self

    def __neg__(self) -> Value:
        return self.make("Neg")

    def __lt__(self, other: Value | Number) -> Value:
        return self.make("Less", self.like(other), dtype=TRUTH)

    def __le__(self, other: Value | Number) -> Value:
        return self.make("LessOrEqual", self.like(other), dtype=TRUTH)

    def __gt__(self, other: Value | Number) -> Value:
        return self.make("Greater", self.like(other), dtype=TRUTH)

    def __ge__(self, other: Value | Number) -> Value:
        return self.make("GreaterOrEqual", self.like(other), dtype=TRUTH)

    def __and__(self, other: Value) -> Value:
        return self.make("And", other)

    def __or__(self, other: Value) -> Value:
        return self.make("Or", other)

    def __invert__(self) -> Value:
        return self.make("Not")

    def equals(self, other: Value | Number) -> Value:
        """Whether the elements are equal; NaN equals nothing."""
        return self.make("Equal", self.like(other), dtype=TRUTH)

    def where(self, yes: Value | Number, no: Value | Number) -> Value:
        """`yes` where this truth holds, else `no`."""
        kind = yes if isinstance(yes, Value) else no
        if not isinstance(kind, Value):
            return self.where(Value(self.tape, self.tape.constant(yes, FLOAT64)), no)
        first, second = kind.like(yes), kind.like(no)
        if kind.dtype == TRUTH:
            return (self & first) | (~self & second)
        tensor = self.tape.node("Where", [self.tensor, first.tensor, second.tensor])
        return Value(self.tape, tensor, kind.dtype)

    def cast(self, dtype: Dtype) -> Value:
        """The elements as another type."""
        if stored(self.dtype) == stored(dtype):
            return Value(self.tape, self.tape.wrapped(self.tensor, dtype), dtype)
        tensor = self.tape.node("Cast", [self.tensor], to=element(dtype))
        return Value(self.tape, self.tape.wrapped(tensor, dtype), dtype)

    def is_nan(self) -> Value:
        """Whether the elements are NaN; whole numbers never are."""
        if self.dtype.kind == "f":
            return self.make("IsNaN", dtype=TRUTH)
        return ~self.equals(self)

    def is_infinite(self) -> Value:
        """Whether the elements are an infinity."""
        if self.dtype.kind == "f":
            return self.make("IsInf", dtype=TRUTH)
        return ~self.equals(self)

    def absolute(self) -> Value:
        """Without the sign."""
        return self if self.dtype == TRUTH else self.make("Abs")

    def lookup(self, table: list[float]) -> Value:
        """An entry of a table of doubles by this whole number."""
        constant = self.tape.constant(np.array(table), FLOAT64)
        return Value(self.tape, self.tape.node("Gather", [constant, self.tensor], axis=0), FLOAT64)

    def sum_columns(self) -> Value:
        """The sum over a row, of truths or whole numbers: int64 [rows, 1]."""
        tensor = self.tensor
        if self.dtype == TRUTH:
            tensor = self.tape.node("Cast", [tensor], to=INT64)
        summed = self.tape.node("ReduceSum", [tensor, self.tape.indices([1])], keepdims=1)
        return Value(self.tape, summed, WHOLE)


def is_small(dtype: Dtype) -> bool:
    """Whether elements are kept as int64 though they are smaller."""
    return dtype in SMALL
