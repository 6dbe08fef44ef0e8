"""The signature that is learned from a frame and a fitted pipeline."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from mlpack.errors import InputError
from mlpack.runtime import contract
from mlpack.runtime.contract import Signature
from mlpack.runtime.frames import frame
from mlpack.training.observe import FEW, bare_columns, column, observe, real_rows


def series(values, dtype=None):
    return pd.Series(values, dtype=dtype, name="c")


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "categories"),
    [
        ([1.5, 2.0, None], "float64", "number", None),
        ([1.5, 2.0], "float32", "number", None),
        ([3, 1, 3], "int64", "integer", (1, 3)),
        ([3, 1, 3], "uint8", "integer", (1, 3)),
        ([3, None, 3], "Int64", "integer", (3,)),
        ([1.5, None], "Float64", "number", None),
        ([True, False], "bool", "boolean", (False, True)),
        ([True, None], "boolean", "boolean", (True,)),
        ([True, None, False], "object", "boolean", (False, True)),
        ([2, None, 2], "object", "integer", (2,)),
        ([2, 1.5, None], "object", "number", None),
        (["b", "a", "b", "a", None], "object", "string", ("a", "b")),
        (["b", "a", "b", "a", None], "string", "string", ("a", "b")),
        (["b", "a", "b", "a", None], "string[pyarrow]", "string", ("a", "b")),
        ([3, None, 3], "int64[pyarrow]", "integer", (3,)),
        ([True, None], "bool[pyarrow]", "boolean", (True,)),
        (["b", "a", None], "category", "string", ("a", "b")),
        ([2, 1, None], "category", "integer", (1, 2)),
        ([2.5, 1.0], "category", "number", (1.0, 2.5)),
        ([True, False], "category", "boolean", (False, True)),
        ([None, None], "object", "string", ()),
    ],
)
def test_a_column_is_told_by_its_type(values, dtype, kind, categories):
    given_series = series(values, dtype)
    found = column(given_series)
    assert (found.type, found.categories) == (kind, categories)
    assert [type(value) for value in found.categories or ()] == [
        type(value) for value in categories or ()
    ]
    # The dtype's name makes the same dtype again, in the very function that serves.
    assert found.dtype == str(given_series.dtype)
    signature = Signature(task="regression", columns=(found,), outputs=())
    again = frame(signature, [{"c": row} for row in real_rows(given_series.to_frame())[0].values()])
    assert again["c"].dtype == given_series.dtype


def test_text_comes_back_with_the_missing_value_that_it_had():
    for dtype in ("string", "str", "object"):
        rows = series(["a", None, "a"], dtype).to_frame()
        signature = Signature(task="regression", columns=(column(rows["c"]),), outputs=())
        again = frame(signature, real_rows(rows))
        assert type(again["c"][1]) is type(rows["c"][1]) or dtype == "object"
        assert again["c"].dtype == rows["c"].dtype


@pytest.mark.parametrize(
    ("values", "dtype", "low", "high"),
    [
        ([1.5, -2.0, None, np.inf, -np.inf], "float64", -2.0, 1.5),
        ([2**53 + 1, 5], "int64", 5, 2**53 + 1),
        ([7, None, 3], "Int64", 3, 7),
        ([7, None, 3], "category", 3, 7),
        ([7, None, 3.5], "object", 3.5, 7),
        ([None, np.inf], "float64", None, None),
        ([True, False], "bool", None, None),
        (["a", "b"], "object", None, None),
    ],
)
def test_the_range_is_that_of_the_finite_values(values, dtype, low, high):
    found = column(series(values, dtype))
    assert (found.minimum, found.maximum) == (low, high)
    assert type(found.minimum) in (type(low), int)
    contract.encode(found)  # plain values: nothing of numpy


@pytest.mark.parametrize(("values", "share"), [([1.0, None, None, 4.0], 0.5), ([1.0], 0.0)])
def test_the_share_of_missing_values(values, share):
    assert column(series(values)).missing == share


FREE = [f"{name} wrote on day {day}" for name in ("Ada", "Bob") for day in range(40)]


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_free_text_never_enters(dtype):
    found = column(series(FREE, dtype))
    assert found.categories is None
    assert b"Ada" not in contract.encode(found)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([f"c{i}" for i in range(FEW)] * 2, True),
        ([f"c{i}" for i in range(FEW + 1)] * 2, False),
        (["a", "b", "c", "c"], False),  # hardly anything repeats
        (["a", "b", "b", "a"], True),
        (list(range(FEW)), True),
        (list(range(FEW + 1)), False),
    ],
)
def test_only_few_values_that_repeat_are_categories(values, known):
    found = column(series(values))
    assert found.categories == (tuple(sorted(set(values))) if known else None)


def test_a_category_that_the_author_declared_is_kept_even_if_no_row_has_it():
    declared = pd.Categorical(["x", "x"], categories=["z", "x"])
    assert column(pd.Series(declared, name="c")).categories == ("z", "x")
    cities = [f"city {i}" for i in range(200)]
    assert column(series(cities * 3, "category")).categories == tuple(sorted(cities))


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=3), st.integers(-5, 5), st.booleans(), st.floats()),
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_values_become_a_column_or_a_clear_error(values):
    try:
        found = column(series(values, "object"))
    except InputError as error:
        found = error
    if isinstance(found, InputError):
        assert "'c'" in found.what
        assert found.hint
        return
    kinds = {type(value) for value in values if value is not None and value == value}
    expected = {"string": {str}, "boolean": {bool}, "integer": {int}, "number": {int, float}}
    assert kinds <= expected[found.type]
    assert contract.decode(contract.encode(found), contract.Column, "column") == found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, "a"], "mixes types: int, str"),
        ([True, 1], "mixes types: bool, int"),
        ([b"a", b"b"], "holds bytes objects"),
        ([decimal.Decimal(1), 1], "mixes types: Decimal, int"),
        ([[1], [2]], "holds list objects"),
        ([dt.time(12, 30)], "holds time objects"),
        ([dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)], "holds datetime objects"),
    ],
)
def test_objects_that_json_has_no_name_for_are_refused(values, said):
    with pytest.raises(InputError, match=f"the column 'c' {said}") as caught:
        column(series(values, "object"))
    assert "data.load" in caught.value.hint


@pytest.mark.parametrize(
    "values",
    [
        pd.to_timedelta([1, 2]),
        pd.period_range("2020", periods=2),
        [1j, 2j],
    ],
)
def test_dates_and_the_like_are_refused_with_what_to_write(values):
    with pytest.raises(InputError, match="the column 'c' has the type ") as caught:
        column(series(values))
    assert ".dt.year" in caught.value.hint


# Whole signatures


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
    both = pd.DataFrame({"a": [0, 1] * 4, "b": [0, 1, 1, 0] * 2})
    several = MultiOutputClassifier(LogisticRegression()).fit(numbers, both)
    with pytest.raises(InputError, match="several labels at once"):
        observe(numbers, several, target=None, source="train")
    with pytest.raises(InputError, match=r"Words predicts .* no classes_"):
        observe(numbers, Words(), target=None, source="train")
    with pytest.raises(InputError, match="StandardScaler, which cannot predict"):
        observe(numbers, StandardScaler().fit(numbers), target=None, source="train")


def test_no_rows_teach_nothing():
    with pytest.raises(InputError, match="there are no rows"):
        observe(ROWS.head(0), churn([0, 1] * 4), target=None, source="sample")


def test_rows_become_plain_values():
    rows = pd.DataFrame(
        {
            "a": [1.5, np.nan],
            "b": series([1, None], "Int64"),
            "c": series(["x", None], "string"),
            "d": series([True, None], "boolean"),
        }
    )
    assert real_rows(rows) == [
        {"a": 1.5, "b": 1, "c": "x", "d": True},
        {"a": None, "b": None, "c": None, "d": None},
    ]
    assert [type(value) for value in real_rows(rows)[0].values()] == [float, int, str, bool]
    made = bare_columns(["t", "n"], frozenset({"t"}))
    assert real_rows(made) == [{"t": "", "n": 0.0}]


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


def test_a_classifier_that_answers_several_labels_a_row_is_refused():
    rows = pd.DataFrame({"x": np.arange(20.0)})
    labels = np.array([[i % 2, i > 9] for i in range(20)], int)
    model = OneVsRestClassifier(LogisticRegression()).fit(rows, labels)
    with pytest.raises(InputError, match="several labels at once"):
        observe(rows, model, target="y", source="train")
