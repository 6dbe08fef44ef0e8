"""The server as a function: started as Lambda starts it, against a runtime API."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import bundles
import pytest
from lambda_api import RuntimeApi, event
from slow_models import sleepy_package

from mlpack.runtime.lambda_events import EventError, answer, scope

ROW = {"age": 42, "visits": 7, "plan": "pro", "vip": True}


@contextlib.contextmanager
def function(root, api, **environ):
    """The package's own command in an environment like Lambda's; its process, and its log."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        # As in an image.
        "MLPACK_HOST": "0.0.0.0",
        "MLPACK_WORKERS": "auto",
        **environ,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "churn", "serve"],
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=root,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5)


def test_requests_are_answered_one_after_the_other(root):
    with RuntimeApi() as api, function(root, api) as (process, lines):
        for _ in range(3):
            found = api.ask(event(body=json.dumps(ROW)))
            assert found["statusCode"] == 200
            assert json.loads(found["body"])["predictions"][0]["label"] == "yes"
            assert found["headers"]["content-type"] == "application/json"
            assert not found["isBase64Encoded"]
        assert api.ask(event("GET", "/readyz"))["statusCode"] == 200
        assert api.ask(event("GET", "/nothing"))["statusCode"] == 404
        found = api.ask(event(body='{"age": "old"}'))
        assert found["statusCode"] == 422
        assert json.loads(found["body"])["request_id"] == "request-6"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    requests = [json.loads(line) for line in lines if '"event":"request"' in line]
    assert [each["request_id"] for each in requests] == [f"request-{n}" for n in range(1, 7)]


def test_bodies_in_base64_queries_and_pages(root):
    with RuntimeApi() as api, function(root, api):
        body = base64.b64encode(json.dumps(ROW).encode()).decode()
        found = api.ask(event(body=body, isBase64Encoded=True))
        assert json.loads(found["body"])["predictions"][0]["label"] == "yes"
        found = api.ask(
            event(body="age,visits,plan\n42,7,pro\n", headers={"Content-Type": "text/csv"})
        )
        assert found["body"].splitlines()[0].startswith("prediction,probability_no")
        found = api.ask(event("GET", "/"))
        assert found["statusCode"] == 200
        assert found["headers"]["content-type"].startswith("text/html")
        assert "<html" in found["body"]
        assert api.ask(event("GET", "/openapi.json"))["statusCode"] == 200
        assert "mlpack" in api.ask(event("GET", "/metrics"))["body"]


def test_keys_guard_a_function_too(root):
    with RuntimeApi() as api, function(root, api, MLPACK_API_KEYS="sesame"):
        assert api.ask(event(body=json.dumps(ROW)))["statusCode"] == 401
        headers = {"content-type": "application/json", "authorization": "Bearer sesame"}
        assert api.ask(event(body=json.dumps(ROW), headers=headers))["statusCode"] == 200


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"Records": [{"eventSource": "aws:sqs"}]},
        [],
        "text",
        7,
        b"{",
        {"requestContext": {"http": "GET"}},
        event(body="%%%", isBase64Encoded=True),
        event(headers=["a"]),
        event(headers={"x": "\u20ac"}),
    ],
    ids=repr,
)
def test_what_is_no_request_is_refused_and_the_next_one_answered(root, odd):
    with RuntimeApi() as api, function(root, api):
        api.send(odd)
        path, kind, body = api.told()
        assert (path, kind) == ("/invocation/request-1/error", "Runtime.InvalidEvent")
        assert body["errorMessage"]
        assert api.ask(event("GET", "/livez"))["statusCode"] == 200


def test_a_model_that_cannot_be_loaded_is_told_to_lambda(tmp_path):
    bundles.package(tmp_path)
    (tmp_path / "churn" / "_mlpack" / "data" / "signature.json").write_text("{")
    with RuntimeApi() as api, function(tmp_path, api) as (process, lines):
        path, kind, body = api.told()
        assert path == "/init/error"
        assert kind.startswith("Runtime.")
        assert "signature.json" in body["errorMessage"]
        assert process.wait(20) == 3
    assert "Traceback" not in "".join(lines)


def test_a_setting_that_cannot_be_is_told_to_lambda(root):
    with RuntimeApi() as api, function(root, api, MLPACK_MAX_ROWS="many") as (process, lines):
        path, kind, body = api.told()
        assert (path, kind) == ("/init/error", "Runtime.SettingsError")
        assert "MLPACK_MAX_ROWS" in body["errorMessage"]
        assert process.wait(20) == 3
    assert "Traceback" not in "".join(lines)


