"""The OpenAPI document tells every path, and its examples are answered as it says."""

from __future__ import annotations

import pytest
from asking import get, post
from openapi_schema_validator import OAS31Validator

from mlpack.runtime.app import App
from mlpack.runtime.settings import Settings

FORMATS = "application/json"


@pytest.fixture(params=["churn", "price", "pickled"])
def app(request) -> App:
    return App(request.getfixturevalue(request.param), Settings())


def fits(app, schema, value):
    components = app.model.openapi["components"]
    OAS31Validator({**schema, "components": components}).validate(value)


def test_every_path_is_told(app):
    told = {
        (path, method.upper())
        for path, methods in app.model.openapi["paths"].items()
        for method in methods
    }
    answered = {(path, route.method) for path, route in app._routes.items()}
    # The other pages are for people, or the document itself.
    assert told == answered | {("/model.json", "GET")}


def test_operations_have_names_of_their_own(app):
    operations = [
        operation["operationId"]
        for methods in app.model.openapi["paths"].values()
        for operation in methods.values()
    ]
    assert len(operations) == len(set(operations)) > 15


def test_examples_are_answered_as_the_document_says(app):
    asked = 0
    for path, methods in app.model.openapi["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        example = content.get(FORMATS, {}).get("example")
        if example is None:
            continue
        asked += 1
        fits(app, content[FORMATS]["schema"], example)
        answer = post(app, path, example)
        assert answer.status == 200, (path, answer.body)
        good = methods["post"]["responses"]["200"]["content"][FORMATS]["schema"]
        fits(app, good, answer.json)
    assert asked == 4


def test_what_is_told_is_as_the_document_says(app):
    for path, methods in app.model.openapi["paths"].items():
        if "get" not in methods or path == "/metrics":
            continue
        answer = get(app, path)
        assert answer.status == 200, path
        content = methods["get"]["responses"]["200"]["content"]
        fits(app, content[FORMATS]["schema"], answer.json)


def test_a_server_that_is_about_to_stop_is_as_the_document_says(app):
    app.drain()
    refusing = set()
    for path, methods in app.model.openapi["paths"].items():
        if "get" not in methods or path == "/metrics":
            continue
        answer = get(app, path)
        if answer.status != 200:
            refusing.add(path)
            content = methods["get"]["responses"][str(answer.status)]["content"]
            fits(app, content[answer.type.decode()]["schema"], answer.json)
    assert refusing > {"/readyz", "/v2/health/ready", "/ping"}


def test_nothing_of_the_models_description_is_untold(app):
    schemas = app.model.openapi["components"]["schemas"]
    told = get(app, "/model.json").json
    for name, said in (("Model", told), *(("ModelColumn", each) for each in told["columns"])):
        assert set(said) == set(schemas[name]["properties"]) == set(schemas[name]["required"])
    observed = schemas["ModelColumn"]["properties"]["observed"]
    assert set(told["columns"][0]["observed"]) == set(observed["properties"])
    assert set(told["parity"]) == set(schemas["ModelParity"]["properties"])


def test_problems_are_as_the_document_says(app):
    schema = app.model.openapi["components"]["schemas"]["Problem"]
    for path in ("/predict", "/v1/models/churn:predict", "/v2/models/churn/infer", "/invocations"):
        for body in (b"{", b"{}", b'{"instances":[{"x":1}]}', b'{"inputs":[]}'):
            answer = post(app, path, body)
            assert answer.status in (400, 422)
            fits(app, schema, answer.json)
