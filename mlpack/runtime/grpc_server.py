"""A gRPC server of the Open Inference Protocol, around an ASGI application.

Imported only where it is switched on, since it needs the package ``grpcio``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
import msgspec

from .faults import ServerError
from .problems import Problem
from .protocols.grpc_inference import METHODS, SERVICE, route_of
from .settings import Settings

Scope = dict[str, Any]

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
"""What the statuses of HTTP are called here; others are internal errors."""

_MOST_ERRORS = 10
_LONGEST = 1_500
"""Bytes of an error's message: it is sent in a header, and clients take 8 KB of these."""

_FAREWELL = 0.2
"""Seconds in which whoever still calls is told that the server stops."""

_ID = "x-request-id"


class _Call(msgspec.Struct):
    """What is sent back.

    Attributes:
        status: as HTTP has it; 0 where nothing was sent.
        request_id: of the answer.
        body: of the answer.
    """

    status: int = 0
    request_id: str = ""
    body: bytes = b""


class Server:
    """Answers calls in the event loop in which it is started.

    Args:
        served: the application. A call of a method is a POST to its `route_of`.
        address: host and port.
        settings: how large a message may be.
    """

    def __init__(self, served: Any, address: str, settings: Settings) -> None:  # noqa: ANN401
        self._served = served
        self._address = address
        self._tls = (settings.tls_cert, settings.tls_key)
        self._options = (
            ("grpc.max_receive_message_length", settings.max_body),
            ("grpc.max_send_message_length", -1),
            # As over HTTP nothing is ever decompressed.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            ("grpc.so_reuseport", 1),
        )
        self._server: Any = None
        self._leaving = False
        self._working: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ServerError: the address cannot be had.
        """
        self._server = grpc.aio.server(options=self._options)
        handlers = {
            # A stream that is read for one message: how long that takes is limited.
            method: grpc.stream_unary_rpc_method_handler(self._answering(route_of(method)))
            for method in METHODS
        }
        service = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((service,))
        try:
            self._listen()
        except RuntimeError as error:
            raise ServerError(f"cannot listen on {self._address} for gRPC") from error
        await self._server.start()

    def _listen(self) -> None:
        cert, key = self._tls
        if cert is None or key is None:
            self._server.add_insecure_port(self._address)
            return
        pair = (key.read_bytes(), cert.read_bytes())
        self._server.add_secure_port(self._address, grpc.ssl_server_credentials([pair]))

    async def stop(self, seconds: float) -> None:
        """Take no more calls, and wait so long for those in work."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # gRPC cancels what is on its way when it stops, which no client asks again: so whoever
        # still calls is first told to go elsewhere.
        self._leaving = True
        await asyncio.sleep(min(_FAREWELL, seconds))
        if self._working:
            await asyncio.wait(tuple(self._working), timeout=max(0.0, end - loop.time()))
        await self._server.stop(max(0.0, end - loop.time()))

    def _answering(self, path: str) -> Any:  # noqa: ANN401
        """What answers a method's calls."""

        async def answer(messages: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: ANN401
            if self._leaving:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is about to stop")
            call = await self._asked(path, messages, context)
            if call.request_id:
                context.set_trailing_metadata(((_ID, call.request_id),))
            if call.status == 200:
                return call.body
            if call.status:
                code = _CODES.get(call.status, grpc.StatusCode.INTERNAL)
                await context.abort(code, _message(call.body))
            await context.abort(grpc.StatusCode.CANCELLED, "the call has no message")
            return b""

        return answer

    async def _asked(
        self,
        path: str,
        messages: AsyncIterator[bytes],
        context: Any,  # noqa: ANN401
    ) -> _Call:
        """Ask the application."""
        call = _Call()
        gone = asyncio.Event()
        begun = read = False

        async def receive() -> Scope:
            nonlocal begun, read
            if not begun:
                # The message counts as the rest of a body that has begun, which may not take long.
                begun = True
                return {"type": "http.request", "body": b"", "more_body": True}
            if not read:
                read = True
                async for message in messages:
                    return {"type": "http.request", "body": message, "more_body": False}
                return {"type": "http.disconnect"}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Scope) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                call.request_id = dict(message["headers"])[_ID.encode()].decode()
            else:
                call.body += message.get("body", b"")

        asking = asyncio.ensure_future(self._served(_scope(path, context), receive, send))
        self._working.add(asking)
        asking.add_done_callback(self._working.discard)
        try:
            await asyncio.shield(asking)
        except asyncio.CancelledError:
            # The client left: the application is told as over HTTP, and counts it.
            gone.set()
            await asyncio.wait((asking,))
            raise
        return call


def _scope(path: str, context: Any) -> Scope:  # noqa: ANN401
    """A call as ASGI has a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "client": _client(context.peer()),
        "headers": [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in context.invocation_metadata()
        ],
    }


def _client(peer: str) -> tuple[str, int]:
    """Who calls, as gRPC names it (``ipv4:127.0.0.1:50000``, ``ipv6:%5B::1%5D:50000``)."""
    host, _, port = unquote(peer.partition(":")[2]).rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


def _message(body: bytes) -> str:
    """A problem in words."""
    problem = msgspec.json.decode(body, type=Problem)
    lines = [problem.detail]
    for each in problem.errors[:_MOST_ERRORS]:
        column = f", {each.column}" if each.column else ""
        lines.append(f"row {each.row}{column}: expected {each.expected}, got {each.got}")
    if len(problem.errors) > _MOST_ERRORS:
        lines.append(f"... and {len(problem.errors) - _MOST_ERRORS} more")
    return "\n".join(lines).encode()[:_LONGEST].decode(errors="ignore")
