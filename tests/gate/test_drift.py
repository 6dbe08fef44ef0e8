"""Whether values are spread as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpack.gate.answers import parse
from mlpack.gate.drift import lost, of_answers, of_column, of_samples
from mlpack.training.columns import column


def seen(values):
    return column(pd.Series(values, name="x"))


def test_numbers_that_are_spread_alike_do_not_drift():
    chance = np.random.default_rng(0)
    known = seen(chance.normal(size=5000))
    found = of_column(known, chance.normal(size=1000).tolist())
    assert (found.psi < 0.03, found.p > 0.01) == (True, True)
    assert found.rows_before == 5000
    moved = of_column(known, (chance.normal(size=1000) + 1).tolist())
    assert (moved.psi > 0.5, moved.p < 1e-10) == (True, True)
    assert sum(moved.before) == pytest.approx(1)
    assert sum(moved.after) == pytest.approx(1)


def test_the_index_is_the_one_of_the_formula():
    known = seen(["a"] * 50 + ["b"] * 50)
    found = of_column(known, ["a"] * 80 + ["b"] * 20)
    wanted = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert found.psi == pytest.approx(wanted)
    assert found.bins == ("a", "b")


def test_values_that_are_new_and_missing_ones_have_bins():
    known = seen(["a"] * 90 + [None] * 10)
    found = of_column(known, ["a"] * 30 + ["c"] * 50 + [None] * 20)
    assert found.bins == ("a", "others", "missing")
    assert found.before == pytest.approx((0.9, 0.0, 0.1))
    assert found.after == pytest.approx((0.3, 0.5, 0.2))
    assert found.rows_before == 100


def test_a_truth_is_no_number_and_a_number_is_no_text():
    known = seen([True, False] * 50)
    found = of_column(known, [1, 0] * 50)
    assert dict(zip(found.bins, found.after, strict=True))["others"] == 1.0


def test_whole_numbers_are_the_same_with_and_without_a_point():
    known, pointed = seen([4, 6, 8] * 50), seen([4.0, 6.0, 8.0, None] * 50)
    for values in ([4, 6, 8] * 20, [4.0, 6.0, 8.0] * 20):
        assert of_column(known, values).psi == pytest.approx(0)
        assert of_column(pointed, [*values, *[None] * 20]).psi == pytest.approx(0)
        assert of_samples("x", [4, 6, 8] * 20, values).psi == pytest.approx(0)


def test_texts_where_training_saw_numbers_are_others():
    found = of_column(seen([1.0, 2.0, 3.0] * 50), [1.0] * 30 + ["n/a"] * 10)
    assert dict(zip(found.bins, found.after, strict=True))["others"] == 0.25


def test_of_few_values_and_of_unknown_spreads_nothing_is_told():
    assert of_column(seen(["a", "b"] * 50), ["a"] * 29) is None
    assert of_column(seen([f"text {i}" for i in range(100)]), ["a"] * 100) is None
    assert of_column(seen([1.0] * 20), [1.0] * 100) is None


def test_two_samples_are_tested_with_all_of_their_values():
    chance = np.random.default_rng(1)
    one, two = chance.normal(size=(2, 500)).tolist()
    same = of_samples("x", one, two)
    assert (same.ks < 0.1, same.p > 0.001) == (True, True)
    other = of_samples("x", one, [each + 1 for each in two])
    assert (other.ks > 0.3, other.p < 1e-10) == (True, True)
    assert of_samples("x", [f"text {i}" for i in range(60)], ["a"] * 60) is None
    gone = of_samples("x", one, [*one[:350], *[None] * 150])
    assert (gone.ks < 0.1, gone.p < 1e-10) == (True, True)  # what is missing counts too
    assert of_samples("x", ["a", "b"] * 50, ["a"] * 29) is None
    assert of_samples("x", ["a"] * 29, ["a", "b"] * 50) is None
    few = of_samples("x", [1, 1.5] * 50, [1.0, 1.5] * 5 + [None] * 90)
    assert (few.ks, few.bins) == (None, ("1", "1.5", "missing"))
    words = of_samples("x", ["a", "b"] * 50, ["a"] * 90 + [None] * 10)
    assert (words.ks, words.bins) == (None, ("a", "b", "missing"))


def test_predictions_of_both_are_compared_on_the_rows_that_both_answered():
    one = parse([{"label": "a"}, {"label": "b"}] * 50 + [None])
    two = parse([{"label": "a"}] * 100 + [{"label": "b"}])
    found = of_answers(one, two)
    assert (found.bins, found.before, found.after) == (("a", "b"), (0.5, 0.5), (1.0, 0.0))
    numbers = parse([{"value": float(i)} for i in range(100)])
    assert of_answers(numbers, numbers).psi == 0.0
    # What one of them refused says nothing of the other.
    refused = parse([{"value": float(i)} if i % 2 else None for i in range(100)])
    found = of_answers(numbers, refused)
    assert (found.psi, found.rows_before, found.rows_after) == (0.0, 50, 50)
    assert of_answers(parse([{"value": 1.0}] * 101), one) is None


def test_categories_that_training_does_not_know_any_more():
    old, new = seen(["f"] * 60 + ["m"] * 40), seen(["F"] * 60 + ["m"] * 40)
    assert lost(old, new) == (("f",), pytest.approx(0.6))
    assert lost(old, old) == ((), 0.0)
    assert lost(seen([1.0] * 60), seen([2.0] * 60)) == ((), 0.0)
