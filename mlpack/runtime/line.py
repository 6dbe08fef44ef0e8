"""Work that takes longer than an event loop may stand still: in threads, first come first served.

Who would wait too long is sent away at once: under more load than it can bear a server answers what
it accepts as fast as before, and says no to the rest.

Rows that wait at the same moment go to the model together. Nobody waits for others to come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import numpy as np

from .predictions import Predictions
from .session import Engine

_LATEST = 0.2
"""What the latest counts beside all before it."""


class BusyError(Exception):
    """The line is too long."""


class _Job(msgspec.Struct):
    """What waits: one row of clean values, or any work."""

    future: asyncio.Future[Any]
    since: float
    row: tuple[Any, ...] | None
    work: Callable[[], Any] | None


class Pace:
    """How long something took lately: what was longer ago counts less.

    Attributes:
        seconds: of one; 0 as long as nothing is known.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Something took so long."""
        self.seconds += (seconds - self.seconds) * (_LATEST if self.seconds else 1)


class Line:
    """Threads, and those who wait for them. Used on one event loop, like its futures.

    Args:
        engine: answers rows.
        threads: how many work at once.
        wait_seconds: nobody is let in who would probably wait longer, or while the first has.
        most: so many rows go to the model together at most.
        told: is told how many rows went together.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        threads: int,
        wait_seconds: float,
        most: int,
        told: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._free = threads
        self._wait_seconds = wait_seconds
        self._most = most
        self._told = told
        self._clock = clock
        self._threads = threads
        self._jobs: deque[_Job] = deque()
        self._works = 0
        self._batch = Pace()
        self._work = Pace()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")

    def __len__(self) -> int:
        return len(self._jobs)

    def row(self, values: tuple[Any, ...]) -> asyncio.Future[Predictions]:
        """The prediction for one row of clean values.

        Raises:
            BusyError: the line is too long.
        """
        return self._join(values, None)

    def work(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """What `work` returns or raises, which runs in a thread.

        Raises:
            BusyError: the line is too long.
        """
        return self._join(None, work)

    def _join(
        self, row: tuple[Any, ...] | None, work: Callable[[], Any] | None
    ) -> asyncio.Future[Any]:
        now = self._clock()
        # Those who left do not count.
        while self._jobs and self._jobs[0].future.done():
            self._pop()
        if self._jobs and max(now - self._jobs[0].since, self._ahead()) > self._wait_seconds:
            raise BusyError
        self._works += work is not None
        job = _Job(asyncio.get_running_loop().create_future(), now, row, work)
        self._jobs.append(job)
        self._start()
        return job.future

    def _ahead(self) -> float:
        """Seconds until everything in the line is done, as things went lately."""
        batches = -(-(len(self._jobs) - self._works) // self._most)
        seconds = batches * self._batch.seconds + self._works * self._work.seconds
        return seconds / self._threads

    def _pop(self) -> _Job:
        job = self._jobs.popleft()
        self._works -= job.work is not None
        return job

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free and (taken := self._take()):
            self._free -= 1
            running = loop.run_in_executor(self._pool, self._run, taken)
            running.add_done_callback(partial(self._done, taken, self._clock()))

    def _take(self) -> list[_Job]:
        """The first in the line, and where it is a row those behind it that are rows too."""
        taken: list[_Job] = []
        while self._jobs and len(taken) < self._most:
            if self._jobs[0].future.done():
                self._pop()
            elif not taken or (taken[0].row is not None and self._jobs[0].row is not None):
                taken.append(self._pop())
            else:
                break
        return taken

    def _run(self, taken: Sequence[_Job]) -> list[Any]:
        first = taken[0]
        if first.work is not None:
            return [first.work()]
        rows = [job.row for job in taken if job.row is not None]
        if len(rows) == 1:
            return [self._engine.one(rows[0])]
        return apart(self._engine.few(rows))

    def _done(
        self, taken: Sequence[_Job], begun: float, running: asyncio.Future[list[Any]]
    ) -> None:
        self._free += 1
        if taken[0].row is None:
            self._work.add(self._clock() - begun)
        else:
            self._batch.add(self._clock() - begun)
            self._told(len(taken))
        error = running.exception()
        answers = [None] * len(taken) if error else running.result()
        for job, answer in zip(taken, answers, strict=True):
            if job.future.done():
                continue
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(answer)
        self._start()


def apart(predictions: Predictions) -> list[Predictions]:
    """The predictions of a batch, row by row."""

    def row(array: np.ndarray | None, index: int) -> np.ndarray | None:
        return None if array is None else array[index : index + 1]

    refusals: dict[int, Any] = {}
    for refusal in predictions.refusals:
        own = msgspec.structs.replace(refusal, row=0)
        refusals.setdefault(refusal.row, []).append(own)
    return [
        Predictions(
            1,
            labels=row(predictions.labels, index),
            probabilities=row(predictions.probabilities, index),
            values=row(predictions.values, index),
            refusals=tuple(refusals.get(index, ())),
        )
        for index in range(predictions.rows)
    ]
