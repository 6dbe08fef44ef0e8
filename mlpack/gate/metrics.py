"""Metrics of both versions on the same rows, with intervals from a bootstrap of the rows.

The rows are drawn again with replacement (the percentile bootstrap of Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13), the same ones for both: what a row that is hard
for both adds cancels out in the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlpack.gate.answers import Answers
from mlpack.gate.values import Metric

DRAWS = 1000
_FEWER, _MANY = 300, 5000
"""Of so many rows fewer draws: their intervals are narrow."""

_LEAST = 1e-15
_FEWEST = 10

Measure = Callable[[NDArray[np.int64]], float]
"""The metric of some rows, given by their places."""


def compare(target: Sequence[Any], before: Answers, after: Answers) -> tuple[Metric, ...]:
    """All metrics that both have, on the rows that both answered; none for too few rows.

    Args:
        target: what would be right for each row.
        before: the answers of the earlier version.
        after: those of the later one.
    """
    both = np.flatnonzero(~before.refused & ~after.refused)
    if len(both) < _FEWEST:
        return ()
    ours, theirs = measures(target, before), measures(target, after)
    draws = DRAWS if len(both) <= _MANY else _FEWER
    chance = np.random.default_rng(0)
    picks = [chance.choice(both, len(both)) for _ in range(draws)]
    found = []
    for name, (measure, more) in ours.items():
        if name not in theirs:
            continue
        pairs = np.array([(measure(pick), theirs[name][0](pick)) for pick in picks])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        values = measure(both), theirs[name][0](both)
        if len(pairs) < draws / 2 or not np.isfinite(values).all():
            continue  # so few rows leave it undefined
        low, high = np.quantile(pairs, [0.025, 0.975], axis=0)
        apart = np.quantile(pairs[:, 1] - pairs[:, 0], [0.025, 0.975])
        found.append(
            Metric(
                name=name,
                more_is_better=more,
                before=float(values[0]),
                after=float(values[1]),
                before_low=float(low[0]),
                before_high=float(high[0]),
                after_low=float(low[1]),
                after_high=float(high[1]),
                low=float(apart[0]),
                high=float(apart[1]),
            )
        )
    return tuple(found)


def measures(target: Sequence[Any], answers: Answers) -> dict[str, tuple[Measure, bool]]:
    """The metrics that can be taken of some answers, and whether more of each is better."""
    if answers.labels is not None:
        return _of_labels(target, answers)
    if answers.values is None:
        return {}
    wanted = np.array([np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in target])
    if wanted.shape != answers.values.shape:
        return {}
    error = answers.values - wanted

    def explained(rows: NDArray[np.int64]) -> float:
        around = wanted[rows] - wanted[rows].mean(axis=0)
        whole = np.square(around).sum()
        return float(1 - np.square(error[rows]).sum() / whole) if whole else float("nan")

    return {
        "mae": (lambda rows: float(np.abs(error[rows]).mean()), False),
        "rmse": (lambda rows: float(np.sqrt(np.square(error[rows]).mean())), False),
        "r2": (explained, True),
    }


def _of_labels(target: Sequence[Any], answers: Answers) -> dict[str, tuple[Measure, bool]]:
    labels = answers.labels or ()
    if any(isinstance(each, list) for each in labels):
        right = np.array([same(a, b) for a, b in zip(labels, target, strict=True)])
        return {"accuracy": (lambda rows: float(right[rows].mean()), True)}
    names = sorted({str(each) for each in (*labels, *target) if each is not None})
    places = {name: place for place, name in enumerate(names)}
    wanted = np.array([places[str(each)] for each in target])
    said = np.array([-1 if each is None else places[str(each)] for each in labels])
    count = len(names)

    def confusion(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        flat = np.bincount(wanted[rows] * count + said[rows], minlength=count * count)
        return np.asarray(flat.reshape(count, count), dtype=np.float64)

    def balanced(rows: NDArray[np.int64]) -> float:
        table = confusion(rows)
        there = table.sum(axis=1) > 0
        return float((np.diag(table)[there] / table.sum(axis=1)[there]).mean())

    def f1(rows: NDArray[np.int64]) -> float:
        table = confusion(rows)
        hit, both = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
        return float((2 * hit[both > 0] / both[both > 0]).mean())

    right = said == wanted
    found: dict[str, tuple[Measure, bool]] = {
        "accuracy": (lambda rows: float(right[rows].mean()), True),
        "balanced_accuracy": (balanced, True),
        "f1_macro": (f1, True),
    }
    if answers.probabilities is None or not {*map(str, target)} <= {*answers.classes}:
        return found
    columns = np.array([answers.classes.index(str(each)) for each in target])
    chosen = answers.probabilities[np.arange(len(columns)), columns]
    loss = -np.log(np.clip(chosen, _LEAST, 1))
    found["log_loss"] = (lambda rows: float(loss[rows].mean()), False)
    if len(answers.classes) == 2:
        scores, positive = answers.probabilities[:, 1], columns == 1
        found["roc_auc"] = (lambda rows: _area(scores[rows], positive[rows]), True)
    return found


def _area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve: Mann and Whitney's U as a share, ties counting half."""
    yes = int(positive.sum())
    no = len(positive) - yes
    if not yes or not no:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def same(label: Any, right: Any) -> bool:  # noqa: ANN401 - JSON values
    """Whether a label is the right one; a file of texts has numbers as texts."""
    if isinstance(label, list):
        many = right if isinstance(right, list) else [right]
        return list(map(str, label)) == list(map(str, many))
    return str(label) == str(right)
