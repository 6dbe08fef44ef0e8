"""Trees, forests and boosting, in double, with the comparisons of the original.

scikit-learn's trees compare float32 inputs with double thresholds; histogram boosting compares
doubles. Both become ai.onnx.ml TreeEnsemble (version 5), whose thresholds and weights are double:
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble, Tree
from mlpack.exporters.sklearn.converters.linear import two_sided
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError


def _sklearn_tree(estimator: Any) -> Tree:
    tree = estimator.tree_
    missing = getattr(tree, "missing_go_to_left", None)
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=np.zeros(tree.node_count) if missing is None else missing,
    )


def _float32_matrix(
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
    for tree in trees:
        for node in np.flatnonzero(np.asarray(tree.left) >= 0):
            feature = features[int(tree.feature[node])]
            context.threshold(feature, float(tree.threshold[node]), rounded=rounded)


def _takes_nan(estimator: Any) -> bool:
    """Whether the original accepts NaN: the very question that it asks itself."""
    ask = getattr(estimator, "_support_missing_values", None)
    return bool(ask and ask(np.zeros((1, 1))))


def _shares(estimator: Any) -> Array:
    """Per node the share of each class: float64 [nodes, classes]; as DecisionTree.predict_proba."""
    values = estimator.tree_.value[:, 0, :]
    totals = values.sum(axis=1, keepdims=True)
    return np.asarray(values / np.where(totals == 0, 1, totals))


def _one_output(path: str, step: Any) -> None:
    if getattr(step, "n_outputs_", 1) != 1:
        raise NotExportableError(path, f"{describe(step)} with several outputs has no graph yet")


def _tree_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    _one_output(path, step)
    return _classify(path, [step], features, context, takes_nan=_takes_nan(step))


def _forest_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    _one_output(path, step)
    members = list(step.estimators_)
    return _classify(path, members, features, context, takes_nan=_takes_nan(members[0]))


def _classify(
    path: str,
    members: list[Any],
    features: tuple[Feature, ...],
    context: Context,
    *,
    takes_nan: bool,
) -> Outputs:
    trees = [_sklearn_tree(member) for member in members]
    matrix = _float32_matrix(path, features, trees, context, allow_nan=takes_nan)
    ensemble = Ensemble(targets=len(members[0].classes_))
    for tree, member in zip(trees, members, strict=True):
        ensemble.add(tree, _shares(member))
    graph = context.graph
    votes = ensemble.node(matrix, context)
    if len(members) > 1:
        votes = graph.divide(votes, graph.constant(np.float64(len(members))))
    return Outputs(label=graph.argmax(votes), probabilities=votes)


def _tree_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return _regress(path, [step], features, context, takes_nan=_takes_nan(step))


def _forest_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    members = list(step.estimators_)
    return _regress(path, members, features, context, takes_nan=_takes_nan(members[0]))


def _regress(
    path: str,
    members: list[Any],
    features: tuple[Feature, ...],
    context: Context,
    *,
    takes_nan: bool,
) -> Outputs:
    trees = [_sklearn_tree(member) for member in members]
    matrix = _float32_matrix(path, features, trees, context, allow_nan=takes_nan)
    ensemble = Ensemble(targets=members[0].n_outputs_)
    for tree, member in zip(trees, members, strict=True):
        ensemble.add(tree, np.asarray(member.tree_.value[:, :, 0], np.float64))
    total = ensemble.node(matrix, context)
    if len(members) > 1:
        total = context.graph.divide(total, context.graph.constant(np.float64(len(members))))
    return Outputs(value=total)


def _gradient_raw(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[str, int]:
    """The raw scores of gradient boosting: float64 [rows, scores], and how many there are."""
    stages = step.estimators_
    trees = [[_sklearn_tree(member) for member in stage] for stage in stages]
    matrix = _float32_matrix(
        path, features, [tree for stage in trees for tree in stage], context, allow_nan=False
    )
    scores = stages.shape[1]
    ensemble = Ensemble(targets=scores)
    for stage, members in zip(trees, stages, strict=True):
        for score, (tree, member) in enumerate(zip(stage, members, strict=True)):
            leaf = np.asarray(member.tree_.value[:, 0, 0], np.float64) * step.learning_rate
            ensemble.add_one(tree, leaf, score)
    total = ensemble.node(matrix, context)
    start = _gradient_start(path, step, scores)
    return context.graph.add(total, context.graph.constant(start)), scores


def _gradient_start(path: str, step: Any, scores: int) -> Array:
    """The constant that boosting starts from: float64 [1, scores]."""
    if isinstance(step.init_, str):
        return np.zeros((1, scores))
    if step.init is not None:
        raise NotExportableError(
            path, f"{describe(step, 'init')}: only its default start and 'zero' are exported"
        )
    zeros = np.zeros((1, step.n_features_in_), np.float32)
    return np.asarray(step._raw_predict_init(zeros), np.float64).reshape(1, -1)  # noqa: SLF001


def _gradient_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    raw, scores = _gradient_raw(path, step, features, context)
    graph = context.graph
    if scores > 1:
        return Outputs(label=graph.argmax(raw), probabilities=graph.node("Softmax", [raw], axis=1))
    above = graph.node("GreaterOrEqual", [raw, graph.constant(np.float64(0))])
    if step.loss == "exponential":
        raw = graph.multiply(raw, graph.constant(np.float64(2)))
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=two_sided(graph.node("Sigmoid", [raw]), context),
    )


def _gradient_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return Outputs(value=_gradient_raw(path, step, features, context)[0])


def _hist_raw(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[str, int]:
    """The raw scores of histogram boosting: float64 [rows, scores], and how many there are."""
    if step.is_categorical_ is not None and np.any(step.is_categorical_):
        raise NotExportableError(
            path,
            f"{describe(step)} with categorical_features has no graph yet: encode the categories "
            "by a step before it and leave categorical_features out",
        )
    scores = step.n_trees_per_iteration_
    ensemble = Ensemble(targets=scores)
    trees: list[Tree] = []
    for stage in step._predictors:  # noqa: SLF001 - there is no public form of the trees
        for score, predictor in enumerate(stage):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            tree = Tree(
                left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
                right=nodes["right"].astype(np.int64),
                feature=nodes["feature_idx"],
                threshold=nodes["num_threshold"],
                missing_left=nodes["missing_go_to_left"],
            )
            trees.append(tree)
            ensemble.add_one(tree, nodes["value"], score)
    # No refusal: the original takes NaN and infinities as they are.
    matrix = context.matrix(features, path)
    _note_thresholds(features, trees, context, rounded=False)
    start = np.asarray(step._baseline_prediction, np.float64).reshape(1, -1)  # noqa: SLF001
    return context.graph.add(ensemble.node(matrix, context), context.graph.constant(start)), scores


def _hist_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    raw, scores = _hist_raw(path, step, features, context)
    graph = context.graph
    if scores > 1:
        return Outputs(label=graph.argmax(raw), probabilities=graph.node("Softmax", [raw], axis=1))
    above = graph.node("Greater", [raw, graph.constant(np.float64(0))])
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=two_sided(graph.node("Sigmoid", [raw]), context),
    )


def _hist_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    raw, _ = _hist_raw(path, step, features, context)
    if step.loss in ("poisson", "gamma"):
        return Outputs(value=context.graph.node("Exp", [raw]))
    return Outputs(value=raw)


MODELS: Models = {
    "DecisionTreeClassifier": _tree_classifier,
    "ExtraTreeClassifier": _tree_classifier,
    "RandomForestClassifier": _forest_classifier,
    "ExtraTreesClassifier": _forest_classifier,
    "DecisionTreeRegressor": _tree_regressor,
    "ExtraTreeRegressor": _tree_regressor,
    "RandomForestRegressor": _forest_regressor,
    "ExtraTreesRegressor": _forest_regressor,
    "GradientBoostingClassifier": _gradient_classifier,
    "GradientBoostingRegressor": _gradient_regressor,
    "HistGradientBoostingClassifier": _hist_classifier,
    "HistGradientBoostingRegressor": _hist_regressor,
}
TRANSFORMERS: Transformers = {}
