from __future__ import annotations

import csv
import json

import pytest

from mlpack.runtime.batch import predict_file
from mlpack.runtime.faults import FileError, InvalidInputError

TEXT = """id,age,visits,plan,vip,prediction
1,42,5,pro,true,x
2,,0,basic,false,"a,b"
"""


def run(model, tmp_path, name, text, **options):
    source = tmp_path / name
    source.write_text(text, encoding="utf-8")
    target = tmp_path / f"out-{name}"
    bad = predict_file(model, source, str(target), **options)
    return bad, target.read_text(encoding="utf-8")


def test_csv(churn, tmp_path):
    bad, text = run(churn, tmp_path, "in.csv", TEXT)
    rows = list(csv.reader(text.splitlines()))
    assert bad == 0
    assert rows[0] == [
        "id", "age", "visits", "plan", "vip", "prediction",
        "prediction_", "probability_no", "probability_yes",
    ]  # fmt: skip
    assert [row[:7] for row in rows[1:]] == [
        ["1", "42", "5", "pro", "true", "x", "yes"],
        ["2", "", "0", "basic", "false", "a,b", "no"],
    ]
    expected = churn.predict_proba({"age": 42, "visits": 5, "plan": "pro", "vip": True})
    assert float(rows[1][8]) == expected["yes"]


def test_csv_from_a_spreadsheet(churn, tmp_path):
    _, text = run(churn, tmp_path, "in.csv", "\ufeffvisits,plan,vip\r\n5,pro,TRUE\r\n")
    assert text.splitlines()[1].startswith("5,pro,TRUE,yes,")


def test_batches_are_numbered_through(churn, tmp_path):
    lines = ["visits,plan,vip"] + ["5,pro,true"] * 7
    _, text = run(churn, tmp_path, "in.csv", "\n".join(lines), size=3)
    assert len(text.splitlines()) == 8
    lines[6] = "x,pro,true"
    with pytest.raises(InvalidInputError, match=r'row 5, visits: expected a whole .* got "x"'):
        run(churn, tmp_path, "in.csv", "\n".join(lines), size=3)
    objects = [json.dumps({"visits": 5, "plan": "pro"})] * 5 + ['{"visits": 1}']
    with pytest.raises(InvalidInputError, match="row 5, plan"):
        run(churn, tmp_path, "in.jsonl", "\n".join(objects), size=3)


def test_refused_rows_can_be_left_empty(churn, tmp_path):
    text = "visits,plan,age\nx,pro,1\n1,pro,13\n1,pro,500\n1,pro,14\n"
    bad, answer = run(churn, tmp_path, "in.csv", text, skip_bad=True)
    assert bad == 3
    rows = list(csv.reader(answer.splitlines()))
    assert [bool(row[3]) for row in rows[1:]] == [False, False, False, True]
    lines = '{"visits": "x", "plan": "pro"}\n{"visits": 1, "plan": "pro"}\n'
    bad, answer = run(churn, tmp_path, "in.jsonl", lines, skip_bad=True)
    told = [json.loads(line)["prediction"] for line in answer.splitlines()]
    assert (bad, told[0]) == (1, None)
    assert told[1]["label"] == "yes"


def test_json_lines(price, tmp_path):
    text = '{"size": 1.5, "rooms": 2, "id": [1]}\n\n{"size": 1}\n'
    bad, answer = run(price, tmp_path, "in.ndjson", text)
    assert bad == 0
    assert [json.loads(line) for line in answer.splitlines()] == [
        {"size": 1.5, "rooms": 2, "id": [1], "prediction": {"value": 4.0}},
        {"size": 1, "prediction": {"value": 6.0}},
    ]


def test_stdout(price, tmp_path, capsys):
    source = tmp_path / "in.csv"
    source.write_text("size,rooms\n1,2\n")
    predict_file(price, source, "-")
    assert capsys.readouterr().out == "size,rooms,prediction\n1,2,3.0\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("in.xlsx", "", "suffix"),
        ("in.csv", "", "empty"),
        ("in.csv", "rooms\n1\n", "no column 'size'"),
        ("in.csv", "a\n1\n", "no column 'size'"),
        ("in.csv", "size,size\n", "twice"),
        ("in.csv", "size,rooms\n1\n", "line 2"),
        ("in.jsonl", "{\n", "line 1"),
        ("in.jsonl", "[]\n", "line 1"),
    ],
)
def test_files_that_are_wrong(price, tmp_path, name, text, said):
    with pytest.raises(FileError, match=said):
        run(price, tmp_path, name, text)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_files_that_are_not_there(price, tmp_path):
    with pytest.raises(FileError, match="No such file"):
        predict_file(price, tmp_path / "no.csv", "-")
    source = tmp_path / "in.csv"
    source.write_bytes(b"size\n\xff\n")
    with pytest.raises(FileError, match="UTF-8"):
        predict_file(price, source, str(tmp_path / "out.csv"))
    source.write_text("size\n1\n")
    with pytest.raises(FileError, match="No such file"):
        predict_file(price, source, str(tmp_path / "none" / "out.csv"))


def test_a_failure_leaves_the_old_output(price, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("size\nx\n")
    target.write_text("old")
    with pytest.raises(InvalidInputError):
        predict_file(price, source, str(target))
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
