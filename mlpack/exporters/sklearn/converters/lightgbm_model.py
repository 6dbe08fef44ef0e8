"""What a fitted LightGBM model says of itself, in its own text form.

The form is that of LightGBM's ``src/boosting/gbdt_model_text.cpp`` and ``src/io/tree.cpp``:
a header of ``key=value`` lines, then one block of them for every tree. Its numbers are written
with 17 digits, which is to say exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NO_MISSING, ZERO_MISSING, NAN_MISSING = 0, 1, 2
"""What a split takes for missing: nothing (NaN counts as zero), zero and NaN, NaN alone."""


@dataclass(frozen=True)
class Linear:
    """The linear models of a tree's leaves, leaf by leaf.

    Attributes:
        constant: where each sum starts: float64 [leaves].
        features: the columns that each adds, in this order.
        weights: what each column is multiplied with.
    """

    constant: Array
    features: tuple[Array, ...]
    weights: tuple[Array, ...]


@dataclass(frozen=True)
class Grown:
    """One tree. A child is the number of a split, or ~leaf.

    Attributes:
        left, right: children by split; a row goes left where the comparison holds.
        feature: the column of each split.
        threshold: what it compares with; of a categorical split the number of its set.
        categorical: whether a split asks for a set of categories.
        missing: what each split takes for missing, a ``*_MISSING`` of this module.
        default_left: where the missing go.
        sets: the sets of categories that go left.
        leaves: float64 [leaves].
        linear: the leaves' linear models, if they have any.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    categorical: Array
    missing: Array
    default_left: Array
    sets: tuple[Array, ...]
    leaves: Array
    linear: Linear | None = None


@dataclass(frozen=True)
class Told:
    """A whole model.

    Attributes:
        objective: its name, and its parameters.
        scores: how many sums a row has.
        average: whether the sums are divided by the number of rounds.
        trees: round by round, and within a round score by score.
    """

    objective: str
    parameters: Mapping[str, str]
    scores: int
    average: bool
    trees: tuple[Grown, ...]


def told(booster: Any) -> Told:
    """Read a model out of the text that LightGBM's Booster makes of it, best iteration last."""
    head, *blocks = booster.model_to_string().split("\nTree=")
    header = _pairs(head)
    # The last tree is followed by "end of trees" and what no prediction needs.
    trees = [_tree(_pairs(block.partition("\nend of trees")[0])) for block in blocks]
    name, *parameters = header.get("objective", "").split() or [""]
    found = dict(part.partition(":")[::2] for part in parameters)
    return Told(
        objective=name,
        parameters=found,
        scores=int(header["num_tree_per_iteration"]),
        average="average_output" in header,
        trees=tuple(trees),
    )


def by_node(grown: Grown, leaves: Array) -> Array:
    """What stands at the leaves, where a tree's nodes are its splits and after them its leaves."""
    return np.concatenate([np.zeros(len(grown.left)), leaves])


def _pairs(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines())


def _numbers(pairs: Mapping[str, str], key: str, kind: Any = np.int64) -> Array:
    return np.array([kind(word) for word in pairs.get(key, "").split()], kind)


def _tree(pairs: Mapping[str, str]) -> Grown:
    decisions = _numbers(pairs, "decision_type")
    leaves = _numbers(pairs, "leaf_value", np.float64)
    return Grown(
        left=_numbers(pairs, "left_child"),
        right=_numbers(pairs, "right_child"),
        feature=_numbers(pairs, "split_feature"),
        threshold=_numbers(pairs, "threshold", np.float64),
        # Bits: categorical, default left, and two for the kind of the missing.
        categorical=(decisions & 1).astype(bool),
        default_left=(decisions & 2).astype(bool),
        missing=decisions >> 2 & 3,
        sets=_sets(_numbers(pairs, "cat_boundaries"), _numbers(pairs, "cat_threshold")),
        leaves=leaves,
        linear=_linear(pairs) if pairs.get("is_linear") == "1" else None,
    )


def _sets(boundaries: Array, words: Array) -> tuple[Array, ...]:
    """Sets of categories, each of which stands in some words of 32 bits."""
    made = []
    for start, end in pairwise(boundaries):
        bits = words[start:end, None] >> np.arange(32) & 1
        made.append(np.flatnonzero(bits.ravel()))
    return tuple(made)


def _linear(pairs: Mapping[str, str]) -> Linear:
    counts = _numbers(pairs, "num_features")
    cuts = np.cumsum(counts)[:-1]
    return Linear(
        constant=_numbers(pairs, "leaf_const", np.float64),
        features=_cut(_numbers(pairs, "leaf_features"), cuts),
        weights=_cut(_numbers(pairs, "leaf_coeff", np.float64), cuts),
    )


def _cut(values: Array, cuts: Sequence[int] | Array) -> tuple[Array, ...]:
    return tuple(np.split(values, cuts))
