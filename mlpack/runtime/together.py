"""Rows that came in at the same moment are answered by one run of the graph. Nobody waits.

An event loop reads all its sockets before it does what was put off: so much has come by then, and
goes to the model together. What comes later is not waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from .line import apart
from .predictions import Predictions
from .session import Engine

logger = logging.getLogger(__name__)

Row = tuple[Any, ...]
Done = Callable[[Predictions | Exception], None]
"""Is given the answer for a row, or what the model raised."""


class Together:
    """Used on one event loop.

    Args:
        engine: answers rows.
        most: so many rows go to the model together at most.
        told: is told how many rows went together.
    """

    def __init__(self, engine: Engine, *, most: int, told: Callable[[int], None]) -> None:
        self._engine = engine
        self._most = most
        self._told = told
        self._asked: list[tuple[Row, Done]] = []

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, row: Row, done: Done) -> None:
        """Answer a row of clean values when what has come besides is read; or now, with many."""
        self._asked.append((row, done))
        if len(self._asked) >= self._most:
            self.settle()
        elif len(self._asked) == 1:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self) -> None:
        """Answer all that were asked."""
        asked, self._asked = self._asked, []
        if not asked:
            return
        self._told(len(asked))
        for (_, done), answer in zip(asked, self._answers([row for row, _ in asked]), strict=True):
            try:
                done(answer)
            except Exception:
                # The others are not to wait for an answer that nobody gives.
                logger.exception("an answer could not be sent")

    def _answers(self, rows: Sequence[Row]) -> Sequence[Predictions | Exception]:
        engine = self._engine
        try:
            if len(rows) < engine.together:
                return [engine.one(row) for row in rows]
            return apart(engine.few(rows))
        except Exception as error:  # noqa: BLE001 - whoever asked answers for it
            return [error] * len(rows)
