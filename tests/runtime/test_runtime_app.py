"""The ASGI callable, without a network."""

from __future__ import annotations

import asyncio
import json
import time

import bundles
import pytest
from asking import Answer, answer_of, encoded, exchanged
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime.app import App
from mlpack.runtime.logs import AccessLog
from mlpack.runtime.model import Model
from mlpack.runtime.settings import Settings, SettingsError

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


KINDS = (b"application/json", b"text/csv", b"application/x-ndjson")
# Bodies that come close to being right.
text = st.lists(
    st.sampled_from(
        ["visits", "plan", ",", "\n", "\r", '"', "1", "pro", "é", "nan", "inf", "{", "}", ":"]
    )
).map(lambda parts: "".join(["visits,plan\n", *parts]).encode())


async def send_one(app, method="GET", path="/", body=b"", headers=(), pieces=None):
    return await exchanged(app, method, path, [body] if pieces is None else pieces, headers)


def ask(app, *args, **options) -> Answer:
    return asyncio.run(send_one(app, *args, **options))


def predict(app, data, headers=(), kind=b"application/json", **options) -> Answer:
    given = [(b"content-type", kind), *headers]
    return ask(app, "POST", "/predict", encoded(data), given, **options)


@pytest.fixture
def app(churn) -> App:
    return App(churn, Settings(max_body=100_000, max_rows=50, body_seconds=0.2))


def problem(answer: Answer, status: int, kind: str):
    assert answer.status == status
    assert answer.type == b"application/problem+json"
    told = answer.json
    assert told["status"] == status
    assert told["type"] == f"urn:mlpack:problem:{kind}"
    assert told["title"]
    assert told["request_id"] == answer.headers[b"x-request-id"].decode()
    return told


def test_one_row(app):
    answer = predict(app, ROW)
    assert answer.status == 200
    assert answer.type == b"application/json"
    assert int(answer.headers[b"content-length"]) == len(answer.body)
    told = answer.json
    assert told["model"] == {"name": "churn", "version": "1.2.0"}
    (prediction,) = told["predictions"]
    assert prediction["label"] == "yes"
    assert set(prediction["probabilities"]) == {"no", "yes"}


def test_several_rows(app):
    low = {"visits": 0, "plan": "basic", "vip": False}
    told = predict(app, {"instances": [ROW, low]}).json
    assert [p["label"] for p in told["predictions"]] == ["yes", "no"]


def test_a_large_body_is_answered_beside_the_event_loop(churn):
    app = App(churn, Settings())
    told = predict(app, {"instances": [ROW] * 3000}).json
    assert len(told["predictions"]) == 3000


def test_regression(price):
    told = predict(App(price, Settings()), {"size": 1.5, "rooms": 1}).json
    assert told["predictions"] == [{"value": 3.0}]


def test_the_pipeline_itself(pickled):
    app = App(pickled, Settings())
    told = predict(app, {"age": 20, "plan": "basic"}).json
    assert told["predictions"][0]["label"] == 0
    assert set(told["predictions"][0]["probabilities"]) == {"0", "1"}
    told = problem(predict(app, {"age": 20, "plan": "gold"}), 422, "invalid-input")
    assert told["errors"][0]["column"] is None


def test_invalid_values(app):
    rows = [ROW, {"age": "x", "plan": None, "wrong": 1}]
    told = problem(predict(app, {"instances": rows}), 422, "invalid-input")
    assert told["detail"] == "4 values cannot be accepted"
    assert told["errors"] == [
        {"row": 1, "column": "wrong", "expected": "a column of the model", "got": "an unknown one"},
        {"row": 1, "column": "age", "expected": "a number", "got": '"x"'},
        {
            "row": 1,
            "column": "visits",
            "expected": "a value: it may not be missing",
            "got": "missing",
        },
        {
            "row": 1,
            "column": "plan",
            "expected": "a value: it may not be missing",
            "got": "missing",
        },
    ]


