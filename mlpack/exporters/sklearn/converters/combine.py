"""Models that combine the answers of others: votes, averages, thresholds, stacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError


def _each(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> list[Outputs]:
    """What the members answer for the same columns."""
    names = [name for name, member in step.estimators if member != "drop"]
    return [
        walk.predict(join(path, name), member, features, context)
        for name, member in zip(names, step.estimators_, strict=True)
    ]


def _average(tensors: list[str], weights: Any, context: Context) -> str:
    """The weighted mean, summed in order as numpy does."""
    graph = context.graph
    numbers = [1.0] * len(tensors) if weights is None else [float(weight) for weight in weights]
    total = ""
    for tensor, weight in zip(tensors, numbers, strict=True):
        weighed = (
            tensor
            if weights is None
            else graph.multiply(tensor, graph.constant(np.float64(weight)))
        )
        total = graph.add(total, weighed) if total else weighed
    return graph.divide(total, graph.constant(np.float64(sum(numbers))))


def _present(path: str, step: Any, tensors: list[str | None], what: str) -> list[str]:
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) != len(tensors):
        raise NotExportableError(path, f"a member of {describe(step)} answers no {what}")
    return found


def _weights(step: Any) -> Any:
    return getattr(step, "_weights_not_none", step.weights)


def _voting_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    graph = context.graph
    answers = _each(path, step, features, context, walk)
    if step.voting == "soft":
        shares = _present(path, step, [each.probabilities for each in answers], "probabilities")
        mean = _average(shares, _weights(step), context)
        return Outputs(label=graph.argmax(mean), probabilities=mean)
    classes = graph.constant(np.arange(len(step.classes_), dtype=np.int64).reshape(1, -1))
    weights = _weights(step)
    total = ""
    labels = _present(path, step, [each.label for each in answers], "label")
    for index, label in enumerate(labels):
        said = graph.node("Equal", [graph.reshape(label, [-1, 1]), classes])
        vote = graph.cast(said, DOUBLE)
        if weights is not None:
            vote = graph.multiply(vote, graph.constant(np.float64(weights[index])))
        total = graph.add(total, vote) if total else vote
    return Outputs(label=graph.argmax(total))


def _voting_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = _each(path, step, features, context, walk)
    values = _present(path, step, [each.value for each in answers], "value")
    return Outputs(value=_average(values, _weights(step), context))


def _bagged(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> list[Outputs]:
    return [
        walk.predict(join(path, f"{index}"), member, tuple(features[i] for i in chosen), context)
        for index, (member, chosen) in enumerate(
            zip(step.estimators_, step.estimators_features_, strict=True)
        )
    ]


def _bagging_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    if any(len(member.classes_) != len(step.classes_) for member in step.estimators_):
        raise NotExportableError(path, "a member has not seen every class: use more rows")
    answers = _bagged(path, step, features, context, walk)
    shares = _present(path, step, [each.probabilities for each in answers], "probabilities")
    mean = _average(shares, None, context)
    return Outputs(label=context.graph.argmax(mean), probabilities=mean)


def _bagging_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = _bagged(path, step, features, context, walk)
    values = _present(path, step, [each.value for each in answers], "value")
    return Outputs(value=_average(values, None, context))


def _threshold(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """A classifier whose positive class needs a share of its own choice."""
    graph = context.graph
    if step.response_method == "decision_function":
        raise NotExportableError(path, f"{describe(step, 'response_method')} is not exported")
    inner = walk.predict(join(path, "estimator"), step.estimator_, features, context)
    shares = _present(path, step, [inner.probabilities], "probabilities")[0]
    classes = list(step.classes_)
    known = getattr(step, "pos_label", None)
    curve = getattr(step, "_curve_scorer", None)
    if known is None and curve is not None:
        known = curve._get_pos_label()  # noqa: SLF001 - what the original itself asks
    positive = 1 if known is None else classes.index(known)
    threshold = getattr(step, "best_threshold_", None)
    if threshold is None:
        threshold = 0.5 if step.threshold == "auto" else step.threshold
    share = graph.columns(shares, [positive])
    reached = graph.node("GreaterOrEqual", [share, graph.constant(np.float64(threshold))])
    label = graph.cast(reached if positive else graph.node("Not", [reached]), INT64)
    return Outputs(label=graph.reshape(label, [-1]), probabilities=shares)


def _stacked(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The final estimator on what the members answer, and on the columns if they pass through."""
    names = [name for name, member in step.estimators if member != "drop"]
    made: list[Feature] = []
    methods = [method for method in step.stack_method_ if method is not None]
    for name, member, method in zip(names, step.estimators_, methods, strict=True):
        answer = walk.predict(join(path, name), member, features, context)
        if method == "predict_proba":
            shares = _present(path, step, [answer.probabilities], "probabilities")[0]
            count = len(step.classes_)
            columns = context.made(shares, [None] * count)
            # Of two classes the second says all.
            made.extend(columns[1:] if count == 2 else columns)
        elif method == "predict" and answer.value is not None:
            made.extend(context.made(answer.value, [None]))
        else:
            raise NotExportableError(
                join(path, name), f"stacking on {method} of a classifier is not exported"
            )
    if step.passthrough:
        made.extend(features)
    return walk.predict(join(path, "final"), step.final_estimator_, tuple(made), context)


MODELS: Models = {
    "VotingClassifier": _voting_classifier,
    "VotingRegressor": _voting_regressor,
    "BaggingClassifier": _bagging_classifier,
    "BaggingRegressor": _bagging_regressor,
    "FixedThresholdClassifier": _threshold,
    "TunedThresholdClassifierCV": _threshold,
    "StackingClassifier": _stacked,
    "StackingRegressor": _stacked,
}
TRANSFORMERS: Transformers = {}
