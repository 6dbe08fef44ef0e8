"""The builder of graphs, and what flows between two steps, run by the real engine."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.exporters.sklearn.features import (
    UNKNOWN,
    Context,
    Feature,
    fits,
    plain,
)
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, INT64, Graph
from mlpack.ports import NotExportableError
from mlpack.proof.rows import batches
from mlpack.runtime.contract import Column, Output, Signature, Text


def run(graph, outputs, **inputs):
    model = graph.build(outputs)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    wanted = {value.name for value in session.get_inputs()}
    return session.run(None, {name: data for name, data in inputs.items() if name in wanted})


def test_equal_constants_are_stored_once_and_others_are_kept_apart():
    graph = Graph()
    assert graph.constant([1.0, 2.0]) == graph.constant(np.array([1.0, 2.0]))
    several = [
        np.array([1.0]),
        np.array([[1.0]]),
        np.array([1]),
        np.array([1.0], np.float32),
        np.array([-0.0]),
        np.array([0.0]),
        np.array(["a", "b"]),
        np.array(["ab"]),
    ]
    assert len({graph.constant(value) for value in several}) == len(several)


def test_what_no_output_needs_is_left_out():
    graph = Graph()
    used, unused = graph.input("used", DOUBLE, 1), graph.input("unused", DOUBLE, 1)
    graph.add(unused, graph.constant(np.float64(7)))
    result = graph.multiply(used, graph.constant(np.float64(3)))
    model = graph.build([("y", result, DOUBLE, ["rows", 1])])
    assert [value.name for value in model.graph.input] == ["used"]
    assert [node.op_type for node in model.graph.node] == ["Mul", "Identity"]
    assert len(model.graph.initializer) == 1
    assert [each.domain for each in model.opset_import] == [""]


def test_an_input_is_the_same_one_when_it_is_asked_for_again():
    graph = Graph()
    assert graph.input("x", DOUBLE, 2) == graph.input("x", DOUBLE, 2)
    assert len(graph.build([("y", "x", DOUBLE, ["rows", 2])]).graph.input) == 1


def test_the_first_of_equal_columns_wins_as_in_numpy():
    graph = Graph()
    best = graph.argmax(graph.input("x", DOUBLE, 3))
    rows = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1.0, 5.0]])
    (found,) = run(graph, [("y", best, INT64, ["rows"])], x=rows)
    assert found.tolist() == rows.argmax(axis=1).tolist()


@pytest.mark.parametrize("allow_nan", [False, True])
@given(
    st.lists(st.lists(st.floats(allow_nan=True), min_size=2, max_size=2), min_size=1, max_size=5)
)
@settings(max_examples=25, deadline=None)
def test_not_finite_is_what_numpy_says(allow_nan, rows):
    graph = Graph()
    data = np.array(rows)
    odd = graph.not_finite(graph.input("x", DOUBLE, 2), allow_nan=allow_nan)
    (found,) = run(graph, [("y", odd, BOOL, ["rows"])], x=data)
    expected = np.isinf(data) if allow_nan else ~np.isfinite(data)
    assert found.tolist() == expected.any(axis=1).tolist()


SIGNATURE = Signature(
    task="regression",
    columns=(
        Column(name="a", type="number", dtype="float64"),
        Column(name="b", type="integer", dtype="int64"),
        Column(name="t", type="string", dtype="str"),
        Column(name="f", type="boolean", dtype="bool"),
    ),
    outputs=(Output(name="value", type="number"),),
)


def context(**vocabulary):
    known = {name: dict.fromkeys(values) for name, values in vocabulary.items()}
    return Context(signature=SIGNATURE, vocabulary=known, numbers=("a", "b", "f"))


def test_raw_columns_know_every_form_that_a_step_may_ask_for():
    a, b, t, f = context(t=("x", "y")).raw_features()
    assert (a.tensor, a.index, b.index, f.index) == ("numbers", 0, 1, 2)
    assert (t.tensor, t.text) == (None, "t")
    assert t.values[:3] == ("x", "y", UNKNOWN)
    assert math.isnan(t.values[3])


def test_a_matrix_takes_columns_in_the_order_that_was_asked_for():
    made = context()
    a, b, _, f = made.raw_features()
    tensor = made.matrix((f, a, b), "step")
    made.declare_inputs()
    rows = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (found,) = run(made.graph, [("y", tensor, DOUBLE, ["rows", 3])], numbers=rows)
    assert found.tolist() == rows[:, [2, 0, 1]].tolist()
    assert made.used_numbers == {"a", "b", "f"}


def test_text_has_no_number_form_and_the_step_is_named():
    made = context()
    with pytest.raises(NotExportableError, match="pipe → scale: the column 't'"):
        made.matrix(made.raw_features(), "pipe → scale")


def test_a_text_is_counted_once_in_each_way():
    made = context()
    ways = [Text(name="", column="t", terms=("a", "b"), lowercase=lower) for lower in (True, False)]
    for way in (*ways, *ways):
        assert made.text(way, path="p", what="w").width == 2
    assert made.encoding().texts == (
        Text(name="text_0", column="t", terms=("a", "b")),
        Text(name="text_1", column="t", terms=("a", "b"), lowercase=False),
    )


def test_a_lookup_gives_each_code_its_row():
    made = context(t=("x", "y"))
    tensor = made.lookup("t", np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]))
    made.declare_inputs()
    codes = np.array([[2], [0], [3]])
    (found,) = run(made.graph, [("y", tensor, DOUBLE, ["rows", 2])], codes=codes)
    assert found.tolist() == [[5.0, 6.0], [1.0, 2.0], [7.0, 8.0]]
    assert made.encoding().codes[0].categories == ("x", "y")


def test_an_encoder_teaches_only_what_the_column_can_hold():
    made = context()
    _, b, t, f = made.raw_features()
    made.learn(t, np.array(["x", None, float("nan"), 3, True, "y"], object))
    made.learn(b, [1, 2.0, True, "x", np.int64(5)])
    made.learn(f, [True, 1, np.bool_(False)])
    made.learn(Feature(tensor="other"), ["x"])
    assert [list(known) for known in made.vocabulary.values()] == [
        ["x", "y"],
        [1, 2.0, 5],
        [True, False],
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.str_("a"), "a"), (np.float64("nan"), None), (None, None), (UNKNOWN, None), (b"a", None)],
)
def test_categories_are_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert fits(SIGNATURE.column("t"), "a")
    assert not fits(SIGNATURE.column("b"), True)


# The rows of a proof


REAL = [
    {"a": 1.5, "b": 2, "t": "x", "f": True},
    {"a": None, "b": 3, "t": None, "f": False},
]


def test_the_rows_of_a_proof_are_the_same_each_time_and_try_what_can_break():
    one = list(batches(SIGNATURE, REAL, None))
    assert one == list(batches(SIGNATURE, REAL, None))
    by_name = {batch.name: batch.rows for batch in one}
    assert by_name["held-out"] == tuple(REAL)
    missing = by_name["each column missing"]
    for name in ("a", "b", "t", "f"):
        assert any(row[name] is None and row["b" if name != "b" else "f"] for row in missing)
    assert dict.fromkeys(REAL[0]) in missing
    numbers = {row["a"] for row in by_name["extreme numbers"]}
    assert {math.inf, -math.inf, 2.0**53, 5e-324} <= numbers
    assert all(type(row["b"]) is int for row in by_name["extreme numbers"])
    odd = {row["t"] for row in by_name["unknown and odd strings"]}
    assert {"", "nan", "X", " x"} <= odd
