"""Trees that ask few questions: looked up in large batches, walked for a few rows."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LT, LEAF, Ensemble, Tree
from mlpack.exporters.sklearn.converters.shallow import FEW_ROWS, FEW_TREES, TOGETHER, sums
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.proof.comparisons import compared
from mlpack.runtime.contract import Column, Output, Signature

WHOLE = PENGUINS.dropna(subset=["body_mass_g"])[NUMBERS]
KINDS = PENGUINS.loc[WHOLE.index, "species"]
CHANCE = np.random.default_rng(0)
COLUMNS = 5
EDGES = np.array([0.5, -0.0, 0.0, np.inf, -np.inf, 1.25, -3.0], np.float32).astype(np.float64)


def tree(depth, *, level=False):
    """A full tree of any questions; with `level` the same ones everywhere on a level."""
    inner = 2**depth - 1
    nodes = np.arange(2 * inner + 1)
    of_level = np.log2(nodes + 1).astype(int)
    pick = of_level if level else nodes
    return Tree(
        left=np.where(nodes < inner, 2 * nodes + 1, -1),
        right=np.where(nodes < inner, 2 * nodes + 2, -1),
        feature=CHANCE.integers(0, COLUMNS, len(nodes))[pick],
        threshold=CHANCE.choice(EDGES, len(nodes))[pick],
        missing_left=CHANCE.integers(0, 2, len(nodes))[pick],
    )


def walked(trees, values, rows):
    """The sums, by hand and in order."""
    total = np.zeros((len(rows), values[0].shape[1]))
    for each, value in zip(trees, values, strict=True):
        for index, row in enumerate(rows):
            node = 0
            while each.left[node] >= 0:
                number = row[each.feature[node]]
                missing = each.missing_left[node]
                goes = missing if np.isnan(number) else number <= each.threshold[node]
                node = each.left[node] if goes else each.right[node]
            total[index] += value[node]
    return total


def graph_of(trees, values):
    signature = Signature(
        task="regression",
        columns=tuple(Column(name=f"c{i}", type="number", dtype="float64") for i in range(COLUMNS)),
        outputs=(Output(name="value", type="number"),),
    )
    names = tuple(column.name for column in signature.columns)
    context = Context(signature=signature, vocabulary={}, numbers=names)
    targets = values[0].shape[1]
    ensemble = Ensemble(targets=targets)
    for each, value in zip(trees, values, strict=True):
        ensemble.add(each, value)
    total = sums(trees, values, ensemble, "numbers", context)
    context.declare_inputs()
    return context.graph.build([("value", total, DOUBLE, ["rows", targets])]).SerializeToString()


def runs(model):
    """The graph, on one thread as it is served: more of them add one row's trees in parts."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options).run


def operators(model):
    return {node.op_type for node in onnx.load_from_string(model).graph.node}


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("level", [False, True])
def test_both_ways_are_the_sums_in_their_order(level, targets):
    trees = [tree(6 if level else 3, level=level) for _ in range(TOGETHER + 3)]
    trees.insert(1, LEAF)
    values = [CHANCE.normal(size=(len(each.left), targets)) for each in trees]
    rows = CHANCE.choice([*EDGES, np.nan, 1.0, -2.0], size=(FEW_ROWS + 30, COLUMNS))
    rows = rows.astype(np.float32).astype(np.float64)
    model = graph_of(trees, values)
    assert "If" in operators(model)
    run = runs(model)
    wanted = walked(trees, values, rows)
    np.testing.assert_array_equal(run(None, {"numbers": rows})[0], wanted)
    for few in (rows[:1], rows[:FEW_ROWS]):
        np.testing.assert_array_equal(run(None, {"numbers": few})[0], wanted[: len(few)])


def test_leaves_alone_ask_nothing():
    count = FEW_TREES + 2
    values = [np.full((1, 1), 0.1 * number) for number in range(count)]
    run = runs(graph_of([LEAF] * count, values))
    rows = np.zeros((FEW_ROWS + 1, COLUMNS))
    wanted = walked([LEAF] * count, values, rows)
    np.testing.assert_array_equal(run(None, {"numbers": rows})[0], wanted)


def test_what_asks_more_or_something_else_is_walked():
    many = [tree(3) for _ in range(FEW_TREES + 1)]
    deep, other = tree(6), tree(1)
    object.__setattr__(other, "mode", np.full(3, BRANCH_LT))
    for trees in (many[:FEW_TREES], [*many, deep], [*many, other]):
        values = [np.zeros((len(each.left), 1)) for each in trees]
        assert "If" not in operators(graph_of(trees, values))


@pytest.mark.parametrize(
    ("pipeline", "target"),
    [
        (GradientBoostingClassifier(n_estimators=30, random_state=0), KINDS == "Adelie"),
        (GradientBoostingClassifier(n_estimators=30, random_state=0), KINDS),
        (GradientBoostingRegressor(n_estimators=30, random_state=0), WHOLE["bill_depth_mm"]),
    ],
)
def test_gradient_boosting_is_exact_and_its_comparisons_are_met(pipeline, target):
    _, exported = assert_equal(pipeline.fit(WHOLE, target), WHOLE)
    assert "If" in operators(exported.model)
    assert 0 < exported.encoding.at_once < 8192
    found = compared(exported.model)
    trees = pipeline.estimators_.ravel()
    inner = sum(int(np.count_nonzero(each.tree_.children_left >= 0)) for each in trees)
    assert sum(len(each.feature) for of in found.trees for each in of) >= inner


def test_a_flat_forest_on_missing_values():
    numbers = WHOLE.mask(CHANCE.random(WHOLE.shape) < 0.1)
    pipeline = RandomForestClassifier(25, max_depth=2, random_state=0).fit(numbers, KINDS)
    _, exported = assert_equal(pipeline, numbers, tolerance=0.0)
    assert "If" in operators(exported.model)
