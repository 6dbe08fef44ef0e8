"""From the rows of a request to what is answered: no network, no waiting, any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .malformed import MalformedError
from .model import Model
from .predictions import Predictions
from .problems import ProblemError, invalid
from .routes import Exchange, Reply
from .settings import Settings
from .values import Clean
from .watch import Counter, Seen

Rows = tuple[Any, ...] | Clean
"""A tuple of clean values for one row, else clean columns."""


class Answer(msgspec.Struct, frozen=True):
    """An answered request.

    Attributes:
        reply: what is sent.
        rows: how many rows were answered.
        seen: the row and its prediction, or what many look like.
    """

    reply: Reply
    rows: int
    seen: Seen


class Predictor:
    """Answers requests for predictions. Safe to use from several threads.

    Args:
        model: answers.
        settings: sets the limit on rows.

    Attributes:
        counter: looks at what is answered.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self._model = model
        self._one = model.session.engine.one
        self.counter = Counter(model.signature)
        self._max_rows = settings.max_rows

    def answer(self, exchange: Exchange, body: bytes) -> Answer:
        """Answer a request.

        Args:
            exchange: reads and writes.
            body: the request's.

        Raises:
            ProblemError: 400, 413 or 422.
        """
        rows = self.read(exchange, body)
        return self.write(exchange, rows, self.predict(rows))

    def large(self, exchange: Exchange, body: bytes) -> Answer:
        """Answer a request with a large body, of which nothing is kept, not even for a moment.

        Raises:
            ProblemError: 400, 413 or 422.
        """
        answer = self.answer(exchange, body)
        if isinstance(answer.seen, tuple):
            return msgspec.structs.replace(answer, seen=self.counter.rows([answer.seen]))
        return answer

    def read(self, exchange: Exchange, body: bytes) -> Rows:
        """The rows of a request.

        Raises:
            ProblemError: 400, 413 or 422.
        """
        try:
            rows = exchange.read(body)
        except MalformedError as error:
            raise ProblemError(400, "malformed-body", str(error)) from error
        if not isinstance(rows, tuple):
            if rows.rows > self._max_rows:
                detail = f"{rows.rows} rows, at most {self._max_rows} are answered at once"
                raise ProblemError(413, "too-many-rows", detail)
            if rows.refusals:
                raise invalid(rows.refusals)
        return rows

    def predict(self, rows: Rows) -> Predictions:
        """The predictions for rows; those that the original refuses are named."""
        return self._one(rows) if isinstance(rows, tuple) else self._model.predict_clean(rows)

    def write(self, exchange: Exchange, rows: Rows, predictions: Predictions) -> Answer:
        """The answer with the predictions.

        Raises:
            ProblemError: 422, the original refuses some row.
        """
        if predictions.refusals:
            raise invalid(predictions.refusals)
        if isinstance(rows, tuple):
            return Answer(exchange.write(predictions), 1, (rows, predictions))
        seen = self.counter.columns(rows.columns, predictions)
        return Answer(exchange.write(predictions), rows.rows, seen)

    def later(
        self, exchange: Exchange, row: tuple[Any, ...], end: Callable[[Answer | Exception], None]
    ) -> Callable[[Predictions | Exception], None]:
        """What takes the predictions for one row when they are there, and ends with the answer."""

        def done(found: Predictions | Exception) -> None:
            answer: Answer | Exception
            try:
                answer = found if isinstance(found, Exception) else self.write(exchange, row, found)
            except Exception as error:  # noqa: BLE001 - whoever asked answers for it
                answer = error
            end(answer)

        return done
