"""The proof catches graphs that are wrong: mutants made from one that is right."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from palmerpenguins import load_penguins
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.unrolled import unrolled
from mlpack.proof.original import Outcomes
from mlpack.proof.prove import SINGLY, compare, prove
from mlpack.proof.rows import Batch, batches, neighbours
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.predictions import Predictions, Refusal
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

PENGUINS = load_penguins()
FRAME = PENGUINS[["bill_length_mm", "flipper_length_mm", "island", "sex"]]


def fitted(model):
    columns = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), FRAME.columns[:2].tolist()),
            ("s", OneHotEncoder(handle_unknown="ignore"), ["island", "sex"]),
        ]
    )
    return make_pipeline(columns, model).fit(FRAME, PENGUINS.species)


LINEAR = fitted(LogisticRegression(max_iter=2000))
TREE = fitted(DecisionTreeClassifier(random_state=0))


def check(pipeline, change=None, encoding=None):
    signature = observe(FRAME, pipeline, target="species", source="train")
    exported = SklearnExporter().export(pipeline, signature)
    if change is not None:
        model = onnx.load_from_string(exported.model)
        change(model.graph)
        program = unrolled(model, exported.encoding)
        changed = msgspec.structs.replace(exported.encoding, program=program)
        exported = replace(exported, model=model.SerializeToString(), encoding=changed)
    if encoding is not None:
        exported = replace(exported, encoding=encoding(exported.encoding))
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    rows = batches(signature, real_rows(FRAME), exported)
    return prove(pipeline, session, signature, exported, rows)


def node(graph, kind):
    return next(each for each in graph.node if each.op_type == kind)


def constant(graph, wanted):
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if wanted(array):
            return tensor, array.copy()
    raise AssertionError("no such constant")


def put(tensor, array):
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def move_coefficient(graph):
    tensor, array = constant(graph, lambda a: a.ndim == 2 and a.shape[1] == 3)
    array[0, 0] += 1e-4
    put(tensor, array)


def lose_scaling(graph):
    node(graph, "Div").op_type = "Mul"


def flatten_probabilities(graph):
    node(graph, "Softmax").op_type = "Sigmoid"
    del node(graph, "Sigmoid").attribute[:]


def drop_category(graph):
    tensor, array = constant(graph, lambda a: a.dtype == np.float64 and a.shape == (5, 3))
    array[0] = 0
    put(tensor, array)


def confuse_missing_with_unknown(graph):
    tensor, array = constant(graph, lambda a: a.dtype == np.float64 and a.shape == (4, 3))
    array[-1] = array[-2]
    put(tensor, array)


def swallow_missing(graph):
    node(graph, "IsNaN").op_type = "IsInf"


@pytest.mark.parametrize(
    "change",
    [
        move_coefficient,
        lose_scaling,
        flatten_probabilities,
        drop_category,
        confuse_missing_with_unknown,
        swallow_missing,
    ],
)
def test_a_wrong_linear_graph_is_caught(change):
    assert check(LINEAR)[0].equal
    report, worst = check(LINEAR, change)
    assert not report.equal
    assert worst
    assert worst[0].original != worst[0].served


def tree_attribute(graph, name):
    attributes = node(graph, "TreeEnsemble").attribute
    return next(each for each in attributes if each.name == name)


def move_threshold_by_one_ulp(graph):
    """One unit in the last place of float32: the input is rounded to it."""
    splits = tree_attribute(graph, "nodes_splits")
    values = numpy_helper.to_array(splits.t).copy()
    values[0] = np.nextafter(np.float32(values[0]), np.float32(np.inf))
    splits.t.CopyFrom(helper.make_tensor("splits", onnx.TensorProto.DOUBLE, values.shape, values))


def swap_a_branch(graph):
    yes, no = (
        tree_attribute(graph, f"nodes_{side}{kind}")
        for side, kind in (("true", "nodeids"), ("false", "nodeids"))
    )
    yes_leaf, no_leaf = (tree_attribute(graph, f"nodes_{side}leafs") for side in ("true", "false"))
    for one, other in ((yes, no), (yes_leaf, no_leaf)):
        one.ints[0], other.ints[0] = other.ints[0], one.ints[0]


def strict_comparison(graph):
    modes = tree_attribute(graph, "nodes_modes")
    count = len(numpy_helper.to_array(modes.t))
    modes.t.CopyFrom(helper.make_tensor("modes", onnx.TensorProto.UINT8, [count], [1] * count))


def round_input_late(graph):
    """Compare doubles where the original compares float32."""
    casts = [each for each in graph.node if each.op_type == "Cast"]
    first = next(each for each in casts if each.attribute[0].i == onnx.TensorProto.FLOAT)
    first.attribute[0].i = onnx.TensorProto.DOUBLE


@pytest.mark.parametrize(
    "change", [move_threshold_by_one_ulp, swap_a_branch, strict_comparison, round_input_late]
)
def test_a_wrong_tree_is_caught(change):
    assert check(TREE)[0].equal
    assert not check(TREE, change)[0].equal


def test_a_wrong_encoding_is_caught():
    def swapped(encoding):
        first, *rest = encoding.codes
        categories = (first.categories[1], first.categories[0], *first.categories[2:])
        return type(encoding)(
            numbers=encoding.numbers,
            codes=(type(first)(column=first.column, categories=categories), *rest),
        )

    assert not check(LINEAR, encoding=swapped)[0].equal


def test_answers_of_another_shape_are_wrong_and_no_crash():
    def lose_a_class(graph):
        output = next(each for each in graph.output if each.name == "probabilities")
        last = next(each for each in graph.node if "probabilities" in each.output)
        flat = helper.make_node("Reshape", [last.input[0], "flat"], ["probabilities"])
        graph.node.remove(last)
        graph.node.append(flat)
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "flat"))
        output.type.tensor_type.shape.dim[1].dim_value = 1

    report, _ = check(LINEAR, lose_a_class)
    assert all(each.outcomes_wrong == each.rows for each in report.checks)


def test_the_report_has_figures_and_no_rows():
    report, _ = check(LINEAR)
    names = [each.name for each in report.checks]
    assert names[:2] == ["held-out", "each column missing"]
    assert report.rows == sum(each.rows for each in report.checks) > 900
    assert "Biscoe" not in repr(report)


@given(st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_neighbours_stand_on_both_sides(value):
    around = neighbours(value)
    assert around[0] == value
    assert math.nextafter(value, math.inf) in around
    assert math.nextafter(value, -math.inf) in around


class RefusesAlone:
    """An engine that answers batches as another does, and refuses every row that comes alone."""

    blocking = False
    together = 0

    def __init__(self, engine):
        self.many, self.few = engine.many, engine.few

    def one(self, values):
        return Predictions(1, refusals=(Refusal(0, None, "", ""),))


def test_a_row_that_is_refused_only_when_it_comes_alone_is_caught():
    signature = observe(FRAME, LINEAR, target="species", source="train")
    exported = SklearnExporter().export(LINEAR, signature)
    known = real_rows(FRAME.dropna())[:60]
    rows = [Batch("known", tuple(known))]
    without = msgspec.structs.replace(exported.encoding, program=None)
    # A lone row's own program is asked for all of them, another way for some.
    for encoding, asked in ((exported.encoding, len(known)), (without, SINGLY)):
        engine = RefusesAlone(OnnxEngine(exported.model, encoding, signature))
        tried = replace(exported, encoding=encoding)
        report, _ = prove(LINEAR, Session(signature, engine), signature, tried, rows)
        assert report.checks[0].outcomes_wrong == asked


def test_a_wrong_program_for_lone_rows_is_caught():
    signature = observe(FRAME, LINEAR, target="species", source="train")
    exported = SklearnExporter().export(LINEAR, signature)
    program = exported.encoding.program
    caught = 0
    for index, (operation, arguments) in enumerate(program.steps):
        if operation not in ("dot", "sub", "div"):
            continue
        steps = list(program.steps)
        # The last number of the step, larger by a thousandth.
        steps[index] = (operation, (*arguments[:-1], arguments[-1] * 1.001 + 1e-3))
        wrong = msgspec.structs.replace(program, steps=tuple(steps))
        tried = replace(
            exported, encoding=msgspec.structs.replace(exported.encoding, program=wrong)
        )
        engine = OnnxEngine(tried.model, tried.encoding, signature)
        rows = batches(signature, real_rows(FRAME), tried)
        report, _ = prove(LINEAR, Session(signature, engine), signature, tried, rows)
        caught += 1
        if set(arguments) & {0.0} and operation == "dot":
            continue  # whether anything is missing: zeros times numbers, of which a sum is made
        assert not report.equal, (operation, arguments)
    assert caught > 6


@pytest.mark.parametrize("refused", ["original", "served"])
def test_a_refusal_of_one_side_only_is_wrong(refused):
    signature = observe(FRAME, LINEAR, target="species", source="train")
    answers = Outcomes(np.array([False]), np.array([0]), np.array([[1.0, 0.0, 0.0]]))
    sides = dict.fromkeys(("original", "served"), answers)
    sides[refused] = replace(answers, refused=np.array([True]))
    batch = Batch("one", (real_rows(FRAME)[0],))
    check, worst = compare(batch, ((sides["original"], sides["served"]),), signature, 1e-6)
    assert (check.outcomes_wrong, check.refused, len(worst)) == (1, 0, 1)


class Forgetful:
    """An engine of which one way in is wrong: the rows all at once, a few, or one by one."""

    blocking = False
    together = 2

    def __init__(self, engine, *, wrong: str) -> None:
        self._engine, self._wrong = engine, wrong

    def one(self, values):
        found = self._engine.one(values)
        return self._spoiled(found) if self._wrong == "one" else found

    def few(self, rows):
        found = self._engine.few(rows)
        return self._spoiled(found) if self._wrong == "few" else found

    def many(self, columns, rows):
        found = self._engine.many(columns, rows)
        return self._spoiled(found) if self._wrong == "many" else found

    def _spoiled(self, found):
        return msgspec.structs.replace(found, labels=(np.array(found.labels) + 1) % 3)


@pytest.mark.parametrize("wrong", ["one", "few", "many"])
def test_all_ways_in_are_compared_even_for_few_rows(wrong):
    signature = observe(FRAME, LINEAR, target="species", source="train")
    exported = SklearnExporter().export(LINEAR, signature)
    engine = OnnxEngine(exported.model, exported.encoding, signature)
    few = real_rows(FRAME.dropna().head(5))
    batches = [Batch("few", tuple(few))]
    good, _ = prove(LINEAR, Session(signature, engine), signature, exported, batches)
    assert good.equal
    session = Session(signature, Forgetful(engine, wrong=wrong))
    bad, worst = prove(LINEAR, session, signature, exported, batches)
    assert bad.checks[0].labels_wrong == 5
    assert worst[0].original != worst[0].served
