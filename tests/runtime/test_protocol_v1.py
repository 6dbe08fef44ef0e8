"""TensorFlow Serving's and KServe's v1 protocol, and Vertex AI's paths."""

from __future__ import annotations

import pytest
from asking import get, post

from mlpack.runtime.app import App
from mlpack.runtime.settings import Settings, SettingsError, from_environment

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
LIST = [42, 5, "pro", True, "hi"]
PREDICT = "/v1/models/churn:predict"


@pytest.fixture
def app(churn) -> App:
    return App(churn, Settings(max_rows=50))


def own(app, rows):
    return post(app, "/predict", {"instances": rows}).json["predictions"]


@pytest.mark.parametrize("beside", [{}, {"parameters": {"a": [1]}}, {"signature_name": "serving"}])
def test_rows_are_answered_as_predict_answers_them(app, beside):
    rows = [ROW, {**ROW, "age": None}, {"visits": 0, "plan": "basic"}]
    answer = post(app, PREDICT, {**beside, "instances": rows})
    assert answer.status == 200
    assert answer.json == {"predictions": own(app, rows)}
    assert answer.type == b"application/json"


def test_rows_as_lists_have_a_value_for_every_column(app):
    missing = [None, 5, "pro", None, None]
    answer = post(app, PREDICT, {"instances": [LIST, missing]})
    assert answer.json["predictions"] == own(app, [ROW, {"visits": 5, "plan": "pro"}])
    short = post(app, PREDICT, {"instances": [LIST, LIST[:-1]]})
    assert short.status == 422
    (error,) = short.json["errors"]
    assert (error["row"], error["got"]) == (1, "4 values")


def test_columns_are_answered_as_columns(app):
    columns = {"visits": [5, [0]], "plan": [["pro"], "basic"]}
    answer = post(app, "/v1/models/churn/versions/1.2.0:predict", {"inputs": columns})
    assert answer.status == 200
    rows = own(app, [{"visits": 5, "plan": "pro"}, {"visits": 0, "plan": "basic"}])
    outputs = answer.json["outputs"]
    assert outputs["label"] == [row["label"] for row in rows]
    for label in ("no", "yes"):
        told = [row["probabilities"][label] for row in rows]
        assert outputs["probabilities"][label] == pytest.approx(told)


def test_columns_of_a_regression(price):
    answer = post(App(price, Settings()), PREDICT, {"inputs": {"size": [1, 2], "rooms": [1, 2]}})
    assert answer.json == {"outputs": {"value": [2.0, 5.0]}}


@pytest.mark.parametrize(
    ("data", "status", "column"),
    [
        (b"{", 400, None),
        (b"[]", 422, None),
        (b"\xff", 400, None),
        ({}, 422, None),
        ({"instances": []}, 422, "instances"),
        ({"instances": [1]}, 422, None),
        ({"instances": [[1], 2]}, 422, None),
        ({"instances": [{**ROW, "visits": "x"}]}, 422, "visits"),
        ({"instances": [{**ROW, "other": 1}]}, 422, "other"),
        ({"instances": [ROW] * 51}, 413, None),
        ({"instances": [LIST[:1] * 5]}, 422, "plan"),
        ({"inputs": []}, 422, "inputs"),
        ({"inputs": {}}, 422, "inputs"),
        ({"inputs": {"visits": []}}, 422, "inputs"),
        ({"inputs": {"visits": 1}}, 422, "visits"),
        ({"inputs": {"other": [1]}}, 422, "other"),
        ({"inputs": {"visits": [1], "plan": ["a", "b"]}}, 400, None),
        ({"inputs": {"visits": [1], "plan": [None]}}, 422, "plan"),
    ],
)
def test_what_is_wrong_is_named_where_its_clients_look(app, data, status, column):
    answer = post(app, PREDICT, data)
    assert answer.status == status
    assert answer.type == b"application/problem+json"
    assert answer.json["error"] == answer.json["detail"]
    if column is not None:
        assert answer.json["errors"][0]["column"] == column


def test_clients_that_name_no_type_are_answered(app):
    form = b"application/x-www-form-urlencoded"  # what curl says by itself
    assert post(app, PREDICT, {"instances": [ROW]}, kind=form).status == 200
    assert post(app, PREDICT, b"a,b", kind=b"text/csv").status == 415


def test_status_of_both_kinds(app):
    told = get(app, "/v1/models/churn").json
    assert told["name"] == "churn"
    assert told["ready"] is True
    (status,) = told["model_version_status"]
    assert status["version"] == "1.2.0"
    assert status["state"] == "AVAILABLE"
    assert get(app, "/v1/models/churn/versions/1.2.0").json == told
    assert get(app, "/v1/models").json == {"models": ["churn"]}
    assert get(app, "/v1/models/other").status == 404
    assert get(app, PREDICT).headers[b"allow"] == b"POST"
    app.drain()
    assert get(app, "/v1/models/churn").status == 503


def test_vertex_ai_asks_at_paths_of_its_own(churn):
    predict, health = "/v1/endpoints/1/deployedModels/2:predict", "/v1/endpoints/1"
    settings = from_environment(
        {"AIP_HTTP_PORT": "7080", "AIP_PREDICT_ROUTE": predict, "AIP_HEALTH_ROUTE": health}
    )
    assert settings.port == 7080
    app = App(churn, settings)
    answer = post(app, predict, {"instances": [ROW], "parameters": {"confidence": 0.5}})
    assert list(answer.json) == ["predictions"]
    assert get(app, health).status == 200
    assert get(App(churn, Settings()), health).status == 404


def test_vertex_ai_may_ask_at_predict(churn):
    app = App(churn, from_environment({"AIP_PREDICT_ROUTE": "/predict"}))
    answer = post(app, "/predict", {"instances": [ROW], "parameters": {}})
    assert answer.status == 200


@pytest.mark.parametrize("path", ["predict", "/a b", "/a?b", "/é", "/" + "a" * 501, "/a\n"])
def test_a_path_that_cannot_be_is_refused(path):
    with pytest.raises(SettingsError, match="AIP_HEALTH_ROUTE"):
        from_environment({"AIP_HEALTH_ROUTE": path})


def test_one_path_cannot_be_both():
    with pytest.raises(SettingsError, match="same path"):
        from_environment({"AIP_PREDICT_ROUTE": "/a", "AIP_HEALTH_ROUTE": "/a"})


def test_probes_need_no_key_and_predictions_do(churn):
    app = App(churn, Settings(keys=("secret",), health_route="/health"))
    for path in ("/v1/models/churn", "/health"):
        assert get(app, path).status == 200
    assert get(app, "/v1/models").status == 401
    assert post(app, PREDICT, {"instances": [ROW]}).status == 401
    key = [(b"authorization", b"Bearer secret")]
    assert post(app, PREDICT, {"instances": [ROW]}, key).status == 200
