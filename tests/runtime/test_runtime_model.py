from __future__ import annotations

import decimal
import enum
import threading

import bundles
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlpack.runtime import contract
from mlpack.runtime.contract import Codes, ContractError, Encoding
from mlpack.runtime.frames import frame
from mlpack.runtime.model import InvalidInputError, Model, ModelError

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
LOW = {"age": 20.5, "visits": 0, "plan": "basic", "vip": False}


def expected(row) -> str:
    code = {"basic": 0, "pro": 1}.get(row["plan"], 2)
    age = 40 if row.get("age") is None else row["age"]
    return "yes" if age / 100 + row["visits"] + bool(row.get("vip")) + code > 5 else "no"


def test_one_row_many_rows_and_columns_agree(churn):
    rows = [ROW, LOW, {**ROW, "age": None, "visits": 3}, {**LOW, "visits": 5}]
    labels = [expected(row) for row in rows]
    assert set(labels) == {"yes", "no"}
    assert [churn.predict(row) for row in rows] == labels
    assert churn.predict(rows) == labels
    table = pd.DataFrame(rows)
    assert churn.predict(table) == labels
    assert churn.predict(table.to_dict("list")) == labels
    assert churn.predict({name: table[name].to_numpy() for name in table}) == labels
    assert churn.predict(pa.Table.from_pandas(table)) == labels
    single, many = churn.session.rows([ROW]), churn.session.rows([ROW, LOW])
    np.testing.assert_allclose(single.probabilities, many.probabilities[:1])


def test_probabilities(churn, price):
    chances = churn.predict_proba(ROW)
    assert set(chances) == {"no", "yes"}
    assert sum(chances.values()) == pytest.approx(1)
    assert churn.predict_proba([ROW, ROW]) == [chances, chances]
    with pytest.raises(ModelError, match="no probabilities"):
        price.predict_proba({"size": 1})


def test_regression(price):
    assert price.predict({"size": 1.5, "rooms": 2}) == 4.0
    assert price.predict([{"size": 1.5, "rooms": None}]) == [7.0]
    with pytest.raises(InvalidInputError, match="row 0, rooms: expected one of 1, 2, 3, got 9"):
        price.predict({"size": 1, "rooms": 9})


def test_numpy_scalars_and_nan(churn):
    assert churn.predict({**ROW, "age": np.float64(42), "visits": np.int64(5)}) == "yes"
    missing = {**ROW, "visits": 3, "age": float("nan")}
    assert churn.predict(missing) == expected({**missing, "age": None})
    with pytest.raises(InvalidInputError, match="age: expected a finite number, got inf"):
        churn.predict({**ROW, "age": float("inf")})


def test_every_problem_is_named(churn):
    with pytest.raises(InvalidInputError) as caught:
        churn.predict(
            [
                ROW,
                {"age": 130, "visits": 1.5, "plan": None, "note": "UPPER", "wrong": 1},
                {"age": "x", "plan": "pro"},
            ]
        )
    assert [(p.row, p.column, p.expected, p.got) for p in caught.value.problems] == [
        (1, "wrong", "a column of the model", "an unknown one"),
        (1, "visits", "a whole number of 64 bits", "1.5"),
        (1, "age", "at most 120", "130.0"),
        (1, "plan", "a value: it may not be missing", "missing"),
        (1, "note", "a string that matches [a-z ]*", '"UPPER"'),
        (2, "age", "a number", '"x"'),
        (2, "visits", "a value: it may not be missing", "missing"),
    ]


def test_the_session_knows_no_constraints_and_names_refusals(churn):
    answer = churn.session.rows([{**ROW, "age": 130.0}, {**ROW, "age": 13}, {"visits": 1}, {}])
    assert [(r.row, r.column) for r in answer.refusals] == [(1, None), (3, "visits")]
    assert answer.refused.tolist() == [False, True, False, True]
    assert churn.session.rows([{**ROW, "age": 13}]).refusals[0].row == 0
    assert churn.session.rows([{**ROW, "extra": 1}]).refusals == ()


def test_predict_rows_with_and_without_validation(churn):
    rows = [ROW, {**ROW, "age": 130}]
    assert [r.column for r in churn.predict_rows(rows).refusals] == ["age"]
    assert churn.predict_rows(rows, validate=False).refusals == ()
    columns = {"visits": [1, 2], "plan": ["pro", None]}
    assert [r.row for r in churn.predict_columns(columns).refusals] == [1]
    assert churn.predict_columns(columns, validate=False).refusals == ()


class Plan(str, enum.Enum):
    """Names of plans, whose own ``str`` is the member's name."""

    PRO = "pro"
    BASIC = "basic"


