"""The server as a function of AWS Lambda: asks the runtime API for an event, answers, asks again.

Lambda starts the image's own command and tells the address of its runtime API in a variable. There
is no socket to listen on and one request at a time, so nothing of the HTTP server is loaded. See
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from . import logs, machine, operating, samples
from .app import App
from .lambda_events import EventError, answer, scope
from .model import Model
from .problems import CONTENT_TYPE, ProblemError
from .settings import from_environment

VARIABLE = "AWS_LAMBDA_RUNTIME_API"
"""Tells that this process is a function, and where its runtime API is."""

LARGEST = 6 * 1024 * 1024
"""Bytes of an answer that Lambda takes."""

_ROOT = "/2018-06-01/runtime"
_MARGIN = 0.2
"""Seconds before Lambda ends the process at which a request is given up, so that it can be told."""

logger = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class _Stopped(BaseException):
    """SIGTERM came while nothing was in work."""


class RuntimeApi:
    """Lambda's side, over one connection."""

    def __init__(self, address: str) -> None:
        """An address such as ``127.0.0.1:9001``."""
        # An event may come in a second or in an hour: no time is too long.
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[Mapping[str, str], bytes]:
        """The headers, names in lower case, and the event of the next invocation.

        Raises:
            OSError, HTTPException: there is nobody to ask.
        """
        status, headers, body = self._ask("GET", "/invocation/next")
        if status != 200:
            raise http.client.HTTPException(f"the runtime API answered {status}")
        return headers, body

    def respond(self, identity: str, body: bytes) -> None:
        """Answer an invocation."""
        status, _, said = self._ask("POST", f"/invocation/{identity}/response", body)
        if status >= 300:
            logger.error("Lambda did not take the answer: %d %s", status, said[:200])

    def fail(self, error: Exception, kind: str, identity: str = "") -> None:
        """Say that an invocation failed, or, without its identity, that the start did."""
        told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
        path = f"/invocation/{identity}/error" if identity else "/init/error"
        headers = {"Lambda-Runtime-Function-Error-Type": f"Runtime.{kind}"}
        self._ask("POST", path, msgspec.json.encode(told), headers)

    def _ask(
        self, method: str, path: str, body: bytes = b"", more: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json", **(more or {})} if method == "POST" else {}
        self._connection.request(method, f"{_ROOT}{path}", body or None, headers)
        response = self._connection.getresponse()
        content = response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, content


class Loop:
    """Answers one event after the other."""

    def __init__(
        self,
        api: RuntimeApi,
        served: Application,
        environ: MutableMapping[str, str],
        flush: Callable[[], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        """What asks, what answers, and what is done before an answer: then all may stand still."""
        self._api = api
        self._served = served
        self._environ = environ
        self._flush = flush
        self._now = now
        self._loop = asyncio.new_event_loop()
        self._waits = False
        self._stopping = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """End: at once, or when what is in work is answered."""
        self._stopping = True
        if self._waits:
            raise _Stopped

    def run(self) -> int:
        """Answer until told to stop; the process's exit code."""
        try:
            asyncio.set_event_loop(self._loop)
            while not self._stopping:
                self._waits = True
                headers, event = self._api.next()
                self._waits = False
                self._invoked(headers, event)
        except _Stopped:
            pass
        except (OSError, http.client.HTTPException) as error:
            logger.error("the runtime API is gone: %s", error)  # noqa: TRY400 - no traceback
            return 4
        finally:
            self._waits = False
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
        return 0

    def _invoked(self, headers: Mapping[str, str], event: bytes) -> None:
        identity = headers.get("lambda-runtime-aws-request-id", "")
        if "lambda-runtime-trace-id" in headers:
            self._environ["_X_AMZN_TRACE_ID"] = headers["lambda-runtime-trace-id"]
        try:
            asked, body = scope(msgspec.json.decode(event), identity)
        except (EventError, msgspec.DecodeError) as error:
            logger.warning("an event was refused: %s", error, extra={"request_id": identity})
            self._api.fail(error, "InvalidEvent", identity)
            return
        seconds = self._left(headers.get("lambda-runtime-deadline-ms", ""))
        try:
            answered = self._loop.run_until_complete(self._answer(asked, body, seconds))
        except Exception as error:
            logger.exception("an event failed", extra={"request_id": identity})
            self._flush()
            self._api.fail(error, "Failed", identity)
            return
        sent = msgspec.json.encode(answered)
        if len(sent) > LARGEST:
            detail = f"the answer is larger than Lambda's {LARGEST} bytes: ask for fewer rows"
            sent = msgspec.json.encode(_problem(413, "answer-too-large", detail, identity))
        self._flush()
        self._api.respond(identity, sent)

    def _left(self, deadline: str) -> float | None:
        """Seconds until Lambda ends the process; None where it does not say."""
        return (
            max(0.0, int(deadline) / 1000 - self._now() - _MARGIN) if deadline.isdigit() else None
        )

    async def _answer(
        self, asked: dict[str, Any], body: bytes, seconds: float | None
    ) -> dict[str, Any]:
        try:
            return await asyncio.wait_for(ask(self._served, asked, body), seconds)
        except asyncio.TimeoutError:
            told = dict(asked["headers"]).get(b"x-request-id", b"").decode("latin-1")
            return _problem(504, "timeout", "it took as long as the function may", told)


async def ask(served: Application, asked: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What an application answers, as Lambda has it."""
    came = iter([{"type": "http.request", "body": body, "more_body": False}])
    start: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        message = next(came, None)
        if message is None:  # who asks by an event never leaves
            await asyncio.get_running_loop().create_future()
        return message or {}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            pieces.append(message.get("body", b""))

    await served(asked, receive, send)
    return answer(start["status"], start["headers"], b"".join(pieces))


def _problem(status: int, kind: str, detail: str, request_id: str) -> dict[str, Any]:
    problem = ProblemError(status, kind, detail)
    headers = [(b"content-type", CONTENT_TYPE), (b"x-request-id", request_id.encode())]
    return answer(status, headers, problem.body(request_id))


def run(environ: MutableMapping[str, str], folder: Path | None = None) -> int:
    """Load the model and answer events until told to stop; the process's exit code.

    Args:
        environ: the process's: tells the runtime API's address, limits and keys. Where to listen
            does not matter.
        folder: the data folder of a bundle; the artifact's own by default.

    Raises:
        ContractError, ModelError: the model cannot be loaded. Lambda has been told.
        FileError: the file of samples cannot be written. Lambda has been told.
        SettingsError: a setting cannot be. Lambda has been told.
    """
    logs.configure()
    api = RuntimeApi(environ[VARIABLE])
    try:
        given = from_environment(environ)
        if given.sample_file is not None:
            samples.check(given.sample_file)
        alone = msgspec.structs.replace(given, workers=1)
        settings = operating.laid_out(alone, machine.read(), loaded=False)
        model = Model(folder)
        model.warm()
        log = None
        if settings.access_log:
            log = logs.AccessLog(logs.to_stderr, asyncio.get_running_loop)
        app = App(model, settings, log)
        served, farewells = operating.surrounded(app, model, settings, environ)
    except Exception as error:
        api.fail(error, type(error).__name__)
        raise
    if settings.grpc_port:
        logger.warning("gRPC is not spoken in AWS Lambda")
    loop = Loop(api, served, environ, log.flush if log is not None else _nothing)
    signal.signal(signal.SIGTERM, loop.stop)
    signal.signal(signal.SIGINT, loop.stop)
    gc.collect()
    gc.freeze()
    logger.info("serving %s %s (%s) in AWS Lambda", model.name, model.version, model.manifest.form)
    code = loop.run()
    for farewell in farewells:
        farewell()
    return code


def _nothing() -> None:
    """No log, nothing to write."""