def test_a_row_that_the_original_refuses(app):
    told = problem(predict(app, {**ROW, "age": 13}), 422, "invalid-input")
    assert (told["errors"][0]["row"], told["errors"][0]["column"]) == (0, None)


def test_errors_are_capped(churn):
    told = problem(predict(App(churn, Settings()), {"instances": [{}] * 200}), 422, "invalid-input")
    assert len(told["errors"]) == 100
    assert told["detail"] == "400 values cannot be accepted, the first 100 are listed"


def test_malformed(app):
    assert "not JSON" in problem(predict(app, b"{"), 400, "malformed-body")["detail"]
    problem(predict(app, b""), 400, "malformed-body")
    problem(predict(app, b'{"age": NaN}'), 400, "malformed-body")


def test_limits(app):
    told = problem(predict(app, {"instances": [ROW] * 51}), 413, "too-many-rows")
    assert "51 rows, at most 50" in told["detail"]
    header = [(b"content-length", b"100001")]
    answer = predict(app, b"{}", header)
    problem(answer, 413, "body-too-large")
    assert answer.headers[b"connection"] == b"close"
    problem(predict(app, b"", pieces=[b"x" * 60_000] * 3), 413, "body-too-large")
    problem(predict(app, b" " * 100_001), 413, "body-too-large")


def test_a_body_in_pieces_and_one_that_never_ends(app):
    whole = json.dumps(ROW).encode()
    assert predict(app, b"", pieces=[whole[:5], b"", whole[5:]]).status == 200

    async def stalled():
        async def receive():
            if not receive.first:
                await asyncio.sleep(3600)
            receive.first = False
            return {"type": "http.request", "body": b"{", "more_body": True}

        receive.first = True
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        await app(scope, receive, send)
        return answer_of(sent)

    problem(asyncio.run(stalled()), 408, "body-timeout")


def test_a_client_that_leaves(app):
    assert predict(app, b"", pieces=[b"{", None]) is None
    assert predict(app, b"", pieces=[None]) is None
    assert app.metrics.active == 0
    assert app.metrics.requests[("/predict", 499)] == 2


def test_concurrency(churn):
    app = App(churn, Settings(max_concurrency=1))

    async def both():
        gate = asyncio.Event()

        async def slow():
            await gate.wait()
            return {"type": "http.request", "body": json.dumps(ROW).encode()}

        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        first = asyncio.create_task(app(scope, slow, send))
        await asyncio.sleep(0)
        refused = await send_one(app, "POST", "/predict", b"{}", headers)
        gate.set()
        await first
        return refused, answer_of(sent)

    refused, answered = asyncio.run(both())
    problem(refused, 503, "busy")
    assert refused.headers[b"retry-after"] == b"1"
    assert answered.status == 200


class Slow:
    """A model that takes its time."""

    def __init__(self, model: Model, seconds: float) -> None:
        self._engine = model.session.engine
        self._seconds = seconds
        self.blocking = True
        self.together = 0
        self.asked = []

    def one(self, values):
        return self.many([[value] for value in values], 1)

    def few(self, rows):
        return self.many([list(column) for column in zip(*rows, strict=True)], len(rows))

    def many(self, columns, rows):
        self.asked.append(rows)
        time.sleep(self._seconds)
        return self._engine.many(columns, rows)


@pytest.fixture
def slow(tmp_path) -> Model:
    model = Model(bundles.bundle(tmp_path))
    model.session.engine = Slow(model, 0.1)
    return model


def test_a_slow_model_answers_those_who_wait_together(slow):
    app = App(slow, Settings())
    headers = [(b"content-type", b"application/json")]

    async def many():
        bodies = [json.dumps({**ROW, "visits": visits}).encode() for visits in range(12)]
        tasks = [send_one(app, "POST", "/predict", body, headers) for body in bodies]
        return await asyncio.gather(*tasks)

    answers = asyncio.run(many())
    alone = [
        slow.session.engine._engine.one((42.0, visits, "pro", True, "hi")).labels[0]
        for visits in range(12)
    ]
    labels = [slow.signature.labels[index] for index in alone]
    assert [answer.json["predictions"][0]["label"] for answer in answers] == labels
    assert sorted(slow.session.engine.asked) == [1, 11]


