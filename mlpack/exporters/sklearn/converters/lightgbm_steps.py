"""LightGBM: its trees compare and sum in double, and so does the graph.

The arithmetic is that of LightGBM's ``include/LightGBM/tree.h`` (how a split decides),
``src/boosting/gbdt_prediction.cpp`` (the sums, tree by tree) and ``src/objective`` (the links).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import (
    BRANCH_LEQ,
    BRANCH_MEMBER,
    Array,
    Ensemble,
    Tree,
)
from mlpack.exporters.sklearn.converters.lightgbm_linear import linear_sums
from mlpack.exporters.sklearn.converters.lightgbm_model import (
    NAN_MISSING,
    ZERO_MISSING,
    Grown,
    Told,
    by_node,
    told,
)
from mlpack.exporters.sklearn.converters.linear import expit, two_sided
from mlpack.exporters.sklearn.features import NAN, Context, Feature, plain
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold: a number that is not above it counts as zero."""

_PLAIN = frozenset(
    [
        *("", "regression", "regression_l1", "huber", "fair", "quantile", "mape"),
        *("lambdarank", "rank_xendcg"),
    ]
)
"""Objectives whose answer is the sum itself; a function of the author's own has no name."""
_EXP = frozenset({"poisson", "gamma", "tweedie"})
_SIGMOID = frozenset({"binary", "multiclassova", "cross_entropy"})


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    if callable(step.objective_):
        raise NotExportableError(
            path,
            f"{type(step).__name__} with an objective of your own answers no classes: "
            "name one of LightGBM's objectives",
        )
    scores, answers = _answers(path, step, features, context)
    graph = context.graph
    shares = two_sided(answers.tensor, context) if answers.width == 1 else answers.tensor
    return Outputs(label=graph.argmax(shares), probabilities=shares, scores=scores)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    _, answers = _answers(path, step, features, context)
    return Outputs(value=answers.tensor)


@dataclass(frozen=True)
class _Answers:
    """What the model says: float64 [rows, width]."""

    tensor: str
    width: int


