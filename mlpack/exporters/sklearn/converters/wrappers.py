"""Models and targets that are wrapped around others."""

from __future__ import annotations

from typing import Any

from mlpack.exporters.sklearn.converters.inverse import inverted
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join
from mlpack.ports import NotExportableError


def _transformed_target(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The inner model's answer, taken back through the transformer of the target."""
    outputs = walk.predict(join(path, "regressor"), step.regressor_, features, context)
    if outputs.value is None:
        raise NotExportableError(path, "its regressor answers no numbers")
    back = inverted(join(path, "transformer"), step.transformer_, outputs.value, context)
    return Outputs(value=back)


def _frozen_transform(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    return walk.transform(path, step.estimator, features, context)


def _frozen_predict(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    return walk.predict(path, step.estimator, features, context)


TRANSFORMERS: Transformers = {"FrozenEstimator": _frozen_transform}
MODELS: Models = {
    "TransformedTargetRegressor": _transformed_target,
    "FrozenEstimator": _frozen_predict,
}