def test_a_slow_model_sends_away_what_it_cannot_answer_in_time(slow):
    app = App(slow, Settings(wait_seconds=0, max_batch=1))
    headers = [(b"content-type", b"application/json")]

    async def many():
        tasks = [
            send_one(app, "POST", "/predict", json.dumps(ROW).encode(), headers) for _ in range(6)
        ]
        return await asyncio.gather(*tasks)

    answers = asyncio.run(many())
    statuses = [answer.status for answer in answers]
    assert statuses == [200, 200, 503, 503, 503, 503]
    told = problem(answers[-1], 503, "busy")
    assert "more requests" in told["detail"]
    assert answers[-1].headers[b"retry-after"] == b"1"


def test_a_request_that_takes_too_long(slow):
    app = App(slow, Settings(request_seconds=0))
    told = problem(predict(app, ROW), 503, "busy")
    assert "no answer within 0 seconds" in told["detail"]


def test_a_client_that_leaves_a_slow_model(slow):
    app = App(slow, Settings())
    messages = iter(
        [{"type": "http.request", "body": json.dumps(ROW).encode()}, {"type": "http.disconnect"}]
    )
    sent = []

    async def story():
        async def receive():
            return next(messages)

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        await app(scope, receive, send)

    asyncio.run(story())
    assert sent == []
    assert app.metrics.requests[("/predict", 499)] == 1
    assert app.metrics.active == 0


@pytest.mark.parametrize(
    "kind", [b"", b"text/plain", b"application/xml", b"application/json; charset=latin-1"]
)
def test_content_types_that_are_not_supported(app, kind):
    answer = predict(app, ROW, kind=kind)
    problem(answer, 415, "unsupported-content-type")
    assert b"application/json" in answer.headers[b"accept"]


def test_content_types_that_are(app):
    assert predict(app, ROW, kind=b"Application/JSON; charset=utf-8").status == 200
    assert predict(app, ROW, kind=b'application/json; charset="UTF-8"').status == 200
    problem(
        predict(app, ROW, [(b"content-encoding", b"gzip")]), 415, "unsupported-content-encoding"
    )


def test_csv(app):
    answer = predict(app, b"visits,plan,vip,age\n5,pro,true,42\n0,basic,False,\n", kind=b"text/csv")
    assert answer.status == 200
    assert answer.type == b"text/csv"
    lines = answer.body.decode().splitlines()
    assert lines[0] == "prediction,probability_no,probability_yes"
    assert [line.split(",")[0] for line in lines[1:]] == ["yes", "no"]
    chance = predict(app, ROW).json["predictions"][0]["probabilities"]["yes"]
    assert float(lines[1].split(",")[2]) == chance
    told = predict(
        app, b"visits,plan,vip\n1,pro,FALSE\n", [(b"accept", b"application/json")], b"text/csv"
    )
    assert told.json["predictions"][0]["label"] == "no"


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (b"", 400, "empty"),
        (b"a,b\n1,2\n", 400, "none of the model's columns"),
        (b"visits,visits\n1,2\n", 400, "twice"),
        (b"visits,plan\n1\n", 400, "row 0 (line 2) has 1 cells, the header 2"),
        (b'visits,plan\n1,"pro\n', 400, "not CSV"),
        (b"visits,plan\n\xff,a\n", 400, "UTF-8"),
        (b"visits,plan\n", 422, "one value"),
        (b"visits,plan\nx,pro\n", 422, "one value"),
        (b"visits,plan\n1_0,pro\n", 422, "one value"),
        (b"visits,plan,zzz\n1,pro,1\n", 422, "one value"),
        (b"visits,plan\n" + b"1,pro\n" * 60, 413, "at most 50"),
    ],
)
def test_csv_that_is_wrong(app, text, status, said):
    answer = predict(app, text, kind=b"text/csv")
    assert answer.status == status
    assert said in answer.json["detail"]


