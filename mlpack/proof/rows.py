"""Rows that could break an export. Made from real ones, the signature and the pipeline itself."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack.export import Exported
from mlpack.proof.boundaries import NODES, boundaries, feeder
from mlpack.runtime.contract import Column, Encoding, Signature
from mlpack.runtime.kinds import FLOAT32_EDGE, limits, single
from mlpack.runtime.moments import moment

Row = dict[str, Any]

HELD_OUT = 20_000
BASE = 25
CATEGORIES = 3_000
OFTEN = 200
"""Rows with each category, if these are not too many: deep in a tree few of them differ."""

SHUFFLED = 2_000
REACH = 6

FLOAT32_MAX = float(np.finfo(np.float32).max)

# Text that has fooled somebody: empty, blank, words for nothing, cases, scripts, control
# characters, very long.
STRINGS = (
    "", " ", "nan", "NaN", "None", "null", "<NA>", "N/A", "0", "1", "true", "-1", "unknown", "#",
    "##", "é", "É", "ß", "ẞ", "İstanbul", "ΣΊΣΥΦΟΣ", "日本語", "٣٤", "x²", "𝒳𝒴", "a\tb\nc",
    "naïve café", "don't stop", "under_score", "a-b c_d", "\u200bzero\u200bwidth", "e\u0301",
    "word " * 200, "x" * 3000,
)  # fmt: skip

NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, -1e-300, 5e-324, 1e-7, 1e7, -1e7, 1e15, 2.0**53, 2.0**53 + 2,
    1e30, -1e30, FLOAT32_MAX, -FLOAT32_MAX, math.nextafter(FLOAT32_MAX, math.inf), 3.5e38, -3.5e38,
    1e100, -1e100, math.inf, -math.inf,
)  # fmt: skip

# Ends of months and years, leap days, clocks put forward and back, the epoch, the ends of the
# numbers of nanoseconds and of 32 bits, and the far past and future.
TIMES = (
    "1970-01-01T00:00:00", "1969-12-31T23:59:59.999999999", "1970-01-01T00:00:00.000000001",
    "2000-02-29T12:00:00", "1900-02-28T23:59:59", "2024-02-29T00:00:00", "2023-12-31T23:59:59.999",
    "2024-01-01T00:00:00", "2026-03-29T01:30:00", "2026-10-25T00:30:00", "2026-10-25T01:30:00",
    "2026-07-05T06:07:08.123456", "2038-01-19T03:14:08", "1901-12-13T20:45:51",
    "1700-01-01T00:00:00", "2261-12-31T23:59:59", "0001-01-03T00:00:00", "1582-10-10T12:00:00",
    "9999-12-29T23:59:59",
)  # fmt: skip

INTEGERS = (0, 1, -1, 2, 7, 100, -100, 2**31 - 1, 2**31, -(2**31), 2**53, -(2**53), 10**15)


@dataclass(frozen=True)
class Batch:
    """Rows of one kind, with the name that the report gives them."""

    name: str
    rows: tuple[Row, ...]


def batches(
    signature: Signature,
    real: Sequence[Mapping[str, Any]],
    exported: Exported | None,
    *,
    real_name: str = "held-out",
    seed: int = 0,
    times: int = 1,
    nodes: int = NODES,
) -> Iterator[Batch]:
    """All the rows of a proof, kind by kind.

    Args:
        signature: the columns.
        real: real rows, held out or from the sample; at least one.
        exported: the graph, whose categories are all tried and whose comparisons are met from
            both sides; None if there is none.
        real_name: what the report calls the real rows.
        seed: of the choice of rows.
        times: so many times as many rows as the gate asks for.
        nodes: at most so many comparisons are met.
    """
    whole = {column.name: limits(column) for column in signature.columns if _narrow(column)}
    for batch in _batches(signature, real, exported, real_name, seed, times, nodes):
        rows = tuple(row for row in batch.rows if _fits(row, whole))
        if rows:
            yield Batch(batch.name, rows)


def _narrow(column: Column) -> bool:
    """Whether some whole numbers of 64 bits are too large for the column, and so refused."""
    return column.type == "integer" and limits(column) != limits(_WIDE)


def _fits(row: Row, whole: Mapping[str, tuple[int, int]]) -> bool:
    return all(row[name] is None or low <= row[name] <= high for name, (low, high) in whole.items())


_WIDE = Column(name="", type="integer", dtype="int64")


def _batches(
    signature: Signature,
    real: Sequence[Mapping[str, Any]],
    exported: Exported | None,
    real_name: str,
    seed: int,
    times: int,
    nodes: int,
) -> Iterator[Batch]:
    chance = random.Random(seed)  # noqa: S311 - a choice of test rows, no secret
    names = [column.name for column in signature.columns]
    rows: list[Row] = [{name: row.get(name) for name in names} for row in real]
    encoding = None if exported is None else exported.encoding
    yield Batch(real_name, tuple(rows[: HELD_OUT * times]))
    base = rows if len(rows) <= BASE * times else chance.sample(rows, BASE * times)
    yield Batch("each column missing", tuple(_missing(signature, base)))
    strings = tuple(_strings(signature, base))
    if strings:
        yield Batch("unknown and odd strings", strings)
    categories = tuple(_categories(signature, rows, encoding, chance, times))
    if categories:
        yield Batch("every category", categories)
    moments = tuple(_moments(signature, base))
    if moments:
        yield Batch("odd dates", moments)
    numbers = tuple(_numbers(signature, base))
    if numbers:
        yield Batch("extreme numbers", numbers)
    shuffled = tuple(_shuffled(names, rows, chance, times))
    if exported is not None and encoding is not None:
        yield from _around(signature, (*rows, *shuffled), exported, encoding, seed, nodes * times)
    yield Batch("columns shuffled", shuffled)


def _missing(signature: Signature, base: Sequence[Row]) -> Iterator[Row]:
    for column in signature.columns:
        for row in base:
            yield {**row, column.name: None}
    yield {column.name: None for column in signature.columns}


def _strings(signature: Signature, base: Sequence[Row]) -> Iterator[Row]:
    for column in signature.columns:
        if column.type == "string":
            for index, text in enumerate(STRINGS):
                yield {**base[index % len(base)], column.name: text}
                real = base[index % len(base)].get(column.name)
                if isinstance(real, str):
                    yield {**base[index % len(base)], column.name: real.swapcase()}
                    yield {**base[index % len(base)], column.name: f" {real}"}


def _categories(
    signature: Signature,
    rows: Sequence[Row],
    encoding: Encoding | None,
    chance: random.Random,
    times: int,
) -> Iterator[Row]:
    """Every category with several rows: what it means may depend on the other columns."""
    known = {codes.column: codes.categories for codes in encoding.codes} if encoding else {}
    values = {
        column.name: tuple(dict.fromkeys([*known.get(column.name, ()), *(column.categories or ())]))
        for column in signature.columns
    }
    count = sum(map(len, values.values()))
    each = min(OFTEN, max(1, CATEGORIES // max(count, 1))) * times
    for name, categories in values.items():
        for category in categories:
            for _ in range(each):
                yield {**chance.choice(rows), name: category}


def _numbers(signature: Signature, base: Sequence[Row]) -> Iterator[Row]:
    for column in signature.columns:
        for index, value in enumerate(_extremes(column)):
            yield {**base[index % len(base)], column.name: value}


def _moments(signature: Signature, base: Sequence[Row]) -> Iterator[Row]:
    for column in signature.columns:
        if column.type not in ("date", "datetime"):
            continue
        for index, text in enumerate(TIMES):
            told = text[:10] if column.type == "date" else text
            told += "+01:00" if column.zone is not None else ""
            try:
                moment(told, column)
            except ValueError:
                continue  # nanoseconds end in 2262
            yield {**base[index % len(base)], column.name: told}


def _extremes(column: Column) -> Sequence[Any]:
    if column.type == "integer":
        whole = [int(e) for e in (column.minimum, column.maximum) if e is not None]
        return [*INTEGERS, *(edge + step for edge in whole for step in (-1, 0, 1))]
    if column.type == "number":
        edges = [float(e) for e in (column.minimum, column.maximum) if e is not None]
        further = [FLOAT32_EDGE, math.nextafter(FLOAT32_EDGE, 0), 0.1] if single(column) else []
        return [*NUMBERS, *further, *(near for edge in edges for near in neighbours(edge))]
    return [True, False] if column.type == "boolean" else []


def neighbours(value: float) -> tuple[float, ...]:
    """The value and the doubles next to it; arithmetic before a comparison may be off by a few."""
    found = [value]
    for direction in (-math.inf, math.inf):
        near = value
        for step in range(1, REACH + 1):
            near = math.nextafter(near, direction)
            if step in (1, REACH):
                found.append(near)
    return tuple(found)


def _around(
    signature: Signature,
    rows: Sequence[Row],
    exported: Exported,
    encoding: Encoding,
    seed: int,
    nodes: int,
) -> Iterator[Batch]:
    """Rows at the comparisons of the graph: on both sides, at a distance, with a value missing."""
    model, feed = exported.model, feeder(signature, encoding, exported.parts)
    found = boundaries(model, encoding, signature, feed, rows, nodes=nodes, seed=seed)
    for name, some in (
        ("around thresholds", found.adjacent),
        ("near thresholds", found.near),
        ("categories at a threshold", found.categories),
        ("missing at a threshold", found.missing),
    ):
        if some:
            yield Batch(name, some)


def _shuffled(
    names: Sequence[str], rows: Sequence[Row], chance: random.Random, times: int
) -> Iterator[Row]:
    count = min(max(len(rows) * 2, 50), SHUFFLED) * times
    pools = {name: [row[name] for row in rows] for name in names}
    for _ in range(count):
        yield {name: chance.choice(pools[name]) for name in names}
