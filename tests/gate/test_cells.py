"""Values of files as requests have them."""

from __future__ import annotations

import msgspec
import pandas as pd
import pytest

from mlpack.errors import InputError
from mlpack.gate.rows import of_frame, read
from mlpack.runtime.contract import Column, Signature

NUMBERED = Signature(
    task="classification",
    columns=(
        Column(name="zip", type="string", dtype="str"),
        Column(name="age", type="integer", dtype="int64"),
        Column(name="size", type="number", dtype="float64"),
    ),
    outputs=(),
    labels=(0, 1),
    target="left",
)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("zip", {"a": 1}),
        ("zip", ["a"]),
        ("zip", b"00501"),
        ("zip", bytearray(b"00501")),
        ("age", pd.Timedelta("1D")),
        ("age", 10**400),
    ],
)
def test_what_no_request_can_have_is_named_by_its_place(column, value):
    rows = [{"zip": "1", "age": 2, "size": 1.0}] * 2
    rows[1] = {**rows[1], column: value}
    with pytest.raises(InputError, match=f"row 1, column {column}: .* a request can have"):
        of_frame(pd.DataFrame(rows), NUMBERED, "rows.parquet")


def test_half_a_character_is_no_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"zip": "\\ud800", "age": 1, "size": 1}')
    with pytest.raises(InputError, match="row 0, column zip: str is nothing that a request"):
        read(path, NUMBERED)


def test_columns_that_the_model_does_not_know_may_hold_anything():
    frame = pd.DataFrame({"zip": ["1"], "age": [2], "size": [1.0], "for": [pd.Timedelta("1D")]})
    assert of_frame(frame, NUMBERED, "rows.parquet").rows == ({"zip": "1", "age": 2, "size": 1.0},)


def test_numbers_that_are_none_are_missing_as_in_a_request(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"zip": "1", "age": 1, "size": NaN}\n{"zip": "1", "age": 1, "size": -Infinity}'
    )
    assert read(path, NUMBERED).column("size") == [None, None]


def test_json_lines_that_never_end_are_no_bug(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="no JSON lines"):
        read(path, NUMBERED)


def test_a_table_with_gaps_has_whole_numbers_all_the_same(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,age,size,left\n1,30,1.0,1\n1,,2.0,0\n1,40,3.0,\n")
    found = read(path, NUMBERED)
    assert [(type(each), each) for each in found.column("age")] == [(int, 30), (type(None), None)]
    assert [(type(each), each) for each in found.target] == [(int, 1), (int, 0)]
    assert {type(each) for each in found.column("size")} == {float}


def test_labels_of_text_stay_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,age,size,left\n1,30,1,01\n")
    known = msgspec.structs.replace(NUMBERED, labels=("01", "02"))
    assert read(path, known).target == ("01",)
    path.write_text("zip,age,size,truth\n1,30,1,01\n")
    assert read(path, known, "truth").target == ("01",)


def test_labels_are_said_as_the_model_does(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = '{"zip": "1", "age": 1, "size": 1, "left": %s}\n'
    path.write_text("".join(row % left for left in ('"1"', "0.0", '"maybe"')))
    found = read(path, NUMBERED).target
    # Of some that the model does not know the others are not refused.
    assert [(type(each), each) for each in found] == [(int, 1), (int, 0), (str, "maybe")]


def test_a_truth_is_no_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"zip": "1", "age": 1, "size": 1, "left": 1}')
    with pytest.raises(InputError, match="in no row one of the labels False, True"):
        read(path, msgspec.structs.replace(NUMBERED, labels=(False, True)))


def test_several_labels_of_a_row_are_left_as_they_are(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"zip": "1", "age": 1, "size": 1, "left": ["a", "b"]}')
    known = msgspec.structs.replace(NUMBERED, labels=("a", "c", "b"), groups=(2, 1))
    assert read(path, known).target == (["a", "b"],)


def test_a_target_that_is_none_of_the_labels_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,age,size,left\n1,30,1,maybe\n")
    with pytest.raises(InputError, match="in no row one of the labels 0, 1"):
        read(path, NUMBERED)


@pytest.mark.parametrize(
    ("right", "told"), [(["1", "much"], "no number in some row"), ([[1, 2], [1]], "more numbers")]
)
def test_a_target_that_is_no_number_is_refused(right, told):
    frame = pd.DataFrame({"zip": ["1"] * 2, "age": [2] * 2, "size": [1.0] * 2, "left": right})
    known = msgspec.structs.replace(NUMBERED, task="regression", labels=())
    with pytest.raises(InputError, match=told):
        of_frame(frame, known, "rows.parquet")
