"""Calibrated probabilities and thresholds, of members of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn import calibration
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    PredefinedSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mlpack.ports import NotExportableError

TEMPERATURE = hasattr(calibration, "_TemperatureScaling")
"""From scikit-learn 1.8 on."""


COLUMNS = NUMBERS[:2]


def data(classes):
    chosen = PENGUINS if classes == 3 else PENGUINS[PENGUINS.species != "Gentoo"]
    chosen = chosen.reset_index(drop=True)
    # Some labels are swapped, so that the classes overlap and the calibration has work to do.
    labels = chosen.species.copy()
    labels[::7] = labels.to_numpy()[::-1][::7]
    return chosen[COLUMNS], labels


def behind(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


def forest():
    return RandomForestClassifier(3, max_depth=3, random_state=0)


MEMBERS = {
    "scores": LinearSVC(random_state=0),
    "probabilities": forest(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}
METHODS = ["sigmoid", "isotonic", *(["temperature"] if TEMPERATURE else [])]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("member", "classes"),
    [("scores", 2), ("probabilities", 2), ("probabilities", 3), ("pipeline", 3)],
)
def test_every_method_is_exact_on_every_kind_of_member(method, member, classes):
    frame, labels = data(classes)
    model = CalibratedClassifierCV(MEMBERS[member], method=method, cv=2)
    assert_equal(behind(model).fit(frame, labels), frame)


def test_one_calibrator_for_one_member():
    frame, labels = data(3)
    model = CalibratedClassifierCV(forest(), method="isotonic", cv=2, ensemble=False)
    assert_equal(behind(model).fit(frame, labels), frame)


def test_a_member_that_was_fitted_before():
    frame, labels = data(2)
    filled = SimpleImputer().fit_transform(frame)
    member = FrozenEstimator(forest().fit(filled[::2], labels[::2]))
    model = CalibratedClassifierCV(member, method="isotonic")
    pipeline = make_pipeline(SimpleImputer(), model).fit(frame, labels)
    _, exported = assert_equal(pipeline, frame)
    assert all(step.form == "graph" for step in exported.steps)


def test_a_fold_that_has_not_seen_every_class():
    frame, labels = data(3)
    # Of two folds one has no Gentoo, so the member that is fitted on it knows two classes.
    fold = np.where(labels == "Gentoo", 0, np.arange(len(labels)) % 2)
    model = CalibratedClassifierCV(forest(), cv=PredefinedSplit(fold))
    assert_equal(behind(model).fit(frame, labels), frame)


if TEMPERATURE:

    def test_a_temperature_that_depends_on_the_other_rows_is_refused():
        frame, labels = data(3)
        member = OneVsRestClassifier(DecisionTreeClassifier(max_depth=3))
        model = CalibratedClassifierCV(member, method="temperature", cv=2)
        with pytest.raises(NotExportableError, match="other rows"):
            proved(behind(model).fit(frame, labels), frame)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.3},
        {"threshold": 0.3, "pos_label": "Adelie"},
        {"threshold": 0.3, "response_method": "decision_function"},
        {"threshold": 0.3, "pos_label": "Adelie", "response_method": "decision_function"},
    ],
    ids=str,
)
def test_a_threshold_stands_on_probabilities_or_scores(options):
    frame, labels = data(2)
    model = FixedThresholdClassifier(LogisticRegression(), **options)
    pipeline = behind(model).fit(frame, labels)
    assert_equal(pipeline, frame)
    plain = behind(LogisticRegression()).fit(frame, labels)
    assert (pipeline.predict(frame) != plain.predict(frame)).any()


@pytest.mark.parametrize("method", ["auto", "decision_function"])
def test_a_tuned_threshold(method):
    frame, labels = data(2)
    model = TunedThresholdClassifierCV(
        LogisticRegression(), scoring="balanced_accuracy", response_method=method, cv=2
    )
    assert_equal(behind(model).fit(frame, labels), frame)


def test_a_threshold_without_probabilities():
    frame, labels = data(2)
    model = FixedThresholdClassifier(LinearSVC(random_state=0))
    assert_equal(behind(model).fit(frame, labels), frame)
