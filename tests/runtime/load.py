"""Requests at a fixed rate, whatever becomes of them: who waits for answers is no load.

Every request that was begun is accounted for: its status, or that no whole answer came.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Figures:
    """What became of the requests.

    Attributes:
        statuses: how many got each status; 0 stands for no whole answer.
        seconds: how long each that was answered with 200 took.
        unsent: how many found nobody to connect to.
    """

    statuses: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    unsent: int = 0

    def percentile(self, share: float) -> float:
        """Of the seconds of what was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def request(body: bytes, path: str = "/predict", *, close: bool = False) -> bytes:
    """The bytes of a request."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        f"{'connection: close' if close else 'connection: keep-alive'}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one whole answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, body


class Client:
    """Connections that are used again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, data: bytes, figures: Figures) -> None:
        """Send one request and count what becomes of it."""
        start = time.perf_counter()
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                figures.unsent += 1
                return
        try:
            writer.write(data)
            status, headers, _ = await answer(reader)
        except (OSError, asyncio.IncompleteReadError):
            figures.statuses[0] += 1
            writer.close()
            return
        figures.statuses[status] += 1
        if status == 200:
            figures.seconds.append(time.perf_counter() - start)
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))

    def close(self) -> None:
        """Close what is open."""
        for _, writer in self._idle:
            writer.close()


async def steady(port: int, data: bytes, rate: float, seconds: float) -> Figures:
    """So many requests a second, for so long; returns when the last of them has an answer."""
    figures = Figures()
    client = Client(port)
    loop = asyncio.get_running_loop()
    start = loop.time()
    tasks: set[asyncio.Task] = set()
    for number in range(int(rate * seconds)):
        wait = start + number / rate - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(client.ask(data, figures))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    client.close()
    return figures


async def rounds(port: int, data: bytes, count: int, connections: int) -> Figures:
    """So many requests as fast as they are answered, over so many connections."""
    figures = Figures()
    client = Client(port)

    async def one(share: int) -> None:
        for _ in range(share):
            await client.ask(data, figures)

    await asyncio.gather(*(one(count // connections) for _ in range(connections)))
    client.close()
    return figures
