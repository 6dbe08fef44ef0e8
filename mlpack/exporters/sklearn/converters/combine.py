"""Models that combine the answers of others: votes, averages, thresholds, stacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import (
    SCORES,
    SHARES,
    average,
    label_of,
    one_hot,
    present,
    response,
    spread,
    total,
)
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join
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


def _weights(step: Any) -> Any:
    return getattr(step, "_weights_not_none", step.weights)


def _voting_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    graph = context.graph
    answers = _each(path, step, features, context, walk)
    if step.voting == "soft":
        shares = present(path, step, [each.probabilities for each in answers], "probabilities")
        mean = average(shares, _weights(step), context)
        return Outputs(label=graph.argmax(mean), probabilities=mean)
    labels = present(path, step, [each.label for each in answers], "label")
    votes = [one_hot(label, len(step.classes_), context) for label in labels]
    weights = _weights(step)
    if weights is not None:
        votes = [
            graph.multiply(vote, graph.constant(np.float64(weight)))
            for vote, weight in zip(votes, weights, strict=True)
        ]
    return Outputs(label=graph.argmax(total(votes, context)))


def _voting_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = _each(path, step, features, context, walk)
    values = present(path, step, [each.value for each in answers], "value")
    return Outputs(value=average(values, _weights(step), context))


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
    answers = _bagged(path, step, features, context, walk)
    mean = average(
        [
            _share(path, step, member, answer, context)
            for member, answer in zip(step.estimators_, answers, strict=True)
        ],
        None,
        context,
    )
    scores = [answer.scores for answer in answers if answer.scores is not None]
    known = [member for member in step.estimators_ if hasattr(member, SCORES)]
    whole = all(len(member.classes_) == len(step.classes_) for member in known)
    every = whole and len(known) == len(scores) == len(answers)
    return Outputs(
        label=context.graph.argmax(mean),
        probabilities=mean,
        scores=average(scores, None, context) if every else None,
    )


def _share(path: str, step: Any, member: Any, answer: Outputs, context: Context) -> str:
    """What one member adds to each class: its probabilities, or its vote if it has none."""
    count = len(step.classes_)
    # The members were fitted to the numbers of the classes; one may not have seen them all.
    places = [int(place) for place in member.classes_]
    if hasattr(member, SHARES):
        shares = present(path, step, [answer.probabilities], "probabilities")[0]
    else:
        label = present(path, step, [answer.label], "label")[0]
        shares = one_hot(label, len(places), context)
    return spread(shares, places, count, context)


def _bagging_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = _bagged(path, step, features, context, walk)
    values = present(path, step, [each.value for each in answers], "value")
    return Outputs(value=average(values, None, context))


def _threshold(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """A classifier whose positive class needs a share, or a score, of its own choice."""
    graph = context.graph
    wanted = (SHARES, SCORES) if step.response_method == "auto" else (step.response_method,)
    # A fixed threshold may stand on a classifier that was fitted before, and then keeps no own.
    inner = getattr(step, "estimator_", step.estimator)
    answer = walk.predict(join(path, "estimator"), inner, features, context)
    method, said = response(path, inner, answer, wanted)
    classes = list(step.classes_)
    known = getattr(step, "pos_label", None)
    curve = getattr(step, "_curve_scorer", None)
    if known is None and curve is not None:
        known = curve._get_pos_label()  # noqa: SLF001 - what the original itself asks
    positive = 1 if known is None else classes.index(known)
    threshold = getattr(step, "best_threshold_", None)
    if threshold is None:
        usual = 0.5 if method == SHARES else 0.0
        threshold = usual if step.threshold == "auto" else step.threshold
    if method == SHARES:
        said = graph.columns(said, [positive])
    elif not positive:
        said = graph.node("Neg", [said])
    reached = graph.node("GreaterOrEqual", [said, graph.constant(np.float64(threshold))])
    label = label_of(reached if positive else graph.node("Not", [reached]), context)
    return Outputs(label=label, probabilities=answer.probabilities, scores=answer.scores)


def _stacked(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The final estimator on what the members answer, and on the columns if they pass through."""
    names = [name for name, member in step.estimators if member != "drop"]
    made: list[Feature] = []
    methods = [method for method in step.stack_method_ if method is not None]
    for name, member, method in zip(names, step.estimators_, methods, strict=True):
        inner = join(path, name)
        answer = walk.predict(inner, member, features, context)
        made.extend(_stacked_columns(inner, step, member, method, answer, context))
    if step.passthrough:
        made.extend(features)
    return walk.predict(join(path, "final"), step.final_estimator_, tuple(made), context)


def _stacked_columns(
    path: str, step: Any, member: Any, method: str, answer: Outputs, context: Context
) -> tuple[Feature, ...]:
    """What a member hands to the final estimator."""
    graph = context.graph
    if method == "predict":
        if answer.value is not None:
            return context.made(answer.value, [None])
        label = present(path, step, [answer.label], "label")[0]
        values = np.asarray(member.classes_)
        if values.dtype.kind not in "iufb":
            raise NotExportableError(
                path, "its labels are text: only stacking on numbers is exported"
            )
        table = graph.constant(values.astype(np.float64).reshape(-1, 1))
        return context.made(graph.node("Gather", [table, label], axis=0), [None])
    said = response(path, member, answer, (method,))[1]
    count = len(member.classes_)
    if method == SCORES:
        pairs = getattr(member, "decision_function_shape", "ovr") == "ovo"
        several = count * (count - 1) // 2 if pairs else count
        return context.made(said, [None] * (1 if count == 2 else several))
    columns = context.made(said, [None] * count)
    # Of two classes the second says all.
    return columns[1:] if len(step.classes_) == 2 else columns


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
