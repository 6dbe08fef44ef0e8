"""Whether values are spread as they were: the population stability index, and two tests.

The index is the sum of ``(after - before) * ln(after / before)`` over the shares of bins; 0.1 is
commonly called a small shift and 0.25 a large one. Of few rows it is large by chance alone, so a
test is told beside it: Kolmogorov and Smirnov's where all values of both are known, else a
chi-square test of the bins' counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlpack.gate.answers import Answers
from mlpack.gate.cells import number
from mlpack.gate.values import Drift
from mlpack.runtime.contract import Column
from mlpack.training.spread import edges

FEWEST = 30
"""Of fewer values nothing is told."""

MISSING, OTHERS = "missing", "others"


@dataclass(frozen=True)
class _Counted:
    """What bins there are, and how many values each side has in them."""

    bins: tuple[str, ...]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def of_column(column: Column, values: Sequence[Any]) -> Drift | None:
    """How some values are spread, against what a column of an earlier model was trained on.

    Args:
        column: as training saw it.
        values: as JSON has them; None where one is missing.

    Returns:
        None for too few values, and where nothing is known of how it was spread.
    """
    spread = column.spread
    if spread is None or len(values) < FEWEST:
        return None
    share = column.missing
    whole = round(spread.rows / (1 - share)) if share < 1 else spread.rows
    gone = sum(each is None for each in values)
    if column.categories is not None:
        names = [*map(str, column.categories)]
        places = {_same(each): place for place, each in enumerate(column.categories)}
        found = [places.get(_same(each), len(names)) for each in values if each is not None]
        after = np.bincount(np.array(found, dtype=np.int64), minlength=len(names) + 1)
        before = np.array([*spread.shares, 0.0]) * spread.rows
        bins = (*names, OTHERS, MISSING)
    else:
        numbers = np.array([float(each) for each in values if number(each)], dtype=np.float64)
        others = len(values) - gone - len(numbers)  # texts, where training saw numbers
        after = np.bincount(
            np.searchsorted(np.array(spread.edges), numbers), minlength=len(spread.shares)
        )
        after = np.append(after, others)
        before = np.array([*spread.shares, 0.0]) * spread.rows
        bins = (*between(spread.edges), OTHERS, MISSING)
    counted = _Counted(
        bins, np.append(before, share * whole), np.append(after.astype(np.float64), gone)
    )
    return _drift(column.name, counted)


def of_samples(name: str, before: Sequence[Any], after: Sequence[Any]) -> Drift | None:
    """How a column's values differ from earlier ones of it; None for too few."""
    if len(before) < FEWEST or len(after) < FEWEST:
        return None
    sides = [[each for each in side if each is not None] for side in (before, after)]
    gone = [len(side) - len(there) for side, there in zip((before, after), sides, strict=True)]
    if all(number(each) for side in sides for each in side) and min(map(len, sides)) >= FEWEST:
        one, two = (np.array(side, dtype=np.float64) for side in sides)
        bounds = edges(one)
        if len(bounds):
            counts = [
                np.append(np.bincount(np.searchsorted(bounds, side), minlength=len(bounds) + 1), n)
                for side, n in zip((one, two), gone, strict=True)
            ]
            found = _drift(name, _Counted((*between(bounds.tolist()), MISSING), *counts))
            test = stats.ks_2samp(one, two)
            return msgspec.structs.replace(
                found, ks=float(test.statistic), p=min(float(test.pvalue), found.p)
            )
    names = sorted({_text(each) for each in sides[0]})
    if len(names) > len(sides[0]) / 2:
        return None  # texts that hardly come twice
    places = {told: place for place, told in enumerate(names)}
    counts = [
        np.append(
            np.bincount(
                np.array([places.get(_text(each), len(names)) for each in side], dtype=np.int64),
                minlength=len(names) + 1,
            ),
            n,
        )
        for side, n in zip(sides, gone, strict=True)
    ]
    return _drift(name, _Counted((*names, OTHERS, MISSING), *counts))


def of_answers(before: Answers, after: Answers) -> Drift | None:
    """How the predictions of two versions are spread, on the same rows; None for too few."""
    both = ~before.refused & ~after.refused
    rows = np.flatnonzero(both).tolist()
    name = "prediction"
    if before.labels is not None and after.labels is not None:
        labels = before.labels, after.labels
        one, two = ([_told(side[row]) for row in rows] for side in labels)
        return of_samples(name, one, two)
    if before.values is None or after.values is None or before.values.shape[1] != 1:
        return None
    return of_samples(name, before.values[rows, 0].tolist(), after.values[rows, 0].tolist())


def between(bounds: Sequence[float]) -> tuple[str, ...]:
    """What bins are called that some bounds part."""
    if not bounds:
        return ("all",)
    told = [f"{each:.4g}" for each in bounds]
    inner = [f"{low} to {high}" for low, high in pairwise(told)]
    return (f"up to {told[0]}", *inner, f"over {told[-1]}")


def lost(column: Column, later: Column) -> tuple[tuple[str, ...], float]:
    """The categories that training knew before and knows no more, and which share they had."""
    if column.categories is None or column.spread is None or later.categories is None:
        return (), 0.0
    known = {_same(each) for each in later.categories}
    gone = [
        (str(each), share)
        for each, share in zip(column.categories, column.spread.shares, strict=True)
        if _same(each) not in known
    ]
    return tuple(name for name, _ in gone), math.fsum(share for _, share in gone)


def _told(label: Any) -> str:  # noqa: ANN401 - JSON
    return ", ".join(map(str, label)) if isinstance(label, list) else str(label)


def _same(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - JSON
    """Equal for what is the same: 8 and 8.0, which JSON does not tell apart; not for 1 and true."""
    return ("number" if number(value) else type(value).__name__, value)


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    """What a value is called, the same for 8 and 8.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _drift(name: str, counted: _Counted) -> Drift:
    there = (counted.before + counted.after) > 0
    before, after = counted.before[there], counted.after[there]
    bins = tuple(each for each, has in zip(counted.bins, there, strict=True) if has)
    rows = before.sum(), after.sum()
    shares = before / rows[0], after / rows[1]
    # An empty bin has half a row: the logarithm of nothing is not a number.
    least = [np.maximum(share, 0.5 / max(n, 1)) for share, n in zip(shares, rows, strict=True)]
    index = float(((least[1] - least[0]) * np.log(least[1] / least[0])).sum())
    p = 1.0
    if len(bins) > 1:
        p = float(stats.chi2_contingency(np.array([before, after]), correction=False).pvalue)
    return Drift(
        name=name,
        psi=index,
        p=p,
        bins=bins,
        before=tuple(shares[0].tolist()),
        after=tuple(shares[1].tolist()),
        rows_before=int(rows[0]),
        rows_after=int(rows[1]),
    )
