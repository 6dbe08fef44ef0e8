"""Fewer columns: selection by mask, and projections."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, name_of


def _select(
    _path: str, step: Any, features: tuple[Feature, ...], _context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    return tuple(
        feature for feature, kept in zip(features, step.get_support(), strict=True) if kept
    )


def _project(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = context.matrix(features, path)
    made = graph.matmul(matrix, graph.constant(np.ascontiguousarray(step.components_.T)))
    if name_of(step) == "PCA":
        # X @ W - mean @ W, then the scale: the order of sklearn/decomposition/_base.py.
        shift = np.asarray(step.mean_, np.float64).reshape(1, -1) @ step.components_.T
        made = graph.subtract(made, graph.constant(shift))
        if step.whiten:
            scale = np.sqrt(step.explained_variance_)
            smallest = np.finfo(scale.dtype).eps
            scale[scale < smallest] = smallest
            made = graph.divide(made, graph.constant(scale.reshape(1, -1)))
    return context.made(made, [None] * len(step.components_))


TRANSFORMERS: Transformers = {
    **dict.fromkeys(
        ("RFE", "RFECV", "SelectFromModel", "SelectKBest", "SelectPercentile", "VarianceThreshold"),
        _select,
    ),
    "PCA": _project,
    "TruncatedSVD": _project,
}
MODELS: Models = {}
