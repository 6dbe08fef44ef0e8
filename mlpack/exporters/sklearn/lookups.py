"""Columns that the codes of raw columns decide, which need not be laid out one by one.

What an encoder makes of a raw column is a table: what each code becomes. A product with constants
is then a table too, so that one-hot columns are never made for a linear model; and where the
columns themselves are asked for, those of many raw columns are made together. A graph's time for
one row is the number of its nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from mlpack.exporters.sklearn.graph import DOUBLE, Graph

Array = NDArray[Any]

CODES = "codes"
"""The input with the codes: int64 [rows, coded columns]."""

MANY = 4
"""From so many tables on, their columns are faster made together."""

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Lookup:
    """Columns of which a raw column's code chooses the values.

    Attributes:
        place: the raw column's in the input of codes.
        table: float64 [codes, columns], of finite numbers that float32 can hold too.
    """

    place: int
    table: Array

    @property
    def width(self) -> int:
        """How many columns."""
        return int(self.table.shape[1])


def plain(table: Array) -> bool:
    """Whether nothing that the table says is missing or too large: such rows are never refused."""
    return bool((np.abs(table) <= LARGEST).all())


def added(graph: Graph, looked: Sequence[tuple[int, Array]]) -> str:
    """The sum of what each place's code has in its table: float64 [rows, columns]."""
    tables: dict[int, Array] = {}
    for place, table in looked:
        tables[place] = tables[place] + table if place in tables else table
    if len(tables) < MANY:
        first, *others = [_chosen(graph, place, table) for place, table in tables.items()]
        return reduce(graph.add, others, first)
    index = _index(graph, [(place, len(table)) for place, table in tables.items()])
    flat = graph.constant(np.concatenate(list(tables.values())))
    found = graph.node("Gather", [flat, index], axis=0)
    axis = graph.constant(np.array([1], np.int64))
    return graph.node("ReduceSum", [found, axis], keepdims=0)


def together(graph: Graph, looked: Sequence[Lookup]) -> str | None:
    """The columns of several tables side by side; None where each is better made by itself."""
    if len(looked) < MANY or any((np.count_nonzero(e.table, axis=1) > 1).any() for e in looked):
        return None
    index = _index(graph, [(each.place, len(each.table)) for each in looked])
    values = graph.constant(
        np.concatenate([each.table[_rows(each), _column(each)] for each in looked])
    )
    chosen = graph.node("Gather", [values, index], axis=0)
    if all(each.width == 1 for each in looked):
        return chosen
    starts = _starts(each.width for each in looked)
    places = graph.constant(
        np.concatenate([start + _column(each) for start, each in zip(starts, looked, strict=True)])
    )
    where = graph.node("Gather", [places, index], axis=0)
    width = graph.constant(np.array([sum(each.width for each in looked)], np.int64))
    rows = graph.node("Shape", [CODES], start=0, end=1)
    shape = graph.node("Concat", [rows, width], axis=0)
    zero = helper.make_tensor("zero", DOUBLE, [1], [0.0])
    zeros = graph.node("ConstantOfShape", [shape], value=zero)
    return graph.node("ScatterElements", [zeros, where, chosen], axis=1)


def _chosen(graph: Graph, place: int, table: Array) -> str:
    code = graph.node("Gather", [CODES, graph.constant(np.int64(place))], axis=1)
    return graph.node("Gather", [graph.constant(np.ascontiguousarray(table)), code], axis=0)


def _index(graph: Graph, sizes: Sequence[tuple[int, int]]) -> str:
    """Where the codes stand in tables, one after another: int64 [rows, tables]."""
    codes = graph.columns(CODES, [place for place, _ in sizes])
    starts = _starts(size for _, size in sizes)
    return graph.add(codes, graph.constant(np.array([starts], np.int64)))


def _starts(sizes: Iterable[int]) -> list[int]:
    return [0, *accumulate(sizes)][:-1]


def _rows(looked: Lookup) -> Array:
    return np.arange(len(looked.table))


def _column(looked: Lookup) -> Array:
    """The column in which each code has its only number, int64 [codes]; the first for none."""
    return np.asarray(np.argmax(looked.table != 0, axis=1), np.int64)
