"""Models that look at nothing: Dummy."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import repeated
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    if step.strategy not in ("prior", "most_frequent", "constant"):
        raise NotExportableError(
            path,
            f"{describe(step, 'strategy')} answers by chance: 'prior', 'most_frequent' and "
            "'constant' would be exportable",
        )
    prior = np.asarray(step.class_prior_, np.float64)
    if step.strategy == "constant":
        chosen = np.asarray(step.classes_).tolist().index(np.asarray(step.constant).ravel()[0])
    else:
        chosen = int(prior.argmax())
    shares = prior if step.strategy == "prior" else np.eye(len(prior))[chosen]
    probabilities = repeated(path, shares.tolist(), features, context)
    # With a prior the most frequent class has the largest share, otherwise the only one.
    return Outputs(label=context.graph.argmax(probabilities), probabilities=probabilities)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return Outputs(value=repeated(path, np.ravel(step.constant_).tolist(), features, context))


TRANSFORMERS: Transformers = {}
MODELS: Models = {"DummyClassifier": _classifier, "DummyRegressor": _regressor}