def test_a_runtime_api_that_goes_away_ends_the_process(root):
    with RuntimeApi() as api, function(root, api) as (process, lines):
        assert api.ask(event("GET", "/livez"))["statusCode"] == 200
        api.send(None)
        assert process.wait(20) == 4
    assert "the runtime API is gone" in "".join(lines)


def test_an_answer_that_lambda_does_not_take_ends_nothing(root):
    with RuntimeApi() as api, function(root, api) as (_, lines):
        api.refuse = 413
        api.ask(event("GET", "/livez"))
        api.refuse = 0
        assert api.ask(event("GET", "/livez"))["statusCode"] == 200
    assert "did not take the answer: 413" in "".join(lines)


def test_a_request_is_told_before_lambda_ends_it(tmp_path):
    sleepy_package(tmp_path)
    with RuntimeApi() as api, function(tmp_path, api):
        api.ask(event("GET", "/livez"))
        api.seconds = 0.2  # as much as the loop keeps for the telling
        found = api.ask(event(body='{"a": 1.0}'))
        assert found["statusCode"] == 504
        assert json.loads(found["body"])["request_id"] == "request-2"
        api.seconds = 30.0
        found = api.ask(event(body='{"a": 1.0}'))
        assert json.loads(found["body"])["predictions"] == [{"value": 2.0}]


def test_an_answer_larger_than_lambda_takes_is_a_refusal(root):
    rows = b"age,visits,plan,vip\n" + b"30.5,4,basic,true\n" * 99_000
    headers = {"content-type": "text/csv", "accept": "application/json"}
    with RuntimeApi() as api, function(root, api):
        found = api.ask(event(body=rows.decode(), headers=headers))
        assert found["statusCode"] == 413
        assert "fewer rows" in found["body"]
        assert api.ask(event("GET", "/livez"))["statusCode"] == 200


def test_what_is_in_work_is_answered_before_it_ends(tmp_path):
    sleepy_package(tmp_path)
    rows = {"instances": [{"a": float(number)} for number in range(3)]}
    with RuntimeApi() as api, function(tmp_path, api) as (process, _):
        api.ask(event("GET", "/livez"))
        api.send(event(body=json.dumps(rows)))
        process.send_signal(signal.SIGTERM)
        try:
            path, _, _ = api.told(5)
        except Exception:  # noqa: BLE001 - the signal was faster than the event
            path = ""
        assert path in ("", "/invocation/request-2/response")
        assert process.wait(20) == 0


def test_it_writes_nothing_outside_tmp_and_loads_no_server(root):
    code = (
        "import sys, signal, os\n"
        "sys.argv = ['churn', 'serve']\n"
        "import atexit, runpy\n"
        "atexit.register(lambda: print(sorted(m for m in sys.modules if m.split('.')[0] in"
        " ('uvicorn', 'fastapi', 'starlette', 'uvloop', 'httptools', 'prometheus_client'))))\n"
        "runpy.run_module('churn', run_name='__main__')\n"
    )
    with RuntimeApi() as api:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**env, "AWS_LAMBDA_RUNTIME_API": api.address},
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        assert api.ask(event(body=json.dumps(ROW)))["statusCode"] == 200
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert out.strip() == "[]"


def test_a_scope_is_what_a_server_would_make():
    asked = event(
        "get",
        "/v2/models/a%20b",
        rawQueryString="a=1&b=%C3%A9",
        cookies=["one=1", "two=2"],
        headers={"X-Request-Id": "mine", "Accept": "text/csv"},
    )
    found, body = scope(asked, "theirs")
    assert body == b""
    assert (found["method"], found["path"], found["query_string"]) == (
        "GET", "/v2/models/a b", b"a=1&b=%C3%A9",
    )  # fmt: skip
    headers = dict(found["headers"])
    assert headers[b"cookie"] == b"one=1; two=2"
    assert headers[b"x-request-id"] == b"mine"
    assert found["client"] == ("203.0.113.7", 0)
    assert dict(scope(event(), "theirs")[0]["headers"])[b"x-request-id"] == b"theirs"
    with pytest.raises(EventError):
        scope(None, "")


def test_an_answer_of_bytes_is_base64():
    headers = [(b"content-type", b"image/png"), (b"Vary", b"a"), (b"vary", b"b")]
    found = answer(200, [*headers, (b"set-cookie", b"x=1"), (b"connection", b"close")], b"\x89P")
    assert found == {
        "statusCode": 200,
        "headers": {"content-type": "image/png", "vary": "a, b"},
        "cookies": ["x=1"],
        "isBase64Encoded": True,
        "body": base64.b64encode(b"\x89P").decode(),
    }
    assert answer(200, [(b"content-type", b"text/plain")], b"\xff")["isBase64Encoded"]