def test_a_string_of_an_enumeration_is_its_string(churn):
    rows = [{**ROW, "age": 100, "visits": 3, "plan": plan} for plan in Plan]
    plain = [{**row, "plan": row["plan"].value} for row in rows]
    assert churn.predict_proba(rows) == churn.predict_proba(plain)
    assert [churn.predict_proba(row) for row in rows] == churn.predict_proba(plain)
    table = {name: [row[name] for row in rows] for name in rows[0]}
    assert churn.predict_proba(table) == churn.predict_proba(plain)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("plan", ["pro"], "a string"),
        ("plan", {"a": 1}, "a string"),
        ("age", (1, 2), "a number"),
        ("age", np.array([1.0]), "a number"),
        ("age", decimal.Decimal("sNaN"), "a number"),
        pytest.param("age", 10**400, "a number", id="too-large"),
        ("visits", decimal.Decimal("sNaN"), "a whole number"),
    ],
)
def test_a_cell_that_is_no_value_is_named_in_one_row_as_in_many(churn, column, value, what):
    row = {**ROW, column: value}
    for data in (row, [row]):
        with pytest.raises(InvalidInputError, match=f"row 0, {column}: expected {what}"):
            churn.predict(data)


def test_what_it_is(churn):
    assert (churn.name, churn.version) == ("churn", "1.2.0")
    assert churn.parity == {"equal": True}
    assert churn.openapi["openapi"] == "3.1.0"
    assert churn.predict([]) == []


@pytest.mark.parametrize("data", [3, "row", None, [3], ["x"], [[1]]])
def test_what_is_no_data(churn, data):
    with pytest.raises((TypeError, InvalidInputError)):
        churn.predict(data)


def test_threads(churn):
    results: list[object] = []

    def work() -> None:
        results.extend(churn.predict([ROW, LOW]) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["yes", "no"]] * 800


@pytest.mark.parametrize(
    "name", [contract.ONNX_FILE, contract.SIGNATURE_FILE, contract.ENCODING_FILE]
)
def test_a_damaged_file_is_refused(tmp_path, name):
    folder = bundles.bundle(tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        Model(folder)
    path.unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        Model(folder)


def test_a_manifest_that_climbs_or_is_newer(tmp_path):
    folder = bundles.bundle(tmp_path)
    path = folder / contract.MANIFEST_FILE
    text = path.read_text()
    path.write_text(text.replace('"model.onnx"', '"../model.onnx"'))
    with pytest.raises(ModelError, match="no file of the data folder"):
        Model(folder)
    path.write_text(text.replace('"form": "onnx"', '"form": "hybrid"'))
    with pytest.raises(ModelError, match="hybrid"):
        Model(folder)
    path.write_text(text.replace('"format": 1', '"format": 9', 1))
    with pytest.raises(ContractError, match="format 9"):
        Model(folder)


def test_the_pipeline_itself(pickled, pipeline):
    rows = [{"age": 20, "plan": "basic"}, {"age": None, "plan": "pro"}, {"plan": "basic"}]
    table = frame(pickled.signature, rows)
    assert pickled.predict(rows) == pipeline.predict(table).tolist()
    answer = pickled.session.rows(rows)
    np.testing.assert_array_equal(answer.probabilities, pipeline.predict_proba(table))
    pickled.warm()


def test_the_pipeline_refuses_only_the_rows_at_fault(pickled):
    rows = [{"age": 20.0, "plan": plan} for plan in ("basic", "gold", "pro", "basic", "tin", "pro")]
    answer = pickled.session.rows(rows)
    assert [(r.row, r.column) for r in answer.refusals] == [(1, None), (4, None)]
    assert "gold" in answer.refusals[0].got
    good = answer.labels[~answer.refused]
    assert good.tolist() == [0, 1, 0, 1]
    with pytest.raises(InvalidInputError, match="ValueError"):
        pickled.predict({"age": 1, "plan": "gold"})


def test_a_pickle_is_not_loaded_before_its_digest_is_checked(tmp_path, pickled):
    folder = bundles.bundle(
        tmp_path, pickled.signature, model=b"\x80\x04cposix\nsystem", encoding=None, form="python"
    )
    (folder / contract.PICKLE_FILE).write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ModelError, match="damaged"):
        Model(folder)


def test_codes_and_numbers_of_the_same_column(tmp_path):
    encoding = Encoding(
        numbers=("age", "visits", "vip"), codes=(Codes(column="vip", categories=(False, True)),)
    )
    model = Model(bundles.bundle(tmp_path, encoding=encoding))
    assert model.predict({"age": 1, "visits": 4, "vip": True}) == "yes"
    assert model.predict({"age": 1, "visits": 4, "vip": False}) == "no"
