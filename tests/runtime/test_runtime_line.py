"""Threads, and who waits for them."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from mlpack.runtime.line import BusyError, Line, apart
from mlpack.runtime.predictions import Predictions, Refusal


class Doubles:
    """Answers twice the number; refuses negative ones; works only when it is let."""

    blocking = True
    together = 0

    def __init__(self) -> None:
        self.may = threading.Semaphore(0)
        self.asked: list[int] = []

    def one(self, values):
        return self.many([[value] for value in values], 1)

    def few(self, rows):
        return self.many([list(column) for column in zip(*rows, strict=True)], len(rows))

    def many(self, columns, rows):
        if not self.may.acquire(timeout=10):
            raise TimeoutError
        self.asked.append(rows)
        numbers = np.array(columns[0], dtype=float)
        if (numbers == 13).any():
            raise RuntimeError("thirteen")
        refusals = tuple(
            Refusal(int(row), None, "more", "less") for row in np.flatnonzero(numbers < 0)
        )
        return Predictions(rows, values=numbers[:, None] * 2, refusals=refusals)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def line_of(engine, clock=None, told=lambda _: None, most=4) -> Line:
    return Line(engine, threads=1, wait_seconds=1.0, most=most, told=told, clock=clock or Clock())


def test_rows_that_wait_together_go_together():
    async def story():
        engine = Doubles()
        sizes = []
        line = line_of(engine, told=sizes.append)
        rows = [line.row((float(number),)) for number in range(7)]
        engine.may.release(3)
        answers = await asyncio.gather(*rows)
        assert [float(answer.values[0, 0]) for answer in answers] == [0, 2, 4, 6, 8, 10, 12]
        # The first found the thread free; the others were there when it came back, four at most.
        assert engine.asked == sizes == [1, 4, 2]

    asyncio.run(story())


def test_a_refused_row_is_refused_alone():
    async def story():
        engine = Doubles()
        line = line_of(engine)
        rows = [line.row((number,)) for number in (1.0, 2.0, -3.0, 4.0)]
        engine.may.release(2)
        answers = await asyncio.gather(*rows)
        assert [len(answer.refusals) for answer in answers] == [0, 0, 1, 0]
        assert answers[2].refusals[0].row == 0
        assert float(answers[3].values[0, 0]) == 8

    asyncio.run(story())


def test_large_work_is_done_in_its_turn_and_by_itself():
    async def story():
        engine = Doubles()
        line = line_of(engine)
        first = line.row((1.0,))
        work = line.work(lambda: list(engine.asked))
        last = [line.row((2.0,)), line.row((3.0,))]
        engine.may.release(2)
        await asyncio.gather(first, *last)
        assert await work == [1]
        assert engine.asked == [1, 2]

    asyncio.run(story())


def test_nobody_joins_while_the_first_has_waited_too_long():
    async def story():
        engine, clock = Doubles(), Clock()
        line = line_of(engine, clock)
        working, waiting = line.row((1.0,)), line.row((2.0,))
        clock.now = 0.9
        patient = line.row((3.0,))
        clock.now = 1.1
        with pytest.raises(BusyError):
            line.row((4.0,))
        with pytest.raises(BusyError):
            line.work(lambda: None)
        engine.may.release(2)
        await asyncio.gather(working, waiting, patient)
        engine.may.release()
        assert float((await line.row((5.0,))).values[0, 0]) == 10

    asyncio.run(story())


def test_nobody_joins_who_would_wait_too_long():
    async def story():
        engine, clock = Doubles(), Clock()
        line = line_of(engine, clock, most=2)
        first = line.row((1.0,))
        clock.now = 0.4
        engine.may.release()
        await first
        # Two at a time, each time 0.4 seconds: five that wait are more than a second of work.
        working = line.row((1.0,))
        waiting = [line.row((float(number),)) for number in range(5)]
        with pytest.raises(BusyError):
            line.row((9.0,))
        engine.may.release(9)
        await asyncio.gather(working, *waiting)
        assert engine.asked == [1, 1, 2, 2, 1]

    asyncio.run(story())


def test_who_leaves_is_not_answered_and_holds_nobody_up():
    async def story():
        engine, clock = Doubles(), Clock()
        line = line_of(engine, clock)
        working, gone = line.row((1.0,)), line.row((2.0,))
        gone.cancel()
        clock.now = 5.0
        after = line.row((3.0,))
        engine.may.release(2)
        await asyncio.gather(working, after)
        assert engine.asked == [1, 1]

    asyncio.run(story())


def test_an_error_reaches_everybody_in_the_batch_and_the_line_goes_on():
    async def story():
        engine = Doubles()
        line = line_of(engine)
        rows = [line.row((number,)) for number in (1.0, 13.0, 3.0)]
        engine.may.release(2)
        answers = await asyncio.gather(*rows, return_exceptions=True)
        assert [isinstance(answer, RuntimeError) for answer in answers] == [False, True, True]
        engine.may.release()
        assert float((await line.row((4.0,))).values[0, 0]) == 8

    asyncio.run(story())


def test_every_kind_of_answer_is_taken_apart():
    whole = Predictions(
        2,
        labels=np.array([1, 0]),
        probabilities=np.array([[0.25, 0.75], [1.0, 0.0]]),
        refusals=(Refusal(1, "a", "b", "c"),),
    )
    first, second = apart(whole)
    assert first.labels.tolist() == [1]
    assert first.probabilities.tolist() == [[0.25, 0.75]]
    assert first.values is None
    assert first.refusals == ()
    assert second.refusals == (Refusal(0, "a", "b", "c"),)
