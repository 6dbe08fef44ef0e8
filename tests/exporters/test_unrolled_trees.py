"""Trees for one row: the leaves that they reach, by comparisons that became Python."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn.converters.forests import SMALL
from mlpack.exporters.unrolled_steps import Steps
from mlpack.exporters.unrolled_trees import EXACT, Told, Total, UnknownError
from mlpack.runtime import contract

FRAME = PENGUINS[[*NUMBERS, "island"]]
KNOWN = PENGUINS["body_mass_g"].notna()


def mixed(model, *, gaps=False):
    numbers = "passthrough" if gaps else SimpleImputer()
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=not gaps)
    return make_pipeline(make_column_transformer((numbers, NUMBERS), (encoder, ["island"])), model)


CLASSIFIERS = {
    "tree": mixed(DecisionTreeClassifier(max_depth=5, random_state=0)),
    "gaps": mixed(DecisionTreeClassifier(max_depth=5, random_state=0), gaps=True),
    "few": mixed(RandomForestClassifier(3, random_state=0)),
    "many": mixed(RandomForestClassifier(60, random_state=0)),
    "boosted": mixed(GradientBoostingClassifier(n_estimators=8, random_state=0)),
    "histograms": mixed(HistGradientBoostingClassifier(max_iter=8), gaps=True),
}
REGRESSORS = {
    "few": mixed(RandomForestRegressor(3, random_state=0, max_depth=5)),
    "many": mixed(ExtraTreesRegressor(40, random_state=0, max_depth=5)),
    "boosted": mixed(GradientBoostingRegressor(n_estimators=30, random_state=0)),
    "histograms": mixed(HistGradientBoostingRegressor(max_iter=20), gaps=True),
}


def program(pipeline, frame):
    _, exported = assert_equal(pipeline, frame)
    return exported.encoding.program


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind):
    made = program(CLASSIFIERS[kind].fit(FRAME, PENGUINS["species"]), FRAME)
    assert made is not None
    assert made.trees


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors(kind):
    rows, target = FRAME[KNOWN], PENGUINS["body_mass_g"][KNOWN]
    made = program(REGRESSORS[kind].fit(rows, target), rows)
    assert made is not None
    assert made.trees


def test_trees_of_which_one_number_tells_several_are_taken_apart():
    pipeline = CLASSIFIERS["many"].fit(FRAME, PENGUINS["species"])
    members = pipeline[-1].estimators_
    assert 3 * sum(member.tree_.node_count for member in members) > SMALL
    made = program(pipeline, FRAME)
    # Each tree is walked once, whatever it has of the three classes.
    leaves = [given for name, given in made.steps if name == "leaf"]
    assert len(leaves) == len(members)


def test_a_split_of_what_is_missing_is_read_back():
    """scikit-learn compares with an infinity there, which JSON has not."""
    numbers = np.random.default_rng(0).normal(size=300)
    numbers[::2] = np.nan
    rows = pd.DataFrame({"a": numbers})
    for model in (DecisionTreeClassifier(), HistGradientBoostingClassifier(max_iter=2)):
        _, exported = assert_equal(model.fit(rows, np.isnan(numbers).astype(int)), rows)
        branches = [branch for tree in exported.encoding.program.trees for branch in tree]
        assert any(branch.threshold is None for branch in branches)
        written = contract.encode(exported.encoding)
        assert contract.decode(written, contract.Encoding, "encoding.json") == exported.encoding


def test_leaves_that_are_no_numbers_have_no_program():
    with pytest.raises(UnknownError):
        Steps().told(told(1.0, np.inf))


def test_a_large_forest_has_no_program():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.normal(size=(400, 3)), columns=list("abc"))
    target = generator.integers(0, 2, 400)
    forest = RandomForestClassifier(60, random_state=0).fit(rows, target)
    assert program(forest, rows) is None


def told(*values):
    return Told(0, values)


def test_bits_of_trees_that_are_apart():
    total = Total((told(0.0, 1.0, 3.0), told(0.0, 4.0), told(8.0, 0.0)))
    assert total.whole()
    assert total.masked(3) == Told(0, (0, 1, 3))
    assert Total(total.parts, 2).masked(1) == Told(0, (0, 1))
    assert Total(total.parts, 3).masked(1) == Told(0, (1, 0))
    assert Total(total.parts, 4).masked(1) == 0


@pytest.mark.parametrize(
    ("parts", "mask"),
    [
        ((told(0.0, 1.0), told(1.0, 2.0)), 3),  # carries
        ((told(0.0, 4.0),), 5),  # no mask
        ((told(0.0, 6.0),), 3),  # half of it
        ((told(0.0, 1.0), told(0.0, 2.0)), 3),  # two trees
        ((told(0.5, 1.0),), 1),
        ((told(-1.0, 1.0),), 1),
        ((told(0.0, float(EXACT)),), 1),
    ],
)
def test_bits_that_cannot_be_told_apart(parts, mask):
    with pytest.raises(UnknownError):
        Total(parts).masked(mask)
