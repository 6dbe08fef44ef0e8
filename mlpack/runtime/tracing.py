"""OpenTelemetry's spans, where its packages are there, by its semantic conventions for HTTP.

The packages are no part of what an artifact installs. They are imported when a variable names a
collector, and else never.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .model import Model

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Any]
Receive = Callable[[], Any]
Application = Callable[[Scope, Receive, Send], Any]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS = {"http/protobuf": "http", "grpc": "grpc"}

_PROBES = frozenset(
    (
        "/livez",
        "/readyz",
        "/ping",
        "/metrics",
        "grpc ServerLive",
        "grpc ServerReady",
        "grpc ModelReady",
    )
)
"""What asks every few seconds and would drown everything else."""

_FAREWELL = 3.0
"""Seconds for the last spans to be sent."""

logger = logging.getLogger(__name__)


class Tracing:
    """An ASGI application around another one, with a span for each request.

    Args:
        inner: the other one.
        provider: an OpenTelemetry ``TracerProvider``.
        paths: those that are told in a span's name; clients choose the others.
    """

    def __init__(self, inner: Application, provider: Any, paths: frozenset[str]) -> None:  # noqa: ANN401
        self._inner = inner
        self._paths = paths
        self._trace = importlib.import_module("opentelemetry.trace")
        propagation = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        self._propagator = propagation.TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer(__package__ or __name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a connection's request as the other application does."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._inner(scope, receive, send)
            return
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        carrier = {
            name.decode(): headers[name]
            for name in (b"traceparent", b"tracestate")
            if name in headers
        }
        method, path = scope["method"], scope["path"]
        known = path in self._paths
        span = self._tracer.start_span(
            f"{method} {path}" if known else method,
            context=self._propagator.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            attributes=_attributes(scope, headers) | ({"http.route": path} if known else {}),
        )

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._told(span, message)
            await send(message)

        with self._trace.use_span(span, end_on_exit=True):
            await self._inner(scope, receive, sending)

    def _told(self, span: Any, message: dict[str, Any]) -> None:  # noqa: ANN401
        status = message["status"]
        span.set_attribute("http.response.status_code", status)
        for key, value in message["headers"]:
            if key == b"x-request-id":
                span.set_attribute("http.response.header.x-request-id", [value.decode("latin-1")])
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(self._trace.StatusCode.ERROR)
        found = span.get_span_context()
        told = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
        message["headers"] = [*message["headers"], (b"traceresponse", told.encode())]


def _attributes(scope: Scope, headers: Mapping[bytes, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if scope.get("client"):
        found["client.address"] = scope["client"][0]
    if scope.get("server"):
        found["server.address"], found["server.port"] = scope["server"][:2]
    if b"user-agent" in headers:
        found["user_agent.original"] = headers[b"user-agent"]
    if headers.get(b"content-length", "").isdigit():
        found["http.request.body.size"] = int(headers[b"content-length"])
    return {name: value for name, value in found.items() if value is not None}


def provider(model: Model, environ: Mapping[str, str]) -> Any:  # noqa: ANN401
    """A ``TracerProvider`` that sends spans where the environment says.

    None where it says nothing, or where OpenTelemetry is not installed, which is logged. Its own
    variables (``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER`` ...) hold.
    """
    if not any(environ.get(name) for name in _ENDPOINTS):
        return None
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    chosen = next(filter(None, map(environ.get, _PROTOCOLS)), "http/protobuf")
    wanted = _EXPORTERS.get(chosen)
    if wanted is None:
        logger.warning("no spans are sent: the OTLP protocol %s is not known", chosen)
        return None
    try:
        exporters = importlib.import_module(
            f"opentelemetry.exporter.otlp.proto.{wanted}.trace_exporter"
        )
        resources = importlib.import_module("opentelemetry.sdk.resources")
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
    except ImportError as error:
        logger.warning("no spans are sent, since OpenTelemetry is not installed: %s", error)
        return None
    about = {"service.version": model.version}
    if not environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = model.name
    # It would wait for a collector that does not answer; `end` does not for long.
    found = sdk.TracerProvider(resource=resources.Resource.create(about), shutdown_on_exit=False)
    found.add_span_processor(export.BatchSpanProcessor(exporters.OTLPSpanExporter()))
    return found


def end(provider: Any) -> None:  # noqa: ANN401
    """Send the last spans of a ``TracerProvider``, if the collector takes them soon."""
    ending = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
    ending.start()
    ending.join(_FAREWELL)
