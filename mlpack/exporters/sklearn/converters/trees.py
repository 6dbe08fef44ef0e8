"""Trees and forests, in double, with the comparisons of the original.

scikit-learn's trees compare float32 inputs with double thresholds. They become ai.onnx.ml
TreeEnsemble (version 5), whose thresholds and weights are double:
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Tree
from mlpack.exporters.sklearn.converters.forests import summed
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError


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


def float32_matrix(
    path: str,
    features: tuple[Feature, ...],
    trees: list[Tree],
    context: Context,
    *,
    allow_nan: bool,
) -> str:
    """The input of scikit-learn's trees: rounded to float32, held in double."""
    graph = context.graph
    matrix = context.matrix(features, path)
    rounded = graph.cast(graph.cast(matrix, FLOAT), DOUBLE)
    # What float32 cannot hold became an infinity, which the original refuses too.
    context.refusals.append(graph.not_finite(rounded, allow_nan=allow_nan))
    _note_thresholds(features, trees, context, rounded=True)
    return rounded


def _note_thresholds(
    features: tuple[Feature, ...], trees: list[Tree], context: Context, *, rounded: bool
) -> None:
    inner = [np.asarray(tree.left) >= 0 for tree in trees]
    compared = np.concatenate(
        [tree.feature[there] for tree, there in zip(trees, inner, strict=True)]
    )
    values = np.concatenate(
        [tree.threshold[there] for tree, there in zip(trees, inner, strict=True)]
    )
    for index in np.unique(compared):
        context.threshold(features[int(index)], values[compared == index], rounded=rounded)


def takes_nan(estimator: Any) -> bool:
    """Whether the original accepts NaN: the very question that it asks itself."""
    ask = getattr(estimator, "_support_missing_values", None)
    return bool(ask and ask(np.zeros((1, 1))))


def _shares(estimator: Any) -> Array:
    """Per node the share of each class, as the tree itself holds them: float64 [nodes, classes]."""
    return np.asarray(estimator.tree_.value[:, 0, :], np.float64)


def _one_output(path: str, step: Any) -> None:
    if getattr(step, "n_outputs_", 1) != 1:
        raise NotExportableError(path, f"{describe(step)} with several outputs has no graph yet")


def _tree_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    _one_output(path, step)
    return _classify(path, [step], features, context, takes_nan=takes_nan(step))


def _forest_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    _one_output(path, step)
    members = list(step.estimators_)
    return _classify(path, members, features, context, takes_nan=takes_nan(members[0]))


def _classify(
    path: str,
    members: list[Any],
    features: tuple[Feature, ...],
    context: Context,
    *,
    takes_nan: bool,
) -> Outputs:
    trees = [sklearn_tree(member) for member in members]
    matrix = float32_matrix(path, features, trees, context, allow_nan=takes_nan)
    graph = context.graph
    votes = summed(trees, [_shares(member) for member in members], matrix, context)
    if len(members) > 1:
        votes = graph.divide(votes, graph.constant(np.float64(len(members))))
    return Outputs(label=graph.argmax(votes), probabilities=votes)


def _tree_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return _regress(path, [step], features, context, takes_nan=takes_nan(step))


def _forest_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    members = list(step.estimators_)
    return _regress(path, members, features, context, takes_nan=takes_nan(members[0]))


def _regress(
    path: str,
    members: list[Any],
    features: tuple[Feature, ...],
    context: Context,
    *,
    takes_nan: bool,
) -> Outputs:
    trees = [sklearn_tree(member) for member in members]
    matrix = float32_matrix(path, features, trees, context, allow_nan=takes_nan)
    values = [np.asarray(member.tree_.value[:, :, 0], np.float64) for member in members]
    total = summed(trees, values, matrix, context)
    if len(members) > 1:
        total = context.graph.divide(total, context.graph.constant(np.float64(len(members))))
    return Outputs(value=total)


MODELS: Models = {
    "DecisionTreeClassifier": _tree_classifier,
    "ExtraTreeClassifier": _tree_classifier,
    "RandomForestClassifier": _forest_classifier,
    "ExtraTreesClassifier": _forest_classifier,
    "DecisionTreeRegressor": _tree_regressor,
    "ExtraTreeRegressor": _tree_regressor,
    "RandomForestRegressor": _forest_regressor,
    "ExtraTreesRegressor": _forest_regressor,
}
TRANSFORMERS: Transformers = {}
