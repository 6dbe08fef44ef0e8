"""Linear models. The arithmetic is that of ``sklearn/linear_model/_base.py``, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError


def _decision(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """X @ coef.T + intercept: float64 [rows, outputs]."""
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix))
    weights = np.atleast_2d(np.asarray(step.coef_, np.float64)).T
    product = graph.matmul(matrix, graph.constant(np.ascontiguousarray(weights)))
    intercept = np.asarray(step.intercept_, np.float64).reshape(1, -1)
    return graph.add(product, graph.constant(intercept)) if intercept.any() else product


def _label(decision: str, width: int, context: Context) -> str:
    graph = context.graph
    if width > 1:
        return graph.argmax(decision)
    above = graph.node("Greater", [decision, graph.constant(np.float64(0))])
    return graph.reshape(graph.cast(above, INT64), [-1])


def two_sided(positive: str, context: Context) -> str:
    """[1 - p, p] for the probability p of the second class: float64 [rows, 2]."""
    graph = context.graph
    return graph.concat([graph.subtract(graph.constant(np.float64(1)), positive), positive])


def _logistic(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    width = np.atleast_2d(step.coef_).shape[0]
    decision = _decision(path, step, features, context)
    graph = context.graph
    if width == 1:
        probabilities = two_sided(graph.node("Sigmoid", [decision]), context)
    elif _one_versus_rest(step):
        probabilities = _shares_of_rest(decision, context)
    else:
        probabilities = graph.node("Softmax", [decision], axis=1)
    return Outputs(
        label=_label(decision, width, context), probabilities=probabilities, scores=decision
    )


def _shares_of_rest(decision: str, context: Context) -> str:
    """One sigmoid a class, brought to a sum of one: ``_predict_proba_lr``."""
    graph = context.graph
    each = graph.node("Sigmoid", [decision])
    axis = graph.constant(np.array([1], np.int64))
    return graph.divide(each, graph.node("ReduceSum", [each, axis], keepdims=1))


def _one_versus_rest(step: Any) -> bool:
    """Older releases let several classes be fitted one against the rest; newer ones never do."""
    scheme = getattr(step, "multi_class", "deprecated")
    return scheme == "ovr" or (
        scheme in ("auto", "deprecated", "warn") and getattr(step, "solver", "") == "liblinear"
    )


def _sgd_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    if step.loss == "log_loss":
        if len(step.classes_) == 2:
            return _logistic(path, step, features, context, walk)
        decision = _decision(path, step, features, context)
        return Outputs(
            label=_label(decision, len(step.classes_), context),
            probabilities=_shares_of_rest(decision, context),
            scores=decision,
        )
    if step.loss == "modified_huber":
        raise NotExportableError(path, f"{describe(step, 'loss')} has no exact graph yet")
    return _classifier(path, step, features, context, walk)


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    width = np.atleast_2d(step.coef_).shape[0]
    decision = _decision(path, step, features, context)
    return Outputs(label=_label(decision, width, context), scores=decision)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return Outputs(value=_decision(path, step, features, context))


def _log_link(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    decision = _decision(path, step, features, context)
    if getattr(step, "link", "log") == "identity" or (
        getattr(step, "link", "log") == "auto" and step.power <= 0
    ):
        return Outputs(value=decision)
    return Outputs(value=context.graph.node("Exp", [decision]))


def _consensus(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    return walk.predict(join(path, "estimator"), step.estimator_, features, context)


MODELS: Models = {
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "LinearDiscriminantAnalysis": _logistic,
    "SGDClassifier": _sgd_classifier,
    "Perceptron": _classifier,
    "PassiveAggressiveClassifier": _classifier,
    "PoissonRegressor": _log_link,
    "GammaRegressor": _log_link,
    "TweedieRegressor": _log_link,
    "RANSACRegressor": _consensus,
    "RidgeClassifier": _classifier,
    "RidgeClassifierCV": _classifier,
    "LinearSVC": _classifier,
    **dict.fromkeys(
        (
            "ARDRegression",
            "BayesianRidge",
            "ElasticNet",
            "ElasticNetCV",
            "HuberRegressor",
            "Lars",
            "LarsCV",
            "Lasso",
            "LassoCV",
            "LassoLars",
            "LassoLarsCV",
            "LassoLarsIC",
            "LinearRegression",
            "LinearSVR",
            "MultiTaskElasticNet",
            "MultiTaskElasticNetCV",
            "MultiTaskLasso",
            "MultiTaskLassoCV",
            "OrthogonalMatchingPursuit",
            "OrthogonalMatchingPursuitCV",
            "PassiveAggressiveRegressor",
            "QuantileRegressor",
            "Ridge",
            "RidgeCV",
            "SGDRegressor",
            "TheilSenRegressor",
        ),
        _regressor,
    ),
}
TRANSFORMERS: Transformers = {}
