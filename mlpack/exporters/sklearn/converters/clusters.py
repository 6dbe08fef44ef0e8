"""Clusters: the nearest centre, the likeliest normal distribution, and distances to centres."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.bayes import from_logarithms
from mlpack.exporters.sklearn.converters.kernels import finite_matrix
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import Graph
from mlpack.exporters.sklearn.pairs import (
    Points,
    dense,
    from_products,
    in_chunks,
    row_sums,
    squared_lengths,
)
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError


def _farness(graph: Graph, rows: str, centres: Points) -> str:
    """|c|^2 - 2 x c, which orders centres as their distances do: float64 [rows, centres]."""
    product = graph.matmul(rows, graph.constant(np.ascontiguousarray(centres.T)))
    doubled = graph.multiply(product, graph.constant(np.float64(-2)))
    lengths = np.einsum("ij,ij->i", centres, centres)
    return graph.add(doubled, graph.constant(lengths[np.newaxis]))


def _nearest(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = finite_matrix(path, features, context)
    centres = dense(step.cluster_centers_)

    def answer(graph: Graph, rows: str) -> list[tuple[str, int]]:
        far = _farness(graph, rows, centres)
        return [(graph.node("ArgMin", [far], axis=1, keepdims=1, select_last_index=0), 1)]

    label = in_chunks(context.graph, matrix, len(centres), answer)[0]
    return Outputs(label=context.graph.reshape(label, [-1]))


def _bisecting(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    """Down a tree of pairs of centres."""
    graph = context.graph
    matrix = finite_matrix(path, features, context)
    # The centres of the tree are told from the mean of the rows it was fitted on.
    mean = getattr(step, "_X_mean", 0.0)

    def go(node: Any) -> str:
        if node.left is None:
            return graph.constant(np.array([node.label], np.int64))
        pair = np.vstack((node.left.center, node.right.center)) + mean
        far = _farness(graph, matrix, np.ascontiguousarray(pair, np.float64))
        first = graph.node("LessOrEqual", [graph.columns(far, [0]), graph.columns(far, [1])])
        return graph.where(graph.reshape(first, [-1]), go(node.left), go(node.right))

    return Outputs(label=go(step._bisecting_tree))  # noqa: SLF001


def _distances(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = finite_matrix(path, features, context)
    centres = dense(step.cluster_centers_)
    far = graph.node("Sqrt", [from_products(graph, matrix, centres)])
    return context.made(far, [None] * len(centres))


def _mixture(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = finite_matrix(path, features, context)
    width = len(features)
    squares, determinants = _squares(path, step, matrix, width, graph)
    start = graph.constant(np.float64(width * np.log(2 * np.pi)))
    halves = graph.multiply(graph.add(squares, start), graph.constant(np.float64(-0.5)))
    joint = graph.add(halves, graph.constant(determinants.reshape(1, -1)))
    weighted = graph.add(joint, graph.constant(np.log(step.weights_).reshape(1, -1)))
    return Outputs(label=graph.argmax(weighted), probabilities=from_logarithms(graph, weighted))


def _squares(path: str, step: Any, matrix: str, width: int, graph: Graph) -> tuple[str, Points]:
    """``_estimate_log_gaussian_prob``: squared distances in each distribution's own measure.

    Returns:
        float64 [rows, components], and the logarithms of the determinants.
    """
    means = np.asarray(step.means_, np.float64)
    roots = np.asarray(step.precisions_cholesky_, np.float64)
    kind = step.covariance_type
    if kind in ("full", "tied"):
        each = roots if kind == "full" else np.repeat(roots[np.newaxis], len(means), axis=0)
        diagonals = np.diagonal(each, axis1=1, axis2=2)
        parts = []
        for mean, root in zip(means, each, strict=True):
            turned = graph.matmul(matrix, graph.constant(np.ascontiguousarray(root)))
            apart = graph.subtract(turned, graph.constant((mean @ root)[np.newaxis]))
            parts.append(row_sums(graph, graph.multiply(apart, apart), width))
        return graph.concat(parts), np.sum(np.log(diagonals), axis=1)
    precisions = roots**2
    two = graph.constant(np.float64(2))
    if kind == "diag":
        known = np.sum(means**2 * precisions, axis=1)
        mixed = graph.matmul(matrix, graph.constant(np.ascontiguousarray((means * precisions).T)))
        own = graph.matmul(
            graph.multiply(matrix, matrix), graph.constant(np.ascontiguousarray(precisions.T))
        )
        determinants = np.sum(np.log(roots), axis=1)
    elif kind == "spherical":
        known = np.sum(means**2, axis=1) * precisions
        wide = graph.constant(precisions[np.newaxis])
        product = graph.matmul(matrix, graph.constant(np.ascontiguousarray(means.T)))
        mixed = graph.multiply(product, wide)
        own = graph.multiply(squared_lengths(graph, matrix, width), wide)
        determinants = width * np.log(roots)
    else:
        raise NotExportableError(path, f"{describe(step, 'covariance_type')} is not exported")
    first = graph.subtract(graph.constant(known[np.newaxis]), graph.multiply(two, mixed))
    return graph.add(first, own), np.asarray(determinants, np.float64)


MODELS: Models = {
    "BisectingKMeans": _bisecting,
    "GaussianMixture": _mixture,
    "KMeans": _nearest,
    "MiniBatchKMeans": _nearest,
}
TRANSFORMERS: Transformers = dict.fromkeys(
    ("BisectingKMeans", "KMeans", "MiniBatchKMeans"), _distances
)
