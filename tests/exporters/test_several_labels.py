"""Models that give a row several labels."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

FRAME = PENGUINS[NUMBERS]
FLAGS = np.column_stack([PENGUINS.species == "Gentoo", PENGUINS.sex == "male"]).astype(int)
WORDS = PENGUINS[["species", "island"]].to_numpy()
COUNTS = np.column_stack([PENGUINS.year, PENGUINS.island.str.len()])

BOTH = {
    "each": MultiOutputClassifier(LogisticRegression()),
    "each without probabilities": MultiOutputClassifier(LinearSVC(random_state=0)),
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "forest": RandomForestClassifier(5, max_depth=4, random_state=0),
    "extra trees": ExtraTreesClassifier(5, max_depth=4, random_state=0),
    "neighbours": KNeighborsClassifier(4),
    "near neighbours": KNeighborsClassifier(4, weights="distance"),
    "prior": DummyClassifier(),
    "most frequent": DummyClassifier(strategy="most_frequent"),
}
FLAGGED = {
    **BOTH,
    "rest": OneVsRestClassifier(LogisticRegression()),
    "rest by scores": OneVsRestClassifier(LinearSVC(random_state=0)),
    "rest by values": OneVsRestClassifier(LinearRegression()),
    "chain": ClassifierChain(LogisticRegression(), order=[1, 0]),
    "chain of probabilities": ClassifierChain(LogisticRegression(), chain_method="predict_proba"),
    "ridge": RidgeClassifier(),
    "network": MLPClassifier((5,), max_iter=300, random_state=0),
}


def behind(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


@pytest.mark.parametrize("kind", FLAGGED)
def test_labels_that_a_row_has_or_has_not(kind):
    assert_equal(behind(FLAGGED[kind]).fit(FRAME, FLAGS), FRAME)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("target", [WORDS, COUNTS], ids=["words", "numbers"])
def test_labels_of_several_kinds(kind, target):
    assert_equal(behind(BOTH[kind]).fit(FRAME, target), FRAME)
