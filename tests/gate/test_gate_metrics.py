"""Metrics against scikit-learn's, and their intervals against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlpack.gate.answers import Answers, parse
from mlpack.gate.calibration import compare as calibrated
from mlpack.gate.metrics import compare, measures


def probable(positive):
    return parse(
        [
            {"label": "yes" if each > 0.5 else "no", "probabilities": {"no": 1 - each, "yes": each}}
            for each in positive
        ]
    )


def taken(target, answers):
    every = np.arange(len(target))
    return {name: measure(every) for name, (measure, _) in measures(target, answers).items()}


@given(st.integers(0, 2**32 - 1), st.integers(20, 80))
@settings(max_examples=30)
def test_they_are_scikit_learns(seed, count):
    chance = np.random.default_rng(seed)
    positive = chance.integers(0, 20, count) / 20  # with ties
    target = ["yes" if each else "no" for each in chance.integers(0, 2, count)]
    answers = probable(positive)
    found = taken(target, answers)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(target, answers.labels))
    assert found["balanced_accuracy"] == pytest.approx(
        sk.recall_score(target, answers.labels, average="macro", labels=sorted({*target}))
    )
    both = sorted({*target, *answers.labels})
    assert found["f1_macro"] == pytest.approx(
        sk.f1_score(target, answers.labels, average="macro", labels=both, zero_division=0)
    )
    shares = np.stack([1 - positive, positive], axis=1)
    assert found["log_loss"] == pytest.approx(
        sk.log_loss(target, np.clip(shares, 1e-15, 1), labels=["no", "yes"]), rel=1e-6
    )
    if len({*target}) == 2:
        right = np.array(target) == "yes"
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(right, positive))


def test_values_are_measured_as_scikit_learn_does():
    chance = np.random.default_rng(1)
    wanted, said = chance.normal(size=(2, 60))
    found = taken(wanted.tolist(), parse([{"value": each} for each in said.tolist()]))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(wanted, said))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(wanted, said))
    assert found["r2"] == pytest.approx(sk.r2_score(wanted, said))


def test_the_interval_of_an_accuracy_is_as_wide_as_theory_says():
    chance = np.random.default_rng(2)
    target = ["yes"] * 2000
    before = probable(np.where(chance.random(2000) < 0.8, 0.9, 0.1))
    found = next(each for each in compare(target, before, before) if each.name == "accuracy")
    assert (found.low, found.high) == (0.0, 0.0)  # the same answers: the rows cancel out
    width = found.before_high - found.before_low
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 2000), rel=0.1)


def test_a_model_that_is_worse_is_surely_worse_and_one_that_is_not_is_not():
    chance = np.random.default_rng(3)
    right = chance.random(1000) < 0.9
    target = ["yes"] * 1000
    before = probable(np.where(right, 0.9, 0.1))
    worse = probable(np.where(right & (chance.random(1000) < 0.9), 0.9, 0.1))
    other = probable(np.where(chance.permutation(right), 0.9, 0.1))
    fell = next(each for each in compare(target, before, worse) if each.name == "accuracy")
    assert fell.surely_worse
    assert fell.worse == pytest.approx(0.09, abs=0.03)
    same = next(each for each in compare(target, before, other) if each.name == "accuracy")
    assert not same.surely_worse


def test_refused_rows_and_too_few_rows_are_not_measured():
    answers = parse([None] * 5 + [{"value": 1.0}] * 20)
    found = compare([1.0] * 25, answers, answers)
    assert {each.name: each.before for each in found} == {"mae": 0.0, "rmse": 0.0}
    assert compare([1.0] * 9, *[parse([{"value": 1.0}] * 9)] * 2) == ()


def test_texts_of_a_file_are_the_labels_that_they_spell():
    found = taken(["1", "0"] * 10, parse([{"label": 1}, {"label": 0}] * 10))
    assert found["accuracy"] == 1.0


def test_labels_that_nobody_answers_count_as_wrong():
    found = taken(["other"] * 20, probable([0.9] * 20))
    assert found["accuracy"] == 0.0
    assert "log_loss" not in found  # of a class without probabilities nothing can be told


def test_probabilities_that_say_too_much_are_badly_calibrated():
    chance = np.random.default_rng(4)
    true = chance.uniform(0.05, 0.95, 4000)
    target = ["yes" if each else "no" for each in chance.random(4000) < true]
    sure = np.clip((true - 0.5) * 2 + 0.5, 0, 1)
    found = calibrated(target, probable(true), probable(sure))
    assert found.before < 0.03
    assert found.after > 0.1
    assert found.low > 0
    assert sum(each.rows for each in found.curve_after) == 4000
    assert calibrated(target[:99], probable(true[:99]), probable(sure[:99])) is None


def test_without_probabilities_nothing_is_calibrated():
    bare = Answers(np.zeros(200, dtype=bool), labels=("a",) * 200)
    assert calibrated(["a"] * 200, bare, bare) is None
