"""The ASGI application: takes ``POST /predict`` and the probes itself, the rest goes to FastAPI.

Nothing of FastAPI runs on the way of a prediction, so request ids, limits, keys, metrics and the
log are here. FastAPI is imported when the first of its pages is asked for.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from . import bodies
from .bodies import CLOSE, GoneError, Receive
from .keys import Keys
from .logs import AccessLog
from .metrics import Metrics
from .model import Model
from .predicting import JSON, Predictor
from .problems import CONTENT_TYPE as PROBLEM
from .problems import ProblemError
from .settings import Settings

Send = Callable[[dict[str, Any]], Any]
Scope = dict[str, Any]

_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_INLINE = 65_536
"""Bodies up to so many bytes are answered on the event loop; a thread would cost more."""
_PROBES = frozenset(("/livez", "/readyz"))
_ALLOWED = {
    "/predict": b"POST",
    "/livez": b"GET, HEAD",
    "/readyz": b"GET, HEAD",
    "/metrics": b"GET",
}
_PAGES = frozenset(("/", "/docs", "/openapi.json"))

logger = logging.getLogger(__name__)


class Reply(msgspec.Struct, frozen=True):
    """What is sent back."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rows: int = 0


class App:
    """Serves one model.

    Args:
        model: a warm model.
        settings: limits and keys.
        log: notes every request; None for no access log.
        draining: whether the server is about to stop, which ``/readyz`` tells.

    Raises:
        SettingsError: the file of API keys cannot be read.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        log: AccessLog | None = None,
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model = model
        self.metrics = Metrics(len(model.signature.columns))
        self._settings = settings
        self._log = log
        self._draining = draining
        self._keys = Keys(settings.keys, settings.keys_file, time.monotonic)
        self._predictor = Predictor(model, settings)
        self._known = frozenset(column.name for column in model.signature.columns)
        self._blocking = model.session.engine.blocking
        # A fitted pipeline may not be safe in two threads at once; a graph is.
        threads = 1 if self._blocking else len(_cpus())
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._ids = itertools.count()
        self._prefix = os.urandom(6).hex()
        self._ready = msgspec.json.encode(
            {"status": "ready", "name": model.name, "version": model.version}
        )
        self._pages: Any = None
        self._registry: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, as ASGI 3 defines it."""
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        if given is None or not _SANE(given):
            given = f"{self._prefix}-{next(self._ids):x}".encode()
        path = scope["path"]
        self.metrics.active += 1
        rows = 0
        try:
            if path in _PAGES or path not in _ALLOWED:
                status = await self._page(scope, headers, receive, send, given)
            else:
                reply = await self._reply(scope["method"], path, headers, receive, given)
                rows = reply.rows
                status = reply.status
                await send(
                    {
                        "type": "http.response.start",
                        "status": status,
                        "headers": [
                            (b"content-type", reply.content_type),
                            (b"content-length", b"%d" % len(reply.body)),
                            (b"x-request-id", given),
                            *reply.headers,
                        ],
                    }
                )
                await send({"type": "http.response.body", "body": reply.body})
        except GoneError:
            status = 499  # the code that nginx made customary; nobody is there to read it
        finally:
            self.metrics.active -= 1
        seconds = time.perf_counter() - start
        route = path if path in _ALLOWED or path in _PAGES else "other"
        self.metrics.request(route, status, seconds)
        if self._log is not None:
            self._log.add(given.decode(), scope["method"], path, status, seconds, rows)

    async def _reply(
        self,
        method: str,
        path: str,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        request_id: bytes,
    ) -> Reply:
        """The reply to a request for one of the routes here; never raises for a bad request."""
        try:
            if method.encode() not in _ALLOWED[path]:
                allow = (b"allow", _ALLOWED[path])
                raise ProblemError(
                    405, "method-not-allowed", f"{path} takes {allow[1].decode()}", headers=(allow,)
                )
            if path == "/predict":
                return await self._predict(headers, receive)
            if path == "/livez":
                return Reply(200, b'{"status":"alive"}')
            if path == "/readyz":
                if self._draining():
                    raise ProblemError(503, "draining", "the server is about to stop")
                return Reply(200, self._ready)
            self._authorize(headers)
            return self._metrics()
        except ProblemError as problem:
            known = self._known
            self.metrics.refuse(
                error.column if error.column in known else None for error in problem.errors
            )
            body = problem.body(request_id.decode())
            return Reply(problem.status, body, PROBLEM, tuple(problem.headers))
        except GoneError:
            raise
        except Exception:  # the boundary: a client gets an id, the log the traceback
            logger.exception("request failed", extra={"request_id": request_id.decode()})
            failed = ProblemError(500, "internal-error", "the server failed to answer")
            return Reply(500, failed.body(request_id.decode()), PROBLEM)

    async def _predict(self, headers: Mapping[bytes, bytes], receive: Receive) -> Reply:
        self._authorize(headers)
        predictor = self._predictor
        given = predictor.content_type(headers.get(b"content-type", b""))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            detail = "compressed bodies are not supported"
            raise ProblemError(415, "unsupported-content-encoding", detail, headers=(CLOSE,))
        if self.metrics.active > self._settings.max_concurrency:
            raise ProblemError(
                503, "busy", "too many requests at once", headers=((b"retry-after", b"1"), CLOSE)
            )
        settings = self._settings
        body = await bodies.read(headers, receive, settings.max_body, settings.body_seconds)
        wanted = predictor.accepted(headers.get(b"accept"), given)
        if self._blocking or len(body) > _INLINE:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(
                self._threads, predictor.answer, body, given, wanted
            )
        else:
            answer = predictor.answer(body, given, wanted)
        self.metrics.rows += answer.rows
        if answer.outside:
            self.metrics.drift(answer.outside)
        return Reply(200, answer.body, answer.content_type, (), answer.rows)

    def _authorize(self, headers: Mapping[bytes, bytes]) -> None:
        if self._keys and not self._keys.allow(headers):
            raise ProblemError(
                401,
                "unauthorized",
                "send an API key: Authorization: Bearer KEY, or X-API-Key: KEY",
                headers=((b"www-authenticate", b"Bearer"), CLOSE),
            )

    def _metrics(self) -> Reply:
        exposition = importlib.import_module(".exposition", __package__)
        if self._registry is None:
            model = self.model
            self._registry = exposition.registry(self.metrics, model.manifest, model.signature)
        return Reply(200, exposition.text(self._registry), exposition.CONTENT_TYPE)

    async def _page(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
        request_id: bytes,
    ) -> int:
        """Let FastAPI answer; the status that it sent."""
        status = 500

        async def noting(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            self._authorize(headers)
        except ProblemError as problem:
            body = problem.body(request_id.decode())
            kind = (b"content-type", PROBLEM)
            start = [kind, (b"content-length", b"%d" % len(body)), *problem.headers]
            await noting(
                {"type": "http.response.start", "status": problem.status, "headers": start}
            )
            await send({"type": "http.response.body", "body": body})
            return status
        if self._pages is None:
            loop = asyncio.get_running_loop()
            self._pages = await loop.run_in_executor(self._threads, self._build_pages)
        scope["mlpack.request_id"] = request_id.decode()
        await self._pages(scope, receive, noting)
        return status

    def _build_pages(self) -> Any:  # noqa: ANN401 - an ASGI application
        return importlib.import_module(".pages", __package__).build(self.model)


def _cpus() -> range:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return range(len(affinity(0)) if affinity else os.cpu_count() or 1)


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan, for servers that ask; web sockets are closed."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.close", "code": 1000})
