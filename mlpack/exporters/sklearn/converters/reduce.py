"""Fewer columns: linear projections and groups of columns.

Each is one matrix product with what the original adds before and after, in its order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError

Array = NDArray[Any]


def _finite(path: str, features: tuple[Feature, ...], context: Context) -> str:
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def _projected(
    matrix: str,
    weights: Any,
    context: Context,
    *,
    subtract: Any = None,
) -> tuple[Feature, ...]:
    """(x - subtract) @ weights."""
    graph = context.graph
    if subtract is not None:
        row = np.asarray(subtract, np.float64).reshape(1, -1)
        matrix = graph.subtract(matrix, graph.constant(row))
    dense = weights.toarray() if hasattr(weights, "toarray") else weights
    dense = np.ascontiguousarray(np.asarray(dense, np.float64))
    return context.made(graph.matmul(matrix, graph.constant(dense)), [None] * dense.shape[1])


def _principal(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = _finite(path, features, context)
    made = graph.matmul(matrix, graph.constant(np.ascontiguousarray(step.components_.T)))
    # X @ W - mean @ W, then the scale: the order of sklearn/decomposition/_base.py.
    shift = np.asarray(step.mean_, np.float64).reshape(1, -1) @ step.components_.T
    made = graph.subtract(made, graph.constant(shift))
    if step.whiten:
        scale = np.sqrt(step.explained_variance_)
        smallest = np.finfo(scale.dtype).eps
        scale[scale < smallest] = smallest
        made = graph.divide(made, graph.constant(scale.reshape(1, -1)))
    return context.made(made, [None] * len(step.components_))


def _components(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    return _projected(_finite(path, features, context), step.components_.T, context)


def _independent(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    return _projected(
        _finite(path, features, context),
        step.components_.T,
        context,
        subtract=step.mean_ if step.whiten else None,
    )


def _factors(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    weights = step.components_ / step.noise_variance_
    covariance = np.linalg.inv(np.eye(len(weights)) + np.dot(weights, step.components_.T))
    matrix = _finite(path, features, context)
    made = _projected(matrix, weights.T, context, subtract=step.mean_)
    return _projected(context.matrix(made, path), covariance, context)


def _sparse(
    path: str, step: Any, _features: tuple[Feature, ...], _context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    raise NotExportableError(
        path,
        f"{describe(step)} fails at a single row in scikit-learn itself: PCA or TruncatedSVD "
        "would be exportable",
    )


def _discriminant(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    if step.solver == "lsqr":
        raise NotExportableError(path, f"{describe(step, 'solver')} cannot transform")
    return _projected(
        _finite(path, features, context),
        np.asarray(step.scalings_)[:, : step._max_components],  # noqa: SLF001 - not public
        context,
        subtract=step.xbar_ if step.solver == "svd" else None,
    )


def _groups(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """One number for every group of columns."""
    operators = {np.mean: "ReduceMean", np.max: "ReduceMax", np.min: "ReduceMin"}
    operator = operators.get(step.pooling_func)
    if operator is None:
        raise NotExportableError(
            path, f"{describe(step, 'pooling_func')}: only np.mean, np.max, np.min are exported"
        )
    graph = context.graph
    matrix = _finite(path, features, context)
    labels = np.asarray(step.labels_)
    if operator == "ReduceMean":
        # A product with zeros and ones adds up the columns in their order, as bincount does.
        member = (labels[:, np.newaxis] == np.arange(labels.max() + 1)).astype(np.float64)
        total = graph.matmul(matrix, graph.constant(member))
        made = graph.divide(total, graph.constant(member.sum(axis=0, keepdims=True)))
        return context.made(made, [None] * member.shape[1])
    axis = graph.constant(np.array([1], np.int64))
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    pooled = [
        graph.node(operator, [graph.columns(matrix, group), axis], keepdims=1) for group in groups
    ]
    return context.made(graph.concat(pooled), [None] * len(groups))


TRANSFORMERS: Transformers = {
    "FactorAnalysis": _factors,
    "FastICA": _independent,
    "FeatureAgglomeration": _groups,
    "GaussianRandomProjection": _components,
    "IncrementalPCA": _principal,
    "LinearDiscriminantAnalysis": _discriminant,
    "MiniBatchSparsePCA": _sparse,
    "NeighborhoodComponentsAnalysis": _components,
    "PCA": _principal,
    "SparsePCA": _sparse,
    "SparseRandomProjection": _components,
    "TruncatedSVD": _components,
}
MODELS: Models = {}
