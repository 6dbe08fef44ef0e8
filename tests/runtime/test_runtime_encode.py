from __future__ import annotations

import decimal

import bundles
import numpy as np
import pandas as pd
import pytest

from mlpack.runtime.contract import Codes, Column, Encoding, Output, Signature, Text
from mlpack.runtime.encode import Encoder, Lookup
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.runtime.values import Reader


def signature(*columns: Column) -> Signature:
    return Signature(
        task="regression", columns=columns, outputs=(Output(name="value", type="number"),)
    )


NUMBER = Column(name="n", type="number", dtype="float64")
INTEGER = Column(name="i", type="integer", dtype="int64")
BOOLEAN = Column(name="b", type="boolean", dtype="bool")
STRING = Column(name="s", type="string", dtype="str")
ALL = signature(NUMBER, INTEGER, BOOLEAN, STRING)


def test_codes_tell_json_types_apart():
    assert Lookup((1, 2), "boolean")[True] == 2
    assert Lookup((True, 1), "boolean")[True] == 0
    assert Lookup((True, 1), "integer")[1] == 1
    assert Lookup((1, 2), "integer")[2.0] == 1
    assert Lookup(("1",), "integer")[1] == 1  # the code of the unknown


def test_codes_for_known_unknown_and_missing():
    encoder = Encoder(ALL, Encoding(codes=(Codes(column="s", categories=("a", "b")),)))
    inputs, refusals = encoder.many([[], [], [], ["b", "x", None, "a", ""]], 5)
    assert inputs["codes"].tolist() == [[1], [2], [3], [0], [2]]
    assert not refusals
    assert list(inputs) == ["codes"]


def test_missing_category_of_a_number_given_as_nan_in_an_array():
    encoder = Encoder(ALL, Encoding(codes=(Codes(column="n", categories=(1.0, 2.5)),)))
    inputs, _ = encoder.many([np.array([2.5, np.nan, 7.0]), [], [], []], 3)
    assert inputs["codes"].tolist() == [[1], [3], [2]]


def test_unknown_category_refused_where_the_original_refuses():
    codes = Codes(column="i", categories=(1, 2), refuse_unknown=True)
    encoder = Encoder(ALL, Encoding(codes=(codes,)))
    _, refusals = encoder.many([[], [2, 7, None], [], []], 3)
    assert [(r.row, r.column, r.expected, r.got) for r in refusals] == [
        (1, "i", "one of 1, 2", "7")
    ]
    _, refusals = encoder.one([None, 7, None, None])
    assert [(r.row, r.got) for r in refusals] == [(0, "7")]
    assert encoder.one([None, 2, None, None])[1] == ()
    assert encoder.one([None, None, None, None])[1] == ()


def test_one_row_and_many_rows_encode_alike():
    encoding = Encoding(
        numbers=("b", "n", "i"),
        codes=(Codes(column="s", categories=("a",)), Codes(column="i", categories=(3,))),
        texts=(Text(name="text_0", column="s", pattern=r"\w", terms=("b", "a")),),
        rows=True,
    )
    encoder = Encoder(ALL, encoding)
    for row in ([1.5, 3, True, "A"], [None, None, None, None], [0.0, -1, False, "a"]):
        one, _ = encoder.one(row)
        many, _ = encoder.many([[value, value] for value in row], 2)
        assert list(one) == list(many) == ["numbers", "codes", "text_0", "rows"]
        twice = many.pop("text_0")
        assert twice.tolist() == [
            [row, term, count] for row in (0, 1) for _, term, count in one["text_0"].tolist()
        ]
        assert one.pop("text_0").dtype == twice.dtype == np.int64
        assert (one.pop("rows").tolist(), many.pop("rows").tolist()) == ([1], [2])
        for name, array in one.items():
            assert array.dtype == many[name].dtype
            assert array.shape == (1, *many[name].shape[1:])
            np.testing.assert_array_equal(np.vstack([array, array]), many[name])
    one, _ = encoder.one([1.5, 3, True, "A b a c"])
    assert one["numbers"].tolist() == [[1.0, 1.5, 3.0]]
    assert one["codes"].tolist() == [[1, 0]]
    assert one["text_0"].tolist() == [[0, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ({"n": 1}, 1.0),
        ({"n": np.float32(0.5)}, 0.5),
        ({"n": np.int8(3)}, 3.0),
        ({"n": decimal.Decimal("1.5")}, 1.5),
        ({"i": 3.0}, 3),
        ({"i": np.uint8(3)}, 3),
        ({"i": -(2**63)}, -(2**63)),
        ({"b": np.True_}, True),
        ({"s": np.str_("x")}, "x"),
        ({"n": None}, None),
        ({"n": float("nan")}, None),
        ({"n": pd.NA}, None),
        ({"s": pd.NaT}, None),
        ({"s": np.datetime64("NaT")}, None),
        ({"s": float("nan")}, None),
        ({"n": decimal.Decimal("nan")}, None),
    ],
)
def test_values_are_read(value, clean):
    (name,) = value
    result = Reader(ALL).rows([value])
    place = [column.name for column in ALL.columns].index(name)
    assert result.refusals == ()
    assert result.columns[place] == [clean]
    assert type(result.columns[place][0]) is type(clean)


