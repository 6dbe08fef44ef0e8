"""How the OpenAPI document tells errors: one schema, and what each status means."""

from __future__ import annotations

from typing import Any

HEADERS = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}

PROBLEMS = {
    "400": "The body is not what its content type says.",
    "401": "An API key is needed.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or has too many rows.",
    "415": "The content type is not supported.",
    "422": "Some values cannot be accepted: each is named.",
    "500": "The server failed; its log tells why, under the request id.",
    "503": "The server is busy; try again after the time that Retry-After says.",
}


def responses(description: str, content: dict[str, Any]) -> dict[str, Any]:
    """The answers of a path for predictions: the good one, and every problem."""
    good = {"description": description, "headers": HEADERS, "content": content}
    return {"200": good, **{status: problem(status) for status in PROBLEMS}}


def problem(status: str) -> dict[str, Any]:
    """One problem as an answer."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        "description": PROBLEMS[status],
        "headers": HEADERS,
        "content": {"application/problem+json": schema},
    }


def schema() -> dict[str, Any]:
    """The schema of a problem's body."""
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {
            "row": {"type": "integer", "description": "its place in the request, from 0"},
            "column": {"type": ["string", "null"]},
            "expected": text,
            "got": text,
        },
        "required": ["row", "column", "expected", "got"],
    }
    return {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "request_id": text,
            "errors": {"type": "array", "items": error, "maxItems": 100},
            "error": {**text, "description": "detail once more, in /v1 and /v2"},
        },
        "required": ["type", "title", "status", "detail", "request_id"],
    }
