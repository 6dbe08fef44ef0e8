"""What the values and the predictions look like: counted, and the last of them kept for quantiles.

A row that was answered alone is put on a list, which is counted with numpy when it is full or when
somebody asks, but at most every `PAUSE` seconds: so up to some five hundred requests a second every
row is looked at, and beyond that a part of them, since to look costs more than to decode. Batches
are counted whole. Counts of missing values therefore stand beside a count of the values looked at.

Quantiles and the recent predictions are those of the last `WINDOW` rows, of which one request gives
`EACH` at most, evenly taken: a large file does not push out everything else. So memory is bounded,
whatever comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from .columns import Figures, figures_of
from .contract import Category, Signature
from .kinds import is_number
from .predictions import Predictions
from .values import Values, cells
from .words import Said, Words

WINDOW = 2_000
EACH = 200

TOGETHER = 256
"""So many rows are counted at once: the more, the cheaper each, and the longer the moment."""

PAUSE = 0.5


class Tally(msgspec.Struct, frozen=True):
    """What some answered rows look like.

    Attributes:
        rows: how many they are.
        missing: by the column's place in the signature, how many values are missing.
        outside: and how many training never saw: out of its range, or of no category it knew.
        places: of each row, the bin that its prediction falls into.
        total: the sum of the predicted values.
        numbers: the values of the columns of numbers, NaN where one is missing; of some rows only.
    """

    rows: int
    missing: np.ndarray
    outside: np.ndarray
    places: np.ndarray
    total: float
    numbers: np.ndarray


Seen = tuple[tuple[Any, ...], Predictions] | Tally
"""One answered row and its prediction, or what many look like."""


class Counter:
    """Looks at rows. Has no state, so any thread may use it.

    Attributes:
        numbers: the places of the columns of numbers.
        bins: how many bins there are for predictions: one for each label, or parted by `edges`.
        edges: the bounds of the bins of a regression; empty if training's spread is not known.
    """

    def __init__(self, signature: Signature) -> None:
        columns = signature.columns
        self._columns = len(columns)
        self.numbers = [i for i, column in enumerate(columns) if is_number(column)]
        self._places_of_numbers = np.array(self.numbers, dtype=np.int64)
        self._low = np.array([_or(columns[i].minimum, -np.inf) for i in self.numbers])
        self._high = np.array([_or(columns[i].maximum, np.inf) for i in self.numbers])
        self._others = [
            (i, _Known(column.categories) if column.categories else None)
            for i, column in enumerate(columns)
            if not is_number(column)
        ]
        spread = signature.predictions
        self.edges = np.array(() if spread is None else spread.edges, dtype=np.float64)
        self.bins = len(signature.labels)
        if not self.bins:
            single = all(output.size == 1 for output in signature.outputs)
            self.bins = len(self.edges) + 1 if single else 0

    def rows(self, seen: Sequence[tuple[tuple[Any, ...], Predictions]]) -> Tally:
        """Look at rows that were answered one by one."""
        columns = list(zip(*[row for row, _ in seen], strict=True))
        numbers = np.array([columns[i] for i in self.numbers], dtype=np.float64)
        places, total = self._places([prediction for _, prediction in seen])
        numbers = numbers.reshape(len(self.numbers), len(seen))
        return self._tally(numbers, columns, places, total, len(seen))

    def columns(self, columns: Sequence[Values], predictions: Predictions) -> Tally:
        """Look at a batch."""
        others: list[Sequence[Any]] = [()] * len(columns)
        for i, _ in self._others:
            values = columns[i]
            others[i] = values if type(values) is Words else cells(values)
        places, total = self._places([predictions])
        figures = figures_of(columns)
        if figures is not None:
            return self._tally(figures, others, places, total, predictions.rows)
        numbers = np.empty((len(self.numbers), predictions.rows))
        for place, i in enumerate(self.numbers):
            numbers[place] = np.asarray(columns[i], dtype=np.float64)
        return self._tally(numbers, others, places, total, predictions.rows)

    def _tally(
        self,
        numbers: np.ndarray | Figures,
        others: Sequence[Sequence[Any]],
        places: np.ndarray,
        total: float,
        rows: int,
    ) -> Tally:
        missing = np.zeros(self._columns, dtype=np.int64)
        outside = np.zeros(self._columns, dtype=np.int64)
        if isinstance(numbers, Figures):
            missing[self.numbers] = numbers.missing
            # Most columns have nothing out of range, as their least and largest tell.
            some = np.flatnonzero((numbers.low < self._low) | (numbers.high > self._high))
            if len(some):
                outside[self._places_of_numbers[some]] = self._beyond(numbers.table[some], some)
            numbers = numbers.table
        else:
            missing[self.numbers] = np.isnan(numbers).sum(axis=1)
            outside[self.numbers] = self._beyond(numbers, slice(None))
        for i, known in self._others:
            values = others[i]
            if type(values) is Words:
                missing[i] = values.missing()
            else:
                missing[i] = values.count(None)
            if known is not None:
                outside[i] = rows - known.among(values)
        return Tally(rows, missing, outside, places, total, numbers)

    def _beyond(self, numbers: np.ndarray, some: Any) -> np.ndarray:  # noqa: ANN401 - an index
        """How many of each of some columns are out of its range."""
        low, high = self._low[some, None], self._high[some, None]
        found: np.ndarray = ((numbers < low) | (numbers > high)).sum(axis=1)
        return found

    def _places(self, predictions: Sequence[Predictions]) -> tuple[np.ndarray, float]:
        """The bin of each row's prediction, and the sum of the predicted values."""
        labels = [each.labels for each in predictions if each.labels is not None]
        if labels:
            return np.concatenate(labels).reshape(-1), 0.0
        values = [each.values for each in predictions if each.values is not None]
        if not self.bins or not values:
            return np.zeros(0, dtype=np.int64), 0.0
        flat = np.concatenate(values).reshape(-1)
        # What is not finite would spoil the sum for good.
        return np.searchsorted(self.edges, flat), float(flat[np.isfinite(flat)].sum())


