"""The raw model: rows or columns in, predictions out, without the author's constraints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from .contract import Column, Signature
from .kinds import unit
from .predictions import Predictions
from .rowtypes import row_type
from .values import Clean, Reader, Values, cells


class Engine(Protocol):
    """Runs the model on clean values. Safe to call from several threads at once."""

    blocking: bool
    """Whether one row takes milliseconds, too long for an event loop."""
    together: int
    """From how many rows on `few` is faster than `one` for each of them; 0 for never."""

    def one(self, values: Sequence[Any]) -> Predictions:
        """The prediction for one row of clean values, in the signature's order."""
        ...

    def few(self, rows: Sequence[Sequence[Any]]) -> Predictions:
        """The predictions for a few rows of clean values that are asked for together."""
        ...

    def many(self, columns: Sequence[Values], rows: int) -> Predictions:
        """The predictions for clean columns, in the signature's order."""
        ...


class Session:
    """The raw model. Keys that are no columns are ignored; an absent key is a missing value.

    A row that the original pipeline would refuse is refused in the predictions; nothing is
    raised for it, and the other rows of the batch are answered.

    Attributes:
        signature: what the pipeline learned.
        engine: what runs it.
    """

    def __init__(self, signature: Signature, engine: Engine) -> None:
        self.signature = signature
        self.engine = engine
        self._reader = Reader(signature)
        self._row = row_type(signature, None, forbid_unknown=False)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Predictions:
        """Predict rows."""
        if len(rows) == 1 and self._row is not None:
            try:
                values = msgspec.structs.astuple(msgspec.convert(rows[0], self._row))
            except msgspec.ValidationError:
                pass  # a numpy scalar, a missing value, a wrong type: the reader knows which
            else:
                if beyond_doubt(values):
                    return self.engine.one(values)
        return self.clean(self._reader.rows(rows))

    def columns(self, columns: Mapping[str, Any]) -> Predictions:
        """Predict columns.

        Raises:
            ValueError: the columns have different lengths, or none of them is known.
        """
        return self.clean(self._reader.columns(columns))

    def few(self, rows: Sequence[Mapping[str, Any]]) -> Predictions:
        """Predict rows as those that are asked for at the same moment are."""
        clean = self._reader.rows(rows)
        values = list(zip(*map(cells, clean.columns), strict=True))
        return _beside(clean, self.engine.few(values))

    def clean(self, clean: Clean) -> Predictions:
        """Predict what a reader made; its refusals stand beside the model's own."""
        return _beside(clean, self.engine.many(clean.columns, clean.rows))

    def warm(self) -> None:
        """Predict a made-up row twice, so that the first request finds everything allocated.

        Whether the row is refused does not matter.
        """
        columns = [_typical(column) for column in self.signature.columns]
        for rows in (1, 2):
            self.engine.many([column * rows for column in columns], rows)
        row = [column[0] for column in columns]
        self.engine.few([row, row])
        self.engine.one(row)


def _beside(clean: Clean, predictions: Predictions) -> Predictions:
    """The predictions with the refusals of what made the values."""
    if not clean.refusals:
        return predictions
    told = {refusal.row for refusal in clean.refusals}
    # A refused cell went to the model as missing: what the model says of that row is moot.
    own = tuple(refusal for refusal in predictions.refusals if refusal.row not in told)
    merged = sorted((*clean.refusals, *own), key=lambda refusal: refusal.row)
    return msgspec.structs.replace(predictions, refusals=tuple(merged))


def beyond_doubt(values: Sequence[Any]) -> bool:
    """Whether Python values that msgspec accepted need no further look.

    It takes NaN, which means missing, infinities, and strings with lone surrogates, which no
    graph can take; JSON has none of them.
    """
    for value in values:
        if type(value) is float:
            if not math.isfinite(value):
                return False
        elif type(value) is str and not value.isascii():
            return False
    return True


def _typical(column: Column) -> list[Any]:
    if column.type in ("date", "datetime"):
        return [np.int64(0).view(f"datetime64[{unit(column)}]")]
    typical: dict[str, list[Any]] = {"number": [0.0], "integer": [0], "boolean": [False]}
    return typical.get(column.type, [""])
