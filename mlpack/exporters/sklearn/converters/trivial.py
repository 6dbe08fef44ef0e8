"""Models that look at nothing: Dummy."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import repeated
from mlpack.exporters.sklearn.converters.multioutput import by_group
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
    if step.n_outputs_ == 1:
        known = [(step.classes_, step.class_prior_)]
    else:
        known = list(zip(step.classes_, step.class_prior_, strict=True))
    shares = [_shares(step, *each, place) for place, each in enumerate(known)]
    probabilities = repeated(path, [x for each in shares for x in each], features, context)
    if len(shares) > 1:
        return by_group(path, step, probabilities, list(map(len, shares)), context)
    # With a prior the most frequent class has the largest share, otherwise the only one.
    return Outputs(label=context.graph.argmax(probabilities), probabilities=probabilities)


def _shares(step: Any, classes: Any, priors: Any, place: int) -> list[float]:
    """The probabilities that output number `place` always has."""
    prior = np.asarray(priors, np.float64)
    if step.strategy == "prior":
        return [float(share) for share in prior]
    if step.strategy == "constant":
        chosen = np.asarray(classes).tolist().index(np.asarray(step.constant).ravel()[place])
    else:
        chosen = int(prior.argmax())
    return [float(number == chosen) for number in range(len(prior))]


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return Outputs(value=repeated(path, np.ravel(step.constant_).tolist(), features, context))


TRANSFORMERS: Transformers = {}
MODELS: Models = {"DummyClassifier": _classifier, "DummyRegressor": _regressor}
