"""Trees and forests: small ones in one node, large ones by the leaves that are reached."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn.converters.ensemble import LEAF, Tree
from mlpack.exporters.sklearn.converters.forests import (
    BITS,
    CACHED,
    SMALL,
    TOGETHER,
    _parts,
    summed,
)
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.runtime.contract import Column, Output, Signature

WHOLE = PENGUINS.dropna(subset=["body_mass_g"])
CHANCE = np.random.default_rng(0)


def noise(rows=1500, columns=4):
    """Numbers that say nothing, which forests learn by heart; a part of them is missing."""
    numbers = CHANCE.normal(size=(rows, columns)).astype(np.float32).astype(np.float64)
    frame = pd.DataFrame(numbers, columns=list("abcd")[:columns])
    return frame.mask(CHANCE.random(numbers.shape) < 0.05), CHANCE.integers(0, 3, size=rows)


def nodes(exported):
    """How many nodes of trees the graph has."""
    graph = onnx.load_from_string(exported.model).graph
    return sum(node.op_type == "TreeEnsemble" for node in graph.node)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_deep_forest_on_missing_values(classes):
    frame, answers = noise()
    pipeline = RandomForestClassifier(8, min_samples_leaf=2, random_state=0)
    _, exported = assert_equal(pipeline.fit(frame, answers % classes), frame, tolerance=0.0)
    operators = {node.op_type for node in onnx.load_from_string(exported.model).graph.node}
    assert "GatherElements" in operators


def test_more_trees_than_are_held_at_once():
    frame, answers = noise(120, 2)
    pipeline = ExtraTreesClassifier(TOGETHER + 7, random_state=0).fit(frame, answers)
    assert_equal(pipeline, frame, tolerance=0.0)


def test_numbers_of_a_deep_forest():
    frame, _ = noise()
    answers = CHANCE.normal(size=(len(frame), 2))
    pipeline = RandomForestRegressor(8, random_state=0)
    assert_equal(pipeline.fit(frame, answers), frame, tolerance=0.0)


def test_one_deep_tree():
    frame, answers = noise(5000)
    _, exported = assert_equal(
        DecisionTreeClassifier(random_state=0).fit(frame, answers), frame, tolerance=0.0
    )
    assert nodes(exported) == 1


def test_a_small_forest_stays_one_node():
    pipeline = RandomForestClassifier(5, max_depth=4, random_state=0)
    _, exported = assert_equal(
        pipeline.fit(WHOLE[NUMBERS], WHOLE["species"]), WHOLE[NUMBERS], tolerance=0.0
    )
    assert nodes(exported) == 1


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, GradientBoostingRegressor])
def test_gradient_boosting_with_deep_trees(kind):
    frame, answers = noise(1000)
    frame = frame.fillna(0.0)
    pipeline = kind(n_estimators=60, max_depth=12, random_state=0).fit(frame, answers % 2)
    assert_equal(pipeline, frame)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_gradient_boosting_that_starts_from_a_model(loss):
    start = HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5)
    pipeline = GradientBoostingClassifier(n_estimators=5, init=start, loss=loss, random_state=0)
    answers = WHOLE["species"] == "Adelie"
    assert_equal(pipeline.fit(WHOLE[NUMBERS], answers), WHOLE[NUMBERS])


def test_gradient_boosting_of_three_classes_that_starts_from_a_model():
    start = RandomForestClassifier(5, max_depth=3, random_state=0)
    pipeline = GradientBoostingClassifier(n_estimators=5, init=start, random_state=0)
    assert_equal(pipeline.fit(WHOLE[NUMBERS], WHOLE["species"]), WHOLE[NUMBERS])


def _random_tree(leaves, columns):
    """A tree that was grown at random leaf after leaf, with extreme thresholds among others."""
    left, right, feature, threshold = [-1], [-1], [0], [0.0]
    ends = [0]
    while len(ends) < leaves:
        node = ends.pop(int(CHANCE.integers(len(ends))))
        left[node], right[node] = len(left), len(left) + 1
        feature[node] = int(CHANCE.integers(columns))
        threshold[node] = float(CHANCE.choice([CHANCE.normal(), 0.5, 1e39, -1e39, 3.4028235e38]))
        ends += [left[node], right[node]]
        left += [-1, -1]
        right += [-1, -1]
        feature += [0, 0]
        threshold += [0.0, 0.0]
    return Tree(
        left=np.array(left),
        right=np.array(right),
        feature=np.array(feature),
        threshold=np.array(threshold),
        missing_left=CHANCE.integers(0, 2, size=len(left)),
    )


def _reached(tree, row):
    node = 0
    while tree.left[node] >= 0:
        number = row[tree.feature[node]]
        goes = tree.missing_left[node] if np.isnan(number) else number <= tree.threshold[node]
        node = tree.left[node] if goes else tree.right[node]
    return node


@pytest.mark.parametrize(
    ("count", "leaves", "targets"),
    [
        (1, 4200, 1),
        (1, 1500, 3),
        (2, 1200, 2),
        (9, 260, 2),
        (30, 60, 3),
        (101, 200, 1),
        (3, 9000, 1),
    ],
)
def test_the_sums_are_those_of_a_walk_through_the_trees(count, leaves, targets):
    """However many trees share a number, and with trees of one leaf among them."""
    trees = [_random_tree(leaves, 3) for _ in range(count - 1)] + [_random_tree(leaves, 3), LEAF]
    values = [CHANCE.normal(size=(len(tree.left), targets)) for tree in trees]
    if targets > 1:
        assert targets * sum(len(tree.left) for tree in trees) > SMALL
    context = Context(
        signature=Signature(
            task="regression",
            columns=tuple(Column(name=name, type="number", dtype="float64") for name in "abc"),
            outputs=(Output(name="y", type="number", size=targets),),
        ),
        vocabulary={},
        numbers=("a", "b", "c"),
    )
    total = summed(trees, values, "numbers", 3, context)
    context.graph.input("numbers", DOUBLE, 3)
    model = context.graph.build([("y", total, DOUBLE, ["rows", targets])])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    rows = CHANCE.normal(size=(60, 3)).astype(np.float32)
    rows[CHANCE.random(rows.shape) < 0.2] = np.nan
    rows[:4] = [[0.5, 0.5, 0.5], [3.4028235e38] * 3, [-3.4028235e38] * 3, [np.nan] * 3]
    rows = rows.astype(np.float64)
    wanted = np.zeros((len(rows), targets))
    for tree, value in zip(trees, values, strict=True):
        wanted += value[[_reached(tree, row) for row in rows]]
    assert np.array_equal(session.run(None, {"numbers": rows})[0], wanted)
    assert np.array_equal(session.run(None, {"numbers": rows[:1]})[0], wanted[:1])


def test_a_number_of_float32_holds_the_leaves_that_share_it():
    assert float(np.float32(2**BITS - 1)) == 2**BITS - 1


def test_one_operator_has_no_more_nodes_than_stay_in_a_cache():
    assert _parts([CACHED - 1, 1, 1, 2 * CACHED, 5]) == [
        range(2),
        range(2, 3),
        range(3, 4),
        range(4, 5),
    ]
    assert _parts([2 * CACHED]) == [range(1)]
