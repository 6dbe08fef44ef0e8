"""Classes against each other: one against the rest, one against one, codes."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

FRAME = PENGUINS[NUMBERS[:2]]
MEMBERS = {
    "probabilities and scores": LogisticRegression(),
    "scores": LinearSVC(random_state=0),
    "probabilities": RandomForestClassifier(3, max_depth=2, random_state=0),
    "many equals": DecisionTreeClassifier(max_depth=1),
}
SCHEMES = {
    "rest": OneVsRestClassifier,
    "one": OneVsOneClassifier,
    "code": lambda member: OutputCodeClassifier(member, code_size=2, random_state=1),
}


def behind(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


def labels(classes):
    """Two, three or ten classes."""
    if classes == 10:
        return (
            PENGUINS.year % 3 * 3 + PENGUINS.species.map(len) % 3 + PENGUINS.index % 2
        ).to_numpy()
    return np.where((PENGUINS.species == "Gentoo") & (classes == 2), "Adelie", PENGUINS.species)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("member", "classes"),
    [
        ("probabilities and scores", 2),
        ("probabilities and scores", 10),
        ("scores", 3),
        ("probabilities", 2),
        ("probabilities", 3),
        ("many equals", 3),
    ],
)
def test_every_scheme_is_exact_with_every_kind_of_member(scheme, member, classes):
    pipeline = behind(SCHEMES[scheme](MEMBERS[member])).fit(FRAME, labels(classes))
    assert_equal(pipeline, FRAME)


def test_regressors_may_stand_for_classifiers():
    assert_equal(behind(OneVsRestClassifier(LinearRegression())).fit(FRAME, labels(3)), FRAME)


def test_a_class_that_no_row_was_without():
    """A code's column may be the same for all classes: its classifier is a constant."""
    model = OutputCodeClassifier(LogisticRegression(), code_size=4, random_state=0)
    pipeline = behind(model).fit(FRAME, labels(3))
    kinds = {type(member).__name__ for member in model.estimators_}
    assert kinds == {"LogisticRegression", "_ConstantPredictor"}
    assert_equal(pipeline, FRAME)
