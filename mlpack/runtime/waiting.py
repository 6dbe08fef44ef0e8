"""Waits for an answer that is worked on, as long as somebody wants it."""

from __future__ import annotations

import asyncio
from typing import Any

from .bodies import GoneError, Receive
from .problems import busy


async def awaited(answer: asyncio.Future[Any], receive: Receive, seconds: float) -> Any:  # noqa: ANN401
    """What comes of something that is worked on, unless the client leaves or time runs out.

    Args:
        answer: what is awaited; it is cancelled if nobody waits for it any more.
        receive: as ASGI gives it.
        seconds: the most time.

    Raises:
        ProblemError: 503, time ran out.
        GoneError: the client left.
    """
    gone = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((answer, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not answer.done():
            answer.cancel()
    if not answer.cancelled():
        return answer.result()
    if gone.done() and not gone.cancelled():
        raise GoneError
    raise busy(f"no answer within {seconds:g} seconds")


async def _left(receive: Receive) -> None:
    """Return when the client has left, which a server tells after the whole body was read."""
    message = await receive()
    if message["type"] != "http.disconnect":
        await asyncio.Event().wait()
