"""Errors over HTTP: ``application/problem+json`` as RFC 9457 defines it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from .predictions import Refusal

CONTENT_TYPE = b"application/problem+json"

CLOSE = (b"connection", b"close")
"""Sent where the rest of a body is not read: the connection is of no more use."""

MOST_ERRORS = 100
"""How many errors one answer lists at most."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of an error.

    Attributes:
        type: a URN that names the kind of problem; scripts compare this.
        title: the kind of problem in words.
        status: the HTTP status.
        detail: what is wrong with this very request.
        request_id: what to look for in the server's log.
        errors: each value at fault, at most `MOST_ERRORS`.
        error: `detail` once more, for the clients of protocols that look for it there.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: tuple[Refusal, ...] = ()
    error: str | None = None


class ProblemError(Exception):
    """Ends a request with a problem.

    Args:
        status: the HTTP status.
        kind: the last part of the problem's type, such as ``invalid-input``.
        detail: what is wrong with this very request.
        errors: each value at fault.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: Sequence[Refusal] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def body(self, request_id: str, *, says_error: bool = False) -> bytes:
        """The answer's body; `says_error` as a route has it."""
        return msgspec.json.encode(
            Problem(
                type=f"urn:mlpack:problem:{self.kind}",
                title=HTTPStatus(self.status).phrase,
                status=self.status,
                detail=self.detail,
                request_id=request_id,
                errors=tuple(self.errors[:MOST_ERRORS]),
                error=self.detail if says_error else None,
            )
        )


def invalid(errors: Sequence[Refusal]) -> ProblemError:
    """422: the request is well-formed, but some of its values cannot be answered."""
    count = len(errors)
    detail = "one value cannot be accepted" if count == 1 else f"{count} values cannot be accepted"
    if count > MOST_ERRORS:
        detail += f", the first {MOST_ERRORS} are listed"
    return ProblemError(422, "invalid-input", detail, errors)


def busy(detail: str) -> ProblemError:
    """503: what is asked could be answered at another time."""
    return ProblemError(503, "busy", detail, headers=((b"retry-after", b"1"), CLOSE))
