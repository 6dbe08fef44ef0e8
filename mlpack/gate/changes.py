"""Where the answers of two versions differ, by how much, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from mlpack.gate.answers import Answers
from mlpack.gate.cells import number
from mlpack.gate.rows import Rows
from mlpack.gate.values import Changed, Example, Slice

FAR = 0.1
"""A value that is further away than this part of a standard deviation is another one."""

EXAMPLES = 20
_SLICES = 10
_FEWEST = 10
_UNLIKELY = 0.01
_GROUPS = 20
_SIGNIFICANT = 6


def compare(rows: Rows, before: Answers, after: Answers) -> Changed:
    """How the answers to the same rows differ."""
    both = ~before.refused & ~after.refused
    changed, by, moved = _differences(before, after, both)
    order = np.lexsort((-by, ~changed))  # those that changed first, the largest of them first
    examples = [
        Example(row=int(row), before=_told(before, row), after=_told(after, row), by=float(by[row]))
        for row in order[:EXAMPLES].tolist()
        if changed[row]
    ]
    return Changed(
        of="values" if before.labels is None else "labels",
        rows=int(both.sum()),
        refused_before=int(before.refused.sum()),
        refused_after=int(after.refused.sum()),
        newly_refused=int((after.refused & ~before.refused).sum()),
        changed=int(changed.sum()),
        moved=moved,
        examples=tuple(examples),
        slices=_slices(rows, changed, both),
    )


def _differences(
    before: Answers, after: Answers, both: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float | None]:
    """Which rows are answered otherwise, how far apart they are, and how far all are."""
    rows = len(both)
    by = np.zeros(rows)
    changed = np.zeros(rows, dtype=np.bool_)
    if before.labels is not None and after.labels is not None:
        pairs = zip(before.labels, after.labels, strict=True)
        changed = both & np.array([_other(a, b) for a, b in pairs], dtype=np.bool_)
        by[changed] = 1.0
        shares = _aligned(before, after)
        if shares is None:
            return changed, by, None
        by[both] = np.abs(shares[0] - shares[1])[both].max(axis=1)
        return changed, by, float(by[both].mean()) if both.any() else 0.0
    if before.values is None or after.values is None or before.values.shape != after.values.shape:
        return both, by, None  # nothing of the one answer is in the other
    if not both.any():
        return changed, by, 0.0
    difference = np.abs(after.values - before.values)
    spread = np.std(before.values[both], axis=0)
    spread = np.where(
        spread > 0, spread, np.maximum(np.abs(before.values[both]).max(axis=0), 1e-300)
    )
    apart = difference / spread
    changed = both & (np.where(np.isnan(apart), 0, apart) > FAR).any(axis=1)
    by[both] = difference[both].max(axis=1)
    return changed, by, float(np.sqrt(np.mean(np.square(apart[both]))))


def _other(one: Any, two: Any) -> bool:  # noqa: ANN401 - a label, or a list of labels
    return type(one) is not type(two) or bool(one != two)


def _aligned(
    before: Answers, after: Answers
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Both sides' probabilities of the same classes, one that the other has not as 0."""
    if before.probabilities is None or after.probabilities is None:
        return None
    classes = sorted({*before.classes, *after.classes})
    found = []
    for side in (before, after):
        shares = np.zeros((side.rows, len(classes)))
        for place, name in enumerate(side.classes):
            if side.probabilities is not None:
                shares[:, classes.index(name)] = side.probabilities[:, place]
        found.append(shares)
    return found[0], found[1]


def _told(side: Answers, row: int) -> str:
    if side.labels is not None:
        label = side.labels[row]
        text = ", ".join(map(str, label)) if isinstance(label, list) else str(label)
        if side.probabilities is None:
            return text
        return f"{text} ({side.probabilities[row].max():.3f})"
    if side.values is None:
        return ""
    return ", ".join(f"{each:.{_SIGNIFICANT}g}" for each in side.values[row].tolist())


def _slices(rows: Rows, changed: NDArray[np.bool_], both: NDArray[np.bool_]) -> tuple[Slice, ...]:
    """The groups of rows in which surely more changed than in the others."""
    total, count = int(both.sum()), int(changed.sum())
    if not count or count == total:
        return ()
    names = sorted({name for row in rows.rows for name in row})
    found: list[Slice] = []
    tried = 0
    for name in names:
        for told, members in groups(rows.column(name)):
            inside = members & both
            size, hits = int(inside.sum()), int((changed & inside).sum())
            if size < max(_FEWEST, total // 50) or size == total:
                continue
            tried += 1
            if hits * total > count * size:
                p = float(stats.hypergeom.sf(hits - 1, total, count, size))
                found.append(Slice(column=name, values=told, rows=size, changed=hits, p=p))
    unlikely = [each for each in found if each.p * tried < _UNLIKELY]  # Bonferroni's correction
    return tuple(sorted(unlikely, key=lambda each: each.p)[:_SLICES])


def groups(values: Sequence[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """The rows by what stands in a column: numbers in quarters, other values each; missing ones.

    A column of so many different texts that they are no groups has the missing ones alone.
    """
    series = pd.Series(list(values), dtype=object)
    missing = series.isna().to_numpy()
    found: list[tuple[str, NDArray[np.bool_]]] = []
    if missing.any():
        found.append(("missing", missing))
    present = series[~missing]
    numeric = all(map(number, present))
    if numeric and present.nunique() > _GROUPS:
        numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
        bounds = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
        for low, high in pairwise(bounds.tolist()):
            first = low == bounds[0]
            inside = (numbers >= low if first else numbers > low) & (numbers <= high)
            found.append((f"{low:.4g} to {high:.4g}", inside))
        return found
    counts = present.map(lambda each: (type(each).__name__, str(each))).value_counts()
    if len(counts) > len(present) / 2 and len(counts) > _GROUPS:
        return found
    keys = series.map(lambda each: (type(each).__name__, str(each)))
    return found + [(key[1], _equal(keys, key)) for key in counts.index[:_GROUPS]]


def _equal(keys: pd.Series[Any], key: tuple[str, str]) -> NDArray[np.bool_]:
    return np.array([each == key for each in keys], dtype=np.bool_)