def _answers(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[str, _Answers]:
    """The sums, and what the objective makes of them."""
    parameters = step.get_params()
    if parameters.get("pred_early_stop"):
        raise NotExportableError(
            path, f"{describe(step, 'pred_early_stop')} stops between the trees: leave it out"
        )
    model = told(step.booster_)
    columns = _columns(path, step, model, features, context)
    graph = context.graph
    if any(grown.linear is not None for grown in model.trees):
        raw = linear_sums(
            model, columns.trees, columns.plain, columns.matrix, len(features), context
        )
    else:
        ensemble = Ensemble(targets=model.scores)
        for number, (tree, grown) in enumerate(zip(columns.trees, model.trees, strict=True)):
            ensemble.add_one(tree, by_node(grown, grown.leaves), number % model.scores)
        raw = ensemble.node(columns.matrix, context)
    if model.average:
        rounds = len(model.trees) // model.scores
        raw = graph.divide(raw, graph.constant(np.float64(rounds)))
    return raw, _Answers(_linked(path, step, model, raw, context), model.scores)


def _linked(path: str, step: Any, model: Told, raw: str, context: Context) -> str:
    graph, name = context.graph, model.objective
    if name in _PLAIN and "sqrt" in model.parameters:
        return graph.multiply(graph.multiply(graph.node("Sign", [raw]), raw), raw)
    if name in _PLAIN:
        return raw
    if name in _EXP:
        return graph.node("Exp", [raw])
    if name == "multiclass":
        return graph.node("Softmax", [raw], axis=1)
    if name in _SIGMOID:
        slope = float(model.parameters.get("sigmoid", 1))
        if slope != 1:
            raw = graph.multiply(raw, graph.constant(np.float64(slope)))
        return expit(raw, context)
    raise NotExportableError(
        path, f"{describe(step)}: the objective {name!r} has no exact graph yet"
    )


@dataclass(frozen=True)
class _Columns:
    """What the trees compare.

    Attributes:
        matrix: the columns, then those that some splits see in another way.
        plain: the columns alone.
        trees: the model's trees, over `matrix`.
    """

    matrix: str
    plain: str
    trees: tuple[Tree, ...]


def _columns(
    path: str, step: Any, model: Told, features: tuple[Feature, ...], context: Context
) -> _Columns:
    graph = context.graph
    base = context.matrix(_encoded(path, step, features, context), path)
    splits = [split for grown in model.trees for split in _splits(grown)]
    if any(abs(split.threshold) <= ZERO for split in splits if not split.categorical):
        small = graph.node("LessOrEqual", [graph.node("Abs", [base]), graph.constant(ZERO)])
        base = graph.where(small, graph.constant(np.float64(0)), base)
    parts = [base]
    places: dict[tuple[int, int], int] = {}
    for kind, make in ((ZERO_MISSING, _without_zeros), (_CATEGORY, _categories)):
        chosen = sorted({split.feature for split in splits if split.kind == kind})
        if chosen:
            start = len(features) + len(places)
            places.update({(kind, column): start + i for i, column in enumerate(chosen)})
            parts.append(make(graph.columns(base, chosen), context))
    return _Columns(
        matrix=graph.concat(parts),
        plain=base,
        trees=tuple(_tree(grown, places) for grown in model.trees),
    )


_CATEGORY = -1


@dataclass(frozen=True)
class _Split:
    feature: int
    threshold: float
    categorical: bool
    missing: int

    @property
    def kind(self) -> int:
        """How it sees its column: one of the ``*_MISSING``, or _CATEGORY."""
        return _CATEGORY if self.categorical else self.missing


def _splits(grown: Grown) -> list[_Split]:
    return [
        _Split(int(feature), float(threshold), bool(categorical), int(missing))
        for feature, threshold, categorical, missing in zip(
            grown.feature, grown.threshold, grown.categorical, grown.missing, strict=True
        )
    ]


def _without_zeros(columns: str, context: Context) -> str:
    """Zero is missing there as NaN is."""
    graph = context.graph
    # NaN is not above anything either.
    present = graph.node("Greater", [graph.node("Abs", [columns]), graph.constant(ZERO)])
    return graph.where(present, columns, graph.constant(np.float64(NAN)))


def _categories(columns: str, context: Context) -> str:
    """Categories from 1 on: the whole part of a number; 0 is none of them."""
    graph = context.graph
    above = graph.node("Greater", [columns, graph.constant(np.float64(-1))])
    below = graph.node("Less", [columns, graph.constant(np.float64(2**31))])
    known = graph.node("And", [above, below])
    code = graph.where(known, columns, graph.constant(np.float64(-1)))
    whole = graph.cast(graph.cast(code, INT64), DOUBLE)
    return graph.add(whole, graph.constant(np.float64(1)))


def _tree(grown: Grown, places: dict[tuple[int, int], int]) -> Tree:
    """A tree whose nodes are the splits, and after them the leaves."""
    splits = _splits(grown)
    count, leaves = len(splits), len(grown.leaves)
    end = np.full(leaves, -1)

    def child(numbers: Array) -> Array:
        return np.concatenate([np.where(numbers < 0, count + ~numbers, numbers), end])

    # What cannot be missing counts as zero where it is NaN, and a category is never missing.
    missing = np.where(grown.missing == NAN_MISSING, grown.default_left, grown.threshold >= 0)
    missing = np.where(grown.missing == ZERO_MISSING, grown.default_left, missing)
    feature = [places.get((split.kind, split.feature), split.feature) for split in splits]
    return Tree(
        left=child(grown.left) if count else end,
        right=child(grown.right) if count else end,
        feature=np.array([*feature, *([0] * leaves)]),
        threshold=np.concatenate([grown.threshold, np.zeros(leaves)]),
        missing_left=np.concatenate([missing & ~grown.categorical, np.zeros(leaves, bool)]),
        mode=np.concatenate(
            [np.where(grown.categorical, BRANCH_MEMBER, BRANCH_LEQ), np.zeros(leaves, np.int64)]
        ),
        members={
            index: grown.sets[int(split.threshold)] + 1
            for index, split in enumerate(splits)
            if split.categorical
        },
    )


def _encoded(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[Feature, ...]:
    """Columns of pandas' category type as the codes that LightGBM gave them."""
    learned = step.booster_.pandas_categorical or []
    places = [index for index, feature in enumerate(features) if _is_category(feature, context)]
    if not learned:
        return features
    if len(places) != len(learned):
        raise NotExportableError(
            path,
            f"{type(step).__name__} learned the categories of {len(learned)} columns of pandas' "
            f"category type, of which {len(places)} are raw columns: encode the others by a step "
            "before it, as numbers",
        )
    made = list(features)
    for index, categories in zip(places, learned, strict=True):
        feature = features[index]
        context.learn(feature, categories)
        codes = {plain(category): float(code) for code, category in enumerate(categories)}
        table = [[codes.get(plain(value), NAN)] for value in feature.values or ()]
        tensor = context.lookup(str(feature.raw), np.array(table))
        made[index] = context.made(tensor, [feature.name])[0]
    return tuple(made)


def _is_category(feature: Feature, context: Context) -> bool:
    if feature.raw is None or feature.values is None:
        return False
    return context.signature.column(feature.raw).dtype == "category"


MODELS: Models = {
    "lightgbm.LGBMClassifier": _classifier,
    "lightgbm.LGBMRegressor": _regressor,
    "lightgbm.LGBMRanker": _regressor,
}
TRANSFORMERS: Transformers = {}
