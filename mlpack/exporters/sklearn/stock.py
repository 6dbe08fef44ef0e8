"""Steps that mlpack has no converter for: skl2onnx's, one step at a time, on a double matrix.

skl2onnx knows more estimators than anyone. Its graphs may be silently wrong, so this list has only
what measured exact in double, and the proof looks at every one again.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, SVR, NuSVR

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64, OPSET
from mlpack.exporters.sklearn.steps import Models, Outputs, Walk, describe
from mlpack.ports import NotExportableError

# skl2onnx refuses anything newer for its own operators; the graph around them may be newer.
TARGET = {"": OPSET, "ai.onnx.ml": 3}


def _convert(path: str, step: Any, matrix: str, width: int, context: Context) -> list[str]:
    options = {id(step): {"zipmap": False}} if hasattr(step, "predict_proba") else None
    try:
        model = convert_sklearn(
            step,
            initial_types=[("X", DoubleTensorType([None, width]))],
            target_opset=TARGET,
            options=options,
        )
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError) as error:
        # skl2onnx has no error class of its own for what it cannot convert.
        raise NotExportableError(
            path, f"skl2onnx cannot convert {describe(step)}: {str(error).splitlines()[0][:200]}"
        ) from error
    placed = context.graph.embed(model, {"X": matrix})
    return [placed[output.name] for output in model.graph.output]


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    if isinstance(step, SVC) and not step.probability:
        raise NotExportableError(path, "SVC without probability=True has no exact graph yet")
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
    **dict.fromkeys(
        (
            BernoulliNB,
            ComplementNB,
            GaussianNB,
            KNeighborsClassifier,
            MLPClassifier,
            MultinomialNB,
            QuadraticDiscriminantAnalysis,
            SVC,
        ),
        _classifier,
    ),
    **dict.fromkeys((KNeighborsRegressor, MLPRegressor, NuSVR, PLSRegression, SVR), _regressor),
}
