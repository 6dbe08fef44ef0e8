"""Splitting, measuring, and the reference rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from mlpack.errors import InputError
from mlpack.proof.original import Outcomes, ask
from mlpack.training.columns import real_rows
from mlpack.training.evaluate import classifies, measure, split
from mlpack.training.observe import observe
from mlpack.training.reference import read_reference, write_reference


def columns(count):
    return pd.DataFrame({"x": np.arange(count, dtype=float)})


@given(st.integers(2, 60), st.integers(0, 9), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_row_is_on_one_side_with_its_own_target(count, seed, stratify):
    target = pd.Series([index % 3 for index in range(count)], name="y")
    parts = split(columns(count), target, stratify=stratify, seed=seed)
    assert sorted([*parts.train["x"], *parts.test["x"]]) == list(range(count))
    assert len(parts.test) == math.ceil(count * 0.2)
    for rows, targets in ((parts.train, parts.train_target), (parts.test, parts.test_target)):
        assert [int(x) % 3 for x in rows["x"]] == list(targets)
    again = split(columns(count), target, stratify=stratify, seed=seed)
    assert again.test.equals(parts.test)


def test_the_seed_chooses_the_rows():
    target = [0, 1] * 20
    one = split(columns(40), target, stratify=True, seed=1)
    two = split(columns(40), target, stratify=True, seed=2)
    assert sorted(one.test["x"]) != sorted(two.test["x"])


def test_each_class_has_its_share_where_that_can_be():
    target = np.array(["rare"] * 10 + ["often"] * 90)
    parts = split(columns(100), target, stratify=True, seed=0)
    assert parts.stratified
    assert list(parts.test_target).count("rare") == 2
    assert not split(columns(100), target, stratify=False, seed=0).stratified


@pytest.mark.parametrize(
    "target",
    [["a"] * 9 + ["b"], list(range(10)), ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"]],
)
def test_classes_that_cannot_be_in_both_leave_it_unstratified(target):
    parts = split(columns(10), target, stratify=True, seed=0)
    assert not parts.stratified
    assert len(parts.test) == 2


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_are_said_to_be_too_few(count):
    with pytest.raises(InputError, match=f"there is {count} row"):
        split(columns(count), [1] * count, stratify=False, seed=0)


class Plain:
    """An estimator of no framework."""

    def fit(self, rows, target):
        return self

    def predict(self, rows):
        return np.zeros(len(rows))


@pytest.mark.parametrize(
    ("estimator", "answer"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}), True),
        (LinearRegression(), False),
        (make_pipeline(StandardScaler(), LinearRegression()), False),
        (Plain(), False),
    ],
)
def test_what_classifies(estimator, answer):
    assert classifies(estimator) is answer


def test_metrics_of_a_regression_are_those_of_the_textbook():
    model = DummyRegressor(strategy="constant", constant=2.0).fit(columns(2), [0, 0])
    found = measure(model, columns(4), [1.0, 2.0, 3.0, 6.0])
    assert found["mae"] == pytest.approx(1.5)
    assert found["rmse"] == pytest.approx(math.sqrt(18 / 4))
    assert found["r2"] == pytest.approx(1 - 18 / 14)


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [False, True]])
def test_metrics_of_two_classes(labels):
    no, yes = labels
    rows = pd.DataFrame({"x": [-2.0, -1.0, 1.0, 2.0]})
    model = LogisticRegression().fit(rows, [no, no, yes, yes])
    found = measure(model, rows, [no, no, yes, yes])
    assert found["accuracy"] == found["balanced_accuracy"] == found["f1_macro"] == 1.0
    assert found["roc_auc"] == 1.0
    # The second label is the positive one: turned round, every pair is in the wrong order.
    assert measure(model, rows, [yes, yes, no, no])["roc_auc"] == 0.0
    shares = model.predict_proba(rows)
    right = shares[[0, 1, 2, 3], [0, 0, 1, 1]]
    assert found["log_loss"] == pytest.approx(-np.log(right).mean())


def test_metrics_of_three_classes_and_without_probabilities():
    rows = columns(9)
    three = DummyClassifier(strategy="prior").fit(rows, [0, 1, 2] * 3)
    assert set(measure(three, rows, [0, 1, 2] * 3)) == {
        *("accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
    }
    machine = LinearSVC().fit(rows, [0] * 4 + [1] * 5)
    assert set(measure(machine, rows, [0] * 4 + [1] * 5)) == {
        *("accuracy", "balanced_accuracy", "f1_macro"),
    }


class Says:
    """A classifier of several targets that says what it is told to."""

    _estimator_type = "classifier"

    def __init__(self, answers):
        self.answers = np.array(answers)
        self.classes_ = [np.unique(column) for column in self.answers.T]

    def predict(self, rows):
        return self.answers[: len(rows)]


def test_metrics_of_several_labels_are_those_of_the_textbook():
    wanted = np.array([["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]])
    found = measure(Says([["a", "x"], ["b", "y"], ["b", "x"], ["b", "x"]]), columns(4), wanted)
    # Rows 0 and 2 are right as a whole; of each label three in four.
    assert found["accuracy"] == 0.5
    assert found["accuracy_each"] == 0.75
    # Of the first label a has 2/3 and b 4/5, of the second x 4/5 and y 2/3.
    assert found["f1_macro"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert set(found) == {"accuracy", "accuracy_each", "f1_macro"}


@pytest.mark.parametrize("alone", [False, True])
def test_of_several_targets_all_that_a_row_has_are_its_class(alone):
    target = pd.DataFrame({"a": [0, 1] * 20, "b": [0, 0, 1, 1] * 10})
    if alone:
        target.loc[0, "b"] = 7  # no other row has 0 and 7
    parts = split(columns(40), target, stratify=True, seed=1)
    assert parts.stratified is not alone
    if not alone:
        assert parts.test_target.value_counts().tolist() == [2] * 4


def test_a_metric_that_one_row_leaves_undefined_is_left_out(recwarn):
    model = LinearRegression().fit(columns(3), [0.0, 1.0, 2.0])
    found = measure(model, columns(1), [0.5])
    assert set(found) == {"mae", "rmse"}
    json.dumps(found, allow_nan=False)
    two = LogisticRegression().fit(columns(4), [0, 0, 1, 1])
    assert "roc_auc" not in measure(two, columns(1), [0])
    assert [str(warning.message) for warning in recwarn if "R^2" in str(warning.message)] == []


# Reference rows


def test_reference_rows_hold_the_columns_the_target_and_what_the_original_said(tmp_path):
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "n": pd.Series([1, None, 3, 4], dtype="Int64")})
    target = np.array(["no", "no", "yes", "yes"])
    model = LogisticRegression().fit(rows[["x"]].to_numpy(), target)

    class First:
        classes_ = model.classes_

        def predict(self, frame):
            return model.predict(frame[["x"]].to_numpy())

        def predict_proba(self, frame):
            return model.predict_proba(frame[["x"]].to_numpy())

    signature = observe(rows, First(), target="left", source="train")
    outcomes = ask(First(), signature, real_rows(rows))
    path = tmp_path / "models" / "reference.parquet"
    write_reference(path, rows.set_index(pd.Index([9, 8, 7, 6])), target, outcomes, signature)
    table = pd.read_parquet(path)
    assert table["mlpack:target"].tolist() == target.tolist()
    assert table["mlpack:label"].tolist() == model.predict(rows[["x"]].to_numpy()).tolist()
    shares = model.predict_proba(rows[["x"]].to_numpy())
    assert table[["mlpack:number:0", "mlpack:number:1"]].to_numpy().tolist() == shares.tolist()
    assert table["mlpack:refused"].tolist() == [False] * 4
    again = read_reference(path)
    assert list(again) == ["x", "n"]
    assert real_rows(again) == real_rows(rows)


def test_reference_rows_of_a_regression_have_no_label(tmp_path):
    rows = columns(2)
    signature = observe(rows, LinearRegression().fit(rows, rows["x"]), target="y", source="train")
    outcomes = Outcomes(np.array([False, True]), None, np.array([[1.5], [0.0]]))
    write_reference(tmp_path / "r.parquet", rows, rows[["x"]], outcomes, signature)
    table = pd.read_parquet(tmp_path / "r.parquet")
    assert list(table) == ["x", "mlpack:target", "mlpack:refused", "mlpack:number:0"]
    assert table["mlpack:refused"].tolist() == [False, True]


def test_reference_rows_that_are_damaged_are_said_so(tmp_path):
    path = tmp_path / "models" / "reference.parquet"
    path.parent.mkdir()
    for content in (b"", b"PAR1 no PAR1"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="reference rows cannot be read") as caught:
            read_reference(path)
        assert caught.value.where == "models/reference.parquet"
        assert "mlpack train" in caught.value.hint
