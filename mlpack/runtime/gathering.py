"""The figures of several workers as one: each has a pipe to the process that started it.

A worker that is asked for ``/metrics`` asks that process, which asks every worker and answers with
the sum. Of a worker that does not answer in time, or is gone, it takes the last that it heard: what
one scrape told, the next does not take back.

Nothing is unpickled: what goes through the pipes is a byte that says what it is, and MessagePack.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue

import msgspec

from .snapshot import Snapshot, merged, without_moment

_HERE = b"h"  # a worker answers from now on
_ASK = b"a"  # it wants the sum
_TELL = b"t"  # it is to tell its figures
_FIGURES = b"f"  # it does
_SUM = b"s"  # the sum

ROUND_SECONDS = 1.0
"""How long the workers have to tell."""
_ASKED_SECONDS = 3.0
"""How long whoever asked waits for the sum."""

_GONE = (EOFError, OSError)

logger = logging.getLogger(__name__)


class _Member(msgspec.Struct):
    """A worker, as its supervisor knows it: whether it is being asked, and what it told last."""

    here: bool = False
    asked: bool = False
    last: Snapshot | None = None


class Gathering:
    """The supervisor's side: a thread that listens to the pipes."""

    def __init__(self) -> None:
        self._members: dict[Connection, _Member] = {}
        self._askers: list[Connection] = []
        self._deadline = 0.0
        self._gone: Snapshot | None = None
        self._new: SimpleQueue[Connection] = SimpleQueue()
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        threading.Thread(target=self._run, name="figures", daemon=True).start()

    def join(self) -> Connection:
        """A worker's end of a new pipe; close it here when the worker has it."""
        ours, theirs = multiprocessing.Pipe()
        self._new.put(ours)
        self._waker.send_bytes(b"x")
        return theirs

    def _run(self) -> None:
        while True:
            seconds = max(0.0, self._deadline - time.monotonic()) if self._askers else None
            ready = wait([self._wake, *self._members], seconds)
            if self._wake in ready:
                self._wake.recv_bytes()
                self._welcome()
            for worker in [worker for worker in self._members if worker in ready]:
                self._hear(worker)
            told = not any(member.asked for member in self._members.values())
            if self._askers and (told or time.monotonic() >= self._deadline):
                self._answer()

    def _welcome(self) -> None:
        try:
            while True:
                self._members[self._new.get_nowait()] = _Member()
        except Empty:
            return

    def _hear(self, worker: Connection) -> None:
        member = self._members.get(worker)
        if member is None:
            return  # it was found to be gone a moment ago
        try:
            message = worker.recv_bytes()
        except _GONE:
            self._bury(worker)
            return
        if message[:1] == _HERE:
            member.here = True
        elif message[:1] == _FIGURES:
            member.asked = False
            member.last = msgspec.msgpack.decode(message[1:], type=Snapshot)
        elif message[:1] == _ASK:
            if not self._askers:
                self._ask()
            self._askers.append(worker)

    def _ask(self) -> None:
        self._deadline = time.monotonic() + ROUND_SECONDS
        for worker, member in list(self._members.items()):
            # One that still owes an answer is not asked again: its pipe would fill.
            if member.here and not member.asked:
                member.asked = self._send(worker, _TELL)

    def _answer(self) -> None:
        parts = [member.last for member in self._members.values() if member.last is not None]
        if self._gone is not None:
            parts.append(self._gone)
        askers, self._askers = self._askers, []
        if parts:
            total = _SUM + msgspec.msgpack.encode(merged(parts))
            for worker in askers:
                self._send(worker, total)

    def _send(self, worker: Connection, message: bytes) -> bool:
        try:
            worker.send_bytes(message)
        except _GONE:
            self._bury(worker)
            return False
        return True

    def _bury(self, worker: Connection) -> None:
        member = self._members.pop(worker, None)
        self._askers = [asker for asker in self._askers if asker is not worker]
        worker.close()
        if member is not None and member.last is not None:
            left = without_moment(member.last)
            self._gone = left if self._gone is None else merged([self._gone, left])


class Link:
    """A worker's side.

    Args:
        pipe: its end.
        snapshot: its figures; called on the event loop.
    """

    def __init__(self, pipe: Connection, snapshot: Callable[[], Snapshot]) -> None:
        self._pipe = pipe
        self._snapshot = snapshot
        self._sending = threading.Lock()
        self._asking: list[asyncio.Future[Snapshot]] = []

    def start(self) -> None:
        """Answer from now on. Called on the event loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="figures", daemon=True).start()

    async def collect(self) -> Snapshot:
        """The sum of all workers' figures.

        Raises:
            TimeoutError: there was no answer.
        """
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Snapshot] = loop.create_future()
        self._asking.append(asked)
        # Not on the event loop: a pipe may be full.
        await loop.run_in_executor(None, self._send, _ASK)
        await asyncio.wait((asked,), timeout=_ASKED_SECONDS)
        if not asked.done():
            self._asking.remove(asked)
            raise TimeoutError
        return asked.result()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._send(_HERE)
        try:
            while True:
                message = self._pipe.recv_bytes()
                if message[:1] == _SUM:
                    total = msgspec.msgpack.decode(message[1:], type=Snapshot)
                    loop.call_soon_threadsafe(self._heard, total)
                else:
                    figures = asyncio.run_coroutine_threadsafe(self._figures(), loop).result()
                    self._send(_FIGURES + msgspec.msgpack.encode(figures))
        except _GONE:
            return  # the supervisor is gone, and this process goes too
        except RuntimeError:
            return  # the event loop is closed: the worker has ended

    async def _figures(self) -> Snapshot:
        return self._snapshot()

    def _heard(self, total: Snapshot) -> None:
        asking, self._asking = self._asking, []
        for asked in asking:
            if not asked.done():
                asked.set_result(total)

    def _send(self, message: bytes) -> None:
        with self._sending:
            try:
                self._pipe.send_bytes(message)
            except _GONE:
                logger.warning("the process that started this worker is gone")
