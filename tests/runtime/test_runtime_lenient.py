"""Demands that refuse nothing, and columns that the model does not know."""

from __future__ import annotations

import bundles
import numpy as np
import pytest
from asking import get, post
from prometheus_client.parser import text_string_to_metric_families

from mlpack.runtime.about import about
from mlpack.runtime.app import App
from mlpack.runtime.batch import predict_file
from mlpack.runtime.contract import decode
from mlpack.runtime.faults import InvalidInputError
from mlpack.runtime.lenient import Lenient
from mlpack.runtime.model import Model
from mlpack.runtime.schema import Constraint, Schema, strict
from mlpack.runtime.settings import Settings

SCHEMA = Schema(
    columns={
        "age": Constraint(minimum=20, maximum=60, violation="clip", description="in years"),
        "visits": Constraint(maximum=4.5, violation="clip"),
        "plan": Constraint(categories=("pro",), required=True, violation="count"),
        "note": Constraint(pattern="[a-z]*"),
    },
    unknown_columns="ignore",
)
ROW = {"age": 40.0, "visits": 3, "plan": "pro", "vip": True, "note": None}
WILD = {"age": 1000.0, "visits": 50, "plan": "basic", "vip": False, "note": "x", "what": 1}
TAME = {"age": 60.0, "visits": 4, "plan": "basic", "vip": False, "note": "x"}


@pytest.fixture
def model(tmp_path):
    return Model(bundles.bundle(tmp_path, schema=SCHEMA))


@pytest.fixture
def plain(tmp_path_factory):
    return Model(bundles.bundle(tmp_path_factory.mktemp("plain")))


def shares(model, rows):
    return [each["yes"] for each in model.predict_proba(rows)]


def test_a_value_is_moved_to_its_bound_in_every_way_in(model, plain):
    wanted = shares(plain, [TAME, ROW])
    known = {name: value for name, value in WILD.items() if name != "what"}
    assert shares(model, [WILD, ROW]) == wanted
    assert [model.predict_proba(WILD)["yes"], model.predict_proba(ROW)["yes"]] == wanted
    columns = {name: [known[name], ROW[name]] for name in known}
    assert shares(model, columns) == wanted
    arrays = {**columns, "age": np.array(columns["age"]), "visits": np.array(columns["visits"])}
    assert shares(model, arrays) == wanted
    app = App(model, Settings())
    one = post(app, "/predict", WILD).json["predictions"][0]
    assert one["probabilities"]["yes"] == wanted[0]
    many = post(app, "/predict", {"instances": [WILD, ROW]}).json["predictions"]
    assert [each["probabilities"]["yes"] for each in many] == wanted
    csv = "age,visits,plan,vip,note,what\n1000,50,basic,false,x,1\n"
    answer = post(app, "/predict", csv.encode(), kind=b"text/csv").body.decode()
    assert float(answer.splitlines()[1].split(",")[2]) == wanted[0]


def test_beside_a_row_that_is_refused_others_are_moved_all_the_same(model, plain, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("age,visits,plan,vip,note\n1000,50,basic,false,x\n40,3,pro,true,UPPER\n")
    assert predict_file(model, source, str(target), skip_bad=True) == 1
    first, second = target.read_text().splitlines()[1:]
    assert float(first.split(",")[-1]) == shares(plain, [TAME])[0]
    assert second.endswith(",,,")
    # Whether anybody is answered is not known there.
    assert not model.validator.lenient.counted


def test_what_is_missing_stays_missing(model, plain):
    row = {**ROW, "age": None}
    wild, tame = {**WILD, "age": None}, {**TAME, "age": None}
    wanted = shares(plain, [row, tame])
    assert shares(model, [row, wild]) == wanted
    assert [model.predict_proba(row)["yes"], model.predict_proba(wild)["yes"]] == wanted


def test_what_is_moved_stays_of_its_type_and_within_the_bounds(model):
    bounds = Schema(
        columns={
            "age": Constraint(minimum=20, maximum=60, violation="clip"),
            "visits": Constraint(minimum=1.5, violation="clip"),
        }
    )
    lenient = Lenient(model.signature, bounds)
    names = [column.name for column in model.signature.columns]
    values = tuple({**ROW, "age": 1000.0, "visits": 0}[name] for name in names)
    moved = dict(zip(names, lenient.one(values), strict=True))
    assert (moved["age"], type(moved["age"])) == (60, float)
    assert (moved["visits"], type(moved["visits"])) == (2, int)
    arrays = {"age": np.array([1000.0, np.nan]), "visits": np.array([0, 2**53 + 1])}
    columns = {name: [value] * 2 for name, value in zip(names, values, strict=True)}
    found = lenient.many(list((columns | arrays).values()), answered=True)
    many = dict(zip(names, found, strict=True))
    assert np.array_equal(many["age"], [60.0, np.nan], equal_nan=True)
    assert many["visits"].dtype == np.int64
    assert many["visits"].tolist() == [2, 2**53 + 1]


def test_where_values_are_clipped_other_demands_refuse(tmp_path):
    schema = Schema(columns={"age": Constraint(maximum=60, required=True, violation="clip")})
    model = Model(bundles.bundle(tmp_path, schema=schema))
    assert model.predict({**ROW, "age": 1000.0})
    with pytest.raises(InvalidInputError):
        model.predict({**ROW, "age": None})


def test_each_failure_is_counted_once(model):
    app = App(model, Settings())
    post(app, "/predict", WILD)
    post(app, "/predict", {"instances": [WILD, ROW, {**ROW, "plan": None}]})
    text = get(app, "/metrics").body.decode()
    found = {
        sample.labels["column"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mlpack_violations_total"
    }
    assert found == {"age": 2, "visits": 2, "plan": 3}


def test_other_demands_still_refuse(model):
    with pytest.raises(InvalidInputError) as caught:
        model.predict({**WILD, "note": "UPPER"})
    assert [refusal.column for refusal in caught.value.problems] == ["note"]
    # Of a row that is refused nothing is counted: nobody answered it.
    assert not model.validator.lenient.counted


def test_a_body_of_nothing_but_unknown_columns_is_still_refused(model):
    assert post(App(model, Settings()), "/predict", {"what": 1}).status == 422


def test_the_documents_demand_only_what_is_refused(model):
    document = bundles.document("churn", "1.0", model.signature, model.schema)
    row = document["components"]["schemas"]["Row"]
    assert row["additionalProperties"] is True
    age = row["properties"]["age"]
    assert not {"minimum", "maximum"} & age.keys()
    assert age["description"].startswith(
        "in years. What is below 20 counts as 20 and what is above 60 counts as 60"
    )
    plan = row["properties"]["plan"]
    assert "enum" not in plan
    assert "Expected, and answered otherwise too: it is there, one of pro" in plan["description"]
    assert row["properties"]["note"]["pattern"] == "^(?:[a-z]*)$"
    page = {column["name"]: column for column in about(model)["columns"]}
    assert (page["age"]["minimum"], page["plan"]["required"]) == (None, False)


def test_what_is_strict_already_stays_as_it_is():
    schema = Schema(columns={"age": Constraint(minimum=0, required=True)})
    assert strict(schema) == schema


def test_an_older_schema_says_nothing_of_it(tmp_path):
    older = b'{"format": 1, "columns": {"age": {"minimum": 20}}}'
    schema = decode(older, Schema, "schema.json")
    model = Model(bundles.bundle(tmp_path, schema=schema))
    with pytest.raises(InvalidInputError):
        model.predict({**ROW, "age": 1.0})
    with pytest.raises(InvalidInputError):
        model.predict({**ROW, "what": 1})
