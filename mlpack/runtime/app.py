"""The ASGI application: answers predictions and probes itself, the pages are FastAPI's.

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
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from . import bodies, machine
from .bodies import CLOSE, GoneError, Receive
from .keys import Keys
from .line import BusyError, Line
from .logs import AccessLog
from .metrics import Metrics
from .model import Model
from .page_paths import OPEN, PAGES
from .predicting import Answer, Predictor
from .problems import CONTENT_TYPE as PROBLEM
from .problems import ProblemError
from .protocols import inference, own, sagemaker, v1
from .routes import Exchange, Headers, Reply, Route
from .settings import Settings
from .snapshot import Snapshot

Send = Callable[[dict[str, Any]], Any]
Scope = dict[str, Any]

_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_INLINE = 65_536
"""Bodies up to so many bytes are answered on the event loop; a thread would cost more."""

_GONE = 499
"""The code that nginx made customary; nobody is there to read it."""

logger = logging.getLogger(__name__)


class App:
    """Serves one model.

    Args:
        model: a warm model.
        settings: limits and keys.
        log: notes every request; None for no access log.

    Raises:
        SettingsError: the file of API keys cannot be read.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        log: AccessLog | None = None,
    ) -> None:
        self.model = model
        self._settings = settings
        self._log = log
        self._closing: tuple[tuple[bytes, bytes], ...] = ()
        self._keys = Keys(settings.keys, settings.keys_file, time.monotonic)
        self._predictor = Predictor(model, settings)
        self.metrics = Metrics(model.signature, self._predictor.counter)
        self.collect: Callable[[], Awaitable[Snapshot]] = self._alone
        self._blocking = model.session.engine.blocking
        self._line = Line(
            model.session.engine,
            # A fitted pipeline may not be safe in two threads at once; a graph is.
            threads=1 if self._blocking else settings.threads or machine.read().whole,
            wait_seconds=settings.wait_seconds,
            most=settings.max_batch,
            told=self.metrics.batch,
        )
        self.metrics.waiting = self._line.__len__
        self._ids = itertools.count()
        self._prefix = os.urandom(6).hex()
        self._ready = Reply(
            msgspec.json.encode({"status": "ready", "name": model.name, "version": model.version})
        )
        self._routes = self._all_routes()
        self._pages: Any = None

    @property
    def paths(self) -> frozenset[str]:
        """Where something is answered here; the paths of pages are not among them."""
        return frozenset(self._routes)

    @property
    def asked(self) -> frozenset[str]:
        """Where predictions are asked for."""
        return frozenset(path for path, route in self._routes.items() if route.open is not None)

    def drain(self) -> None:
        """Say that the server is about to stop: on ``/readyz``, and by closing connections."""
        self._closing = (CLOSE,)

    def _all_routes(self) -> dict[str, Route]:
        """Everything that is answered here, by path."""
        model, settings, ready = self.model, self._settings, self._readiness
        formats = own.Formats(model, settings.max_rows)
        alive = Reply(b'{"status":"alive"}')
        return {
            **own.routes(formats),
            **inference.routes(model, ready),
            **sagemaker.routes(model, formats, ready),
            **v1.routes(model, settings, ready),
            "/livez": Route(method="GET", tell=lambda: alive, guarded=False),
            "/readyz": Route(method="GET", tell=self._readiness, guarded=False),
            "/metrics": Route(method="GET", tell=self._exposition),
        }

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
        route = self._routes.get(path)
        self.metrics.active += 1
        rows = 0
        try:
            if route is None and path in PAGES:
                status = await self._page(scope, headers, receive, send, given)
            else:
                reply, rows = await self._reply(route, scope, headers, receive, given)
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
                            *self._closing,
                        ],
                    }
                )
                await send({"type": "http.response.body", "body": reply.body})
        except GoneError:
            status = _GONE
        except RuntimeError as error:
            # Of requests sent in one piece uvicorn forgets that the client left; its loop knows.
            if "closed" not in str(error):
                raise
            status = _GONE
        finally:
            self.metrics.active -= 1
        seconds = time.perf_counter() - start
        told = path if route is not None or path in PAGES else "other"
        self.metrics.request(told, status, seconds)
        if self._log is not None:
            caller = headers.get(b"traceparent")
            self._log.add(given.decode(), scope["method"], path, status, seconds, rows, caller)

    async def _reply(
        self,
        route: Route | None,
        scope: Scope,
        headers: Headers,
        receive: Receive,
        request_id: bytes,
    ) -> tuple[Reply, int]:
        """The reply and how many rows it answers; never raises for a bad request."""
        try:
            if route is None or route.guarded:
                self._authorize(headers)
            if route is None:
                detail = f"{scope['method']} {scope['path'][:200]}: there is nothing here"
                raise ProblemError(404, "not-found", detail)
            if not route.takes(scope["method"]):
                allow = (b"allow", route.allow)
                detail = f"{scope['path']} takes {route.allow.decode()}"
                raise ProblemError(405, "method-not-allowed", detail, headers=(allow,))
            if route.open is not None:
                answer = await self._predict(route.open(headers), headers, receive)
                return answer.reply, answer.rows
            if route.tell is not None:
                told = route.tell()
                return (told if isinstance(told, Reply) else await told), 0
            raise TypeError("a route either opens or tells")
        except ProblemError as problem:
            self.metrics.refuse(problem.kind, (error.column for error in problem.errors))
            return _refusal(problem, route, request_id), 0
        except GoneError:
            raise
        except Exception:  # the boundary: a client gets an id, the log the traceback
            logger.exception("request failed", extra={"request_id": request_id.decode()})
            failed = ProblemError(500, "internal-error", "the server failed to answer")
            self.metrics.refuse(failed.kind)
            return _refusal(failed, route, request_id), 0

    async def _predict(self, exchange: Exchange, headers: Headers, receive: Receive) -> Answer:
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            detail = "compressed bodies are not supported"
            raise ProblemError(415, "unsupported-content-encoding", detail, headers=(CLOSE,))
        settings = self._settings
        if self.metrics.active > settings.max_concurrency:
            raise _busy("too many requests at once")
        body = await bodies.read(headers, receive, settings.max_body, settings.body_seconds)
        if self._blocking or len(body) > _INLINE:
            answer = await self._in_line(exchange, body, receive)
        else:
            answer = self._predictor.answer(exchange, body)
        self.metrics.rows += answer.rows
        self.metrics.watch.note(answer.seen)
        return answer

    async def _in_line(self, exchange: Exchange, body: bytes, receive: Receive) -> Answer:
        """Answer beside the event loop, in turn."""
        predictor = self._predictor
        try:
            if len(body) > _INLINE:
                large = self._line.work(lambda: predictor.large(exchange, body))
                answer: Answer = await self._turn(large, receive)
                return answer
            rows = predictor.read(exchange, body)
            if isinstance(rows, tuple):
                waiting = self._line.row(rows)
            else:
                waiting = self._line.work(lambda: predictor.predict(rows))
        except BusyError:
            raise _busy("more requests than the model can answer") from None
        return predictor.write(exchange, rows, await self._turn(waiting, receive))

    async def _turn(self, waiting: asyncio.Future[Any], receive: Receive) -> Any:  # noqa: ANN401
        """What comes of something in the line, unless the client leaves or time runs out."""
        gone = asyncio.ensure_future(bodies.left(receive))
        try:
            await asyncio.wait(
                (waiting, gone),
                timeout=self._settings.request_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
            if not waiting.done():
                waiting.cancel()
        if not waiting.cancelled():
            return waiting.result()
        if gone.done() and not gone.cancelled():
            raise GoneError
        raise _busy(f"no answer within {self._settings.request_seconds:g} seconds")

    def _authorize(self, headers: Headers) -> None:
        if self._keys and not self._keys.allow(headers):
            raise ProblemError(
                401,
                "unauthorized",
                "send an API key: Authorization: Bearer KEY, or X-API-Key: KEY",
                headers=((b"www-authenticate", b"Bearer"), CLOSE),
            )

    def _readiness(self) -> Reply:
        if self._closing:
            raise ProblemError(503, "draining", "the server is about to stop")
        return self._ready

    async def _alone(self) -> Snapshot:
        return self.metrics.snapshot()

    async def _exposition(self) -> Reply:
        try:
            snapshot = await self.collect()
        except TimeoutError:
            raise _busy("not every worker tells its figures") from None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._as_text, snapshot)

    def _as_text(self, snapshot: Snapshot) -> Reply:
        """In a thread: with many columns it takes milliseconds, and the first time an import."""
        exposition = importlib.import_module(".exposition", __package__)
        model = self.model
        text = exposition.text(snapshot, model.manifest, model.signature)
        return Reply(text, exposition.CONTENT_TYPE)

    async def _page(
        self,
        scope: Scope,
        headers: Headers,
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
            if scope["path"] not in OPEN:
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
            self._pages = await loop.run_in_executor(None, self._build_pages)
        scope["mlpack.request_id"] = request_id.decode()
        await self._pages(scope, receive, noting)
        return status

    def _build_pages(self) -> Any:  # noqa: ANN401 - an ASGI application
        return importlib.import_module(".pages", __package__).build(self.model)


def _refusal(problem: ProblemError, route: Route | None, request_id: bytes) -> Reply:
    body = problem.body(request_id.decode(), says_error=route is not None and route.says_error)
    return Reply(body, PROBLEM, tuple(problem.headers), problem.status)


def _busy(detail: str) -> ProblemError:
    return ProblemError(503, "busy", detail, headers=((b"retry-after", b"1"), CLOSE))


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan, for servers that ask; web sockets are closed."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.close", "code": 1000})
