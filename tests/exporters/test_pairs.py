"""Loops in graphs, and rows taken some at a time."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from mlpack.exporters.sklearn.graph import DOUBLE, INT64, Graph
from mlpack.exporters.sklearn.pairs import (
    CELLS,
    as_numpy_sums,
    in_chunks,
    squared_lengths,
    summed_differences,
)

CHANCE = np.random.default_rng(0)


def answers(graph, outputs, **inputs):
    model = graph.build(outputs)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)


def test_a_loop_carries_states_and_collects():
    graph = Graph()
    rows = graph.input("rows", DOUBLE, 2)

    def body(inner, run, states):
        grown = inner.add(states[0], rows)  # what the outer graph holds can be read
        small = inner.node("ReduceMax", [grown], keepdims=0)
        going = inner.node("Less", [small, inner.constant(np.float64(3))])
        return going, [grown], [inner.cast(run, DOUBLE)]

    last, runs = graph.loop(graph.constant(np.int64(9)), [rows], body)
    told = answers(
        graph,
        [("last", last, DOUBLE, ["rows", 2]), ("runs", runs, DOUBLE, ["runs"])],
        rows=np.ones((2, 2)),
    )
    np.testing.assert_array_equal(told[0], np.full((2, 2), 3.0))
    np.testing.assert_array_equal(told[1], [0.0, 1.0])


@pytest.mark.parametrize("cells", [1, CELLS // 10, CELLS * 2])
@pytest.mark.parametrize("rows", [0, 1, 2, 9, 10, 11, 37])
def test_every_row_is_answered_in_its_place(cells, rows):
    points = CHANCE.normal(size=(6, 3))
    graph = Graph()
    matrix = graph.input("rows", DOUBLE, 3)

    def answer(inner, some):
        far = summed_differences(inner, some, points)
        place = inner.node("ArgMin", [far], axis=1, keepdims=1)
        return [(far, 6), (place, 1)]

    far, place = in_chunks(graph, matrix, cells, answer)
    given = CHANCE.normal(size=(rows, 3))
    told = answers(
        graph,
        [("far", far, DOUBLE, ["rows", 6]), ("place", place, INT64, ["rows", 1])],
        rows=given,
    )
    own = sum((given[:, [i]] - points[np.newaxis, :, i]) ** 2 for i in range(3))
    np.testing.assert_array_equal(told[0], own)
    np.testing.assert_array_equal(told[1][:, 0], own.argmin(axis=1) if rows else [])


@pytest.mark.parametrize("columns", [1, 2, 7, 8, 9, 16, 31, 129, 300])
def test_sums_are_numpys_to_the_last_bit(columns):
    graph = Graph()
    matrix = graph.input("rows", DOUBLE, columns)
    total = as_numpy_sums(graph, [graph.columns(matrix, [i]) for i in range(columns)])
    lengths = squared_lengths(graph, matrix, columns)
    given = CHANCE.normal(size=(200, columns))
    told = answers(
        graph,
        [("total", total, DOUBLE, ["rows", 1]), ("lengths", lengths, DOUBLE, ["rows", 1])],
        rows=given,
    )
    np.testing.assert_array_equal(told[0][:, 0], given.sum(axis=1))
    np.testing.assert_array_equal(told[1][:, 0], np.einsum("ij,ij->i", given, given))
