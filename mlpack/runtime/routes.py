"""What the paths of the server do, as values: protocols make them, the application follows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from .predictions import Predictions
from .problems import CONTENT_TYPE as PROBLEM
from .problems import ProblemError
from .values import Clean

Headers = Mapping[bytes, bytes]
"""The headers of a request, names in lower case."""

JSON = b"application/json"


class Reply(msgspec.Struct, frozen=True):
    """What is sent back.

    Attributes:
        body: the whole of it.
        content_type: what the body is.
        headers: further headers.
        status: the HTTP status.
    """

    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


class Exchange(Protocol):
    """How a protocol reads one request for predictions, and writes the answer to it."""

    def read(self, body: bytes) -> tuple[Any, ...] | Clean:
        """The rows: a tuple of clean values for one, else clean columns; what is refused is in it.

        Raises:
            MalformedError: the body is not what its content type says.
            ProblemError: something else is wrong with it.
        """
        ...

    def write(self, predictions: Predictions) -> Reply:
        """The answer, if no row was refused."""
        ...


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at a path: predictions are asked for, or something is told.

    Attributes:
        method: the one that it takes; HEAD is taken where GET is.
        open: for predictions: chooses by the headers how to read and write, or raises a
            ProblemError.
        tell: for everything else: the answer to a request, of which nothing matters but the path.
        told: for what depends on the body, too: the answer to it, or raises a ProblemError.
        guarded: whether an API key is needed, where there are any.
        says_error: whether a problem has a member ``error`` besides, as the protocol's clients
            look for it.
    """

    method: str
    open: Callable[[Headers], Exchange] | None = None
    tell: Callable[[], Reply | Awaitable[Reply]] | None = None
    told: Callable[[bytes], Reply] | None = None
    guarded: bool = True
    says_error: bool = False

    @property
    def allow(self) -> bytes:
        """The value of the header ``Allow``."""
        return b"GET, HEAD" if self.method == "GET" else self.method.encode()

    def takes(self, method: str) -> bool:
        """Whether requests of this method are answered."""
        return method == self.method or (method == "HEAD" and self.method == "GET")


def refusal(problem: ProblemError, route: Route | None, request_id: bytes) -> Reply:
    """The answer to a request that has a problem, as its route's clients look for it."""
    body = problem.body(request_id.decode(), says_error=route is not None and route.says_error)
    return Reply(body, PROBLEM, tuple(problem.headers), problem.status)
