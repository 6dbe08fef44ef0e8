"""Which answers are others, by how much, and for whom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.gate.answers import Answers, parse
from mlpack.gate.changes import compare, groups
from mlpack.gate.rows import Rows


def rows(count, **columns):
    every = {name: list(values) for name, values in columns.items()}
    return Rows(tuple({n: v[i] for n, v in every.items()} for i in range(count)), None, "a test")


def labels(*found):
    return parse([None if each is None else {"label": each} for each in found])


def values(*found):
    return parse([{"value": each} for each in found])


def test_labels_that_differ_are_counted_and_refusals_apart():
    found = compare(rows(4), labels("a", "b", None, "a"), labels("a", "a", "a", None))
    assert (found.of, found.rows, found.changed, found.moved) == ("labels", 2, 1, None)
    assert (found.refused_before, found.refused_after, found.newly_refused) == (1, 1, 1)
    assert [(each.row, each.before, each.after) for each in found.examples] == [(1, "b", "a")]


def test_a_label_of_another_type_is_another_label():
    assert compare(rows(2), labels(1, True), labels("1", 1)).changed == 2
    assert compare(rows(1), labels(["a", "b"]), labels(["a", "c"])).changed == 1


def test_probabilities_tell_how_far_apart_answers_are():
    one = parse([{"label": "a", "probabilities": {"a": 0.6, "b": 0.4}}] * 2)
    two = parse(
        [
            {"label": "a", "probabilities": {"b": 0.1, "a": 0.9}},
            {"label": "b", "probabilities": {"b": 0.9, "a": 0.1}},
        ]
    )
    # Each side's own order of the classes counts: here the second answers in another order.
    found = compare(rows(2), one, two)
    assert found.changed == 1
    assert found.moved == pytest.approx((0.3 + 0.5) / 2)
    assert found.examples[0].by == pytest.approx(0.5)


def test_examples_are_those_that_changed_however_far_others_moved():
    def of(label, a):
        return {"label": label, "probabilities": {"a": a, "b": 1 - a}}

    one = parse([of("a", 0.99)] * 30 + [of("a", 0.51)])
    two = parse([of("a", 0.6)] * 30 + [of("b", 0.49)])
    assert [each.row for each in compare(rows(31), one, two).examples] == [30]


def test_a_class_that_the_other_does_not_have_has_no_probability():
    one = parse([{"label": "a", "probabilities": {"a": 1.0}}])
    two = parse([{"label": "a", "probabilities": {"a": 0.75, "c": 0.25}}])
    assert compare(rows(1), one, two).moved == pytest.approx(0.25)


def test_values_are_others_beyond_a_tenth_of_their_spread():
    before = values(0.0, 10.0, 20.0, 30.0)  # a standard deviation of 11.18
    after = values(1.0, 10.0, 22.0, 30.0)
    found = compare(rows(4), before, after)
    assert (found.of, found.changed) == ("values", 1)
    assert found.moved == pytest.approx(np.sqrt((1 + 4) / 4) / np.std([0, 10, 20, 30]))
    assert found.examples[0].row == 2


def test_values_that_never_differ_have_no_spread_to_be_measured_by():
    assert compare(rows(2), values(5.0, 5.0), values(5.0, 5.0)).changed == 0
    assert compare(rows(2), values(5.0, 5.0), values(5.0, 6.0)).changed == 1


def test_the_rows_for_whom_most_changes_are_found():
    sex = ["f", "m"] * 100
    age = list(range(200))
    before = labels(*["yes"] * 200)
    after = labels(*["no" if i % 2 and i < 120 else "yes" for i in range(200)])
    found = compare(rows(200, sex=sex, age=age), before, after)
    assert found.changed == 60
    first = found.slices[0]
    assert (first.column, first.values, first.rows, first.changed) == ("sex", "m", 100, 60)
    assert first.share == pytest.approx(0.6)
    assert all(each.p < 0.01 for each in found.slices)


def test_where_nothing_stands_out_no_slice_is_told():
    chance = np.random.default_rng(0)
    columns = {f"c{i}": chance.choice(["x", "y", "z"], 300).tolist() for i in range(20)}
    after = labels(*["no" if each else "yes" for each in chance.random(300) < 0.2])
    assert compare(rows(300, **columns), labels(*["yes"] * 300), after).slices == ()


def test_columns_are_parted_by_what_stands_in_them():
    told = dict(groups([None, *range(100)]))
    assert sorted(told) == [
        "0 to 24.75",
        "24.75 to 49.5",
        "49.5 to 74.25",
        "74.25 to 99",
        "missing",
    ]
    assert sum(each.sum() for each in told.values()) == 101
    assert [name for name, _ in groups(["a", "b", "a", True, "True"])] == ["a", "b", "True", "True"]
    assert groups([f"text {i}" for i in range(100)]) == []


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text())))
def test_a_row_is_in_one_group_of_a_column_at_most(cells):
    found = groups([None if each != each else each for each in cells])
    if found:
        assert np.sum([members for _, members in found], axis=0).max() <= 1


def test_nothing_in_common_is_everything_another():
    one = Answers(np.array([False, False]), values=np.zeros((2, 1)))
    assert compare(rows(2), one, labels("a", "b")).changed == 2


def test_a_null_is_no_answer():
    rows = Rows(tuple({"a": place} for place in range(100)), None, "a test")
    whole = parse([{"value": float(place)} for place in range(100)])
    holed = parse([{"value": None if place < 5 else float(place)} for place in range(100)])
    found = compare(rows, whole, holed)
    assert (found.rows, found.newly_refused, found.refused_before) == (95, 5, 0)
    assert (found.changed, found.moved) == (0, 0.0)
    back = compare(rows, holed, whole)
    assert (back.rows, back.newly_refused, back.refused_before) == (95, 0, 5)
    shares = [{"label": "a", "probabilities": {"a": None, "b": 0.5}}]
    assert parse(shares).refused.tolist() == [True]
