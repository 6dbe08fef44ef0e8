"""Rows from every kind of file that somebody may give."""

from __future__ import annotations

import json

import msgspec
import pandas as pd
import pytest

from mlpack.errors import InputError
from mlpack.gate.limits import Limits
from mlpack.gate.limits import read as read_limits
from mlpack.gate.rows import of_frame, read
from mlpack.runtime.contract import Column, Signature

SIGNATURE = Signature(
    task="classification",
    columns=(
        Column(name="zip", type="string", dtype="str"),
        Column(name="age", type="integer", dtype="int64"),
    ),
    outputs=(),
    target="churned",
)
ROWS = [{"zip": "00501", "age": 30}, {"zip": None, "age": 41}]


def jsonl(path, lines):
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_a_csv_keeps_texts_that_look_like_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age,zip,churned\n30,00501,yes\n41,,no\n")
    found = read(path, SIGNATURE)
    assert [dict(row) for row in found.rows] == ROWS
    assert (found.target, found.source) == (("yes", "no"), "rows.csv")


def test_parquet_and_json_lines_say_the_same(tmp_path):
    frame = pd.DataFrame({"zip": ["00501", None], "age": [30, 41], "churned": ["yes", "no"]})
    frame.to_parquet(tmp_path / "rows.parquet")
    lines = jsonl(
        tmp_path / "rows.jsonl",
        [{**row, "churned": right} for row, right in zip(ROWS, ["yes", "no"], strict=True)],
    )
    for path in (tmp_path / "rows.parquet", lines):
        found = read(path, SIGNATURE)
        assert [dict(row) for row in found.rows] == ROWS
        assert found.target == ("yes", "no")


def test_without_a_target_nobody_knows_what_is_right(tmp_path):
    path = jsonl(tmp_path / "rows.jsonl", ROWS)
    assert read(path, SIGNATURE).target is None
    with pytest.raises(InputError, match="some lines have no 'left'"):
        read(path, SIGNATURE, "left")
    table = tmp_path / "rows.csv"
    table.write_text("age,zip\n30,1\n")
    with pytest.raises(InputError, match="it has no column 'left'"):
        read(table, SIGNATURE, "left")


def test_rows_of_which_nobody_knows_are_left_out_where_others_are_known(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age,zip,churned\n30,a,yes\n41,b,\n")
    found = read(path, SIGNATURE)
    assert (len(found.rows), found.target) == (1, ("yes",))
    path.write_text("age,zip,churned\n30,a,\n")
    with pytest.raises(InputError, match="missing in all rows"):
        read(path, SIGNATURE)


def test_requests_that_a_server_sampled_are_rows(tmp_path):
    def sample(body, path="/predict", status=200):
        return {
            "time": "2026-11-22T00:00:00Z",
            "request_id": "1",
            "method": "POST",
            "path": path,
            "body": body if isinstance(body, str) else json.dumps(body),
            "status": status,
            "model": "churn",
            "version": "1",
            "sha256": "0" * 64,
        }

    path = jsonl(
        tmp_path / "samples.jsonl",
        [
            sample({"instances": ROWS}),
            sample(ROWS[0]),
            sample({"instances": [{"age": "x"}]}, status=422),
            sample("no JSON"),
            sample({"inputs": []}, path="/v2/models/churn/infer"),
        ],
    )
    found = read(path, SIGNATURE)
    assert [dict(row) for row in found.rows] == [*ROWS, ROWS[0]]
    assert "sampled" in found.source


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", "a", "none of .parquet"),
        ("rows.csv", "age\n1\n", "no column zip"),
        ("rows.csv", "age,zip\n", "no rows"),
        ("rows.jsonl", "{", "no JSON lines"),
        ("rows.jsonl", "[1]", "must be an object"),
        ("rows.parquet", "no parquet", "cannot be read"),
        ("rows.csv", "", "cannot be read"),
    ],
)
def test_what_is_no_data_is_refused_with_its_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read(path, SIGNATURE)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    for name in ("no.csv", "no.jsonl", "no.parquet"):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / name, SIGNATURE)


def test_limits_are_read_from_the_configuration():
    assert read_limits({}) == Limits()
    found = read_limits({"gate": {"changed": 0.3, "latency": 3, "enabled": False}})
    assert (found.changed, found.latency, found.enabled) == (0.3, 3.0, False)
    assert found.drift == Limits().drift


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"chnged": 1}, "no key 'chnged'"),
        ({"changed": 2}, "no number from 0 to 1"),
        ({"changed": "much"}, "no number"),
        ({"latency": True}, "no number"),
        ({"enabled": 1}, "neither true nor false"),
        ("off", "no table"),
    ],
)
def test_wrong_limits_are_refused(gate, message):
    with pytest.raises(InputError, match=message):
        read_limits({"gate": gate})


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
        ("zip", "\ud800"),
        ("age", pd.Timedelta("1D")),
        ("age", 10**400),
    ],
)
def test_what_no_request_can_have_is_named_by_its_place(column, value):
    rows = [{"zip": "1", "age": 2, "size": 1.0}] * 2
    rows[1] = {**rows[1], column: value}
    with pytest.raises(InputError, match=f"row 1, column {column}: .* a request can have"):
        of_frame(pd.DataFrame(rows), NUMBERED, "rows.parquet")


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
    path.write_text("zip,age,size,left\n1,30,1,1\n1,,2,0\n1,40,3,\n")
    found = read(path, NUMBERED)
    assert [(type(each), each) for each in found.column("age")] == [(int, 30), (type(None), None)]
    assert [(type(each), each) for each in found.target] == [(int, 1), (int, 0)]


def test_labels_of_text_stay_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,age,size,left\n1,30,1,01\n")
    known = msgspec.structs.replace(NUMBERED, labels=("01", "02"))
    assert read(path, known).target == ("01",)


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
