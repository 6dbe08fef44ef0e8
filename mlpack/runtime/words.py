"""Texts of which there are few different ones: each is looked at once, and not in every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class Words(Sequence[Any]):
    """A clean column of strings and None, as places among its different ones.

    Ask for its very type: as a sequence it has an `isinstance` that takes long.

    Attributes:
        known: words that come again with every request, the last of them None: the same tuple each
            time, so that what follows from it can be kept. Those that do not occur do no harm.
        more: the others.
        places: int64, for each row, where its word stands among `known` and `more`.
    """

    __slots__ = ("_counts", "known", "more", "places")

    def __init__(
        self, known: tuple[str | None, ...], more: tuple[str, ...], places: np.ndarray
    ) -> None:
        self.known = known
        self.more = more
        self.places = places
        self._counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 - a word, or a part of the column
        if isinstance(place, slice):
            return Words(self.known, self.more, self.places[place])
        return self._all()[self.places[place]]

    def __iter__(self) -> Iterator[str | None]:
        return map(self._all().__getitem__, self.places.tolist())

    def tolist(self) -> list[str | None]:
        """The words, row by row."""
        return list(self)

    def counts(self) -> np.ndarray:
        """How often each of `known` and then `more` occurs."""
        if self._counts is None:
            size = len(self.known) + len(self.more)
            self._counts = np.bincount(self.places, minlength=size)
        return self._counts

    def missing(self) -> int:
        """How many are None."""
        return int(self.counts()[len(self.known) - 1])

    def _all(self) -> tuple[str | None, ...]:
        return (*self.known, *self.more) if self.more else self.known


class Said:
    """What a function says of words, kept for those that come again. Any thread may use it.

    Args:
        say: says a whole number or a truth of a word or None.
    """

    __slots__ = ("_kept", "_say")

    def __init__(self, say: Callable[[Any], int]) -> None:
        self._say = say
        self._kept: tuple[tuple[str | None, ...], np.ndarray] = ((), np.empty(0, np.int64))

    def __call__(self, words: Words) -> np.ndarray:
        """Int64: what it says of each of `known` and then `more`."""
        kept = self._kept
        if kept[0] is not words.known:
            kept = self._kept = (words.known, self._of(words.known))
        return np.concatenate((kept[1], self._of(words.more))) if words.more else kept[1]

    def _of(self, words: Sequence[str | None]) -> np.ndarray:
        return np.fromiter(map(self._say, words), np.int64, len(words))


class Places(dict[Any, int]):
    """From a word to its place; one that is new gets the next.

    Args:
        known: words that come with every request, the last of them None.

    Attributes:
        known: the same.
    """

    __slots__ = ("known",)

    def __init__(self, known: tuple[str | None, ...], places: dict[str | None, int]) -> None:
        super().__init__(places)
        self.known = known

    def __missing__(self, word: str) -> int:
        place = self[word] = len(self)
        return place

    @property
    def more(self) -> tuple[str, ...]:
        """Those that were new."""
        return tuple(list(self)[len(self.known) :])
