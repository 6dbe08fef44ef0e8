"""Notes some requests and their answers. Stands around the application only when it is switched on.

Requests and answers may hold personal data: so it is off by default, and the file is its owner's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import msgspec

from .logs import stamp
from .model import Model
from .samples import Sample, Writer, packed
from .settings import Settings

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Any]
Receive = Callable[[], Any]
Application = Callable[[Scope, Receive, Send], Any]

_KEPT = (
    b"content-type",
    b"accept",
    b"content-encoding",
    b"inference-header-content-length",
)
"""The headers that say how to read a body and how to answer."""

_UNASKED = frozenset((401, 499))
"""Statuses that are never noted: nobody knows who asked, or nobody was there to be answered."""


class _Noted(msgspec.Struct):
    """What was seen of one request."""

    pieces: list[bytes] = []
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    answer: list[bytes] = []


class Sampling:
    """An ASGI application around another one.

    Args:
        inner: the other one.
        paths: where predictions are asked for; nothing else is noted.
        writer: takes the samples.
        model: who answers.
        settings: the rates.
        draw: a number from 0 to 1, by chance.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        inner: Application,
        paths: Collection[str],
        writer: Writer,
        model: Model,
        settings: Settings,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._inner = inner
        self._paths = frozenset(paths)
        self._writer = writer
        self._model = (model.name, model.version, model.manifest.model.sha256)
        self._rate = settings.sample_rate
        self._errors = settings.sample_errors
        self._draw = draw
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a connection's request as the other application does."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._inner(scope, receive, send)
            return
        answered, failed = self._draw() < self._rate, self._draw() < self._errors
        if not answered and not failed:
            await self._inner(scope, receive, send)
            return
        noted = _Noted()

        async def receiving() -> dict[str, Any]:
            message: dict[str, Any] = await receive()
            if message["type"] == "http.request":
                noted.pieces.append(message.get("body", b""))
            return message

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                noted.status = message["status"]
                noted.headers = tuple(message["headers"])
            else:
                noted.answer.append(message.get("body", b""))
            await send(message)

        await self._inner(scope, receiving, sending)
        if (failed if noted.status >= 400 else answered) and noted.status not in (0, *_UNASKED):
            size = 1_000 + 2 * (sum(map(len, noted.pieces)) + sum(map(len, noted.answer)))
            self._writer.add(size, partial(self._sample, scope, noted, self._clock()))

    def _sample(self, scope: Scope, noted: _Noted, now: float) -> Sample:
        given, told = dict(scope["headers"]), dict(noted.headers)
        body, body_base64 = packed(b"".join(noted.pieces))
        answer, answer_base64 = packed(b"".join(noted.answer))
        name, version, sha256 = self._model
        return Sample(
            time=stamp(now),
            request_id=told.get(b"x-request-id", b"").decode("latin-1"),
            method=scope["method"],
            path=scope["path"],
            headers={
                key.decode("ascii"): given[key].decode("latin-1") for key in _KEPT if key in given
            },
            body=body,
            body_base64=body_base64,
            status=noted.status,
            answer_type=told.get(b"content-type", b"").decode("latin-1"),
            answer=answer,
            answer_base64=answer_base64,
            model=name,
            version=version,
            sha256=sha256,
        )
