"""Single numbers beside a column have as many dimensions as it, and nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, Graph
from mlpack.exporters.sklearn.scalars import widen_scalars

X = np.array([[1.0, -2.0], [np.nan, 0.5], [3.0, 4.0]])


def made(shape):
    graph = Graph()
    x = graph.input("x", DOUBLE, 2)
    number = graph.constant(np.full(shape, 0.5))
    column = graph.columns(x, [1])
    flat = graph.reshape(column, [-1])
    return graph.build(
        [
            ("first", graph.subtract(number, column), DOUBLE, ["rows", 1]),
            ("second", graph.node("Greater", [column, number]), BOOL, ["rows", 1]),
            ("matrix", graph.multiply(x, number), DOUBLE, ["rows", 2]),
            ("flat", graph.add(flat, number), DOUBLE, ["rows"]),
            ("both", graph.add(number, number), DOUBLE, list(shape)),
        ]
    )


def answers(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": X})


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_answers_are_the_same(shape):
    model = made(shape)
    before = answers(model)
    widen_scalars(model)
    onnx.checker.check_model(model, full_check=True)
    for one, other in zip(before, answers(model), strict=True):
        assert one.shape == other.shape
        assert np.array_equal(one, other, equal_nan=True)


def test_only_what_meets_a_column_is_widened():
    model = made(())
    widen_scalars(model)
    wide = {
        node.op_type for node in model.graph.node if any(n.endswith("_wide") for n in node.input)
    }
    assert wide == {"Sub", "Greater"}


def test_a_number_that_nothing_reads_any_more_is_gone():
    graph = Graph()
    column = graph.input("x", DOUBLE, 1)
    made = graph.add(column, graph.constant(np.float64(7)))
    model = graph.build([("y", made, DOUBLE, ["rows", 1])])
    widen_scalars(model)
    shapes = [tuple(tensor.dims) for tensor in model.graph.initializer]
    assert (1, 1) in shapes
    assert () not in shapes


def test_a_number_inside_a_branch_is_kept():
    graph = Graph()
    x = graph.input("x", DOUBLE, 2)
    number = graph.constant(np.float64(2))
    column = graph.columns(x, [0])
    yes = graph.constant(np.array([True]))
    chosen = graph.either(
        yes, lambda inner: inner.add(x, number), lambda inner: inner.multiply(x, number)
    )
    model = graph.build(
        [
            ("y", chosen, DOUBLE, ["rows", 2]),
            ("z", graph.add(column, number), DOUBLE, ["rows", 1]),
        ]
    )
    widen_scalars(model)
    doubled, added = answers(model)
    assert np.array_equal(doubled, X + 2, equal_nan=True)
    assert np.array_equal(added, X[:, :1] + 2, equal_nan=True)


def test_a_row_of_numbers_beside_a_column_stays_a_row():
    graph = Graph()
    column = graph.columns(graph.input("x", DOUBLE, 2), [1])
    added = graph.add(column, graph.constant(np.array([1.0, 2.0])))
    model = graph.build([("y", added, DOUBLE, ["rows", 2])])
    widen_scalars(model)
    [found] = answers(model)
    assert np.array_equal(found, X[:, 1:] + [1.0, 2.0])


def test_beside_a_list_of_one_a_number_stays_as_it_is():
    graph = Graph()
    total = graph.node("ReduceSum", [graph.reshape(graph.input("x", DOUBLE, 2), [-1])], keepdims=1)
    model = graph.build([("y", graph.add(total, graph.constant(np.float64(7))), DOUBLE, [1])])
    widen_scalars(model)
    assert answers(model)[0].shape == (1,)
