"""Finds known words among texts that stand in one run of bytes, without making strings of them.

A word is found by its first and last eight bytes and its length, and what is between is compared
too: nothing is taken for a word that is not the very same bytes. What is not found is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .words import Words

LONGEST = 64
"""Words of more bytes are not looked for."""

_FACTORS = tuple(
    np.array(factor, dtype=np.uint64)
    for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)
_TURNS = tuple(
    np.array(factor, dtype=np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)
_SPARSE = 8
"""A table has so many places for each word: then few share one."""
_MASKS = np.array([2 ** (8 * count) - 1 for count in range(9)], dtype=np.uint64)
_COLUMN = 2**32
"""The length of a text and the number of its column are one number."""
_NONE = -1
_FEW = 4
"""A column in which every fourth text is unknown is decoded as a whole."""


class Texts(NamedTuple):
    """Columns of texts in one run of bytes.

    Attributes:
        data: the bytes.
        starts: int64 [columns, rows], where in them each text begins.
        lengths: int64 [columns, rows], of how many bytes it is.
    """

    data: bytes | memoryview
    starts: np.ndarray
    lengths: np.ndarray

    def text(self, column: int, row: int) -> str:
        """One of them.

        Raises:
            UnicodeDecodeError: it is no UTF-8.
        """
        start = int(self.starts[column, row])
        return str(self.data[start : start + int(self.lengths[column, row])], "utf-8")


class Vocabulary:
    """The words of some columns. Any thread may use it.

    Args:
        words: different strings, by column.

    Attributes:
        known: the same, the empty string, which is what missing texts have, and None at the end.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        words = {name: tuple(dict.fromkeys((*some, ""))) for name, some in words.items()}
        self.known = {name: (*some, None) for name, some in words.items()}
        self._numbers = {name: number for number, name in enumerate(words)}
        found = [
            (number, place, raw)
            for number, some in enumerate(words.values())
            for place, raw in enumerate(word.encode() for word in some)
            if len(raw) <= LONGEST
        ]
        # The last entry is that of no word: no text has its length.
        self._places = np.array([*(place for _, place, _ in found), 0], dtype=np.int64)
        tags = [number * _COLUMN + len(raw) for number, _, raw in found]
        self._tags = np.array([*tags, _NONE], dtype=np.int64)
        blocks = b"".join(raw.ljust(LONGEST, b"\0") for _, _, raw in found) + bytes(LONGEST)
        self._blocks = np.frombuffer(blocks, dtype="<u8").reshape(-1, LONGEST // 8)
        ends = b"".join(raw[-8:].ljust(8, b"\0") for _, _, raw in found) + bytes(8)
        self._ends = np.frombuffer(ends, dtype="<u8")
        self._shift = np.uint64(64 - max(1, (_SPARSE * len(found)).bit_length()))
        self._tables = self._hashed()

    def __contains__(self, name: str) -> bool:
        return name in self.known

    def _hashed(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Tables of entries, each with its own factor: those that found no place in the one before.

        Who finds none at all is decoded whenever it comes, as words that nobody knows are.
        """
        left = np.arange(len(self._tags) - 1)
        keys = _key(self._blocks[:, 0], self._ends, self._tags)
        tables = []
        for turn in _TURNS:
            if not len(left):
                break
            spots = (keys[left] * turn) >> self._shift
            table = np.full(1 << (64 - int(self._shift)), len(self._tags) - 1, dtype=np.int32)
            _, first = np.unique(spots, return_index=True)
            table[spots[first]] = left[first]
            tables.append((turn, table))
            left = np.delete(left, first)
        return tables

    def read(
        self, texts: Texts, names: Sequence[str], absent: Sequence[np.ndarray | None]
    ) -> list[Words | None]:
        """The texts as words; None for a column with many that nobody knows.

        Args:
            texts: to be looked for.
            names: the columns that they are of.
            absent: of each column true where its text is missing; None if nowhere.

        Raises:
            UnicodeDecodeError: one of the unknown is no UTF-8.
        """
        found: list[Words | None] = []
        places = self.find(texts, names)
        lost = np.flatnonzero((places < 0).any(axis=1)).tolist()
        for column, (name, own, none) in enumerate(zip(names, places, absent, strict=True)):
            known = self.known[name]
            more: dict[str, int] = {}
            if column in lost:
                rows = np.flatnonzero(own < 0)
                if len(rows) * _FEW > len(own):
                    found.append(None)
                    continue
                for row in rows.tolist():
                    text = texts.text(column, row)
                    own[row] = more.setdefault(text, len(known) + len(more))
            if none is not None:
                own[none] = len(known) - 1
            found.append(Words(known, tuple(more), own))
        return found

    def find(self, texts: Texts, names: Sequence[str]) -> np.ndarray:
        """Int64 [columns, rows]: the place of each text among its column's words, or -1."""
        places = np.full(texts.starts.size, -1, dtype=np.int64)
        shape = texts.starts.shape
        if len(texts.data) < 8 or not self._tables:
            return places.reshape(shape)
        words = np.ndarray(len(texts.data) - 7, "<u8", texts.data, 0, (1,))
        numbers = np.array([[self._numbers[name]] for name in names], dtype=np.int64)
        starts, lengths = texts.starts.ravel(), texts.lengths.ravel()
        tags = (texts.lengths + numbers * _COLUMN).ravel()
        if len(starts) and int(starts.max()) >= len(words):
            # Too close to the end to be read as eight bytes: it has the length of no word.
            tags[starts >= len(words)] = _NONE - 1
            starts = np.minimum(starts, len(words) - 1)
        short = np.minimum(lengths, 8)
        mask = _MASKS[short]
        first = words[starts] & mask
        last = words[starts + (lengths - short)] & mask
        keys = _key(first, last, tags)
        left: np.ndarray | slice = slice(None)
        for turn, table in self._tables:
            entries = table[((keys[left] * turn) >> self._shift).view(np.int64)]
            same = self._tags[entries] == tags[left]
            same &= self._blocks[entries, 0] == first[left]
            same &= self._ends[entries] == last[left]
            self._compare(same, entries, words, starts[left], lengths[left])
            places[left] = np.where(same, self._places[entries], -1)
            left = np.flatnonzero(places < 0)
            if not len(left):
                break
        return places.reshape(shape)

    def _compare(
        self,
        same: np.ndarray,
        entries: np.ndarray,
        words: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
    ) -> None:
        """Compare what is between the first and the last eight bytes."""
        some = np.flatnonzero(same & (lengths > 16))
        for block in range(1, LONGEST // 8 - 1):
            some = some[lengths[some] > 8 * block + 8]
            if not len(some):
                return
            same[some] &= self._blocks[entries[some], block] == words[starts[some] + 8 * block]


def _key(first: np.ndarray, last: np.ndarray, tags: np.ndarray) -> np.ndarray:
    mixed = first * _FACTORS[0] + last * _FACTORS[1] + tags.astype(np.uint64) * _FACTORS[2]
    key: np.ndarray = mixed ^ (mixed >> np.uint64(32))
    return key
