"""Connections that nobody can hold.

uvicorn has a time for connections that idle between requests, but none for a request whose head
never ends, for a connection on which no request ever begins, or for an answer that nobody reads.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from .immediate import Immediate

MOST_HEAD = 65_536
"""The most bytes of a request's head: its line and its headers."""

SLOWEST = 1_000
"""Bytes a second that somebody must read of an answer, at least."""

PATIENCE = 1.0
"""Seconds in which a request must be whole when the server stops."""

_AT_ONCE = getattr(socket, "MSG_DONTWAIT", 0)  # asyncio's sockets do not block anyway

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Connection(Immediate):
    """A connection whose requests have heads of limited size."""

    _head = 0
    # Stands for the last request whose head has ended.
    _turn: object = 0

    def data_received(self, data: bytes) -> None:
        """Take what came in, as asyncio's protocols do."""
        super().data_received(data)
        turn = self.taken if self.cycle is None else (self.taken, self.cycle)
        if turn != self._turn:
            self._turn = turn
            self._head = 0
        elif self.cycle is None or self.cycle.response_complete:
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def shutdown(self) -> None:
        """Close the connection, or let it answer first what has come, be it read or not."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or not (self._head or self._has_come()):
            super().shutdown()
        else:
            self.loop.call_later(PATIENCE, self.close_if_silent)

    def _has_come(self) -> bool:
        """Whether something waits to be read, which closing would throw away."""
        number = self.transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(number)) as own:
            try:
                return bool(own.recv(1, socket.MSG_PEEK | _AT_ONCE))
            except OSError:
                return False

    def close_if_silent(self) -> None:
        """Close the connection, unless a request is in work."""
        if self.begun is not None:
            self.transport.close()

    @property
    def unread(self) -> int:
        """How many bytes of answers wait for the client to read them."""
        size: int = self.transport.get_write_buffer_size()
        return size

    @property
    def begun(self) -> object | None:
        """Something that stays the same while the head of one request is awaited; None else."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.timeout_keep_alive_task is not None:
            return None
        return self._turn


class Sweeper:
    """Closes the connections that stood still from one sweep to the one after the next.

    Args:
        connections: those that are open at the moment.
        seconds: how long a connection may stand still; it is noticed at most half as much later.
    """

    def __init__(self, connections: Iterable[Any], seconds: float) -> None:
        self._connections = connections
        self._pause = seconds / 2
        self._seen: dict[Any, tuple[object | None, int, int]] = {}

    async def run(self, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        """Sweep for ever."""
        while True:
            await sleep(self._pause)
            self.sweep()

    def sweep(self) -> None:
        """Look at every connection once."""
        before, self._seen = self._seen, {}
        least = max(1, int(SLOWEST * self._pause))
        for connection in tuple(self._connections):
            begun, unread = connection.begun, connection.unread
            was, left, times = before.get(connection, (None, 0, 0))
            stuck = left > 0 and unread > left - least
            still = (begun is not None and begun is was) or stuck
            times = times + 1 if still else 0
            if times < 2:
                self._seen[connection] = (begun, unread, times)
            else:
                connection.transport.abort()
