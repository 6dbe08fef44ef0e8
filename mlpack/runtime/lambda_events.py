"""Requests as AWS Lambda has them: an event of a function's URL becomes a scope of ASGI, and back.

The format is 2.0, that of function URLs and of HTTP APIs of API Gateway:
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

_TEXTS = ("text/", "application/json", "application/x-ndjson", "application/javascript")


class EventError(Exception):
    """An event is no request over HTTP."""


def scope(event: Any, request_id: str) -> tuple[dict[str, Any], bytes]:  # noqa: ANN401 - any JSON
    """The scope and the body of a request.

    Args:
        event: what Lambda was invoked with.
        request_id: Lambda's; the server's own where the request names none.

    Raises:
        EventError: it is no request.
    """
    try:
        context = event["requestContext"]
        asked = context["http"]
        method = str(asked["method"]).upper()
        path = str(event.get("rawPath") or "/")
        given = {str(key).lower(): str(value) for key, value in event.get("headers", {}).items()}
        cookies = "; ".join(map(str, event.get("cookies") or ()))
        body = _body(event)
        sent = {**({"cookie": cookies} if cookies else {}), "x-request-id": request_id, **given}
        found = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": given.get("x-forwarded-proto", "https"),
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode(),
            "query_string": str(event.get("rawQueryString") or "").encode(),
            "root_path": "",
            "headers": [
                (key.encode("latin-1"), text.encode("latin-1")) for key, text in sent.items()
            ],
            "client": (str(asked.get("sourceIp", "")), 0),
            "server": (str(context.get("domainName", "")), 443),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EventError(
            "it is no request over HTTP: invoke the function by its URL, or with an event of an "
            "HTTP API in format 2.0"
        ) from error
    return found, body


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise EventError("its body is not the base64 that it says it is") from error


def answer(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    """What Lambda makes a response of."""
    told: dict[str, str] = {}
    cookies = []
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "set-cookie":
            cookies.append(text)
        elif key not in ("connection", "content-length", "transfer-encoding"):
            told[key] = f"{told[key]}, {text}" if key in told else text
    found: dict[str, Any] = {"statusCode": status, "headers": told, "isBase64Encoded": False}
    if cookies:
        found["cookies"] = cookies
    kind = told.get("content-type", "").lower().partition(";")[0].strip()
    if kind.startswith(_TEXTS) or kind.endswith(("+json", "+xml")):
        try:
            found["body"] = body.decode()
        except UnicodeDecodeError:
            pass
        else:
            return found
    return {**found, "isBase64Encoded": True, "body": base64.b64encode(body).decode()}
