"""What one process counted up to a moment, as a value: it travels between processes, and adds up.

Counters of a process that is gone stay in the sum, so that no counter ever goes down; what tells
of the moment goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

POINTS = 64
"""By so many values a column's last values are told: enough for a quantile within one percent."""

FEWEST_VALUES = 20
"""Of fewer values no quantile is told: it would be somebody's value rather than a figure."""

FEWEST_PREDICTIONS = 200
"""Of fewer predictions chance alone makes the index large."""

_LEAST_SHARE = 1e-4
"""What an empty bin counts as, since the index has a logarithm of shares."""

Pieces = list[tuple[int, list[float]]]
"""Some values, ascending, and how many they stand for; of several processes one each."""


class Snapshot(msgspec.Struct, kw_only=True):
    """Figures since the start, and below `active` those of the moment.

    Attributes:
        requests: by route and status.
        latency: by route: how many requests took so long, by bucket, and the sum of seconds.
        problems: requests that were refused or failed, by the kind of problem.
        refused: values that were refused, by column; the empty name stands for whole rows.
        violated: values that failed a demand and were answered all the same, by column.
        rows: rows that were answered.
        seen: rows whose values and predictions were looked at.
        batches: how many batches of so many rows went from the line, by bucket.
        batched: the sum of their rows.
        missing, outside: values that were missing, and that training never saw, by column.
        predicted: predictions, by bin.
        total: the sum of the predicted values.
        sampled, dropped: requests that were written to the sample, and that could not be.
        cpu: seconds of CPU time.
        active: requests in work.
        waiting: how long the line is.
        recent: the last predictions, by bin.
        numbers: the last values of each column of numbers.
        memory: bytes in memory; 0 where the system does not tell.
        started: when, in seconds since 1970; 0 for a process that is gone.
        workers: how many processes this is of.
    """

    requests: dict[tuple[str, int], int]
    latency: dict[str, tuple[list[int], float]]
    problems: dict[str, int]
    refused: dict[str, int]
    violated: dict[str, int]
    rows: int
    seen: int
    batches: list[int]
    batched: int
    missing: list[int]
    outside: list[int]
    predicted: list[int]
    total: float
    sampled: int
    dropped: int
    cpu: float
    active: int
    waiting: int
    recent: list[int]
    numbers: list[Pieces]
    memory: int
    started: float
    workers: int


def pieces(numbers: np.ndarray) -> list[Pieces]:
    """Some values of each row of an array, NaN left out."""
    ordered = np.sort(numbers, axis=1)  # NaN comes last
    counts = (numbers.shape[1] - np.isnan(numbers).sum(axis=1)).tolist()
    found = []
    for values, count in zip(ordered, counts, strict=True):
        if count > POINTS:
            middles = (np.arange(POINTS) + 0.5) * count / POINTS
            found.append([(count, values[middles.astype(np.int64)].tolist())])
        else:
            found.append([(count, values[:count].tolist())])
    return found


def quantiles(given: Pieces, wanted: Sequence[float]) -> list[float]:
    """The quantiles of the values that the pieces stand for; empty for too few values."""
    given = [(count, values) for count, values in given if values]
    if sum(count for count, _ in given) < FEWEST_VALUES:
        return []
    values = np.concatenate([values for _, values in given])
    each = [np.full(len(values), count / len(values)) for count, values in given]
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(np.concatenate(each)[order])
    # A sum of fractions may miss its whole by a last place.
    places = np.searchsorted(reached, np.array(wanted) * reached[-1] - 1e-9)
    found: list[float] = values[order][np.minimum(places, len(values) - 1)].tolist()
    return found


def stability(recent: Sequence[int], shares: Sequence[float]) -> float | None:
    """The population stability index of predictions against training's; None for too few.

    The sum over the bins of (p - q) ln(p / q), p and q being the shares of both sides.
    """
    if sum(recent) < FEWEST_PREDICTIONS or len(recent) != len(shares):
        return None
    p = np.maximum(np.array(recent) / sum(recent), _LEAST_SHARE)
    q = np.maximum(np.array(shares), _LEAST_SHARE)
    return float(((p - q) * np.log(p / q)).sum())


def without_moment(snapshot: Snapshot) -> Snapshot:
    """What stays of a process that is gone: what it counted."""
    return msgspec.structs.replace(
        snapshot,
        active=0,
        waiting=0,
        recent=[0] * len(snapshot.recent),
        numbers=[[] for _ in snapshot.numbers],
        memory=0,
        started=0.0,
        workers=0,
    )


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The sum of one snapshot or more; it started when the first did that is still there."""
    first = snapshots[0]
    started = [each.started for each in snapshots if each.started]
    fields: dict[str, Any] = {"started": min(started, default=0.0)}
    for name in ("requests", "problems", "refused", "violated"):
        fields[name] = _keyed([getattr(each, name) for each in snapshots], lambda a, b: a + b)
    fields["latency"] = _keyed([each.latency for each in snapshots], _latencies)
    for name in ("batches", "missing", "outside", "predicted", "recent"):
        fields[name] = _listed(getattr(each, name) for each in snapshots)
    fields["numbers"] = [
        [piece for each in snapshots for piece in each.numbers[place]]
        for place in range(len(first.numbers))
    ]
    for name in Snapshot.__struct_fields__:
        if name not in fields:
            fields[name] = sum(getattr(each, name) for each in snapshots)
    return Snapshot(**fields)


_K = TypeVar("_K")
_V = TypeVar("_V")


def _keyed(parts: Iterable[Mapping[_K, _V]], add: Callable[[_V, _V], _V]) -> dict[_K, _V]:
    total: dict[_K, _V] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = add(total[key], value) if key in total else value
    return total


def _listed(parts: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*parts, strict=True)]


def _latencies(
    one: tuple[list[int], float], other: tuple[list[int], float]
) -> tuple[list[int], float]:
    return _listed((one[0], other[0])), one[1] + other[1]
