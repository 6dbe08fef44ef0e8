"""Steps that mlpack has no converter for: skl2onnx's, one step at a time, on a double matrix.

skl2onnx knows more estimators than anyone. Its graphs may be silently wrong, so this list has only
what measured exact in double, and the proof looks at every one again.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Walk, describe
from mlpack.plugins import load
from mlpack.ports import NotExportableError


def _convert(path: str, step: Any, matrix: str, width: int, context: Context) -> list[str]:
    convert = load("mlpack.exporters.sklearn.converters.skl2onnx_step:convert")
    try:
        model = convert(step, width)
    except ValueError as error:
        raise NotExportableError(
            path, f"skl2onnx cannot convert {describe(step)}: {error}"
        ) from error
    placed = context.graph.embed(model, {"X": matrix})
    return [placed[output.name] for output in model.graph.output]


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix))
    label, scores = _convert(path, _numbered(step), matrix, len(features), context)[:2]
    return Outputs(
        label=graph.reshape(graph.cast(label, INT64), [-1]),
        probabilities=graph.cast(scores, DOUBLE),
    )


def _numbered(step: Any) -> Any:
    """The same classifier with classes 0, 1, 2 ...: the graph answers an index."""
    other = copy.copy(step)
    other.classes_ = np.arange(len(step.classes_))
    return other


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix))
    value = _convert(path, step, matrix, len(features), context)[0]
    return Outputs(value=graph.reshape(graph.cast(value, DOUBLE), [0, -1]))


MODELS: Models = {
    "QuadraticDiscriminantAnalysis": _classifier,
    "PLSRegression": _regressor,
}
