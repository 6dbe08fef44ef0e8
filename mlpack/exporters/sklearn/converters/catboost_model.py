"""What a fitted CatBoost model says of itself, as JSON.

https://catboost.ai/docs/en/concepts/output-data_model-json
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LEQ, Array, Tree

Raw = Mapping[str, Any]
Column = Callable[[Raw], tuple[int, float, bool]]
"""Of a split: the column that it looks at, the value above which it is true, and whether it is
true of a missing value."""


@dataclass(frozen=True)
class Projection:
    """What a split on categories depends on: categories, and on which side of borders numbers are.

    Attributes:
        categories: numbers of categorical features.
        borders: numbers of numeric features, each with a border.
        statistic: the number of the statistic that is compared; None for a single category.
    """

    categories: tuple[int, ...]
    borders: tuple[tuple[int, float], ...]
    statistic: int | None = None


@dataclass(frozen=True)
class Told:
    """A model.

    Attributes:
        whole: its JSON.
        loss: the name of its loss function.
        scale, bias: what becomes of the sums; float64 [outputs].
        numbers: the numeric features' columns, by their number.
        categories: the same of the categorical ones.
        missing_above: the numeric features in which a missing value counts as the largest.
        splits: those on categories by their index, each once.
        projections: what each of them depends on.
    """

    whole: Raw
    loss: str
    scale: float
    bias: Array
    numbers: dict[int, int]
    categories: dict[int, int]
    missing_above: frozenset[int]
    splits: dict[int, Raw]
    projections: dict[int, Projection]


def told(step: Any) -> Told:
    """What the fitted `step` says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.json")
        step.save_model(str(file), format="json")
        whole = json.loads(file.read_bytes())
    features = whole["features_info"]
    scale, bias = whole["scale_and_bias"]
    numbers = features.get("float_features") or []
    splits = {
        split["split_index"]: split
        for split in _splits(whole)
        if split["split_type"] != "FloatFeature"
    }
    return Told(
        whole=whole,
        loss=whole["model_info"]["params"]["loss_function"]["type"],
        scale=float(scale),
        bias=np.array(bias, np.float64),
        numbers={each["feature_index"]: each["flat_feature_index"] for each in numbers},
        categories={
            each["feature_index"]: each["flat_feature_index"]
            for each in features.get("categorical_features") or []
        },
        missing_above=frozenset(
            each["feature_index"] for each in numbers if each["nan_value_treatment"] == "AsTrue"
        ),
        splits=splits,
        projections=_projections(features, splits),
    )


def trees(model: Told) -> list[Raw]:
    """The trees in their order, symmetric or not."""
    return list(model.whole.get("oblivious_trees") or model.whole.get("trees") or [])


def _splits(whole: Raw) -> list[Raw]:
    found: list[Raw] = []
    for tree in whole.get("oblivious_trees") or []:
        found += tree.get("splits") or []
    waiting = list(whole.get("trees") or [])
    while waiting:
        node = waiting.pop()
        if "split" in node:
            found.append(node["split"])
            waiting += [node["left"], node["right"]]
    return found


def _projections(features: Raw, splits: Mapping[int, Raw]) -> dict[int, Projection]:
    """What each split depends on.

    Splits are numbered: first the borders of numbers, then single categories, then the borders of
    the statistics, one statistic after the other.
    """
    numbered = sum(len(each["borders"]) for each in features.get("float_features") or [])
    numbered += sum(
        len(each.get("values") or []) for each in features.get("categorical_features") or []
    )
    statistics: dict[int, Raw] = {}
    for number, statistic in enumerate(features.get("ctrs") or []):
        for border in statistic["borders"]:
            statistics[numbered] = {**statistic, "border": border, "number": number}
            numbered += 1
    found: dict[int, Projection] = {}
    for index, split in splits.items():
        if split["split_type"] == "OneHotFeature":
            found[index] = Projection((split["cat_feature_index"],), ())
        elif index in statistics and statistics[index]["border"] == split["border"]:
            found[index] = _of(statistics[index])
    return found


def _of(statistic: Raw) -> Projection:
    elements = statistic["elements"]
    return Projection(
        tuple(sorted({e["cat_feature_index"] for e in elements if "cat_feature_index" in e})),
        tuple(
            sorted(
                (e["float_feature_index"], float(e["border"]))
                for e in elements
                if "float_feature_index" in e
            )
        ),
        statistic["number"],
    )


def grown(raw: Raw, column: Column, outputs: int) -> tuple[Tree, Array]:
    """A tree, and what each of its nodes adds to the outputs if it is a leaf."""
    if "leaf_values" in raw:
        return _symmetric(raw, column, outputs)
    left: list[int] = []
    right: list[int] = []
    looks: list[tuple[int, float, bool]] = []
    values: list[Any] = []
    _add(raw, column, left, right, looks, values, np.zeros(outputs))
    return _tree(left, right, looks), np.array(values, np.float64).reshape(len(left), outputs)


def _add(
    node: Raw,
    column: Column,
    left: list[int],
    right: list[int],
    looks: list[tuple[int, float, bool]],
    values: list[Any],
    nothing: Array,
) -> int:
    place = len(left)
    left.append(-1)
    right.append(-1)
    looks.append(column(node["split"]) if "split" in node else (0, 0.0, False))
    values.append(nothing if "split" in node else np.ravel(node["value"]))
    if "split" in node:
        left[place] = _add(node["left"], column, left, right, looks, values, nothing)
        right[place] = _add(node["right"], column, left, right, looks, values, nothing)
    return place


def _symmetric(raw: Raw, column: Column, outputs: int) -> tuple[Tree, Array]:
    """All nodes of a level ask the same. The first split is the lowest bit of a leaf's number."""
    levels = [column(split) for split in reversed(raw.get("splits") or [])]
    inner = 2 ** len(levels) - 1
    nodes = np.arange(2 * inner + 1)
    left = np.where(nodes < inner, 2 * nodes + 1, -1)
    looks = [look for level, look in enumerate(levels) for _ in range(2**level)]
    looks += [(0, 0.0, False)] * (inner + 1)
    values = np.zeros((len(nodes), outputs))
    values[inner:] = np.array(raw["leaf_values"], np.float64).reshape(-1, outputs)
    return _tree(left, left + 1, looks), values


def _tree(left: Any, right: Any, looks: list[tuple[int, float, bool]]) -> Tree:
    """Right is where a split is true: above its border."""
    return Tree(
        left=np.asarray(left),
        right=np.asarray(right),
        feature=np.array([feature for feature, _, _ in looks]),
        threshold=np.array([border for _, border, _ in looks]),
        missing_left=np.array([not above for _, _, above in looks]),
        mode=np.full(len(looks), BRANCH_LEQ),
    )