@pytest.mark.parametrize(
    ("value", "expected", "got"),
    [
        ({"n": "1"}, "a number", '"1"'),
        ({"n": True}, "a number", "true"),
        ({"n": [1]}, "a number", "[1]"),
        ({"n": float("inf")}, "a finite number", "inf"),
        ({"n": 10**400}, "a number", "1" + "0" * 56 + "..."),
        ({"i": 1.5}, "a whole number of 64 bits", "1.5"),
        ({"i": 2**63}, "a whole number of 64 bits", "9223372036854775808"),
        ({"i": True}, "a whole number of 64 bits", "true"),
        ({"i": float("inf")}, "a whole number of 64 bits", "inf"),
        ({"i": 1e300}, "a whole number of 64 bits", "1e+300"),
        ({"b": 1}, "true or false", "1"),
        ({"b": "true"}, "true or false", '"true"'),
        ({"s": 1}, "a string", "1"),
        ({"s": b"x"}, "a string", "b'x'"),
        ({"s": "\ud800"}, "a string", '"\\ud800"'),
    ],
)
def test_values_are_refused(value, expected, got):
    (refusal,) = Reader(ALL).rows([{}, value]).refusals
    assert (refusal.row, refusal.expected, refusal.got) == (1, expected, got)
    assert refusal.column == next(iter(value))


def test_infinity_where_the_original_takes_it():
    column = Column(name="n", type="number", dtype="float64", finite=False)
    for data in ([{"n": float("inf")}], {"n": np.array([np.inf])}):
        reader = Reader(signature(column))
        clean = reader.rows(data) if isinstance(data, list) else reader.columns(data)
        assert not clean.refusals
        assert list(clean.columns[0]) == [float("inf")]
    strict = Reader(signature(column), finite=True).rows([{"n": float("inf")}])
    assert strict.refusals[0].expected == "a finite number"


def test_missing_where_the_original_raises():
    column = Column(name="n", type="number", dtype="float64", nullable=False)
    for data in ({"n": np.array([1.0, np.nan])}, {"n": [1.0, None]}):
        (refusal,) = Reader(signature(column)).columns(data).refusals
        assert (refusal.row, refusal.got) == (1, "missing")


@pytest.mark.parametrize(
    "column",
    [
        np.array([1, 2, 3]),
        np.array([1.0, 2.0, 3.0], dtype=np.float32),
        [1, 2.0, 3],
        (1, 2, 3),
        pd.Series([1, 2, 3]),
        pd.Series([1, 2, 3], dtype="Int64"),
        np.array([1, 2, 3], dtype=object),
        np.array([[1], [2], [3]]),
    ],
)
def test_columns_of_any_kind(column):
    clean = Reader(ALL).columns({"n": column, "i": column})
    assert clean.rows == 3
    assert not clean.refusals
    assert list(clean.columns[0]) == [1.0, 2.0, 3.0]
    assert list(clean.columns[1]) == [1, 2, 3]
    assert list(clean.columns[3]) == [None] * 3


def test_columns_that_are_none():
    reader = Reader(ALL)
    with pytest.raises(ValueError, match="different lengths: n 1, i 2"):
        reader.columns({"n": [1], "i": [1, 2]})
    with pytest.raises(ValueError, match="none of the columns"):
        reader.columns({"x": [1]})
    with pytest.raises(TypeError, match="a list or an array"):
        reader.columns({"n": "abc"})
    with pytest.raises(ValueError, match="one dimension"):
        reader.columns({"n": np.zeros((2, 2))})


def test_texts_reach_the_graph():
    text = Signature(
        task="classification",
        columns=(STRING,),
        outputs=(Output(name="label", type="integer"),),
        labels=(0, 1),
    )
    terms = Text(name="text_0", column="s", pattern=r"\w", terms=("é", "ß"))
    encoding = Encoding(texts=(terms,), rows=True)
    session = Session(text, OnnxEngine(bundles.text_graph(), encoding, text))
    assert session.rows([{"s": "É"}]).labels.tolist() == [1]
    assert session.rows([{"s": "É"}, {"s": None}, {"s": "x"}]).labels.tolist() == [1, 0, 0]
    assert session.columns({"s": []}).labels.tolist() == []
    assert session.rows([{"s": "\ud800"}]).refusals[0].expected == "a string"


def test_a_batch_is_taken_in_parts_and_refusals_keep_their_rows():
    text = Signature(
        task="classification",
        columns=(STRING,),
        outputs=(Output(name="label", type="integer"),),
        labels=(0, 1, 2, 3),
    )
    terms = Text(name="text_0", column="s", pattern=r"\w", terms=("a",))
    graph = bundles.text_graph()
    said = ["a", "b", "aa", "aaa", None, "a a", "aaa"]
    for at_once in (0, 1, 2, 3, 7, 8):
        encoding = Encoding(texts=(terms,), rows=True, at_once=at_once)
        answers = Session(text, OnnxEngine(graph, encoding, text)).columns({"s": said})
        assert answers.rows == len(said)
        assert answers.labels.tolist() == [1, 0, 2, 3, 0, 2, 3]
        assert [refusal.row for refusal in answers.refusals] == [3, 6]
