"""Asks an ASGI application, without a network."""

from __future__ import annotations

import asyncio
import json

import msgspec


class Answer(msgspec.Struct):
    """What was sent back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


async def ask(app, method="POST", path="/predict", body=None, headers=None) -> Answer:
    """Send one request, the body as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = {b"content-type": b"application/json", **(headers or {})}
    pieces = [data]
    sent = []

    async def receive():
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop(), "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "scheme": "http",
        "query_string": b"token=hush",
        "headers": list(given.items()),
        "client": ("192.0.2.7", 5),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    start, *rest = sent
    content = b"".join(message.get("body", b"") for message in rest)
    return Answer(start["status"], dict(start["headers"]), content)


def asked(app, *args, **options) -> Answer:
    """`ask` in an event loop of its own."""
    return asyncio.run(ask(app, *args, **options))
