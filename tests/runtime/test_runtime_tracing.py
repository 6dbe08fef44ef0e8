"""Who called: in the log, and as spans."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bundles
import httpx
import pytest
from asking import asked
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from servers import Server

from mlpack.runtime.app import App
from mlpack.runtime.logs import AccessLog
from mlpack.runtime.model import Model
from mlpack.runtime.settings import Settings
from mlpack.runtime.traceparent import caller
from mlpack.runtime.tracing import Tracing, provider

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()
ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (PARENT, (TRACE, SPAN)),
        (PARENT.replace(b"00-", b"cc-", 1) + b"-more", (TRACE, SPAN)),
        (PARENT + b"-more", None),
        (PARENT.replace(b"00-", b"ff-", 1), None),
        (PARENT.upper(), None),
        (b"00-" + b"0" * 32 + PARENT[35:], None),
        (PARENT[:36] + b"0" * 16 + b"-01", None),
        (PARENT[:-1], None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_the_header(header, found):
    assert caller(header) == found


def test_the_log_tells_the_caller(churn):
    written: list[bytes] = []

    class Loop:
        def call_later(self, seconds, callback):
            pass

    log = AccessLog(written.append, Loop)
    app = App(churn, Settings(), log)
    asked(app, body=ROW, headers={b"traceparent": PARENT})
    asked(app, body=ROW, headers={b"traceparent": b'"},{'})
    log.flush()
    first, second = (json.loads(line) for line in b"".join(written).splitlines())
    assert (first["trace_id"], first["span_id"]) == (TRACE, SPAN)
    assert "trace_id" not in second


def around(model):
    """An application that is traced, and its spans."""
    exporter = InMemorySpanExporter()
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    app = App(model, Settings())
    return Tracing(app, spans, app.paths), exporter


@pytest.fixture
def traced(churn):
    return around(churn)


def test_a_span_for_a_prediction(traced):
    app, exporter = traced
    headers = {b"traceparent": PARENT, b"user-agent": b"curl", b"x-request-id": b"r-1"}
    answer = asked(app, body=ROW, headers={**headers, b"content-length": b"70"})
    assert answer.status == 200
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("POST /predict", SpanKind.SERVER)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "url.path": "/predict",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.7",
        "server.address": "127.0.0.1",
        "server.port": 8080,
        "user_agent.original": "curl",
        "http.request.body.size": 70,
        "http.response.status_code": 200,
        "http.response.header.x-request-id": ("r-1",),
    }
    assert span.status.status_code == StatusCode.UNSET
    told = f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert answer.headers[b"traceresponse"] == told.encode()
    assert "hush" not in span.to_json()


def test_spans_of_bad_requests(traced):
    app, exporter = traced
    assert asked(app, body=b"{").status == 400
    assert asked(app, "GET", "/made/up/by/a/client").status == 404
    assert asked(app, "GET", "/livez").status == 200
    bad, unknown = exporter.get_finished_spans()
    assert bad.status.status_code == unknown.status.status_code == StatusCode.UNSET
    assert (unknown.name, "http.route" in unknown.attributes) == ("GET", False)
    assert bad.parent is None


def test_the_span_of_a_failure(tmp_path):
    class Broken:
        blocking = False
        together = 0

        def one(self, values):
            raise RuntimeError("no")

        many = one

    model = Model(bundles.bundle(tmp_path))
    model.session.engine = Broken()
    app, exporter = around(model)
    assert asked(app, body=ROW).status == 500
    (failed,) = exporter.get_finished_spans()
    assert failed.status.status_code == StatusCode.ERROR
    assert failed.attributes["error.type"] == "500"


def test_whoever_leaves_ends_the_span(traced):
    app, exporter = traced

    async def story():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        await app(scope, receive, send)

    asyncio.run(story())
    (span,) = exporter.get_finished_spans()
    assert span.end_time is not None


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, ""),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"},
            "pigeon is not known",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OpenTelemetry is not installed",
        ),
    ],
)
def test_when_there_are_no_spans(churn, environ, told, caplog):
    assert provider(churn, environ) is None
    assert told in caplog.text
    assert bool(told) == bool(caplog.text)


def test_nothing_of_it_is_imported_where_nobody_asked(tmp_path):
    bundles.package(tmp_path)
    code = (
        "import os, sys\n"
        "from churn._mlpack import server, tracing\n"
        "from churn import Model\n"
        "print(tracing.provider(Model(), os.environ))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None\n[]\n"


def test_a_collector_that_is_not_there_holds_up_neither_answers_nor_the_end(tmp_path):
    bundles.package(tmp_path)
    with Server(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server:
        assert httpx.post(server.url + "/predict", json=ROW).status_code == 200
        start = time.monotonic()
        assert server.stop() == 0
        # A second for those who do not know yet, three for the collector.
        assert time.monotonic() - start < 6


def test_spans_reach_a_collector(tmp_path):
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    bundles.package(tmp_path)
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    with Server(tmp_path, **settings) as server:
        headers = {"traceparent": PARENT.decode()}
        answer = httpx.post(server.url + "/predict", json=ROW, headers=headers)
        assert answer.headers["traceresponse"].startswith(f"00-{TRACE}-")
        assert server.stop() == 0
    collector.shutdown()
    collector.server_close()
    (resources,) = ExportTraceServiceRequest.FromString(received[0]).resource_spans
    about = {each.key: each.value.string_value for each in resources.resource.attributes}
    assert (about["service.name"], about["service.version"]) == ("churn", "1.2.0")
    (span,) = resources.scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("POST /predict", TRACE)
