"""Votes, averages and stacks of members that answer scores, labels or few of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mlpack.ports import NotExportableError

FRAME = PENGUINS[NUMBERS[:2]]
TWO = np.where(PENGUINS.species == "Gentoo", "Gentoo", "other")


def behind(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


@pytest.mark.parametrize("labels", [TWO, PENGUINS.species], ids=["two", "three"])
def test_members_without_probabilities_vote(labels):
    model = BaggingClassifier(RidgeClassifier(), n_estimators=5, random_state=0)
    assert_equal(behind(model).fit(FRAME, labels), FRAME)


@pytest.mark.parametrize(
    "member", [DecisionTreeClassifier(max_depth=2), RidgeClassifier()], ids=str
)
def test_a_member_that_has_not_seen_every_class(member):
    # A pipeline takes no weights, so its rows are drawn, and some classes are not.
    drawn = make_pipeline(StandardScaler(), member)
    model = BaggingClassifier(drawn, n_estimators=6, max_samples=5, random_state=1)
    pipeline = behind(model).fit(FRAME, PENGUINS.species)
    assert {len(each.classes_) for each in model.estimators_} == {2, 3}
    assert_equal(pipeline, FRAME)


@pytest.mark.parametrize("labels", [TWO, PENGUINS.species], ids=["two", "three"])
def test_the_scores_of_a_bag_can_be_calibrated(labels):
    bag = BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0)
    assert_equal(behind(CalibratedClassifierCV(bag, cv=2)).fit(FRAME, labels), FRAME)


@pytest.mark.parametrize("labels", [TWO, PENGUINS.species], ids=["two", "three"])
def test_a_stack_on_scores(labels):
    members = [("linear", LinearSVC()), ("ridge", RidgeClassifier())]
    assert_equal(behind(StackingClassifier(members, cv=2)).fit(FRAME, labels), FRAME)


def test_a_stack_on_labels():
    members = [("linear", LinearSVC()), ("tree", DecisionTreeClassifier(max_depth=2))]
    model = StackingClassifier(members, stack_method="predict", cv=2, passthrough=True)
    assert_equal(behind(model).fit(FRAME, PENGUINS.species), FRAME)


@pytest.mark.parametrize("method", ["auto", "predict"])
def test_a_stack_of_members_that_were_fitted_before(method):
    """Such members say the labels themselves, the others the labels' numbers."""
    filled = SimpleImputer().fit_transform(FRAME)
    known = PENGUINS.year.to_numpy()
    members = [
        ("linear", LinearSVC().fit(filled, known)),
        ("tree", DecisionTreeClassifier(max_depth=2).fit(filled, known)),
    ]
    model = StackingClassifier(members, stack_method=method, cv="prefit")
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, known), FRAME)


def test_votes_by_weight():
    members = [("ridge", RidgeClassifier()), ("tree", DecisionTreeClassifier(max_depth=1))]
    model = VotingClassifier(members, weights=[1, 1])
    assert_equal(behind(model).fit(FRAME, PENGUINS.species), FRAME)


def test_scores_that_no_graph_answers_are_told():
    members = [("tree", DecisionTreeClassifier(max_depth=1)), ("bag", BaggingClassifier())]
    pipeline = behind(StackingClassifier(members, cv=2)).fit(FRAME, TWO)
    pipeline[-1].stack_method_ = ["predict_proba", "decision_function"]
    # Before scikit-learn 1.8 a bag of trees has none itself, and the pipeline raises.
    with pytest.raises((NotExportableError, AttributeError), match="decision_function"):
        proved(pipeline, FRAME)
