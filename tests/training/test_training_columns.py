"""What the columns of a frame hold."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.errors import InputError
from mlpack.runtime import contract
from mlpack.runtime.contract import Signature
from mlpack.runtime.frames import frame
from mlpack.training.columns import FEW, bare_columns, column, real_rows


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