class _Known:
    """The categories of a column; None is one of them."""

    __slots__ = ("_known", "_said")

    def __init__(self, categories: Sequence[Category]) -> None:
        # None is no value: whether it may be missing is another question.
        self._known = frozenset((*categories, None))
        self._said = Said(self._known.__contains__)

    def among(self, values: Sequence[Any]) -> int:
        """How many of the values they are."""
        if type(values) is Words:
            return int(np.dot(self._said(values), values.counts()))
        return sum(map(self._known.__contains__, values))


class Watch:
    """Adds up what `Counter` sees. Used on one event loop.

    Args:
        counter: looks at rows.
        columns: how many the model has.
        clock: seconds that only grow.

    Attributes:
        rows, missing, outside, total: as a tally has them, of all rows.
        predicted: how many predictions fell into each bin.
    """

    def __init__(
        self, counter: Counter, columns: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._counter = counter
        self._clock = clock
        self._counted = clock()
        self._waiting: list[tuple[tuple[Any, ...], Predictions]] = []
        self.rows = 0
        self.missing = np.zeros(columns, dtype=np.int64)
        self.outside = np.zeros(columns, dtype=np.int64)
        self.total = 0.0
        self.predicted = np.zeros(counter.bins, dtype=np.int64)
        self._numbers = _Last(np.empty((len(counter.numbers), WINDOW)))
        self._places = _Last(np.empty((1, WINDOW), dtype=np.int64))

    def note(self, seen: Seen) -> None:
        """Take notice of what was answered."""
        if type(seen) is tuple:
            if len(self._waiting) < TOGETHER:
                self._waiting.append(seen)
            elif self._clock() - self._counted >= PAUSE:
                self.count()
                self._waiting.append(seen)
        elif isinstance(seen, Tally):
            self._add(seen, EACH)

    def count(self) -> None:
        """Count what waits on the list, so that the figures are up to date."""
        self._counted = self._clock()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._add(self._counter.rows(waiting), TOGETHER)

    def _add(self, tally: Tally, most: int) -> None:
        self.rows += tally.rows
        self.missing += tally.missing
        self.outside += tally.outside
        self.total += tally.total
        step = -(-tally.rows // most) or 1
        self._numbers.add(tally.numbers[:, ::step])
        if len(tally.places):
            self.predicted += np.bincount(tally.places, minlength=len(self.predicted))
            some = tally.places.reshape(tally.rows, -1)[::step]
            self._places.add(some.reshape(1, -1))

    def recent(self) -> np.ndarray:
        """How many of the last predictions fell into each bin."""
        return np.bincount(self._places.all()[0], minlength=len(self.predicted))

    def numbers(self) -> np.ndarray:
        """The last values of the columns of numbers: [columns, rows], NaN where one is missing."""
        return self._numbers.all()


class _Last:
    """The last columns that were added to an array of fixed size."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self._next = 0
        self._filled = 0

    def add(self, block: np.ndarray) -> None:
        size = self._array.shape[1]
        count = block.shape[1]
        self._array[:, (self._next + np.arange(count)) % size] = block
        self._next = (self._next + count) % size
        self._filled = min(size, self._filled + count)

    def all(self) -> np.ndarray:
        return self._array[:, : self._filled]


def _or(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound
