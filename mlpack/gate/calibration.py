"""Whether probabilities mean what they say, before and after.

The expected calibration error (Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated
Probabilities Using Bayesian Binning", AAAI 2015) over bins of the same number of rows. Of two
classes the second one's probability is looked at, of more the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.gate.answers import Answers
from mlpack.gate.values import Calibration, Point

FEWEST = 100
"""Of fewer rows bins are chance."""

BINS = 10
_DRAWS = 300


def compare(target: Sequence[Any], before: Answers, after: Answers) -> Calibration | None:
    """The calibration of both; None without probabilities, or for too few rows."""
    both = ~before.refused & ~after.refused
    if both.sum() < FEWEST or before.probabilities is None or after.probabilities is None:
        return None
    one, two = _said(target, before, both), _said(target, after, both)
    chance = np.random.default_rng(0)
    rows = int(both.sum())
    apart = []
    for _ in range(_DRAWS):
        pick = chance.integers(0, rows, rows)
        apart.append(_error(two[0][pick], two[1][pick]) - _error(one[0][pick], one[1][pick]))
    low, high = np.quantile(apart, [0.025, 0.975])
    return Calibration(
        before=_error(*one),
        after=_error(*two),
        low=float(low),
        high=float(high),
        curve_before=curve(*one),
        curve_after=curve(*two),
    )


def _said(
    target: Sequence[Any], side: Answers, rows: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What was said of each row, and whether it was so."""
    shares = np.asarray(side.probabilities)[rows]
    right = [str(target[place]) for place in np.flatnonzero(rows).tolist()]
    if len(side.classes) == 2:
        return shares[:, 1], np.array([each == side.classes[1] for each in right])
    chosen = shares.argmax(axis=1)
    hit = [side.classes[place] == each for place, each in zip(chosen, right, strict=True)]
    return shares.max(axis=1), np.array(hit)


def curve(said: NDArray[np.float64], true: NDArray[np.bool_]) -> tuple[Point, ...]:
    """A reliability curve: bins of the same number of rows, by what was said."""
    order = np.argsort(said, kind="stable")
    return tuple(
        Point(said=float(said[part].mean()), true=float(true[part].mean()), rows=len(part))
        for part in np.array_split(order, BINS)
        if len(part)
    )


def _error(said: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    parts = curve(said, true)
    rows = sum(part.rows for part in parts)
    return sum(abs(part.said - part.true) * part.rows for part in parts) / rows
