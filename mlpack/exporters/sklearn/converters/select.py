"""Selectors: which columns go on, and the two that are models themselves."""

from __future__ import annotations

from typing import Any

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join


def _select(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    if _looks_at_all(step):
        # A column that is left out must be finite too: SelectorMixin.transform.
        context.refusals.append(context.graph.not_finite(context.matrix(features, path)))
    return tuple(
        feature for feature, kept in zip(features, step.get_support(), strict=True) if kept
    )


def _looks_at_all(step: Any) -> bool:
    """Whether the original raises for NaN and infinities in any column."""
    # With a DataFrame as its output the original takes over the columns unseen.
    framed = getattr(step, "_sklearn_output_config", {}).get("transform", "default") != "default"
    return not framed and not step.__sklearn_tags__().input_tags.allow_nan


def _predict(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    selected = _select(path, step, features, context, walk)
    return walk.predict(join(path, "estimator"), step.estimator_, selected, context)


TRANSFORMERS: Transformers = dict.fromkeys(
    (
        "GenericUnivariateSelect",
        "RFE",
        "RFECV",
        "SelectFdr",
        "SelectFpr",
        "SelectFromModel",
        "SelectFwe",
        "SelectKBest",
        "SelectPercentile",
        "SequentialFeatureSelector",
        "VarianceThreshold",
    ),
    _select,
)
MODELS: Models = dict.fromkeys(("RFE", "RFECV"), _predict)
