"""Trees and forests, in double, with the comparisons of the original.

scikit-learn's trees compare float32 inputs with double thresholds. They become ai.onnx.ml
TreeEnsemble (version 5), whose thresholds and weights are double:
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Tree
from mlpack.exporters.sklearn.converters.forests import summed
from mlpack.exporters.sklearn.converters.multioutput import by_group
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk

Features = tuple[Feature, ...]


def sklearn_tree(estimator: Any) -> Tree:
    """The tree of a fitted decision tree."""
    tree = estimator.tree_
    missing = getattr(tree, "missing_go_to_left", None)
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=np.zeros(tree.node_count) if missing is None else missing,
    )


def _unasked(tree: Tree, never: Array) -> Tree:
    """The tree without a word of what is missing in columns where nothing ever is."""
    if not never.any():
        return tree
    asked = ~never[np.maximum(tree.feature, 0)]
    return replace(tree, missing_left=np.asarray(tree.missing_left) * asked)


def float32_matrix(
    path: str,
    features: tuple[Feature, ...],
    context: Context,
    *,
    allow_nan: bool,
) -> str:
    """The input of scikit-learn's trees: rounded to float32, held in double."""
    graph = context.graph
    matrix = context.matrix(features, path)
    unsure = graph.unsure(matrix, len(features))
    if unsure is not None:
        # What float32 cannot hold becomes an infinity, which the original refuses too.
        part, width = unsure
        rounded = graph.cast(graph.cast(part, FLOAT), DOUBLE)
        context.refusals.append(graph.not_finite(rounded, allow_nan=allow_nan, width=width))
    return graph.cast(graph.cast(matrix, FLOAT), DOUBLE)


def takes_nan(estimator: Any) -> bool:
    """Whether the original accepts NaN: the very question that it asks itself."""
    ask = getattr(estimator, "_support_missing_values", None)
    return bool(ask and ask(np.zeros((1, 1))))


def _shares(estimator: Any) -> Array:
    """Per node the share of each class, as the tree itself holds them: float64 [nodes, classes].

    Of a tree with several outputs the classes of each, one after the other.
    """
    every = np.asarray(estimator.tree_.value, np.float64)
    sizes = np.atleast_1d(estimator.n_classes_).tolist()
    return np.hstack([every[:, place, :size] for place, size in enumerate(sizes)])


def _numbers(estimator: Any) -> Array:
    """Per node the value of each output: float64 [nodes, outputs]."""
    return np.asarray(estimator.tree_.value[:, :, 0], np.float64)


def _mean_of_trees(
    path: str, step: Any, values: Callable[[Any], Array], features: Features, context: Context
) -> str:
    """What a tree, or the trees of a forest on average, have in their leaves: float64 [rows, n]."""
    members = list(getattr(step, "estimators_", [step]))
    matrix = float32_matrix(path, features, context, allow_nan=takes_nan(members[0]))
    never = [feature.tensor in context.graph.lookups for feature in features]
    trees = [_unasked(sklearn_tree(member), np.array(never)) for member in members]
    numbers = [values(member) for member in members]
    total = summed(trees, numbers, matrix, len(features), context)
    if len(members) == 1:
        return total
    return context.graph.divide(total, context.graph.constant(np.float64(len(members))))


def _classifier(path: str, step: Any, features: Features, context: Context, _walk: Walk) -> Outputs:
    votes = _mean_of_trees(path, step, _shares, features, context)
    if step.n_outputs_ == 1:
        return Outputs(label=context.graph.argmax(votes), probabilities=votes)
    return by_group(path, step, votes, step.n_classes_, context)


def _regressor(path: str, step: Any, features: Features, context: Context, _walk: Walk) -> Outputs:
    return Outputs(value=_mean_of_trees(path, step, _numbers, features, context))


MODELS: Models = {
    **dict.fromkeys(
        (
            "DecisionTreeClassifier",
            "ExtraTreeClassifier",
            "ExtraTreesClassifier",
            "RandomForestClassifier",
        ),
        _classifier,
    ),
    **dict.fromkeys(
        (
            "DecisionTreeRegressor",
            "ExtraTreeRegressor",
            "ExtraTreesRegressor",
            "RandomForestRegressor",
        ),
        _regressor,
    ),
}
TRANSFORMERS: Transformers = {}
