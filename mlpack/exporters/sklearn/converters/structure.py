"""Steps that hold other steps: pipelines, column transformers, unions, searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join

PASSTHROUGH = (None, "passthrough")
SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


def _pipeline_transform(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    return walk.through(path, _working(step.steps), features, context)


def _pipeline_predict(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    *before, (name, last) = step.steps
    width = getattr(last, "n_features_in_", None)
    features = walk.through(path, _working(before), features, context, width)
    return walk.predict(join(path, name), last, features, context)


def _working(steps: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, inner) for name, inner in steps if inner not in PASSTHROUGH]


def _columns(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    weights = step.transformer_weights or {}
    made: list[Feature] = []
    for name, inner, columns in step.transformers_:
        # The fitted transformer knows which columns it took, whatever way they were named.
        indices = step._transformer_to_input_indices.get(name, ())  # noqa: SLF001
        if len(indices) == 0 or (isinstance(inner, str) and inner == "drop"):
            continue
        chosen = tuple(features[index] for index in indices)
        if isinstance(columns, str | int):  # one column that is named by itself comes as a series
            chosen = tuple(
                replace(
                    each,
                    given=each.given and "series",
                    holder="series" if each.holder == "frame" else "vector",
                )
                for each in chosen
            )
        if not (isinstance(inner, str) and inner == "passthrough"):
            taken = step.output_indices_[name]
            width = taken.stop - taken.start
            chosen = walk.through(path, [(name, inner)], chosen, context, width)
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
            part = walk.through(path, [(name, inner)], features, context)
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


TRANSFORMERS: Transformers = {
    "Pipeline": _pipeline_transform,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    **dict.fromkeys(SEARCHES, _search_transform),
}
MODELS: Models = {
    "Pipeline": _pipeline_predict,
    **dict.fromkeys(SEARCHES, _search_predict),
}
