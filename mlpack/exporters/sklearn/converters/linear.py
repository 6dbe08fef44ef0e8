"""Linear models. The arithmetic is that of ``sklearn/linear_model/_base.py``, in float64."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import above, across, shares_of
from mlpack.exporters.sklearn.converters.multioutput import several
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join


def _decision(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """X @ coef.T + intercept: float64 [rows, outputs]."""
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix, width=len(features)))
    weights = np.atleast_2d(np.asarray(step.coef_, np.float64)).T
    product = graph.matmul(matrix, graph.constant(np.ascontiguousarray(weights)))
    intercept = np.asarray(step.intercept_, np.float64).reshape(1, -1)
    return graph.add(product, graph.constant(intercept)) if intercept.any() else product


def _label(decision: str, width: int, context: Context) -> str:
    graph = context.graph
    if width > 1:
        return graph.argmax(decision)
    return above(decision, 0.0, context)


def two_sided(positive: str, context: Context) -> str:
    """[1 - p, p] for the probability p of the second class: float64 [rows, 2]."""
    graph = context.graph
    return graph.concat([graph.subtract(graph.constant(np.float64(1)), positive), positive])


def expit(score: str, context: Context) -> str:
    """1 / (1 + exp(-x)) as scipy computes it.

    ONNX Runtime's Sigmoid answers zero below -37, where the original still has all its digits:
    that shows as soon as several such numbers are brought to a sum of one.
    """
    graph = context.graph
    one = graph.constant(np.float64(1))
    return graph.divide(one, graph.add(one, graph.node("Exp", [graph.node("Neg", [score])])))


def _logistic(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    width = np.atleast_2d(step.coef_).shape[0]
    decision = _decision(path, step, features, context)
    graph = context.graph
    if width == 1:
        # Releases before 1.8 could be told to take the softmax of both signs.
        both = getattr(step, "multi_class", "auto") == "multinomial"
        score = graph.add(decision, decision) if both else decision
        probabilities = two_sided(expit(score, context), context)
    elif _one_versus_rest(step):
        probabilities = _shares_of_rest(step, decision, width, context)
    else:
        probabilities = graph.node("Softmax", [decision], axis=1)
    return Outputs(
        label=_label(decision, width, context), probabilities=probabilities, scores=decision
    )


def _shares_of_rest(step: Any, decision: str, width: int, context: Context) -> str:
    """One sigmoid a class, brought to a sum of one: ``_predict_proba_lr``."""
    each = expit(decision, context)
    if _uniform_for_nothing(step):
        return shares_of(each, width, context, otherwise=1 / width)
    return context.graph.divide(each, across(each, width, context))


def _uniform_for_nothing(step: Any) -> bool:
    """Whether all classes are alike where each says zero; older releases divide by zero then.

    The very method of the original is asked, with scores so low that it must decide.
    """
    lowest = SimpleNamespace(decision_function=lambda _: np.full((1, 3), -1e4))
    with np.errstate(invalid="ignore"):
        shares = type(step)._predict_proba_lr(lowest, np.zeros((1, 1)))  # noqa: SLF001
    return bool(np.isfinite(shares).all())


def _one_versus_rest(step: Any) -> bool:
    """Older releases let several classes be fitted one against the rest; newer ones never do."""
    scheme = getattr(step, "multi_class", "deprecated")
    return scheme == "ovr" or (
        scheme in ("auto", "deprecated", "warn") and getattr(step, "solver", "") == "liblinear"
    )


def _sgd_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answer = _classifier(path, step, features, context, walk)
    if answer.scores is None or step.loss not in ("log_loss", "modified_huber"):
        return answer
    width = np.atleast_2d(step.coef_).shape[0]
    if step.loss == "modified_huber":
        shares = _huber_shares(answer.scores, width, context)
    elif width == 1:
        shares = two_sided(expit(answer.scores, context), context)
    else:
        shares = _shares_of_rest(step, answer.scores, width, context)
    return replace(answer, probabilities=shares)


def _huber_shares(decision: str, width: int, context: Context) -> str:
    """The score within -1 and 1, moved to 0 and 1; all classes are alike where each says zero."""
    graph = context.graph
    one = graph.constant(np.float64(1))
    within = graph.node("Clip", [decision, graph.constant(np.float64(-1)), one])
    each = graph.divide(graph.add(within, one), graph.constant(np.float64(2)))
    if width == 1:
        return two_sided(each, context)
    return shares_of(each, width, context, otherwise=1 / width)


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    width = np.atleast_2d(step.coef_).shape[0]
    decision = _decision(path, step, features, context)
    return Outputs(label=_label(decision, width, context), scores=decision)


def _ridge_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    if not step._label_binarizer.y_type_.startswith("multilabel"):  # noqa: SLF001
        return _classifier(path, step, features, context, walk)
    width = len(step.coef_)
    decision = _decision(path, step, features, context)
    each = [context.graph.columns(decision, [place]) for place in range(width)]
    labels = [Outputs(label=above(score, 0.0, context)) for score in each]
    return several(path, step, labels, [2] * width, context)


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
    "RidgeClassifier": _ridge_classifier,
    "RidgeClassifierCV": _ridge_classifier,
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
