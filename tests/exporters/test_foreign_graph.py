"""Graphs that another exporter made, taken into ours. PyTorch's own are in the long tests."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.foreign import (
    Converted,
    ForeignError,
    check_runs,
    guarded,
    prepared,
    spliced,
)
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, FLOAT, OPSET, Graph
from mlpack.runtime.contract import Column, Output, Signature

SIGNATURE = Signature(
    columns=(Column(name="a", type="number", dtype="float64"),),
    task="regression",
    target="y",
    source="train",
    rows=1,
    outputs=(Output(name="value", type="number", size=1),),
)


def foreign(nodes, outputs, constants=(), *, opset=18, width=2, domains=()):
    """A graph of one input, float32 [rows, width], that calls its tensors what ours may too."""
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("given", FLOAT, ["rows", width])],
        [helper.make_tensor_value_info(name, FLOAT, ["rows", None]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    imports = [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset), *imports], ir_version=10
    )


def lookup(axis=0):
    """The second column is an index into a table of three rows; the first is added."""
    model = foreign(
        [
            helper.make_node("Split", ["given"], ["c_1", "place"], axis=1, num_outputs=2),
            helper.make_node("Cast", ["place"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["looked"], axis=axis),
            helper.make_node("Squeeze", ["looked", "one"], ["flat"]),
            helper.make_node("Add", ["c_1", "flat"], ["answer"]),
        ],
        ["answer"],
        [
            ("table", np.array([[10], [20], [30]], np.float32)),
            ("one", np.array([1], np.int64)),
        ],
    )
    return onnx.shape_inference.infer_shapes(model)


def run(context, outputs, given):
    """What our graph answers when the foreign one stands behind its input."""
    model = context.graph.build(outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"numbers": given})


def taken(model, *, width=1, limits=None, columns=2):
    """A context in which the graph stands behind the input, and its answer."""
    context = Context(signature=SIGNATURE, vocabulary={}, numbers=("a",))
    given = context.graph.cast(context.graph.input("numbers", DOUBLE, columns), FLOAT)
    made = Converted(model, "given", "float32", "float32", width, limits)
    return context, context.graph.cast(spliced(made, given, context), DOUBLE)


def test_a_graph_of_another_opset_is_taken_in_and_answers_the_same():
    model = prepared(lookup())
    assert {each.domain: each.version for each in model.opset_import}[""] == OPSET
    context, answer = taken(model)
    (found,) = run(context, [("value", answer, DOUBLE, ["rows", 1])], np.array([[1, 2], [5, 0.0]]))
    assert found.tolist() == [[31.0], [15.0]]


def test_the_same_graph_twice_shares_no_name():
    model = prepared(lookup())
    context, first = taken(model)
    made = Converted(model, "given", "float32", "float32", 1)
    graph = context.graph
    second = graph.cast(spliced(made, graph.cast("numbers", FLOAT), context), DOUBLE)
    total = graph.add(first, second)
    (found,) = run(context, [("value", total, DOUBLE, ["rows", 1])], np.array([[1.0, 1.0]]))
    assert found.tolist() == [[42.0]]


def test_an_index_outside_of_its_table_is_refused_for_its_row_alone():
    model = prepared(lookup())
    assert len(guarded(model, "rows")) == 1
    context, answer = taken(model)
    (refused,) = context.refusals
    outputs = [("value", answer, DOUBLE, ["rows", 1]), ("refused", refused, BOOL, ["rows"])]
    given = np.array([[1, 2], [1, 3], [1, -1], [1, 1e18], [1, 0.0]])
    value, wrong = run(context, outputs, given)
    assert wrong.tolist() == [False, True, True, True, False]
    assert value[[0, 4]].tolist() == [[31.0], [11.0]]


def test_an_index_may_count_from_the_end_where_its_maker_says_so():
    model = prepared(lookup())
    guarded(model, "rows", ["table"])
    context, answer = taken(model)
    outputs = [
        ("value", answer, DOUBLE, ["rows", 1]),
        ("refused", context.refusals[0], BOOL, ["rows"]),
    ]
    value, wrong = run(context, outputs, np.array([[1, -1], [1, -3], [1, -4.0]]))
    assert wrong.tolist() == [False, False, True]
    assert value[:2].tolist() == [[31.0], [11.0]]


def test_numbers_outside_of_the_limits_are_refused():
    model = prepared(foreign([helper.make_node("Relu", ["given"], ["answer"])], ["answer"]))
    limits = np.array([[-5, -np.inf], [np.inf, 7], [0, 1]], np.float32)
    context, _ = taken(model, width=2, limits=limits)
    nan, inf = np.nan, np.inf
    given = np.array([[-5, 7], [-6, 0], [nan, 0], [0, nan], [0, 8], [inf, -inf], [0, inf]])
    (wrong,) = run(context, [("refused", context.refusals[0], BOOL, ["rows"])], given)
    assert wrong.tolist() == [False, True, False, True, True, False, True]


def test_branches_keep_reading_what_stands_around_them():
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(operator, ["doubled", "two"], ["inside"])],
            name,
            [],
            [helper.make_tensor_value_info("inside", FLOAT, None)],
        )
        for name, operator in (("then", "Add"), ("else", "Mul"))
    }
    model = foreign(
        [
            helper.make_node("Mul", ["given", "two"], ["doubled"]),
            helper.make_node("ReduceMax", ["doubled"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "two"], ["large"]),
            helper.make_node("If", ["large"], ["answer"], **branches),
        ],
        ["answer"],
        [("two", np.float32(2))],
    )
    context, answer = taken(prepared(model), width=2)
    outputs = [("value", answer, DOUBLE, ["rows", 2])]
    assert run(context, outputs, np.array([[3.0, 4.0]]))[0].tolist() == [[8.0, 10.0]]
    assert run(context, outputs, np.array([[0.5, 0.25]]))[0].tolist() == [[2.0, 1.0]]


def test_what_only_its_maker_knows_does_not_get_in():
    model = lookup()
    noted = onnx.ModelProto()
    noted.CopyFrom(model)
    for node in noted.graph.node:
        node.name, node.doc_string = "theirs", "their/file.py"
        entry = node.metadata_props.add()
        entry.key, entry.value = "line", "their/file.py:1"
    assert b"their/file.py" in noted.SerializeToString()
    assert prepared(noted).SerializeToString() == prepared(model).SerializeToString()


def test_functions_of_the_graph_are_written_out():
    twice = helper.make_function(
        "theirs", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    model = foreign(
        [helper.make_node("Twice", ["given"], ["answer"], domain="theirs")],
        ["answer"],
        domains=["theirs"],
    )
    model.functions.append(twice)
    context, answer = taken(prepared(model), width=2)
    outputs = [("value", answer, DOUBLE, ["rows", 2])]
    assert run(context, outputs, np.array([[1.0, 2.0]]))[0].tolist() == [[2.0, 4.0]]


def test_operators_that_nobody_else_has_are_refused():
    model = foreign(
        [helper.make_node("FusedGelu", ["given"], ["answer"], domain="com.example")],
        ["answer"],
        domains=["com.example"],
    )
    with pytest.raises(ForeignError, match=r"com\.example\.FusedGelu"):
        prepared(model)


def test_what_onnx_runtime_cannot_run_is_refused():
    with pytest.raises(ForeignError, match="cannot run it in float64"):
        check_runs(prepared(in_double("Erf")), np.zeros((3, 2)))
    check_runs(prepared(in_double("Tanh")), np.zeros((3, 2)))


def in_double(operator):
    model = foreign([helper.make_node(operator, ["given"], ["answer"])], ["answer"])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = DOUBLE
    return model


def test_an_index_that_is_no_rows_own_is_refused():
    nodes = [
        helper.make_node("ReduceMax", ["given"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["looked"]),
        helper.make_node("Add", ["given", "looked"], ["answer"]),
    ]
    model = foreign(nodes, ["answer"], [("table", np.zeros((3, 2), np.float32))])
    with pytest.raises(ForeignError, match="not one row's own"):
        guarded(prepared(model), "rows")


def test_embedding_leaves_the_foreign_graph_as_it_was():
    model = prepared(lookup())
    before = model.SerializeToString()
    graph = Graph()
    graph.embed(model, {"given": graph.input("numbers", FLOAT, 2)})
    assert model.SerializeToString() == before
