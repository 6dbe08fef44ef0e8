"""The signature that is learned from a frame and a fitted pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mlpack.errors import InputError
from mlpack.proof.original import ask
from mlpack.runtime import contract
from mlpack.runtime.contract import Signature
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

ROWS = pd.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "plan": ["a", "b", "a", "b", "a", "b", "a", "b"],
        "rooms": [1, 2, 3, 4, 1, 2, 3, 4],
    }
)


def churn(labels, **encoder):
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(**encoder), ["plan"]), (StandardScaler(), ["size", "rooms"])
        ),
        LogisticRegression(),
    )
    return model.fit(ROWS, labels)


@pytest.mark.parametrize(
    ("labels", "told", "kind"),
    [
        (["no", "yes"] * 4, ("no", "yes"), "string"),
        ([0, 1] * 4, (0, 1), "integer"),
        ([False, True] * 4, (False, True), "boolean"),
        ([0.5, 1.5] * 4, None, None),
    ],
)
def test_labels_keep_their_own_type(labels, told, kind):
    if told is None:  # what is no class is no classification
        with pytest.raises(ValueError, match="Unknown label type"):
            churn(labels)
        return
    found = observe(ROWS, churn(labels), target="left", source="train")
    assert found.labels == told
    assert [type(label) for label in found.labels] == [type(label) for label in told]
    assert (found.task, found.positive, found.target) == ("classification", told[1], "left")
    assert [(each.name, each.type, each.size) for each in found.outputs] == [
        ("label", kind, 1),
        ("probabilities", "number", 2),
    ]
    assert (found.source, found.rows) == ("train", 8)
    again = contract.decode(contract.encode(found), Signature, "signature")
    assert again == found
    assert [type(label) for label in again.labels] == [type(label) for label in told]


def test_of_three_classes_none_is_the_positive_one():
    found = observe(ROWS, churn([1, 2, 3, 1, 2, 3, 1, 2]), target=None, source="sample")
    assert (found.labels, found.positive, found.outputs[1].size) == ((1, 2, 3), None, 3)


def test_nullable_and_finite_are_what_the_pipeline_says_when_it_is_asked():
    found = observe(ROWS, churn([0, 1] * 4), target=None, source="train")
    assert {each.name: (each.nullable, each.finite) for each in found.columns} == {
        "size": (False, True),
        "plan": (False, False),  # an encoder that refuses what it does not know
        "rooms": (False, False),  # an integer has no infinity to be refused
    }
    lenient = observe(ROWS, churn([0, 1] * 4, handle_unknown="ignore"), target=None, source="train")
    assert {each.name: each.nullable for each in lenient.columns} == {
        "size": False,
        "plan": True,
        "rooms": False,
    }


def test_a_model_that_takes_missing_values_and_infinities_has_both_columns_free():
    numbers = ROWS[["size"]]
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1).fit(numbers, [0, 1] * 4)
    found = observe(numbers, model, target=None, source="train")
    assert (found.columns[0].nullable, found.columns[0].finite) == (True, False)


def test_rows_with_missing_values_do_not_hide_what_a_column_refuses():
    rows = pd.concat([ROWS.assign(plan=None).head(5), ROWS], ignore_index=True)
    found = observe(rows, churn([0, 1] * 4, handle_unknown="ignore"), target=None, source="train")
    assert {each.name: each.nullable for each in found.columns}["size"] is False
    assert {each.name: each.nullable for each in found.columns}["plan"] is True


def test_regressions_of_one_value_and_of_two():
    numbers = ROWS[["size", "rooms"]]
    one = LinearRegression().fit(numbers, ROWS["size"])
    two = LinearRegression().fit(numbers, ROWS[["size", "rooms"]])
    for model, size in ((one, 1), (two, 2)):
        found = observe(numbers, model, target="y", source="train")
        assert (found.task, found.labels, found.positive) == ("regression", (), None)
        assert [(each.name, each.size) for each in found.outputs] == [("value", size)]


def test_a_classifier_without_probabilities_has_one_output():
    numbers = ROWS[["size", "rooms"]]
    found = observe(numbers, LinearSVC().fit(numbers, [0, 1] * 4), target=None, source="train")
    assert [each.name for each in found.outputs] == ["label"]


class Words:
    """A model that says words and has no classes."""

    def predict(self, rows):
        return np.array(["a"] * len(rows))


def test_models_that_are_neither_are_refused():
    numbers = ROWS[["size", "rooms"]]
    with pytest.raises(InputError, match=r"Words predicts .* no classes_"):
        observe(numbers, Words(), target=None, source="train")
    with pytest.raises(InputError, match="StandardScaler, which cannot predict"):
        observe(numbers, StandardScaler().fit(numbers), target=None, source="train")


def test_no_rows_teach_nothing():
    with pytest.raises(InputError, match="there are no rows"):
        observe(ROWS.head(0), churn([0, 1] * 4), target=None, source="sample")


class Unbounded(RegressorMixin, BaseEstimator):
    """Answers infinity with infinity, and raises for it where `strict`."""

    def __init__(self, strict=False):
        self.strict = strict

    def fit(self, frame, target=None):
        self.fitted_ = True
        return self

    def predict(self, frame):
        values = frame["x"].to_numpy(float)
        if self.strict and np.isinf(values).any():
            raise ValueError("infinity")
        return values


@pytest.mark.parametrize("strict", [False, True])
def test_a_column_is_finite_where_the_original_raises_and_not_where_it_answers(strict):
    rows = pd.DataFrame({"x": [0.5, 1.5, 2.5]})
    signature = observe(rows, Unbounded(strict).fit(rows), target="y", source="train")
    assert signature.columns[0].finite is strict


LABELS = np.array([[i % 2, i > 9, i % 3] for i in range(20)], int)


@pytest.mark.parametrize(
    ("model", "labels", "groups", "probabilities"),
    [
        (MultiOutputClassifier(LogisticRegression()), (0, 1, 0, 1, 0, 1, 2), (2, 2, 3), True),
        (OneVsRestClassifier(LogisticRegression()), (0, 1, 0, 1), (2, 2), True),
        (RidgeClassifier(), (0, 1, 0, 1), (2, 2), False),
    ],
)
def test_several_labels_a_row_are_in_groups(model, labels, groups, probabilities):
    rows = pd.DataFrame({"x": np.arange(20.0)})
    model.fit(rows, LABELS[:, : len(groups)])
    signature = observe(rows, model, target="y", source="train")
    assert signature.task == "classification"
    assert (signature.labels, signature.groups) == (labels, groups)
    assert (signature.positive, signature.has("probabilities")) == (None, probabilities)
    sizes = {output.name: output.size for output in signature.outputs}
    wanted = {"label": len(groups)} | ({"probabilities": len(labels)} if probabilities else {})
    assert sizes == wanted


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        # The probabilities that it answers are those of the first label.
        (
            StackingClassifier(
                [("tree", DecisionTreeClassifier(max_depth=3, random_state=0))],
                final_estimator=RandomForestClassifier(3, random_state=0),
            ),
            (0, 1),
        ),
        # It has a method for them, which raises.
        (ClassifierChain(LogisticRegression(), order=[1, 0]), (1, 2)),
    ],
    ids=["stacking", "chain"],
)
def test_probabilities_of_other_labels_are_not_served(model, labels):
    rows = pd.DataFrame({"x": np.arange(20.0)})
    model.fit(rows, LABELS[:, labels])
    signature = observe(rows, model, target="y", source="train")
    assert len(signature.groups) == 2
    assert not signature.has("probabilities")
    assert ask(model, signature, real_rows(rows)).numbers is None


@pytest.mark.parametrize("classes", [["no", "yes"], [0, 1]])
def test_the_classes_of_one_answer_may_be_a_list(classes):
    class Own:
        classes_ = classes

        def predict(self, rows):
            return np.array([classes[0]] * len(rows))

    signature = observe(ROWS, Own(), target="y", source="train")
    assert (signature.labels, signature.groups) == (tuple(classes), ())


def test_the_labels_of_a_chain_stand_in_the_order_of_the_target():
    rows = pd.DataFrame({"x": np.arange(20.0)})
    words = np.array([[5 + i % 2, 7 + (i > 9)] for i in range(20)])
    chain = ClassifierChain(LogisticRegression(), order=[1, 0]).fit(rows, words)
    assert observe(rows, chain, target="y", source="train").labels == (5, 6, 7, 8)