def test_json_lines(app):
    line = json.dumps(ROW).encode()
    answer = predict(app, line + b"\n" + line + b"\n", kind=b"application/x-ndjson")
    assert answer.type == b"application/x-ndjson"
    labels = [json.loads(part)["label"] for part in answer.body.splitlines()]
    assert labels == ["yes", "yes"]
    assert predict(app, line + b"\n{", kind=b"application/jsonlines").status == 400
    told = predict(app, line + b"\n{}", kind=b"application/x-ndjson").json
    assert {error["row"] for error in told["errors"]} == {1}


def test_request_ids(app):
    given = predict(app, ROW, [(b"x-request-id", b"abc-123")])
    assert given.headers[b"x-request-id"] == b"abc-123"
    made = {predict(app, ROW).headers[b"x-request-id"] for _ in range(5)}
    assert len(made) == 5
    for bad in (b"", b"a b", b"x" * 129, b"a\nb", b"\xff"):
        assert predict(app, ROW, [(b"x-request-id", bad)]).headers[b"x-request-id"] != bad
    for path in ("/livez", "/", "/nothing"):
        answer = ask(app, path=path, headers=[(b"x-request-id", b"mine")])
        assert answer.headers[b"x-request-id"] == b"mine"


def test_probes(churn):
    app = App(churn, Settings(keys=("secret",)))
    assert ask(app, path="/livez").status == 200
    assert ask(app, path="/readyz").json == {"status": "ready", "name": "churn", "version": "1.2.0"}
    assert ask(app, "HEAD", "/readyz").status == 200
    app.drain()
    assert ask(app, path="/livez").status == 200
    problem(ask(app, path="/readyz"), 503, "draining")


def test_a_draining_server_answers_and_closes(app):
    assert b"connection" not in predict(app, ROW).headers
    app.drain()
    answer = predict(app, ROW)
    assert answer.status == 200
    assert answer.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/predict"), ("POST", "/livez"), ("DELETE", "/metrics")]
)
def test_methods(app, method, path):
    answer = ask(app, method, path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers[b"allow"]


def test_pages(app):
    # What they hold is in test_runtime_pages.py.
    api = ask(app, path="/openapi.json").json
    assert api["info"]["title"] == "churn"
    for path in ("/", "/docs"):
        page = ask(app, path=path)
        assert page.status == 200
        assert page.type.startswith(b"text/html")
    problem(ask(app, path="/nothing"), 404, "not-found")
    problem(ask(app, "POST", "/docs"), 405, "method-not-allowed")


def test_keys(churn, tmp_path):
    app = App(churn, Settings(keys=("one", "two")))
    for headers in (
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Basic one")],
        [(b"authorization", b"one")],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"\xff")],
    ):
        problem(predict(app, ROW, headers), 401, "unauthorized")
    for path in ("/metrics", "/model.json", "/openapi.json", "/nothing"):
        problem(ask(app, path=path), 401, "unauthorized")
    assert predict(app, ROW, [(b"authorization", b"Bearer two")]).status == 200
    assert predict(app, ROW, [(b"x-api-key", b"one")]).status == 200
    assert ask(app, path="/metrics", headers=[(b"x-api-key", b"one")]).status == 200
    empty = tmp_path / "keys"
    empty.write_text("# nothing\n")
    for file in (empty, tmp_path / "none"):
        with pytest.raises(SettingsError):
            App(churn, Settings(keys_file=file))


