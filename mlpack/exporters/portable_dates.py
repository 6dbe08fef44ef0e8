"""Dates and times in the portable graph: ticks as whole numbers, and their parts as nodes.

A date or time comes in as numpy and pandas hold it: an int64 that counts ticks of the column's own
unit since 1970 (days, seconds ... nanoseconds), in UTC where the column has a zone, and `NAT` where
it is missing: what ``column.to_numpy().view("int64")`` gives. The parts are those of
`mlpack.runtime.dateparts`, which are written for anything that computes as whole numbers do.

Days and months become one another by ``civil_from_days`` and ``days_from_civil`` of Howard Hinnant,
https://howardhinnant.github.io/date_algorithms.html (in the public domain).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto

from mlpack.runtime.contract import Clock, Column, Moment
from mlpack.runtime.dateparts import CYCLE, LAST, PARTS, Local
from mlpack.runtime.kinds import unit

NAT = int(np.iinfo(np.int64).min)
"""What stands for a missing date or time, as numpy has it."""

_ERA = 146_097
"""The days of 400 years."""
_MARCH = 719_468
"""The days from 0000-03-01, with which the algorithm's years begin, to 1970-01-01."""


class Nodes(Protocol):
    """Where the nodes go."""

    def node(self, operator: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """A new node; the name of what it answers."""
        ...

    def several(
        self, operator: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> Sequence[str]:
        """A new node that answers so much; the names."""
        ...

    def constant(self, value: Any) -> str:
        """A new constant's name."""
        ...


class _Once:
    """Makes each node and each constant once, however often it is asked for."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._made: dict[tuple[Any, ...], str] = {}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        key = (operator, inputs, *attributes.items())
        if key not in self._made:
            self._made[key] = self._nodes.node(operator, inputs, **attributes)
        return self._made[key]

    def whole(self, value: int) -> str:
        if (value,) not in self._made:
            self._made[(value,)] = self.constant([[value]])
        return self._made[(value,)]

    def constant(self, values: Any) -> str:
        return self._nodes.constant(np.array(values, np.int64))


class _Whole:
    """Whole numbers or truths of a graph, [rows, 1]."""

    __slots__ = ("name", "once")

    def __init__(self, name: str, once: _Once) -> None:
        self.name, self.once = name, once

    def _made(self, operator: str, other: _Whole | int) -> _Whole:
        beside = self.once.whole(other) if isinstance(other, int) else other.name
        return _Whole(self.once.node(operator, self.name, beside), self.once)

    def __add__(self, other: _Whole | int) -> _Whole:
        return self._made("Add", other)

    def __sub__(self, other: _Whole | int) -> _Whole:
        return self._made("Sub", other)

    def __mul__(self, other: _Whole | int) -> _Whole:
        return self._made("Mul", other)

    def __mod__(self, other: int) -> _Whole:
        """With the sign of the divisor, as Python's: ONNX has it so for whole numbers."""
        return self._made("Mod", other)

    def __floordiv__(self, other: int) -> _Whole:
        """ONNX divides towards zero: what is left over is taken away before."""
        return (self - self % other)._made("Div", other)

    def __eq__(self, other: object) -> _Whole:  # type: ignore[override]
        if not isinstance(other, _Whole | int):
            return NotImplemented
        return self._made("Equal", other)

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: _Whole) -> _Whole:
        return self._made("And", other)

    def most(self, other: int) -> _Whole:
        """The larger one."""
        return self._made("Max", other)

    def over(self, other: int, yes: _Whole, no: _Whole) -> _Whole:
        """`yes` where this is more than `other`, `no` elsewhere."""
        more = self._made("Greater", other).name
        return _Whole(self.once.node("Where", more, yes.name, no.name), self.once)


class _Local(Local):
    """Moments of a graph on the clock of their column's zone."""

    __slots__ = ()

    def months_of(self, days: _Whole) -> _Whole:
        """Days since 1970-01-01 as months since January 1970."""
        since = days + _MARCH
        era = since // _ERA
        day = since - era * _ERA
        year = (day - day // 1460 + day // 36_524 - day // (_ERA - 1)) // 365
        day_of_year = day - (year * 365 + year // 4 - year // 100)
        month = (day_of_year * 5 + 2) // 153  # since March
        return (era * 400 + year - 1970) * 12 + month + 2

    def days_of(self, months: _Whole) -> _Whole:
        """The first days of months since January 1970, as days since 1970-01-01."""
        since = months + 1970 * 12 - 2  # since March of the year 0
        full = since // 12
        era = full // 400
        year = full - era * 400
        day_of_year = ((since - full * 12) * 153 + 2) // 5
        return era * _ERA + year * 365 + year // 4 - year // 100 + day_of_year - _MARCH


def _ahead(seconds: _Whole, clock: Clock) -> _Whole:
    """The seconds by which a clock is ahead of UTC; see `mlpack.runtime.dateparts.Ahead`."""
    once = seconds.once
    if len(clock.offsets) == 1:
        return _Whole(once.whole(clock.offsets[0]), once)
    cycles = ((seconds - LAST) // CYCLE + 1).most(0)
    known = seconds - cycles * CYCLE
    put = once.node("GreaterOrEqual", known.name, once.constant([clock.since]))
    put = once.node("Cast", put, to=TensorProto.INT64)
    place = once.node("ReduceSum", put, once.constant([1]), keepdims=1)
    return _Whole(once.node("Gather", once.constant(clock.offsets), place), once)


def parts(
    nodes: Nodes, ticks: str, column: Column, moments: Sequence[Moment], clock: Clock | None
) -> list[str]:
    """The parts of a column as float64 [rows, 1] each, NaN where it is missing.

    Args:
        nodes: take the nodes.
        ticks: the column's input, int64 [rows, 1].
        column: which it is.
        moments: what is taken of it.
        clock: that of its zone, if it has one.
    """
    once = _Once(nodes)
    gone = once.node("Equal", ticks, once.whole(NAT))
    counts = _Whole(once.node("Where", gone, once.whole(0), ticks), once)
    local = _Local(counts, unit(column), None if clock is None else lambda at: _ahead(at, clock))
    nothing = nodes.constant(np.array([[np.nan]]))
    found = []
    for moment in moments:
        part = once.node("Cast", PARTS[moment.part](local).name, to=TensorProto.DOUBLE)
        found.append(once.node("Where", gone, nothing, part))
    return found
