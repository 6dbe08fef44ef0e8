"""What a fitted XGBoost model says of itself, as JSON.

https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LT, BRANCH_MEMBER, Array, Tree


@dataclass(frozen=True)
class Grown:
    """A tree and what it adds to each output.

    Attributes:
        tree: its comparisons, float32 with float32.
        output: the one that it adds to; None if it adds to all of them.
        leaves: float32 [nodes, outputs], one column if it adds to one output.
    """

    tree: Tree
    output: int | None
    leaves: Array


@dataclass(frozen=True)
class Told:
    """A model.

    Attributes:
        objective: its name.
        columns: how many columns it takes.
        outputs: how many sums there are.
        base: what they begin with, float32 [outputs].
        coded: which columns hold codes of categories, bool [columns].
        categories: of each column, where they were learned from a data frame.
        trees: those that count, in the order in which they are added.
        weights: of a linear model, float32 [columns, outputs]; None of trees.
    """

    objective: str
    columns: int
    outputs: int
    base: Array
    coded: Array
    categories: tuple[tuple[Any, ...], ...]
    trees: tuple[Grown, ...]
    weights: Array | None


def told(step: Any) -> Told:
    """What the fitted `step` says of itself."""
    whole = json.loads(bytes(step.get_booster().save_raw("json")))
    learner = whole["learner"]
    parameters = learner["learner_model_param"]
    columns = int(parameters["num_feature"])
    outputs = max(1, int(parameters["num_class"]), int(parameters.get("num_target", "1")))
    gradient = learner["gradient_booster"]
    # A dart model is a model of trees and a weight for each.
    inner = gradient.get("gbtree", gradient)["model"]
    linear = inner.get("weights")
    count = _count(inner, learner.get("attributes", {}), outputs)
    groups = inner.get("tree_info", [])[:count]
    trees = inner.get("trees", [])[:count]
    kinds = learner.get("feature_types") or ["float"] * columns
    grown = [_grown(tree, group) for tree, group in zip(trees, groups, strict=True)]
    base = _base(step, whole, inner, columns)
    shares = gradient.get("weight_drop", [])[:count]
    if shares:
        grown = [_dropped(each, base, share) for each, share in zip(grown, shares, strict=True)]
    return Told(
        objective=learner["objective"]["name"],
        columns=columns,
        outputs=outputs,
        base=base,
        coded=np.array([kind == "c" for kind in kinds]),
        categories=_categories(inner.get("cats", {}).get("enc", [])),
        trees=tuple(grown),
        weights=None
        if linear is None
        else np.array(linear, np.float32).reshape(columns + 1, outputs)[:-1],
    )


def _count(inner: dict[str, Any], attributes: dict[str, str], outputs: int) -> int:
    """How many trees are asked: those up to the best round, if the training was stopped early."""
    best = attributes.get("best_iteration")
    if best is None or "trees" not in inner:
        return len(inner.get("trees", []))
    rounds = int(best) + 1
    if "iteration_indptr" in inner:
        return int(inner["iteration_indptr"][rounds])
    # XGBoost before 2.0 has only trees of one output, the same number in each round.
    return rounds * outputs * int(inner["gbtree_model_param"]["num_parallel_tree"])


def _base(step: Any, whole: dict[str, Any], inner: dict[str, Any], columns: int) -> Array:
    """What the sums begin with: the answer of the same model with nothing in its leaves.

    The file has the base score before the objective's link; asked like this, XGBoost itself
    applies the link, and adds the bias of a linear model.
    """
    if "weights" in inner:
        outputs = len(inner["weights"]) // (columns + 1)
        inner["weights"] = [0.0] * (columns * outputs) + inner["weights"][-outputs:]
    for tree in inner.get("trees", []):
        leaf = [child < 0 for child in tree["left_children"]]
        for name in ("leaf_weights", "base_weights"):
            if name in tree:
                tree[name] = [0.0] * len(tree[name])
        tree["split_conditions"] = [
            0.0 if at_leaf else value
            for at_leaf, value in zip(leaf, tree["split_conditions"], strict=True)
        ]
    empty = copy.copy(step)
    booster = type(step.get_booster())
    empty._Booster = booster(model_file=bytearray(json.dumps(whole).encode()))  # noqa: SLF001
    row = np.zeros((1, columns))
    answer = empty.predict(row, output_margin=True, validate_features=False)
    return np.asarray(answer, np.float32).reshape(-1)


def _grown(raw: dict[str, Any], group: int) -> Grown:
    left, right = np.array(raw["left_children"]), np.array(raw["right_children"])
    conditions = np.array(raw["split_conditions"], np.float32)
    targets = int(raw["tree_param"].get("size_leaf_vector", "1"))
    if targets > 1:
        weights = np.array(raw.get("leaf_weights", raw["base_weights"]), np.float32)
        # A leaf's right child says where its weights stand; older files have them for each node.
        place = np.where(left < 0, right, 0) if "leaf_weights" in raw else np.arange(len(left))
        leaves = weights.reshape(-1, targets)[place]
    else:
        leaves = conditions.reshape(-1, 1)
    missing_left = np.array(raw["default_left"], bool)
    mode = np.full(len(left), BRANCH_LT)
    members = _members(raw)
    for node in members:
        # What is in the set goes right; here the true side is called left.
        mode[node] = BRANCH_MEMBER
        left[node], right[node] = right[node], left[node]
        missing_left[node] = not missing_left[node]
    tree = Tree(
        left=_reached(left, right),
        right=right,
        feature=np.array(raw["split_indices"]),
        threshold=np.where(mode == BRANCH_LT, conditions, np.float32(0)),
        missing_left=missing_left,
        mode=mode,
        members=members,
    )
    return Grown(tree, group if targets == 1 else None, leaves)


def _reached(left: Array, right: Array) -> Array:
    """The left children, -1 at nodes that pruning cut off."""
    waiting, seen = [0], set()
    while waiting:
        node = waiting.pop()
        seen.add(node)
        if left[node] >= 0:
            waiting += [int(left[node]), int(right[node])]
    return np.where([node in seen for node in range(len(left))], left, -1)


def _members(raw: dict[str, Any]) -> dict[int, Array]:
    """Per node that splits by category the codes that go right."""
    flat = raw.get("categories", [])
    return {
        node: np.array(flat[start : start + size])
        for node, start, size in zip(
            raw.get("categories_nodes", []),
            raw.get("categories_segments", []),
            raw.get("categories_sizes", []),
            strict=True,
        )
    }


def _dropped(grown: Grown, base: Array, share: float) -> Grown:
    """A tree of a dart model. Its answer is computed with the base, which is taken off again."""
    start = base if grown.output is None else base[[grown.output]]
    leaves = ((start + grown.leaves) - start) * np.float32(share)
    return Grown(grown.tree, grown.output, leaves)


def _categories(encoded: list[dict[str, Any]]) -> tuple[tuple[Any, ...], ...]:
    """Of each column its categories: texts stand one after the other in UTF-8."""
    found: list[tuple[Any, ...]] = []
    for column in encoded:
        values = column["values"]
        if "offsets" in column:
            data = bytes(value & 255 for value in values)
            found.append(tuple(data[a:b].decode() for a, b in pairwise(column["offsets"])))
        else:
            found.append(tuple(values))
    return tuple(found)