def test_metrics(app):
    predict(app, ROW)
    predict(app, {"instances": [{**ROW, "age": 95}, {**ROW, "age": 5, "plan": "gold"}]})
    predict(app, {**ROW, "age": "x", "made-up": 1})
    ask(app, path="/somewhere")
    answer = ask(app, path="/metrics")
    assert answer.type.startswith(b"text/plain")
    lines = answer.body.decode().splitlines()
    for line in (
        'mlpack_requests_total{route="/predict",status="200"} 2.0',
        'mlpack_requests_total{route="/predict",status="422"} 1.0',
        'mlpack_requests_total{route="other",status="404"} 1.0',
        'mlpack_request_seconds_count{route="/predict"} 3.0',
        'mlpack_request_seconds_bucket{le="+Inf",route="/predict"} 3.0',
        "mlpack_rows_total 3.0",
        'mlpack_refused_total{column="age"} 1.0',
        'mlpack_refused_total{column=""} 1.0',
        'mlpack_column_out_of_range_total{column="age"} 2.0',
        'mlpack_column_unknown_total{column="plan"} 1.0',
        "mlpack_requests_active 1.0",
        'mlpack_model_info{name="churn",version="1.2.0"} 1.0',
    ):
        assert line in lines
    assert "made-up" not in answer.body.decode()


def test_drift_of_one_row_is_counted_as_that_of_many(churn):
    one, many = App(churn, Settings()), App(churn, Settings())
    rows = [
        {"visits": v, "plan": p, "age": a}
        for v in (0, 51)
        for p in ("pro", "x")
        for a in (1, 50, None)
    ]
    for row in rows:
        assert predict(one, row).status == 200
    assert predict(many, {"instances": rows}).status == 200
    outside = [app.metrics.snapshot().outside for app in (one, many)]
    assert outside == [[4, 6, 6, 0, 0]] * 2


def test_a_failure_is_a_500_with_an_id_and_a_logged_traceback(tmp_path, caplog):
    from mlpack.runtime.model import Model

    class Broken:
        blocking = False
        together = 0

        def one(self, values):
            raise RuntimeError("secret detail")

        many = one

    model = Model(bundles.bundle(tmp_path))
    model.session.engine = Broken()
    told = problem(predict(App(model, Settings()), ROW), 500, "internal-error")
    assert "secret" not in json.dumps(told)
    (record,) = caplog.records
    assert record.request_id == told["request_id"]
    assert "secret detail" in caplog.text


def test_access_log(churn):
    written: list[bytes] = []

    class Loop:
        def call_later(self, seconds, callback):
            callbacks.append(callback)

    callbacks: list = []
    log = AccessLog(written.append, Loop, lambda: 1_700_000_000.25)
    app = App(churn, Settings(), log)
    predict(app, ROW, [(b"x-request-id", b"id-1"), (b"authorization", b"Bearer hush")])
    ask(app, path="/nothing")
    assert written == []
    assert len(callbacks) == 1
    callbacks[0]()
    first, second = (json.loads(line) for line in b"".join(written).splitlines())
    assert first["time"] == "2023-11-14T22:13:20.250Z"
    assert (first["request_id"], first["status"], first["rows"]) == ("id-1", 200, 1)
    assert (second["path"], second["status"]) == ("/nothing", 404)
    assert b"hush" not in b"".join(written)


def test_lifespan_and_web_sockets(app):
    async def talk(scope, messages):
        sent = []
        received = iter(messages)

        async def receive():
            return next(received)

        async def send(message):
            sent.append(message["type"])

        await app(scope, receive, send)
        return sent

    lifespan = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert asyncio.run(talk({"type": "lifespan"}, lifespan)) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    socket = asyncio.run(talk({"type": "websocket"}, [{"type": "websocket.connect"}]))
    assert socket == ["websocket.close"]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), text), st.sampled_from(KINDS))
def test_no_body_makes_it_fail(churn, body, kind):
    answer = predict(App(churn, Settings()), body, kind=kind)
    assert answer.status in (200, 400, 422)
    if answer.status != 200:
        assert answer.json["detail"]
