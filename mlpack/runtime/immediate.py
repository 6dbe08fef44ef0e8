"""Answers at once what can be answered at once.

uvicorn starts a task for each request, which reads the body and writes head and body by messages. A
request that has come whole needs none of it: an application that has `at_once` is asked directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .problems import CLOSE
from .routes import Reply

TOGETHER = 16
"""Of requests that came in one piece so many are answered at once: then others have a turn."""


class Immediate(HttpToolsProtocol):
    """A connection to an application that may have `at_once` and `at_once_urls`.

    They are those of `mlpack.runtime.app.App`, with its `settle`.

    Attributes:
        taken: how many requests were answered at once, or are about to be.
    """

    taken = 0
    _due = 0
    _row = 0
    _at_once: Any = None
    _urls: Collection[bytes] = ()
    _pieces: list[bytes] | None = None
    _dated: tuple[Any, bytes] = (None, b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, as asyncio's protocols do."""
        super().connection_made(transport)
        self._at_once = getattr(self.config.app, "at_once", None)
        self._urls = () if self.root_path else getattr(self.config.app, "at_once_urls", ())

    def data_received(self, data: bytes) -> None:
        """Take what came in, as asyncio's protocols do."""
        self._row = 0
        super().data_received(data)
        if self._pieces is not None:
            self._promote()

    def on_headers_complete(self) -> None:
        """Wait for the body if the answer may be had at once; called by the parser."""
        cycle, parser = self.cycle, self.parser
        if (
            self.url in self._urls
            and self._row < TOGETHER
            and (cycle is None or cycle.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.transport.is_closing()
        ):
            self._pieces = []
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; called by the parser."""
        if self._pieces is None:
            super().on_body(body)
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Answer what has come whole; called by the parser."""
        if self._pieces is None:
            super().on_message_complete()
            return
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._due += 1
        alone = len(self.connections) <= 1
        if not self._at_once(self.url, self.headers, body, self._answer, alone=alone):
            self._due -= 1
            self._promote()
            super().on_message_complete()
            return
        self._pieces = None
        self.taken += 1
        self._row += 1

    def shutdown(self) -> None:
        """Close the connection when what was asked on it is answered."""
        self._settle()
        super().shutdown()

    def _answer(self, reply: Reply, request_id: bytes) -> None:
        """Send what is answered at once."""
        self._due -= 1
        if self.transport.is_closing():
            return
        head = [
            *(STATUS_LINE[reply.status], self._defaults()),
            *(b"content-type: ", reply.content_type),
            b"\r\ncontent-length: %d\r\nx-request-id: " % len(reply.body),
            request_id,
        ]
        for name, value in reply.headers:
            head += (b"\r\n", name, b": ", value)
        self.transport.write(b"".join((*head, b"\r\n\r\n", reply.body)))
        if CLOSE in reply.headers:
            self.transport.close()
        self.on_response_complete()

    def _settle(self) -> None:
        """Answers go out in the order of their requests."""
        if self._due:
            self.config.app.settle()  # type: ignore[union-attr]

    def _begin(self) -> None:
        self._settle()
        super().on_headers_complete()

    def _promote(self) -> None:
        """Let uvicorn answer a request after all, of which this much has come."""
        pieces, self._pieces = self._pieces or (), None
        if self.transport.is_closing():
            return
        self._begin()
        for piece in pieces:
            super().on_body(piece)

    def _defaults(self) -> bytes:
        """The headers that every answer has; the date changes once a second."""
        given = self.server_state.default_headers
        if self._dated[0] is not given:
            lines = b"".join([name + b": " + value + b"\r\n" for name, value in given])
            self._dated = (given, lines)
        return self._dated[1]
