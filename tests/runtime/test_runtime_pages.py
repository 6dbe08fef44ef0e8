"""The pages and what they are made from, without a browser; e2e/test_page.py has one."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import bundles
import msgspec
import pytest
from asking import get
from test_runtime_app import ask, problem

import mlpack.runtime
from mlpack.runtime.about import about
from mlpack.runtime.app import App
from mlpack.runtime.contract import Column, Encoding
from mlpack.runtime.model import Model
from mlpack.runtime.page_paths import OPEN, PAGES
from mlpack.runtime.pages import build
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.settings import Settings

STATIC = Path(mlpack.runtime.__file__).parent / "static"
FILES = sorted(STATIC.iterdir())
HOSTILE = ("<script>alert(1)</script>", 'it\'s "quoted"', "ünïcode 😀", "back\\slash", "</title>")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Model:
    """A regression whose columns and texts are meant to break out of a page."""
    signature = msgspec.structs.replace(
        bundles.REGRESSION,
        columns=(
            *(Column(name=name, type="number", dtype="float64") for name in HOSTILE),
            bundles.REGRESSION.column("rooms"),
        ),
        target=HOSTILE[0],
    )
    return Model(
        bundles.bundle(
            tmp_path_factory.mktemp("hostile"),
            signature,
            model=bundles.regression_graph(),
            encoding=Encoding(numbers=HOSTILE[:1], codes=bundles.REGRESSION_ENCODING.codes),
            schema=Schema(columns={HOSTILE[0]: Constraint(description=HOSTILE[4])}),
        )
    )


@pytest.mark.parametrize("path", sorted(PAGES))
def test_every_path_is_answered_safely(churn, path):
    answer = ask(App(churn, Settings()), path=path)
    assert answer.status == 200
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    policy = dict(
        part.strip().split(" ", 1)
        for part in answer.headers[b"content-security-policy"].decode().split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in " ".join(policy.values())
    kinds = {".css": b"text/css", ".js": b"text/javascript", ".json": b"application/json"}
    assert answer.type.startswith(kinds.get(Path(path).suffix, b"text/html"))
    problem(ask(App(churn, Settings()), "POST", path), 405, "method-not-allowed")


def test_every_file_has_a_path_and_every_path_a_file():
    served = {f"/static/{file.name}" for file in FILES if file.suffix != ".html"}
    assert {path for path in OPEN if path.startswith("/static/")} == served
    assert {file.name for file in FILES if file.suffix == ".html"} == {"page.html", "docs.html"}
    assert {"/", "/docs"} < OPEN


def test_the_pages_load_what_is_there_and_nothing_from_outside():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(?:\w+:)?//[\w.-]+\.\w", re.sub(r"(?m)^\s*//.*$", "", text)), file
        assert "http:" not in text
        assert "https:" not in text
        assert "@import" not in text
        for name in re.findall(r'(?:src|href)="(static/[^"]+)"', text):
            assert f"/{name}" in OPEN
        for name in re.findall(r'from "\./([^"]+)"', text):
            assert f"/static/{name}" in OPEN


def test_the_pages_never_make_markup_or_code_from_text():
    made = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not [word for word in made if word in text], file
        if file.suffix == ".html":
            # The policy forbids them; they would do nothing.
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), file


def test_shells_say_nothing_of_the_model(hostile, churn):
    for path in OPEN:
        here, there = (ask(App(model, Settings()), path=path).body for model in (hostile, churn))
        assert here == there


def test_names_reach_the_page_as_data(hostile):
    answer = ask(App(hostile, Settings()), path="/model.json")
    told = answer.json
    assert [column["name"] for column in told["columns"]] == [*HOSTILE, "rooms"]
    assert told["target"] == HOSTILE[0]
    assert told["columns"][0]["description"] == HOSTILE[4]
    for path in PAGES - {"/model.json", "/openapi.json"}:
        assert b"alert(1)" not in ask(App(hostile, Settings()), path=path).body


@pytest.mark.parametrize("keys", [("secret",), ("one", "two")])
def test_keys_guard_all_but_the_shells(churn, keys):
    app = App(churn, Settings(keys=keys))
    for path in PAGES:
        answer = ask(app, path=path)
        if path in OPEN:
            assert answer.status == 200
            assert b"churn" not in answer.body
            assert b"plan" not in answer.body
        else:
            problem(answer, 401, "unauthorized")
            known = [(b"x-api-key", keys[-1].encode())]
            assert ask(app, path=path, headers=known).status == 200
    for path in ("/static/", "/static/nothing.js", "/static/../pages.py", "//"):
        assert ask(app, path=path).status == 401


def test_nothing_beside_the_files_is_served(churn):
    app = App(churn, Settings())
    for path in ("/static/", "/static/nothing.js", "/static/../pages.py", "/static/page.html"):
        problem(ask(app, path=path), 404, "not-found")


def test_the_application_answers_its_own_problems(churn):
    """What reaches FastAPI and is none of its pages is told in the form of every other problem."""
    sent = []

    async def asked():
        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/nothing",
            "raw_path": b"/nothing",
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [],
            "server": ("127.0.0.1", 80),
            "mlpack.request_id": "mine",
        }
        await build(churn)(scope, receive, send)

    asyncio.run(asked())
    assert sent[0]["status"] == 404
    assert json.loads(sent[1]["body"])["request_id"] == "mine"


def test_what_a_model_is(churn):
    told = about(churn)
    assert (told["name"], told["version"], told["task"]) == ("churn", "1.2.0", "classification")
    assert told["labels"] == ["no", "yes"]
    assert told["target"] == "churned"
    assert told["digests"] == {
        "model": churn.manifest.model.sha256,
        "lock": "0" * 64,
        "runtime": "0" * 64,
    }
    columns = {column["name"]: column for column in told["columns"]}
    assert list(columns) == ["age", "visits", "plan", "vip", "note"]
    age = columns["age"]
    assert (age["minimum"], age["maximum"], age["required"]) == (0, 120, False)
    assert age["observed"]["range"] == (18.0, 90.0)
    assert age["description"] == "in years"
    assert columns["plan"]["categories"] is None  # observed, not demanded
    assert columns["plan"]["observed"]["categories"] == ["basic", "pro"]
    assert columns["plan"]["required"]
    assert columns["visits"]["required"]
    assert columns["note"]["pattern"] == "[a-z ]*"
    assert columns["vip"]["observed"]["categories"] == ["false", "true"]


def test_what_is_demanded_and_what_a_dtype_holds(tmp_path):
    signature = msgspec.structs.replace(
        bundles.SIGNATURE,
        columns=(
            Column(name="age", type="number", dtype="float64", minimum=1.0),
            Column(name="visits", type="integer", dtype="int8"),
            Column(name="plan", type="string", dtype="str", categories=("basic", "pro")),
            Column(name="vip", type="boolean", dtype="bool"),
            Column(name="big", type="integer", dtype="int64", categories=(2**53 + 1,)),
            Column(name="paid", type="datetime", dtype="datetime64[ns, UTC]", zone="UTC"),
        ),
    )
    schema = Schema(
        columns={
            "visits": Constraint(maximum=1000, minimum=-5),
            "plan": Constraint(categories=("pro", 1)),
            "vip": Constraint(required=True),
        }
    )
    told = about(Model(bundles.bundle(tmp_path, signature, schema=schema)))
    columns = {column["name"]: column for column in told["columns"]}
    assert (columns["visits"]["minimum"], columns["visits"]["maximum"]) == (-5, 127)
    assert columns["plan"]["categories"] == ["pro"]
    assert columns["plan"]["example"] == "pro"
    assert columns["vip"]["required"]
    assert columns["vip"]["example"] == "true"
    assert columns["age"]["observed"]["range"] is None
    assert columns["big"]["observed"]["categories"] == ["9007199254740993"]
    assert columns["big"]["example"] == "9007199254740993"
    assert columns["paid"]["zone"] == "UTC"
    assert columns["paid"]["example"] == "2026-01-31T12:30:00Z"


def test_the_examples_of_the_form_are_the_documents(churn, price, pickled):
    for model in (churn, price, pickled):
        row = model.openapi["components"]["schemas"]["Row"]["examples"][0]
        for column in about(model)["columns"]:
            text = column["example"]
            if column["type"] in ("string", "date", "datetime"):
                assert text == row.get(column["name"])
            else:
                assert json.loads(text or "null") == row.get(column["name"])


def test_the_proof_in_short(tmp_path):
    folder = bundles.bundle(tmp_path)
    model = Model(folder)
    checks = [
        {
            "name": name,
            "rows": 10,
            "labels_wrong": 1,
            "outcomes_wrong": 2,
            "beyond": 4,
            "refused": 3,
            "largest": 0.5,
        }
        for name in ("held-out", "odd")
    ]
    report = {"equal": False, "tolerance": 1e-6, "checks": checks}
    (folder / "parity.json").write_text(json.dumps(report))
    told = about(model)["parity"]
    assert (told["equal"], told["rows"]) == (False, 20)
    assert told["checks"][0] == {
        "name": "held-out",
        "rows": 10,
        "different": 7,
        "largest": 0.5,
        "refused": 3,
    }
    (folder / "parity.json").unlink()
    assert about(model)["parity"] is None


def test_the_page_s_files_are_one_route_of_the_figures(churn):
    app = App(churn, Settings())
    for path in sorted(path for path in OPEN if path.startswith("/static/")):
        assert get(app, path).status == 200
    assert {route for route, _ in app.metrics.requests} == {"/static"}
