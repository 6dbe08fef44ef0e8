"""Asks an application as the clients of its protocols do, without a network."""

from __future__ import annotations

import asyncio
import json


class Answer:
    """What an application sent."""

    def __init__(self, messages) -> None:
        start, *rest = messages
        self.status = start["status"]
        self.headers = dict(start["headers"])
        self.body = b"".join(message.get("body", b"") for message in rest)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self) -> bytes:
        return self.headers[b"content-type"]


async def asked(app, method, path, body=b"", headers=()) -> Answer:
    """The answer to one request, on the running event loop."""
    received = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []

    async def receive():
        if received:
            return received.pop()
        return await asyncio.Event().wait()

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
        "query_string": b"",
        "headers": [(b"host", b"test"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return Answer(sent)


def get(app, path, method="GET", headers=()) -> Answer:
    """The answer to a request without a body."""
    return asyncio.run(asked(app, method, path, headers=headers))


def post(app, path, data, headers=(), kind=b"application/json") -> Answer:
    """The answer to a body; what is not bytes is sent as JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return asyncio.run(asked(app, "POST", path, body, [(b"content-type", kind), *headers]))
