"""Histogram gradient boosting of scikit-learn, categories included.

The arithmetic is that of ``sklearn/ensemble/_hist_gradient_boosting``: the trees compare doubles,
and their values are added to the baseline one after the other. The categories are encoded by an
OrdinalEncoder of the model's own; a category that it does not know counts as missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import (
    BRANCH_LEQ,
    BRANCH_MEMBER,
    Array,
    Ensemble,
    Tree,
    grown,
)
from mlpack.exporters.sklearn.converters.linear import expit, two_sided
from mlpack.exporters.sklearn.features import NAN, UNKNOWN, Context, Feature, plain
from mlpack.exporters.sklearn.graph import INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk
from mlpack.ports import NotExportableError


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    raw = _raw(path, step, features, context)
    graph = context.graph
    if step.n_trees_per_iteration_ > 1:
        shares = graph.node("Softmax", [raw], axis=1)
        return Outputs(label=graph.argmax(raw), probabilities=shares, scores=raw)
    above = graph.node("Greater", [raw, graph.constant(np.float64(0))])
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=two_sided(expit(raw, context), context),
        scores=raw,
    )


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    raw = _raw(path, step, features, context)
    if step.loss in ("poisson", "gamma"):
        return Outputs(value=context.graph.node("Exp", [raw]))
    return Outputs(value=raw)


def _raw(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """The sums over the trees: float64 [rows, scores]."""
    known = step.is_categorical_
    mask = np.zeros(len(features), bool) if known is None else np.asarray(known, bool)
    coded = [features[index] for index in np.flatnonzero(mask)]
    plainly = [features[index] for index in np.flatnonzero(~mask)]
    # No refusal of a number: the original takes NaN and infinities as they are.
    parts = [context.matrix(plainly, path)] if plainly else []
    if coded:
        encoder = step._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - no public form
        parts.insert(0, _codes(path, coded, encoder.categories_, context))
    scores = step.n_trees_per_iteration_
    ensemble = Ensemble(targets=scores)
    ensemble.start(np.asarray(step._baseline_prediction, np.float64).reshape(-1))  # noqa: SLF001
    for stage in step._predictors:  # noqa: SLF001 - there is no public form of the trees
        for score, predictor in enumerate(stage):
            ensemble.add_one(_tree(predictor), predictor.nodes["value"], score)
    return ensemble.node(context.graph.concat(parts), context)


def _tree(predictor: Any) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    categorical = nodes["is_categorical"].astype(bool) & ~leaf
    words = np.asarray(predictor.raw_left_cat_bitsets, np.int64)
    sets = {
        int(node): _members(words[nodes["bitset_idx"][node]])
        for node in np.flatnonzero(categorical)
    }
    # Where only the missing go left the set is empty, which ONNX Runtime refuses.
    empty = [node for node, members in sets.items() if not len(members)]
    threshold = np.where(categorical, 0.0, nodes["num_threshold"])
    threshold[empty], categorical[empty] = -np.inf, False
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=nodes["right"].astype(np.int64),
        feature=nodes["feature_idx"],
        threshold=threshold,
        missing_left=nodes["missing_go_to_left"],
        mode=np.where(categorical, BRANCH_MEMBER, BRANCH_LEQ),
        members=sets,
    )


def _members(words: Array) -> Array:
    """The codes in a bitset of 8 words of 32 bits, as `_codes` tells them: from 1 on."""
    return np.flatnonzero((words[:, None] >> np.arange(32) & 1).ravel()) + 1


def _codes(path: str, features: list[Feature], categories: list[Array], context: Context) -> str:
    """The number of each category, from 1 on, NaN where there is none: float64 [rows, features].

    From 1 on, because ONNX Runtime keeps a set of whole numbers from 1 to 64 as the bits of one.
    """
    graph = context.graph
    numbers = [feature for feature in features if feature.tensor is not None]
    if numbers:
        # The original's encoder refuses infinities.
        matrix = context.matrix(numbers, path)
        context.refusals.append(graph.not_finite(matrix, allow_nan=True))
    columns = []
    for feature, known in zip(features, categories, strict=True):
        if feature.tensor is not None:
            columns.append(_searched(context.matrix([feature], path), known, context))
            continue
        if feature.values is None:
            raise NotExportableError(
                path,
                f"it takes {feature.name!r}, a text that an earlier step made, for a category: "
                "let the raw column be the category",
            )
        context.learn(feature, list(known))
        codes = {plain(category): float(code) for code, category in enumerate(known, start=1)}
        codes[None] = NAN
        table = [
            [NAN if value is UNKNOWN else codes.get(plain(value), NAN)]
            for value in feature.values or ()
        ]
        columns.append(context.lookup(str(feature.raw), np.array(table)))
    return graph.concat(columns)


def _searched(column: str, known: Array, context: Context) -> str:
    """The number of each category in a column of numbers, found by halves, as a tree."""
    graph = context.graph
    steps: dict[float, float] = {}
    for code, category in enumerate(known, start=1):
        number = float(category)
        if number == number:
            # What lies between two categories is none of them.
            steps.setdefault(float(np.nextafter(number, -np.inf)), 0.0)
            steps[number] = float(code)
    tree, leaves = grown(list(steps), [*steps.values(), 0.0])
    ensemble = Ensemble(targets=1)
    ensemble.add_one(tree, leaves, 0)
    found = ensemble.node(column, context)
    none = graph.node("Equal", [found, graph.constant(np.float64(0))])
    return graph.where(none, graph.constant(np.float64(NAN)), found)


MODELS: Models = {
    "HistGradientBoostingClassifier": _classifier,
    "HistGradientBoostingRegressor": _regressor,
}
TRANSFORMERS: Transformers = {}
