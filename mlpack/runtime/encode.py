"""Turns clean values into the inputs of the core graph, as the contract's Encoding says.

A missing text has the terms of the empty string: the original raises for it, so the column is not
nullable and the row is refused anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .columns import figures_of
from .contract import Category, Codes, Column, ColumnType, ContractError, Encoding, Signature
from .dateparts import Moments
from .kinds import fits, is_number, single
from .predictions import Refusal, shown
from .program import Program, ProgramError, Row, compiled
from .text import Terms
from .values import Values, cells
from .words import Said, Words

Inputs = dict[str, np.ndarray]

ONE = np.array([1], dtype=np.int64)

BLOCK = 4096


class Lookup(dict[Any, int]):
    """From a value to its code; any other value has the code ``len(categories)``."""

    __slots__ = ("unknown",)

    def __init__(self, categories: Sequence[Category], kind: ColumnType) -> None:
        # Clean values have the column's type, so a category of another type can never be met:
        # leaving it out keeps True and 1 apart, which a dict would take for one key.
        super().__init__(
            (category, code) for code, category in enumerate(categories) if fits(category, kind)
        )
        self.unknown = len(categories)
        self[None] = len(categories) + 1

    def __missing__(self, key: object) -> int:
        return self.unknown


class SingleLookup(Lookup):
    """The same for a column of float32: its categories are rounded, a value that comes is not."""

    __slots__ = ()

    def __missing__(self, key: object) -> int:
        with np.errstate(over="ignore"):
            return self.get(float(np.float32(key)), self.unknown)  # type: ignore[arg-type]


class _Coded:
    """One column of codes: where its value stands and what it becomes."""

    __slots__ = ("expected", "index", "lookup", "name", "refuse", "said")

    def __init__(self, codes: Codes, index: int, column: Column) -> None:
        self.name = codes.column
        self.index = index
        kind = SingleLookup if single(column) else Lookup
        self.lookup = kind(codes.categories, column.type)
        self.said = Said(self.lookup.__getitem__)
        self.refuse = codes.refuse_unknown
        some = ", ".join(shown(category) for category in codes.categories[:10])
        self.expected = f"one of {some}" + (" ..." if len(codes.categories) > 10 else "")


class Encoder:
    """An Encoding compiled for one signature. Safe to use from several threads.

    Attributes:
        by_row: each input has a row for each row, so that a part of it is the input for some.
    """

    def __init__(self, signature: Signature, encoding: Encoding) -> None:
        place = {column.name: index for index, column in enumerate(signature.columns)}
        self._numbers = tuple(place[name] for name in encoding.numbers)
        self._codes = tuple(
            _Coded(codes, place[codes.column], signature.columns[place[codes.column]])
            for codes in encoding.codes
        )
        figures = {name: row for row, name in enumerate(_numeric(signature))}
        # Where the numbers stand among those that are one array already, if all of them do.
        self._figures = (
            np.array([figures[name] for name in encoding.numbers], dtype=np.int64)
            if figures.keys() >= set(encoding.numbers)
            else None
        )
        self._ready = tuple(signature.columns[i].type == "number" for i in self._numbers)
        self._plan = tuple((coded.index, coded.lookup) for coded in self._codes)
        self._refusing = tuple(
            (place, coded) for place, coded in enumerate(self._codes) if coded.refuse
        )
        self._texts = tuple((text.name, place[text.column], Terms(text)) for text in encoding.texts)
        self._rows = encoding.rows
        self._moments = Moments(signature, encoding) if encoding.moments else None
        self.by_row = not (encoding.texts or encoding.rows or encoding.moments or encoding.parts)

    def one(self, values: Sequence[Any]) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for one row of clean values, in the signature's order."""
        inputs: Inputs = {}
        refusals: tuple[Refusal, ...] = ()
        if self._numbers:
            # numpy turns None into NaN and booleans into 0 and 1.
            inputs["numbers"] = np.array([[values[i] for i in self._numbers]], dtype=np.float64)
        if self._plan:
            codes = [lookup[values[i]] for i, lookup in self._plan]
            inputs["codes"] = np.array([codes], dtype=np.int64)
            for place, coded in self._refusing:
                if codes[place] == coded.lookup.unknown:
                    got = shown(values[coded.index])
                    refusals = (*refusals, Refusal(0, coded.name, coded.expected, got))
        for name, index, terms in self._texts:
            found = terms(values[index] or "").items()
            entries = [each for term, count in found for each in (0, term, count)]
            inputs[name] = np.array(entries, dtype=np.int64).reshape(-1, 3)
        if self._moments is not None:
            inputs["moments"] = self._moments.of([(value,) for value in values], 1)
        if self._rows:
            inputs["rows"] = ONE
        return inputs, refusals

    def few(self, rows: Sequence[Sequence[Any]]) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for a few rows of clean values: of so few, columns are slower to make."""
        inputs: Inputs = {}
        refusals: list[Refusal] = []
        if self._numbers:
            places = self._numbers
            numbers = [[values[i] for i in places] for values in rows]
            inputs["numbers"] = np.array(numbers, dtype=np.float64)
        if self._plan:
            plan = self._plan
            codes = [[lookup[values[i]] for i, lookup in plan] for values in rows]
            inputs["codes"] = np.array(codes, dtype=np.int64)
            for place, coded in self._refusing:
                refusals += [
                    Refusal(row, coded.name, coded.expected, shown(rows[row][coded.index]))
                    for row, told in enumerate(codes)
                    if told[place] == coded.lookup.unknown
                ]
        for name, index, terms in self._texts:
            inputs[name] = _entries([terms(values[index] or "") for values in rows])
        if self._moments is not None:
            inputs["moments"] = self._moments.of(list(zip(*rows, strict=True)), len(rows))
        if self._rows:
            inputs["rows"] = np.array([len(rows)], dtype=np.int64)
        return inputs, tuple(sorted(refusals, key=lambda refusal: refusal.row))

    def row(self, program: Program) -> Row:
        """The function of a program that is given a row of clean values, in the signature's order.

        Raises:
            ContractError: the program is damaged.
        """
        codes = [
            (coded.index, coded.lookup, coded.lookup.unknown if coded.refuse else None)
            for coded in self._codes
        ]
        try:
            return compiled(program, list(zip(self._numbers, self._ready, strict=True)), codes)
        except ProgramError as error:
            raise ContractError(f"the encoding's program is damaged: {error}") from error

    def many(self, columns: Sequence[Values], rows: int) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for clean columns, in the signature's order."""
        inputs: Inputs = {}
        refusals: list[Refusal] = []
        if self._numbers:
            known = figures_of(columns)
            if known is not None and self._figures is not None:
                inputs["numbers"] = np.ascontiguousarray(known.table[self._figures].T)
            else:
                found = [_floats(columns[index]) for index in self._numbers]
                inputs["numbers"] = _beside(found, rows)
        if self._codes:
            codes = np.empty((rows, len(self._codes)), dtype=np.int64)
            for place, coded in enumerate(self._codes):
                values = columns[coded.index]
                if type(values) is Words:
                    codes[:, place] = coded.said(values)[values.places]
                else:
                    values = cells(values)
                    codes[:, place] = np.fromiter(
                        map(coded.lookup.__getitem__, values), dtype=np.int64, count=rows
                    )
                if coded.refuse:
                    refusals += [
                        Refusal(row, coded.name, coded.expected, shown(values[row]))
                        for row in np.flatnonzero(codes[:, place] == coded.lookup.unknown).tolist()
                    ]
            inputs["codes"] = codes
        for name, index, terms in self._texts:
            inputs[name] = _entries([terms(value or "") for value in cells(columns[index])])
        if self._moments is not None:
            inputs["moments"] = self._moments.of(columns, rows)
        if self._rows:
            inputs["rows"] = np.array([rows], dtype=np.int64)
        return inputs, tuple(sorted(refusals, key=lambda refusal: refusal.row))


def _numeric(signature: Signature) -> list[str]:
    return [column.name for column in signature.columns if is_number(column)]


def _entries(found: Sequence[dict[int, int]]) -> np.ndarray:
    """What each row has, as int64 [entries, 3]: row, term, how often."""
    lengths = [len(row) for row in found]
    entries = np.empty((sum(lengths), 3), dtype=np.int64)
    entries[:, 0] = np.repeat(np.arange(len(found)), lengths)
    counts = chain.from_iterable(row.values() for row in found)
    entries[:, 1] = np.fromiter(chain.from_iterable(found), np.int64, len(entries))
    entries[:, 2] = np.fromiter(counts, np.int64, len(entries))
    return entries


def _beside(columns: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Columns side by side: float64 [rows, columns]."""
    made = np.empty((rows, len(columns)), dtype=np.float64)
    # Some rows at a time: what is written column by column then stays in the cache.
    for start in range(0, rows, BLOCK):
        stop = start + BLOCK
        for place, column in enumerate(columns):
            made[start:stop, place] = column[start:stop]
    return made


def _floats(values: Values) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
