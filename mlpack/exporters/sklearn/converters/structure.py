"""Steps that hold other steps: pipelines, column transformers, unions, searches."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join
from mlpack.ports import NotExportableError

PASSTHROUGH = (None, "passthrough")
SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


def _pipeline_transform(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    for name, inner in step.steps:
        if inner not in PASSTHROUGH:
            features = walk.transform(join(path, name), inner, features, context)
    return features


def _pipeline_predict(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    *before, (name, last) = step.steps
    for inner_name, inner in before:
        if inner not in PASSTHROUGH:
            features = walk.transform(join(path, inner_name), inner, features, context)
    return walk.predict(join(path, name), last, features, context)


def _columns(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    weights = step.transformer_weights or {}
    made: list[Feature] = []
    for name, inner, _ in step.transformers_:
        # The fitted transformer knows which columns it took, whatever way they were named.
        indices = step._transformer_to_input_indices.get(name, ())  # noqa: SLF001
        if len(indices) == 0 or (isinstance(inner, str) and inner == "drop"):
            continue
        chosen = tuple(features[index] for index in indices)
        if not (isinstance(inner, str) and inner == "passthrough"):
            chosen = walk.transform(join(path, name), inner, chosen, context)
        made.extend(_weighed(path, chosen, weights.get(name), context))
    return tuple(made)


def _weighed(
    path: str, features: tuple[Feature, ...], weight: float | None, context: Context
) -> tuple[Feature, ...]:
    if weight is None:
        return features
    graph = context.graph
    product = graph.multiply(context.matrix(features, path), graph.constant(np.float64(weight)))
    return context.made(product, [feature.name for feature in features])


def _union(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    weights = step.transformer_weights or {}
    made: list[Feature] = []
    for name, inner in step.transformer_list:
        if inner == "drop":
            continue
        part = features
        if inner not in PASSTHROUGH:
            part = walk.transform(join(path, name), inner, features, context)
        made.extend(_weighed(path, part, weights.get(name), context))
    return tuple(made)


def _search_transform(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    return walk.transform(path, step.best_estimator_, features, context)


def _search_predict(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    return walk.predict(path, step.best_estimator_, features, context)


def _transformed_target(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    outputs = walk.predict(join(path, "regressor"), step.regressor_, features, context)
    inverse = _INVERSES.get(step.inverse_func)
    if inverse is None or step.transformer is not None or outputs.value is None:
        known = ", ".join(f"np.{function.__name__}" for function in _INVERSES)
        raise NotExportableError(
            path, f"its inverse is not exported: use inverse_func with one of {known}"
        )
    return Outputs(value=inverse(outputs.value, context))


def _expm1(value: str, context: Context) -> str:
    # Near zero exp(x) - 1 is off by a unit in the last place of 1, far below any tolerance.
    graph = context.graph
    return graph.subtract(graph.node("Exp", [value]), graph.constant(np.float64(1)))


def _exp(value: str, context: Context) -> str:
    return context.graph.node("Exp", [value])


def _square(value: str, context: Context) -> str:
    return context.graph.multiply(value, value)


_INVERSES: dict[Any, Any] = {np.expm1: _expm1, np.exp: _exp, np.square: _square}

TRANSFORMERS: Transformers = {
    "Pipeline": _pipeline_transform,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    **dict.fromkeys(SEARCHES, _search_transform),
}
MODELS: Models = {
    "Pipeline": _pipeline_predict,
    **dict.fromkeys(SEARCHES, _search_predict),
    "TransformedTargetRegressor": _transformed_target,
}
