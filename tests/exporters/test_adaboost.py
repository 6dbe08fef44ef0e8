"""AdaBoost: votes and weighted medians of trees and of other members."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

COLUMNS = NUMBERS[:2]
KNOWN = PENGUINS.dropna(subset=[*COLUMNS, "body_mass_g"]).reset_index(drop=True)


def behind(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


@pytest.mark.parametrize(
    ("member", "classes"),
    [
        (DecisionTreeClassifier(max_depth=1), 2),
        (DecisionTreeClassifier(max_depth=2), 3),
        (LogisticRegression(), 2),
        (LogisticRegression(), 3),
    ],
    ids=str,
)
def test_classifiers(member, classes):
    labels = np.where((KNOWN.species == "Gentoo") & (classes == 2), "Adelie", KNOWN.species)
    model = AdaBoostClassifier(member, n_estimators=6, random_state=0)
    assert_equal(behind(model).fit(KNOWN[COLUMNS], labels), KNOWN[COLUMNS])


def test_two_members_of_the_same_weight_are_equals():
    labels = (KNOWN.species == "Gentoo").to_numpy()
    pipeline = behind(AdaBoostClassifier(n_estimators=2, random_state=0))
    pipeline.fit(KNOWN[COLUMNS], labels)
    pipeline[-1].estimator_weights_[:] = 1.0
    assert_equal(pipeline, KNOWN[COLUMNS])


@pytest.mark.parametrize(
    ("member", "loss"),
    [(DecisionTreeRegressor(max_depth=3), "linear"), (LinearRegression(), "exponential")],
    ids=str,
)
def test_regressors(member, loss):
    model = AdaBoostRegressor(member, n_estimators=6, loss=loss, random_state=0)
    assert_equal(behind(model).fit(KNOWN[COLUMNS], KNOWN.body_mass_g), KNOWN[COLUMNS])


def test_half_of_the_weight_is_enough():
    """Of an even number of equal weights the lower of the two in the middle is the median."""
    pipeline = behind(AdaBoostRegressor(n_estimators=4, random_state=0))
    pipeline.fit(KNOWN[COLUMNS], KNOWN.body_mass_g)
    pipeline[-1].estimator_weights_[:] = 0.25
    assert_equal(pipeline, KNOWN[COLUMNS])


def test_a_missing_number_is_refused_though_its_trees_would_take_it():
    labels = KNOWN.species
    pipeline = make_pipeline(FunctionTransformer(), AdaBoostClassifier(n_estimators=3))
    report, _ = assert_equal(pipeline.fit(KNOWN[COLUMNS], labels), KNOWN[COLUMNS])
    assert next(check for check in report.checks if "missing" in check.name).refused
