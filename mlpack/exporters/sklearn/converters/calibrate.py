"""Classifiers whose probabilities were calibrated: ``sklearn/calibration.py``, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import (
    SHARES,
    response,
    shares_of,
    spread,
    total,
)
from mlpack.exporters.sklearn.converters.interpolate import interpolated
from mlpack.exporters.sklearn.converters.linear import two_sided
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT
from mlpack.exporters.sklearn.steps import (
    Models,
    Outputs,
    Transformers,
    Walk,
    describe,
    join,
    name_of,
)
from mlpack.ports import NotExportableError

NEARLY_NOTHING = 1e-12
"""What is added to a probability before its logarithm: ``_convert_to_logits``."""


def _calibrated(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The mean of the calibrated answers of every fold's classifier."""
    graph = context.graph
    parts: list[str] = []
    checked: list[str] = []
    for index, pair in enumerate(step.calibrated_classifiers_):
        inner = join(path, str(index))
        answer = walk.predict(inner, pair.estimator, features, context)
        method, said = response(inner, pair.estimator, answer)
        if pair.method == "temperature":
            parts.append(_tempered(inner, pair, method, said, context))
        else:
            parts.append(_by_class(pair, method, said, context))
        if pair.method != "sigmoid":
            checked.append(said)
    if checked:
        # The original looks at what goes into these two methods.
        context.refusals.append(graph.not_finite(graph.concat(checked)))
    mean = total(parts, context)
    if len(parts) > 1:
        mean = graph.divide(mean, graph.constant(np.float64(len(parts))))
    return Outputs(label=graph.argmax(mean), probabilities=mean)


def _by_class(pair: Any, method: str, said: str, context: Context) -> str:
    """A calibrated probability for each class, brought to a sum of one."""
    graph = context.graph
    classes = np.asarray(pair.classes).tolist()
    own = np.asarray(pair.estimator.classes_).tolist()
    if method == SHARES and len(own) == 2:
        said = graph.columns(said, [1])
    made = _calibrate(pair, said, context)
    if len(classes) == 2:
        return two_sided(made, context)
    # A fold that has not seen every class says nothing about the others; of one that has seen two
    # the original takes the only number for the first of them.
    places = [classes.index(each) for each in own][: len(pair.calibrators)]
    whole = spread(made, places, len(classes), context)
    return shares_of(whole, len(classes), context, otherwise=1 / len(classes))


def _calibrate(pair: Any, said: str, context: Context) -> str:
    """Column by column what the calibrators say: float64 [rows, calibrators]."""
    graph = context.graph
    if pair.method == "sigmoid":
        slope = np.array([[float(each.a_) for each in pair.calibrators]])
        start = np.array([[float(each.b_) for each in pair.calibrators]])
        power = graph.add(graph.multiply(said, graph.constant(slope)), graph.constant(start))
        one = graph.constant(np.float64(1))
        return graph.divide(one, graph.add(one, graph.node("Exp", [power])))
    columns = [said] if len(pair.calibrators) == 1 else []
    columns = columns or [graph.columns(said, [i]) for i in range(len(pair.calibrators))]
    made = [
        _isotonic(each, column, context)
        for each, column in zip(pair.calibrators, columns, strict=True)
    ]
    return graph.concat(made)


def _isotonic(calibrator: Any, column: str, context: Context) -> str:
    graph = context.graph
    # A classifier that answers in float32 was calibrated in it: IsotonicRegression._transform.
    narrow = np.asarray(calibrator.X_thresholds_).dtype == np.float32
    if narrow:
        column = graph.cast(graph.cast(column, FLOAT), DOUBLE)
    made = interpolated(column, calibrator.X_thresholds_, calibrator.y_thresholds_, context)
    if narrow:
        made = graph.cast(graph.cast(made, FLOAT), DOUBLE)
    # A line may end above one by a last place.
    return graph.node("Min", [made, graph.constant(np.float64(1))])


def _tempered(path: str, pair: Any, method: str, said: str, context: Context) -> str:
    """The softmax of the logits by a temperature."""
    graph = context.graph
    count = len(pair.classes)
    if method == SHARES and count > 2 and name_of(pair.estimator) == "OneVsRestClassifier":
        raise NotExportableError(
            path,
            f"{describe(pair.estimator)} may give every class a probability of zero, and the "
            "temperature then depends on the other rows: use a member with decision_function",
        )
    beta = np.asarray(pair.calibrators[0].beta_)
    if method == SHARES and count == 2:
        said = two_sided(graph.columns(said, [1]), context)
    elif count == 2:
        said = graph.concat([graph.node("Neg", [said]), said])
    narrow = beta.dtype == np.float32
    kind = np.float32 if narrow else np.float64
    if narrow:
        said = graph.cast(said, FLOAT)
    if method == SHARES:
        said = graph.node("Log", [graph.add(said, graph.constant(kind(NEARLY_NOTHING)))])
    shares = graph.node("Softmax", [graph.multiply(said, graph.constant(kind(beta)))], axis=1)
    return graph.cast(shares, DOUBLE) if narrow else shares


TRANSFORMERS: Transformers = {}
MODELS: Models = {"CalibratedClassifierCV": _calibrated}
