from __future__ import annotations

import json

import pytest
from bundles import REGRESSION, SIGNATURE
from msgspec.structs import replace
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from mlpack.runtime.contract import Column, Output, Signature, label_key
from mlpack.runtime.openapi import document, example
from mlpack.runtime.predictions import Answers
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.validate import Validator


def resolve(api, name):
    """A component's schema with the components that it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": api["components"]}


def valid(api, name, value) -> bool:
    return OAS31Validator(resolve(api, name)).is_valid(value)


@pytest.mark.parametrize("model", ["churn", "price", "pickled"])
def test_the_document_is_valid(model, request):
    api = request.getfixturevalue(model).openapi
    OpenAPIV31SpecValidator(api).validate()


@pytest.mark.parametrize("model", ["churn", "price", "pickled"])
def test_the_example_is_accepted_by_document_and_server(model, request):
    model = request.getfixturevalue(model)
    row = example(model.signature, model.schema)
    assert isinstance(model.validator.decode(json.dumps(row).encode()), tuple)
    assert valid(model.openapi, "Row", row)
    assert valid(model.openapi, "Rows", {"instances": [row]})
    answers = Answers(model.signature).objects(model.predict_rows([row]))
    for answer in answers:
        assert valid(model.openapi, "Prediction", answer)


def test_demands_are_constraints_and_observations_are_not(churn):
    columns = churn.openapi["components"]["schemas"]["Row"]["properties"]
    assert columns["age"] == {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 120,
        "description": "in years. Observed 18.0 to 90.0",
    }
    assert columns["plan"] == {"type": "string", "description": "Observed: basic, pro"}
    assert columns["visits"]["type"] == "integer"
    assert columns["note"]["pattern"] == "^(?:[a-z ]*)$"
    assert churn.openapi["components"]["schemas"]["Row"]["required"] == ["visits", "plan"]


@pytest.mark.parametrize(
    "row",
    [
        {"visits": 1, "plan": "pro"},
        {"visits": 1, "plan": "pro", "age": None, "vip": None, "note": "a b"},
        {"visits": 1, "plan": "pro", "age": 121},
        {"visits": 1.5, "plan": "pro"},
        {"visits": 2.0, "plan": "pro"},
        {"visits": 1, "plan": None},
        {"visits": 1},
        {"visits": 1, "plan": "pro", "x": 1},
        {"visits": 1, "plan": "pro", "vip": 1},
        {"visits": 1, "plan": "pro", "note": "A"},
    ],
)
def test_document_and_server_accept_the_same(churn, row):
    clean = churn.validator.decode(json.dumps(row).encode())
    accepted = isinstance(clean, tuple) or not clean.refusals
    assert valid(churn.openapi, "Row", row) == accepted


def test_enum_and_several_outputs():
    signature = Signature(
        task="regression",
        columns=(Column(name="c", type="string", dtype="str"),),
        outputs=(Output(name="value", type="number", size=2),),
    )
    schema = Schema(columns={"c": Constraint(categories=("x", "y"))})
    manifest = bundles_manifest()
    api = document(manifest.name, manifest.version, signature, schema)
    OpenAPIV31SpecValidator(api).validate()
    assert api["components"]["schemas"]["Row"]["properties"]["c"]["enum"] == ["x", "y", None]
    assert valid(api, "Prediction", {"value": [1.0, 2.0]})
    assert not valid(api, "Prediction", {"value": 1.0})
    assert example(signature, schema) == {"c": "x"}


def bundles_manifest():
    from mlpack.runtime.contract import Blob, Manifest

    return Manifest(
        name="m",
        version="1",
        package="m",
        form="onnx",
        python="3.11",
        model=Blob(file="model.onnx", sha256="", size=0),
        files=(),
        runtime="",
        lock="",
    )


@pytest.mark.parametrize(
    ("column", "constraint", "value"),
    [
        (Column(name="c", type="number", dtype="f", minimum=1.0, maximum=2.0), Constraint(), 1.5),
        (
            Column(name="c", type="number", dtype="f", minimum=1.0, maximum=2.0),
            Constraint(minimum=1.9),
            1.9,
        ),
        (Column(name="c", type="integer", dtype="i", minimum=1, maximum=4), Constraint(), 3),
        (Column(name="c", type="integer", dtype="i"), Constraint(categories=(7, 8)), 7),
        (Column(name="c", type="boolean", dtype="b"), Constraint(), True),
        (Column(name="c", type="string", dtype="s"), Constraint(), "text"),
        (
            Column(name="c", type="string", dtype="s", categories=("A", "b")),
            Constraint(pattern="[a-z]"),
            "b",
        ),
        (Column(name="c", type="integer", dtype="i", categories=(3, 5)), Constraint(minimum=4), 5),
    ],
)
def test_examples(column, constraint, value):
    signature = Signature(
        task="regression", columns=(column,), outputs=(Output(name="value", type="number"),)
    )
    schema = Schema(columns={"c": constraint})
    row = example(signature, schema)
    assert row == {"c": value}
    assert isinstance(Validator(signature, schema).one(row), tuple)


@pytest.mark.parametrize(
    ("labels", "listed"),
    [
        (("no", "yes"), {"type": "string", "enum": ["no", "yes"]}),
        ((-1, 1), {"type": "integer", "enum": [-1, 1]}),
        ((False, True), {"type": "boolean", "allOf": [{"enum": [False, True]}]}),
        ((0.0, 1.0), {"type": "number", "allOf": [{"enum": [0.0, 1.0]}]}),
        (("a b", "a-b"), {"type": "string", "allOf": [{"enum": ["a b", "a-b"]}]}),
        (("a", "A"), {"type": "string", "allOf": [{"enum": ["a", "A"]}]}),
        (("1", "2"), {"type": "string", "allOf": [{"enum": ["1", "2"]}]}),
    ],
)
def test_labels_are_enumerated_where_each_has_a_name(labels, listed):
    signature = replace(SIGNATURE, labels=labels, positive=labels[1])
    api = document("m", "1", signature, Schema())
    OpenAPIV31SpecValidator(api).validate()
    assert api["components"]["schemas"]["Prediction"]["properties"]["label"] == listed
    keys = [label_key(label) for label in labels]
    good = {"label": labels[0], "probabilities": dict.fromkeys(keys, 0.5)}
    assert valid(api, "Prediction", good)
    assert valid(api, "Prediction", {**good, "probabilities": {keys[0]: None, keys[1]: 1.0}})
    for bad in (
        {**good, "label": "other"},
        {**good, "label": None},
        {**good, "probabilities": {keys[0]: 1.0}},
        {**good, "probabilities": {**good["probabilities"], "other": 0.0}},
        {**good, "probabilities": {**good["probabilities"], keys[0]: "0.5"}},
    ):
        assert not valid(api, "Prediction", bad)


@pytest.mark.parametrize(
    ("kind", "categories", "bad"),
    [("number", (1.5, 2.0), 1.0), ("boolean", (True,), False), ("string", ("x", "X"), "y")],
)
def test_choices_without_names_are_demanded_all_the_same(kind, categories, bad):
    signature = replace(REGRESSION, columns=(Column(name="c", type=kind, dtype="object"),))
    schema = Schema(columns={"c": Constraint(categories=categories)})
    api = document("m", "1", signature, schema)
    OpenAPIV31SpecValidator(api).validate()
    for value in (*categories, None):
        assert valid(api, "Row", {"c": value})
    assert not valid(api, "Row", {"c": bad})
