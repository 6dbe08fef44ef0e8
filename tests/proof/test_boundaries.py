"""The proof's rows stand on both sides of every comparison that a graph makes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, PowerTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.proof.boundaries import boundaries, feeder
from mlpack.proof.comparisons import Comparison, Trees, compared
from mlpack.proof.search import Search, number, ordered
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

FRAME = PENGUINS[NUMBERS]
FULL = FRAME.fillna(FRAME.median())


def around(pipeline, frame, **options):
    signature = observe(frame, pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature)
    feed = feeder(signature, exported.encoding)
    rows = real_rows(frame)
    return boundaries(exported.model, exported.encoding, signature, feed, rows, **options)


def pairs(rows, tree):
    leaves = tree.apply(pd.DataFrame(rows)).tolist()
    return zip(leaves[::2], leaves[1::2], strict=True)


def test_each_threshold_of_a_tree_is_met_from_both_sides_by_neighbouring_numbers():
    tree = DecisionTreeClassifier(random_state=0).fit(FRAME, PENGUINS.species)
    found = around(tree, FRAME)
    inner = np.flatnonzero(tree.tree_.children_left >= 0)
    turned = {(low, high) for low, high in pairs(found.adjacent, tree)}
    assert len(turned) >= len(inner) - 1  # one may be reached by no row
    assert all(low != high for low, high in turned)
    for low, high in zip(found.adjacent[::2], found.adjacent[1::2], strict=True):
        (moved,) = [name for name in NUMBERS if low[name] != high[name] and low[name] is not None]
        assert high[moved] == math.nextafter(low[moved], math.inf)
    assert found.near == ()
    assert any(row["bill_length_mm"] is None for row in found.missing)


def test_a_scaler_before_the_tree_changes_nothing():
    model = RandomForestClassifier(5, random_state=0)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), model)
    found = around(pipeline.fit(FRAME, PENGUINS.species), FRAME)
    rows = pd.DataFrame(found.adjacent)
    leaves = pipeline[-1].apply(pipeline[:-1].transform(rows))
    changed = (leaves[::2] != leaves[1::2]).any(axis=1)
    assert len(rows) > 50
    assert changed.all()


def test_rows_keep_a_distance_where_the_arithmetic_may_differ_by_a_last_place():
    pipeline = make_pipeline(PowerTransformer(), DecisionTreeClassifier(random_state=0))
    found = around(pipeline.fit(FULL, PENGUINS.species), FULL)
    assert found.adjacent == ()
    leaves = pipeline[-1].apply(pipeline[:-1].transform(pd.DataFrame(found.near)))
    assert (leaves[::2] != leaves[1::2]).all()


def test_other_comparisons_are_met_too_but_not_the_edge_of_a_score():
    pipeline = make_pipeline(Binarizer(threshold=190.5), LogisticRegression())
    frame = FULL[["flipper_length_mm"]]
    found = around(pipeline.fit(frame, PENGUINS.species == "Gentoo"), frame)
    values = {row["flipper_length_mm"] for row in found.adjacent}
    assert {190.5, math.nextafter(190.5, math.inf)} <= values
    plain = make_pipeline(FunctionTransformer(), LogisticRegression())
    found = around(plain.fit(frame, PENGUINS.species == "Gentoo"), frame)
    assert found.adjacent == found.near == ()


def test_whole_numbers_are_met_as_whole_numbers():
    frame = PENGUINS[["year"]].assign(turn=PENGUINS.index % 7)
    pipeline = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    found = around(pipeline.fit(frame, PENGUINS.index % 7 > 3), frame)
    assert found.adjacent
    for low, high in zip(found.adjacent[::2], found.adjacent[1::2], strict=True):
        assert all(type(row[name]) is int for row in (low, high) for name in ("year", "turn"))
        assert sum(high.values()) == sum(low.values()) + 1


def test_of_many_comparisons_a_choice_is_met_the_same_one_each_time():
    model = RandomForestClassifier(20, random_state=0).fit(FULL, PENGUINS.species)
    found = around(model, FULL, nodes=10)
    assert len(found.adjacent) == 20
    assert found == around(model, FULL, nodes=10)
    assert found != around(model, FULL, nodes=10, seed=1)


def test_a_graph_that_compares_nothing_has_no_boundaries():
    model = LogisticRegression().fit(FULL, PENGUINS.species)
    exported = SklearnExporter().export(model, observe(FULL, model, target="y", source="train"))
    assert compared(exported.model).model is None
    assert around(model, FULL).adjacent == ()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_numbered_in_their_order(value):
    above = math.nextafter(value, math.inf)
    left, right = ordered(np.array([value])), ordered(np.array([above]))
    assert number(left)[0] == value
    if math.isfinite(above):
        assert right[0] - left[0] == 1
        assert number(right)[0] == above


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_both_zeros_are_onenumber(value):
    assert ordered(np.array([value]))[0] == 0


MODES = [0, 1, 2, 3]
"""<=, <, >= and > of ai.onnx.ml."""


@pytest.mark.parametrize("tracks", [0, 1])
def test_what_is_missing_goes_where_its_node_sends_it(tracks):
    one = np.zeros(4, np.int64)
    trees = Trees(
        feature=one,
        threshold=np.zeros(4),
        mode=np.array(MODES),
        missing=one + tracks,
        true=one - 1,
        false=one - 1,
        members=(),
        roots=one[:1],
    )
    assert trees.passes(np.arange(4), np.full(4, np.nan)).tolist() == [bool(tracks)] * 4
    assert trees.passes(np.arange(4), np.zeros(4)).tolist() == [True, False, True, False]


def test_a_number_on_a_threshold_stands_on_the_side_of_its_comparison():
    """Below a threshold are those that `<=` or `>` takes in, or leaves out, with it."""

    class Numbers:
        inputs = {"numbers": np.zeros((1, 1))}  # noqa: RUF012 - what the search reads

        def run(self, rows, numbers):
            return [numbers]

    search = Search(Numbers(), [Comparison(0, 0, 0.5, mode, 0) for mode in MODES], np.zeros(4, int))
    assert search.sides(np.full(4, 0.5)).tolist() == [True, False, False, True]
    assert search.sides(np.full(4, math.nextafter(0.5, 0))).all()
