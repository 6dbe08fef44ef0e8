from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.frames import frame


def one(dtype: str, values, kind="number", categories=None) -> pd.Series:
    signature = Signature(
        task="regression",
        columns=(Column(name="c", type=kind, dtype=dtype, categories=categories),),
        outputs=(Output(name="value", type="number"),),
    )
    rows = frame(signature, [{"c": value} for value in values])
    columns = frame(signature, {"c": values})
    pd.testing.assert_frame_equal(rows, columns)
    return rows["c"]


@pytest.mark.parametrize(
    ("dtype", "values", "kind", "result"),
    [
        ("float64", [1, None, 2.5], "number", "float64"),
        ("float32", [1, None, 2.5], "number", "float32"),
        ("int64", [1, 2], "integer", "int64"),
        ("int64", [1, None], "integer", "float64"),
        ("int64", [1, 2.5], "integer", "float64"),
        ("int8", [1, 2], "integer", "int8"),
        ("int8", [1, 300], "integer", "int64"),
        ("uint8", [-1], "integer", "int64"),
        ("bool", [True, False], "boolean", "bool"),
        ("bool", [True, None], "boolean", "object"),
        ("object", ["a", None], "string", "object"),
        ("Int64", [1, None], "integer", "Int64"),
        ("boolean", [True, None], "boolean", "boolean"),
        ("string", ["a", None], "string", "string"),
        ("category", ["a", None], "string", "category"),
    ],
)
def test_dtypes(dtype, values, kind, result):
    series = one(dtype, values, kind)
    assert str(series.dtype) == result
    assert series.isna().tolist() == [value is None for value in values]


def test_whole_numbers_stay_exact():
    assert one("int64", [2**53 + 1], "integer").tolist() == [2**53 + 1]


def test_missing_strings_are_the_dtypes_own():
    assert [type(value) for value in one("object", [None], "string")] == [float]
    series = one("str", ["a", None], "string")
    assert series.isna().tolist() == [False, True]
    expected = pd.read_csv(__import__("io").StringIO("c,d\na,1\n,2\n"))["c"]
    assert series.dtype == expected.dtype


def test_a_category_keeps_its_categories_and_loses_the_unknown():
    series = one("category", ["b", "x", None], "string", ("a", "b"))
    assert series.cat.categories.tolist() == ["a", "b"]
    assert series.isna().tolist() == [False, True, True]


def test_a_category_of_whole_numbers():
    assert one("category", [2, 9], "integer", (1, 2)).cat.codes.tolist() == [1, -1]


def test_order_absent_and_further_columns():
    signature = Signature(
        task="regression",
        columns=(
            Column(name="b", type="number", dtype="float64"),
            Column(name="a", type="string", dtype="object"),
        ),
        outputs=(Output(name="value", type="number"),),
    )
    result = frame(signature, [{"x": 1, "a": "y"}, {}])
    assert result.columns.tolist() == ["b", "a"]
    assert result.isna().to_numpy().tolist() == [[True, False], [True, True]]
    assert result.index.tolist() == [0, 1]
    assert frame(signature, []).dtypes.astype(str).tolist() == ["float64", "object"]


def test_hostile_values_go_to_the_original_as_they_are():
    assert one("float64", ["x", 1.0]).tolist() == ["x", 1.0]
    assert one("float64", [np.inf]).tolist() == [np.inf]
    assert one("str", [1, "a"], "string").tolist() == [1, "a"]
