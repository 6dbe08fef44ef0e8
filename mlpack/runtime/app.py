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
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from . import bodies, machine
from .admission import Admission
from .bodies import GoneError, Receive
from .late_pages import LatePages
from .line import BusyError, Line
from .logs import AccessLog
from .metrics import Metrics
from .model import Model
from .page_paths import PAGES, label
from .predicting import Answer, Predictor
from .problems import CLOSE, ProblemError, busy
from .protocols import spoken
from .protocols.own import ARROW, CSV
from .routes import Exchange, Headers, Reply, Route, refusal
from .settings import Settings
from .snapshot import Snapshot
from .together import Together
from .waiting import awaited

Send = Callable[[dict[str, Any]], Any]
Scope = dict[str, Any]

_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_INLINE = 65_536
"""Bodies up to so many bytes are answered on the event loop; a thread would cost more."""
_INLINE_OF = {CSV: 3 * _INLINE, ARROW: 10 * _INLINE}
"""And of what is read so many times as fast as JSON."""

_GONE = 499
"""The code that nginx made customary; nobody is there to read it."""

logger = logging.getLogger(__name__)


class App:
    """Serves one model.

    Args:
        model: a warm model.
        settings: limits and keys.
        log: notes every request; None for no access log.

    Attributes:
        metrics: what is counted.
        at_once_urls: to what URLs `at_once` may know the answer.

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
        self._admission = Admission(settings)
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
        engine = model.session.engine
        self._gathers = engine.together > 0
        self._together = Together(engine, most=settings.max_batch, told=self.metrics.batch)
        self.metrics.waiting = self._line.__len__
        self.metrics.violated = lambda: model.validator.lenient.counted
        self._ids = itertools.count()
        self._prefix = os.urandom(6).hex()
        self._ready = Reply(
            msgspec.json.encode({"status": "ready", "name": model.name, "version": model.version})
        )
        self._routes = self._all_routes()
        self._pages = LatePages(model, self._admission)
        self._inline = min(_INLINE, settings.max_body)
        self._openers: dict[bytes, tuple[str, Route]] = {}
        if not (self._blocking or self._admission.limited):
            self._openers = {path.encode(): (path, self._routes[path]) for path in self.asked}
        self.at_once_urls = frozenset(self._openers)

    @property
    def paths(self) -> frozenset[str]:
        """Where something is answered here; the paths of pages are not among them."""
        return frozenset(self._routes)

    @property
    def asked(self) -> frozenset[str]:
        """Where predictions are asked for over HTTP."""
        return frozenset(
            path
            for path, route in self._routes.items()
            if route.open is not None and path.startswith("/")
        )

    def drain(self) -> None:
        """Say that the server is about to stop: on ``/readyz``, and by closing connections."""
        self._closing = (CLOSE,)

    def _all_routes(self) -> dict[str, Route]:
        """Everything that is answered here, by path."""
        alive = Reply(b'{"status":"alive"}')
        return {
            **spoken.routes(self.model, self._settings, self._readiness),
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
        given = self._request_id(headers)
        path = scope["path"]
        route = self._routes.get(path)
        self.metrics.active += 1
        rows = 0
        try:
            if route is None and path in PAGES:
                status = await self._pages(scope, headers, receive, send, given)
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
        told = path if route is not None else label(path)
        self._ended(given, scope["method"], path, told, status, start, rows, headers)

    def at_once(
        self,
        url: bytes,
        given: Iterable[tuple[bytes, bytes]],
        body: bytes,
        done: Callable[[Reply, bytes], None],
        *,
        alone: bool = False,
    ) -> bool:
        """Answer a POST as `__call__` does, without its turns; False where it needs them.

        A server may ask for it when a request has come whole: a task for each request takes longer
        than most models.

        Args:
            url: one of `at_once_urls`.
            given: the headers, names in lower case.
            body: all of it.
            done: is given what to send, and the request's id for a header: before this returns, or
                when what came in at the same moment is read too. `settle` does not wait for that.
            alone: nobody else can ask at the same moment: to put off would only take longer.
        """
        crowded = self.metrics.active + len(self._together) >= self._settings.max_concurrency
        if self._closing or crowded or len(body) > self._inline:
            return False
        start = time.perf_counter()
        headers = dict(given)
        path, route = self._openers[url]
        request_id = self._request_id(headers)

        def end(answer: Answer | Exception) -> None:
            count = 0
            if isinstance(answer, Exception):
                reply = self._failed(answer, route, request_id)
            else:
                reply, count = self._counted(answer).reply, answer.rows
            self._ended(request_id, "POST", path, path, reply.status, start, count, headers)
            done(reply, request_id)

        answer: Answer | Exception
        try:
            self._admission.authorize(headers)
            exchange = self._opened(route, headers)
            rows = self._predictor.read(exchange, body)
            if self._gathers and not alone and isinstance(rows, tuple):
                wait = self._predictor.later(exchange, rows, end)
                self._together.ask(rows, wait)
                return True
            answer = self._predictor.write(exchange, rows, self._predictor.predict(rows))
        except Exception as error:  # noqa: BLE001 - as in `_reply`
            answer = error
        # Answers go out in the order of their requests.
        self.settle()
        end(answer)
        return True

    def settle(self) -> None:
        """Answer all that `at_once` was asked and that is not answered yet."""
        self._together.settle()

    def _request_id(self, headers: Headers) -> bytes:
        given = headers.get(b"x-request-id")
        if given is None or not _SANE(given):
            given = f"{self._prefix}-{next(self._ids):x}".encode()
        return given

    def _ended(
        self,
        request_id: bytes,
        method: str,
        path: str,
        told: str,
        status: int,
        start: float,
        rows: int,
        headers: Headers,
    ) -> None:
        """Count an answered request, as that route which `told` names, and log it."""
        seconds = time.perf_counter() - start
        self.metrics.request(told, status, seconds)
        if self._log is not None:
            caller = headers.get(b"traceparent")
            self._log.add(request_id.decode(), method, path, status, seconds, rows, caller)

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
                self._admission.authorize(headers)
            if route is None:
                detail = f"{scope['method']} {scope['path'][:200]}: there is nothing here"
                raise ProblemError(404, "not-found", detail)
            if not route.takes(scope["method"]):
                allow = (b"allow", route.allow)
                detail = f"{scope['path']} takes {route.allow.decode()}"
                raise ProblemError(405, "method-not-allowed", detail, headers=(allow,))
            if route.open is not None:
                self._admission.count((scope.get("client") or ("",))[0], headers)
                answer = await self._predict(self._opened(route, headers), headers, receive)
                return answer.reply, answer.rows
            if route.tell is not None:
                told = route.tell()
                return (told if isinstance(told, Reply) else await told), 0
            if route.told is not None:
                return route.told(await self._body(headers, receive)), 0
            raise TypeError("a route either opens or tells")
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary
            return self._failed(error, route, request_id), 0

    def _failed(self, error: Exception, route: Route | None, request_id: bytes) -> Reply:
        """A client is told what is wrong with its request; else it gets an id, the log the rest."""
        if isinstance(error, ProblemError):
            self.metrics.refuse(error.kind, (each.column for each in error.errors))
            return refusal(error, route, request_id)
        logger.error("request failed", exc_info=error, extra={"request_id": request_id.decode()})
        failed = ProblemError(500, "internal-error", "the server failed to answer")
        self.metrics.refuse(failed.kind)
        return refusal(failed, route, request_id)

    async def _predict(self, exchange: Exchange, headers: Headers, receive: Receive) -> Answer:
        if self.metrics.active > self._settings.max_concurrency:
            raise busy("too many requests at once")
        body = await self._body(headers, receive)
        most = _INLINE_OF.get(headers.get(b"content-type", b""), _INLINE)
        if self._blocking or len(body) > most:
            answer = await self._in_line(exchange, body, receive)
        else:
            answers = self._predictor.large if len(body) > _INLINE else self._predictor.answer
            answer = answers(exchange, body)
        return self._counted(answer)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        settings = self._settings
        return await bodies.read(headers, receive, settings.max_body, settings.body_seconds)

    @staticmethod
    def _opened(route: Route, headers: Headers) -> Exchange:
        if route.open is None:
            raise TypeError("nobody asks for predictions there")
        exchange = route.open(headers)
        bodies.check_encoding(headers)
        return exchange

    def _counted(self, answer: Answer) -> Answer:
        self.metrics.rows += answer.rows
        self.metrics.watch.note(answer.seen)
        return answer

    async def _in_line(self, exchange: Exchange, body: bytes, receive: Receive) -> Answer:
        """Answer beside the event loop, in turn."""
        predictor, seconds = self._predictor, self._settings.request_seconds
        try:
            if len(body) > _INLINE:
                large = self._line.work(lambda: predictor.large(exchange, body))
                answer: Answer = await awaited(large, receive, seconds)
                return answer
            rows = predictor.read(exchange, body)
            if isinstance(rows, tuple):
                waiting = self._line.row(rows)
            else:
                waiting = self._line.work(lambda: predictor.predict(rows))
        except BusyError:
            raise busy("more requests than the model can answer") from None
        predictions = await awaited(waiting, receive, seconds)
        return predictor.write(exchange, rows, predictions)

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
            raise busy("not every worker tells its figures") from None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._as_text, snapshot)

    def _as_text(self, snapshot: Snapshot) -> Reply:
        """In a thread: with many columns it takes milliseconds, and the first time an import."""
        exposition = importlib.import_module(".exposition", __package__)
        model = self.model
        text = exposition.text(snapshot, model.manifest, model.signature)
        return Reply(text, exposition.CONTENT_TYPE)


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan, for servers that ask; web sockets are closed."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.close", "code": 1000})
