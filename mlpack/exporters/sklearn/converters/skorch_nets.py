"""Nets of skorch: the module's own graph, made by torch, between a cast and the answer.

The net computes in single precision, and so does its graph: sums of products come in another order
than torch's, whose own order depends on how many rows there are. The arithmetic around the module
is that of ``skorch/net.py`` and ``skorch/classifier.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import label_of
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.foreign import Converted, ForeignError, spliced
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.plugins import load
from mlpack.ports import NotExportableError

_ELEMENTS = {"float32": FLOAT, "int64": INT64}


def _answer(
    path: str, net: Any, features: tuple[Feature, ...], context: Context, *, flat: bool = False
) -> tuple[str, Converted]:
    """What ``predict_proba`` answers, [rows, columns], in its own precision."""
    if features and features[0].holder != "array":
        raise NotExportableError(
            path,
            f"{describe(net)} is given a data frame, of which skorch hands each column to forward "
            "by itself: with an array before it, set_output(transform='default'), it is exportable",
        )
    of_net = load("mlpack.exporters.sklearn.converters.torch_modules:of_net")
    try:
        made: Converted = of_net(net, len(features), flat=flat)
    except ForeignError as error:
        module = type(net.module_).__name__
        raise NotExportableError(path, f"{describe(net)} of {module}: {error}") from error
    matrix = context.matrix(features, path)
    element = _ELEMENTS.get(made.dtype)
    given = matrix if element is None else context.graph.cast(matrix, element)
    return spliced(made, given, context), made


def _classifier(
    path: str, net: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    classes = [label.item() for label in np.asarray(net.classes_)]
    if classes != list(range(len(classes))):
        raise NotExportableError(
            path,
            f"{describe(net)} answers the numbers 0 to {len(classes) - 1}, and its classes are "
            f"{classes[:5]}: train it on whole numbers from 0 on",
        )
    shares, made = _answer(path, net, features, context)
    if made.width != len(classes):
        raise NotExportableError(
            path, f"{describe(net)} answers {made.width} numbers for {len(classes)} classes"
        )
    graph = context.graph
    return Outputs(label=graph.argmax(shares), probabilities=graph.cast(shares, DOUBLE))


def _binary(
    path: str, net: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    shares, made = _answer(path, net, features, context, flat=True)
    if made.width != 2:
        raise NotExportableError(
            path,
            f"{describe(net, 'criterion')} answers {made.width or 1} numbers a row: with "
            "BCEWithLogitsLoss or BCELoss as criterion it answers two",
        )
    graph = context.graph
    # numpy compares an array of float32 with the threshold as float32.
    threshold = np.asarray(net.threshold).astype(made.answers)
    second = graph.columns(shares, [1])
    above = graph.node("Greater", [second, graph.constant(threshold)])
    return Outputs(label=label_of(above, context), probabilities=graph.cast(shares, DOUBLE))


def _regressor(
    path: str, net: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    value, _ = _answer(path, net, features, context)
    return Outputs(value=context.graph.cast(value, DOUBLE))


MODELS: Models = {
    "skorch.NeuralNetClassifier": _classifier,
    "skorch.NeuralNetBinaryClassifier": _binary,
    "skorch.NeuralNetRegressor": _regressor,
}
TRANSFORMERS: Transformers = {}
