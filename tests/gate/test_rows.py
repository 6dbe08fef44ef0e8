"""Rows from every kind of file that somebody may give."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mlpack.errors import InputError
from mlpack.gate.limits import Limits
from mlpack.gate.limits import read as read_limits
from mlpack.gate.rows import read
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
