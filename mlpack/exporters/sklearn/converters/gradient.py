"""Gradient boosting of scikit-learn, its own init estimator included.

The arithmetic is that of ``sklearn/ensemble/_gb.py`` and ``_gradient_boosting.pyx``: what the init
estimator says, and then the trees' values times the learning rate, one after the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import sklearn
from packaging.version import Version

from mlpack.exporters.sklearn.converters.answers import across, present
from mlpack.exporters.sklearn.converters.ensemble import LEAF, Array, Tree
from mlpack.exporters.sklearn.converters.forests import summed
from mlpack.exporters.sklearn.converters.linear import expit, two_sided
from mlpack.exporters.sklearn.converters.trees import float32_matrix, sklearn_tree
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join

# 1.8 brings the init estimator's probabilities closer to 0 and 1 than the versions before it.
_DOUBLE = Version(sklearn.__version__) >= Version("1.8.dev0")
_EDGE = float(np.finfo(np.float64 if _DOUBLE else np.float32).eps)


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    raw, scores = _raw(path, step, features, context, walk)
    graph = context.graph
    if scores > 1:
        shares = graph.node("Softmax", [raw], axis=1)
        return Outputs(label=graph.argmax(raw), probabilities=shares, scores=raw)
    above = graph.node("GreaterOrEqual", [raw, graph.constant(np.float64(0))])
    doubled = graph.add(raw, raw) if step.loss == "exponential" else raw
    share = expit(doubled, context)
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=two_sided(share, context),
        scores=raw,
    )


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    return Outputs(value=_raw(path, step, features, context, walk)[0])


def _raw(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[str, int]:
    """The raw scores: float64 [rows, scores], and how many there are."""
    stages = step.estimators_
    trees = [[_without_missing(sklearn_tree(member)) for member in stage] for stage in stages]
    matrix = float32_matrix(path, features, context, allow_nan=False)
    scores = stages.shape[1]
    own = step.init is not None and not isinstance(step.init_, str)
    start = None if own else _constant(step, scores)
    sums = []
    for score in range(scores):
        values = [
            np.asarray(member.tree_.value[:, 0], np.float64) * step.learning_rate
            for member in stages[:, score]
        ]
        first = [] if start is None else [start[score].reshape(1, 1)]
        sums.append(
            summed(
                [*(LEAF for _ in first), *(stage[score] for stage in trees)],
                [*first, *values],
                matrix,
                len(features),
                context,
            )
        )
    total = context.graph.concat(sums)
    if own:
        total = context.graph.add(_init(path, step, matrix, features, context, walk), total)
    return total, scores


def _without_missing(tree: Tree) -> Tree:
    """The tree for rows in which nothing is missing: the others are refused."""
    return replace(tree, missing_left=np.zeros(len(tree.left)))


def _constant(step: Any, scores: int) -> Array:
    """What boosting starts from where that is the same for every row: float64 [scores]."""
    if isinstance(step.init_, str):
        return np.zeros(scores)
    zeros = np.zeros((1, step.n_features_in_), np.float32)
    return np.asarray(step._raw_predict_init(zeros), np.float64).reshape(-1)  # noqa: SLF001


def _init(
    path: str,
    step: Any,
    matrix: str,
    features: tuple[Feature, ...],
    context: Context,
    walk: Walk,
) -> str:
    """What the init estimator says, as a raw score: float64 [rows, scores].

    It is given numbers that were rounded to float32. One that computes in float32 for that reason,
    as linear models do, is followed in double.
    """
    graph = context.graph
    columns = context.made(matrix, [feature.name for feature in features])
    answer = walk.predict(join(path, "init"), step.init_, columns, context)
    if not hasattr(step, "classes_"):
        return present(path, step, [answer.value], "value")[0]
    shares = present(path, step, [answer.probabilities], "probabilities")[0]
    count = len(step.classes_)
    if count == 2:
        shares = graph.columns(shares, [1])
    low, high = (graph.constant(np.float64(bound)) for bound in (_EDGE, 1 - _EDGE))
    shares = graph.node("Clip", [shares, low, high])
    if count > 2:
        logs = graph.node("Log", [shares])
        mean = graph.divide(across(logs, count, context), graph.constant(np.float64(count)))
        return graph.node("Log", [graph.divide(shares, graph.node("Exp", [mean]))])
    rest = graph.subtract(graph.constant(np.float64(1)), shares)
    raw = graph.node("Log", [graph.divide(shares, rest)])
    if step.loss == "exponential":
        raw = graph.multiply(raw, graph.constant(np.float64(0.5)))
    return raw


MODELS: Models = {
    "GradientBoostingClassifier": _classifier,
    "GradientBoostingRegressor": _regressor,
}
TRANSFORMERS: Transformers = {}
