"""Reads the body of a request, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from .problems import CLOSE, ProblemError

Receive = Callable[[], Any]


class GoneError(Exception):
    """The client left before its request was whole."""


async def read(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float
) -> bytes:
    """The whole body.

    Args:
        headers: the request's, names in lower case.
        receive: as ASGI gives it.
        limit: the most bytes.
        seconds: the most time that a body in several pieces may take from its first one.

    Raises:
        ProblemError: 408 or 413.
        GoneError: the client left.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise GoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        try:
            body = await asyncio.wait_for(_rest(body, receive, limit), seconds)
        except asyncio.TimeoutError:
            detail = f"the body took longer than {seconds:g} seconds"
            raise ProblemError(408, "body-timeout", detail, headers=(CLOSE,)) from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def check_encoding(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what was compressed.

    Raises:
        ProblemError: 415.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        detail = "compressed bodies are not supported"
        raise ProblemError(415, "unsupported-content-encoding", detail, headers=(CLOSE,))


async def _rest(first: bytes, receive: Receive, limit: int) -> bytes:
    pieces = [first]
    size = len(first)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _too_large(limit: int) -> ProblemError:
    detail = f"the body is larger than {limit} bytes"
    return ProblemError(413, "body-too-large", detail, headers=(CLOSE,))
