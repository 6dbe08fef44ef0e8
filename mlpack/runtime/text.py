"""Counts the terms of a text by Python's own rules, which are those of the original.

What is a letter, a space, a lower case or an accent is asked of this very Python: every other
library has tables and rules of its own. The steps are those of scikit-learn's
``feature_extraction/text.py`` and ``_hashing_fast.pyx``; patterns come from the frozen encoding
only, never from a request.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from .contract import Text

_BITS = 0xFFFFFFFF
_SPACES = re.compile(r"\s\s+")

REMEMBERED = 2**15
"""So many hashed terms are kept, of at most so many characters: they come from requests."""
SHORT = 32


class Terms:
    """The terms that a text has, compiled from the encoding. Safe to use from several threads."""

    __slots__ = ("_binary", "_count", "_split")

    def __init__(self, text: Text) -> None:
        self._split = splitter(text)
        self._binary = text.binary
        self._count = _hashed(text) if text.hashed else _known(text)

    def __call__(self, value: str) -> dict[int, int]:
        """How often the text has which terms, by their columns: in ascending order."""
        found = self._count(self._split(value))
        if self._binary:
            # Terms of opposite signs that share a column are there, though they count nothing.
            return dict.fromkeys(sorted(found), 1)
        return {column: found[column] for column in sorted(found)}


Split = Callable[[str], Sequence[str]]
"""The terms of a text."""

Count = Callable[[Sequence[str]], dict[int, int]]
"""How much the terms count in each column."""


def _known(text: Text) -> Count:
    known = {term: column for column, term in enumerate(text.terms)}.get

    def count(terms: Sequence[str]) -> dict[int, int]:
        found: dict[int, int] = {}
        for term in terms:
            column = known(term)
            if column is not None:
                found[column] = found.get(column, 0) + 1
        return found

    return count


def _hashed(text: Text) -> Count:
    columns, alternate = text.hashed, text.alternate_sign

    def place(term: str) -> tuple[int, int]:
        hashed = murmur3(term.encode())
        return abs(hashed) % columns, -1 if alternate and hashed < 0 else 1

    remembered = lru_cache(REMEMBERED)(place)

    def count(terms: Sequence[str]) -> dict[int, int]:
        found: dict[int, int] = {}
        for term in terms:
            column, sign = remembered(term) if len(term) <= SHORT else place(term)
            found[column] = found.get(column, 0) + sign
        return found

    return count


def murmur3(data: bytes) -> int:
    """MurmurHash3 in its form of 32 bits for x86, with seed 0, as a signed number.

    Source: https://github.com/aappleby/smhasher, MurmurHash3.cpp (in the public domain).
    """
    state = 0
    whole = len(data) & ~3
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        state ^= _mixed(block)
        state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & _BITS
    if whole < len(data):
        state ^= _mixed(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _BITS
    state = (state ^ state >> 13) * 0xC2B2AE35 & _BITS
    state ^= state >> 16
    return state - 2**32 if state >= 2**31 else state


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & _BITS
    return (block << 15 | block >> 17) * 0x1B873593 & _BITS


def splitter(text: Text) -> Split:
    """What tells all terms of a text, one after the other, as often as they occur."""
    prepare: list[Callable[[str], str]] = []
    if text.lowercase:
        prepare.append(str.lower)
    if text.strip_accents is not None:
        prepare.append(_unaccented if text.strip_accents == "unicode" else _ascii)
    split = _words(text) if text.analyzer == "word" else _characters(text)
    if not prepare:
        return split
    if prepare == [str.lower]:
        return lambda value: split(value.lower())

    def prepared(value: str) -> Sequence[str]:
        for step in prepare:
            value = step(value)
        return split(value)

    return prepared


def _unaccented(value: str) -> str:
    if value.isascii():
        return value
    normal = unicodedata.normalize("NFKD", value)
    return "".join([each for each in normal if not unicodedata.combining(each)])


def _ascii(value: str) -> str:
    return unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode("ascii")


def _words(text: Text) -> Split:
    find = re.compile(text.pattern).findall
    stop = frozenset(text.stop_words)
    shortest, longest = text.shortest, text.longest
    if longest == 1 and not stop:
        return find

    def split(value: str) -> Sequence[str]:
        words = [word for word in find(value) if word not in stop]
        if longest == 1:
            return words
        return [
            " ".join(words[start : start + length])
            for length in range(shortest, min(longest, len(words)) + 1)
            for start in range(len(words) - length + 1)
        ]

    return split


def _characters(text: Text) -> Split:
    lengths = range(text.shortest, text.longest + 1)
    return partial(_in_words if text.analyzer == "char_wb" else _anywhere, lengths)


def _anywhere(lengths: range, value: str) -> Sequence[str]:
    value = _SPACES.sub(" ", value)
    return [
        value[start : start + length]
        for length in lengths
        for start in range(len(value) - length + 1)
    ]


def _in_words(lengths: range, value: str) -> Sequence[str]:
    """Inside each word, which has a space on either side."""
    made: list[str] = []
    for bare in value.split():
        word = f" {bare} "
        for length in lengths:
            if length >= len(word):
                made.append(word)  # a word that is too short counts once, not once a length
                break
            made += [word[start : start + length] for start in range(len(word) - length + 1)]
    return made
