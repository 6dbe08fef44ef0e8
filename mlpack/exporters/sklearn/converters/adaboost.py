"""AdaBoost: votes and medians of weighted members, as in ``ensemble/_weight_boosting.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import one_hot, present, spread, total
from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble
from mlpack.exporters.sklearn.converters.trees import float32_matrix, sklearn_tree
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join, name_of

TREES = {"DecisionTreeClassifier", "ExtraTreeClassifier"}
REGRESSION_TREES = {"DecisionTreeRegressor", "ExtraTreeRegressor"}


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """SAMME: each member adds its weight to the class that it says, and takes from the others."""
    graph = context.graph
    count = len(step.classes_)
    weights = np.asarray(step.estimator_weights_, np.float64)
    votes = [(weight, -1 / (count - 1) * weight) for weight in weights[: len(step.estimators_)]]
    if all(name_of(member) in TREES for member in step.estimators_):
        whole = _tree_votes(path, step, features, votes, context)
    else:
        whole = _member_votes(path, step, features, votes, context, walk)
    decision = graph.divide(whole, graph.constant(np.float64(weights.sum())))
    if count > 2:
        shared = graph.divide(decision, graph.constant(np.float64(count - 1)))
        return Outputs(
            label=graph.argmax(decision),
            probabilities=graph.node("Softmax", [shared], axis=1),
            scores=decision,
        )
    score = graph.subtract(graph.columns(decision, [1]), graph.columns(decision, [0]))
    both = graph.concat([graph.node("Neg", [score]), score])
    half = graph.divide(both, graph.constant(np.float64(2)))
    above = graph.node("Greater", [score, graph.constant(np.float64(0))])
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=graph.node("Softmax", [half], axis=1),
        scores=score,
    )


def _tree_votes(
    path: str,
    step: Any,
    features: tuple[Feature, ...],
    votes: list[tuple[float, float]],
    context: Context,
) -> str:
    """All trees in one node: a leaf says one class."""
    trees = [sklearn_tree(member) for member in step.estimators_]
    # AdaBoost itself takes no NaN, though its trees would.
    matrix = float32_matrix(path, features, context, allow_nan=False)
    ensemble = Ensemble(targets=len(step.classes_))
    for tree, member, (reward, loss) in zip(trees, step.estimators_, votes, strict=True):
        said = _places(member, step)[_leaf_class(member)]
        leaf = np.where(said[:, np.newaxis] == np.arange(len(step.classes_)), reward, loss)
        ensemble.add(tree, leaf)
    return ensemble.node(matrix, context)


def _leaf_class(member: Any) -> Array:
    """Per node the class with the largest share, the first of equals: int64 [nodes]."""
    return np.asarray(member.tree_.value[:, 0, :].argmax(axis=1))


def _places(member: Any, step: Any) -> Array:
    """Where a member's classes stand among all."""
    known = np.asarray(step.classes_).tolist()
    return np.array([known.index(each) for each in np.asarray(member.classes_).tolist()])


def _member_votes(
    path: str,
    step: Any,
    features: tuple[Feature, ...],
    votes: list[tuple[float, float]],
    context: Context,
    walk: Walk,
) -> str:
    graph = context.graph
    context.refusals.append(graph.not_finite(context.matrix(features, path)))
    parts: list[str] = []
    for index, (member, (reward, loss)) in enumerate(zip(step.estimators_, votes, strict=True)):
        answer = walk.predict(join(path, str(index)), member, features, context)
        label = present(path, step, [answer.label], "label")[0]
        hot = one_hot(label, len(member.classes_), context)
        hot = spread(hot, _places(member, step).tolist(), len(step.classes_), context)
        said = graph.node("Greater", [hot, graph.constant(np.float64(0))])
        parts.append(
            graph.where(said, graph.constant(np.float64(reward)), graph.constant(np.float64(loss)))
        )
    return total(parts, context)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The weighted median: the first answer, from below, that half of the weight has reached."""
    graph = context.graph
    members = list(step.estimators_)
    if all(name_of(member) in REGRESSION_TREES for member in members):
        said = _tree_values(path, members, features, context)
    else:
        said = _member_values(path, step, features, context, walk)
    count = graph.constant(np.array([len(members)], np.int64))
    ordered, order = graph.nodes("TopK", [said, count], outputs=2, axis=1, largest=0, sorted=1)
    weights = np.asarray(step.estimator_weights_, np.float64)[: len(members)]
    reached = graph.node(
        "CumSum",
        [graph.node("Gather", [graph.constant(weights), order]), graph.constant(np.int64(1))],
    )
    half = graph.multiply(
        graph.constant(np.float64(0.5)), graph.columns(reached, [len(members) - 1])
    )
    enough = graph.cast(graph.node("GreaterOrEqual", [reached, half]), INT64)
    place = graph.reshape(graph.argmax(enough), [-1, 1])
    return Outputs(value=graph.node("GatherElements", [ordered, place], axis=1))


def _tree_values(
    path: str, members: list[Any], features: tuple[Feature, ...], context: Context
) -> str:
    """All trees in one node: each has a column of its own."""
    trees = [sklearn_tree(member) for member in members]
    matrix = float32_matrix(path, features, context, allow_nan=False)
    ensemble = Ensemble(targets=len(members))
    for index, (tree, member) in enumerate(zip(trees, members, strict=True)):
        ensemble.add_one(tree, np.asarray(member.tree_.value[:, 0, 0], np.float64), index)
    return ensemble.node(matrix, context)


def _member_values(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> str:
    graph = context.graph
    context.refusals.append(graph.not_finite(context.matrix(features, path)))
    values: list[str | None] = []
    for index, member in enumerate(step.estimators_):
        values.append(walk.predict(join(path, str(index)), member, features, context).value)
    return graph.concat(present(path, step, values, "value"))


TRANSFORMERS: Transformers = {}
MODELS: Models = {"AdaBoostClassifier": _classifier, "AdaBoostRegressor": _regressor}
