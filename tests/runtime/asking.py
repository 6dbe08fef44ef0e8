"""Asks an ASGI application as a client does, without a network."""

from __future__ import annotations

import asyncio
import json

import msgspec

JSON = b"application/json"


class Answer(msgspec.Struct):
    """What was sent back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self) -> bytes:
        return self.headers[b"content-type"]


async def exchanged(app, method, path, pieces, headers=()) -> Answer | None:
    """Send one request, its body in pieces; None for a client that leaves and gets no answer.

    Args:
        app: the application.
        method, path: of the request.
        pieces: of the body; None as the last one stands for a client that leaves before its end.
        headers: pairs.
    """
    received = [
        {"type": "http.disconnect"}
        if piece is None
        else {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]
    sent = []

    async def receive():
        if not received:
            await asyncio.Event().wait()
        return received.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"token=hush",
        "headers": [(b"host", b"test"), *headers],
        "client": ("192.0.2.7", 5),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    return answer_of(sent) if sent else None


def answer_of(messages) -> Answer:
    """What the messages of an application say."""
    start, *rest = messages
    content = b"".join(message.get("body", b"") for message in rest)
    return Answer(start["status"], dict(start["headers"]), content)


def encoded(data) -> bytes:
    """A body: what is not bytes is sent as JSON."""
    return data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()


async def ask(app, method="POST", path="/predict", body=None, headers=None) -> Answer:
    """The answer to one request, on the running event loop; JSON unless the headers say other."""
    given = {b"content-type": JSON, **(headers or {})}
    return await exchanged(app, method, path, [encoded(body)], given.items())


def asked(app, *args, **options) -> Answer:
    """`ask` in an event loop of its own."""
    return asyncio.run(ask(app, *args, **options))


def get(app, path, method="GET", headers=()) -> Answer:
    """The answer to a request without a body."""
    return asyncio.run(exchanged(app, method, path, [b""], headers))


def post(app, path, data, headers=(), kind=JSON) -> Answer:
    """The answer to a body of some content type."""
    given = [(b"content-type", kind), *headers]
    return asyncio.run(exchanged(app, "POST", path, [encoded(data)], given))
