"""How a fitted estimator of ``sklearn.neighbors`` looks for neighbours, and its distances.

Which arithmetic it uses depends on how it was fitted: a tree takes differences of the columns one
after the other, brute force takes products, of sparse rows in an order of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.graph import Graph
from mlpack.exporters.sklearn.pairs import (
    Points,
    dense,
    fused_lengths,
    squared_lengths,
    summed_differences,
)
from mlpack.exporters.sklearn.steps import describe
from mlpack.ports import NotExportableError

METRICS = ("euclidean", "manhattan", "chebyshev", "minkowski", "cosine")
SAME = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan", "infinity": "chebyshev"}

WIDE = 128
"""With more columns a sparse product is summed as a dense one."""


@dataclass(frozen=True)
class Tree:
    """A k-d tree or a ball tree of scikit-learn, whose last level are its leaves.

    Attributes:
        ball: whether it is a ball tree.
        places: int64 [points], the place of each in the training data.
        leaf: int64 [points], the leaf in which each stands, from 0.
        within: int64 [points], where it stands there.
        lower, upper: float64 [nodes, columns]; `lower` of a ball tree are the centres.
        radius: float64 [nodes], of balls.
        levels: 1 if the root is the only leaf.
    """

    ball: bool
    places: NDArray[np.int64]
    leaf: NDArray[np.int64]
    within: NDArray[np.int64]
    lower: Points
    upper: Points
    radius: Points
    levels: int


@dataclass(frozen=True)
class Search:
    """How a fitted estimator looks for neighbours.

    Attributes:
        points: the points, where there is a tree in its own order.
        original: int64, the place of each in the training data.
        metric: a name in `METRICS`.
        power: of minkowski.
        products: whether distances come from products.
        sparse: whether the points were sparse.
        tree: the tree, if there is one.
    """

    points: Points
    original: NDArray[np.int64]
    metric: str
    power: float
    products: bool
    sparse: bool
    tree: Tree | None

    @property
    def partitioned(self) -> bool:
        """Whether numpy chooses the nearest: scikit-learn has no way of its own for these."""
        return self.products and (self.sparse or self.metric == "cosine")


def search_of(path: str, step: Any) -> Search:
    """How a fitted estimator of ``sklearn.neighbors`` looks for neighbours.

    Raises:
        NotExportableError: its metric has no graph.
    """
    metric = step.effective_metric_
    metric = SAME.get(metric, metric) if isinstance(metric, str) else "callable"
    options = step.effective_metric_params_ or {}
    if metric not in METRICS or options.get("w") is not None:
        raise NotExportableError(
            path, f"{describe(step, 'metric')}: only {', '.join(METRICS)} are exported"
        )
    method = step._fit_method  # noqa: SLF001 - decides the arithmetic
    found = step._fit_X  # noqa: SLF001
    sparse = hasattr(found, "toarray")
    points = dense(found)
    tree = tree_of(step._tree) if method in ("kd_tree", "ball_tree") else None  # noqa: SLF001
    original = np.arange(len(points)) if tree is None else tree.places
    return Search(
        points=np.ascontiguousarray(points[original]),
        original=np.asarray(original, np.int64),
        metric=metric,
        power=float(options.get("p", 2)),
        products=tree is None and metric in ("euclidean", "cosine"),
        sparse=sparse,
        tree=tree,
    )


def tree_of(tree: Any) -> Tree:
    """What decides the order in which a tree visits its points."""
    _, places, nodes, limits = (np.asarray(array) for array in tree.get_arrays())
    levels = int(np.log2(len(nodes) + 1))
    leaves = nodes[2 ** (levels - 1) - 1 :]
    sizes = leaves["idx_end"] - leaves["idx_start"]
    return Tree(
        ball=type(tree).__name__.startswith("Ball"),
        places=places.astype(np.int64),
        leaf=np.repeat(np.arange(len(leaves)), sizes).astype(np.int64),
        within=np.concatenate([np.arange(size) for size in sizes]).astype(np.int64),
        lower=np.array(limits[0], np.float64),
        upper=np.array(limits[-1], np.float64),
        radius=np.array(nodes["radius"], np.float64),
        levels=levels,
    )


def bounds(graph: Graph, rows: str, search: Search, tree: Tree) -> str:
    """How near the points of each node are at least: float64 [rows, nodes], ``min_rdist``."""
    zero = graph.constant(np.float64(0))
    if tree.ball:
        centre = whole(
            graph, differences(graph, rows, tree.lower, search.metric, search.power), search
        )
        outside = graph.subtract(centre, graph.constant(tree.radius[np.newaxis]))
        return _power(graph, graph.node("Max", [outside, zero]), search, len(tree.lower))
    half = graph.constant(np.float64(0.5))
    total = ""
    for column in range(tree.lower.shape[1]):
        value = graph.columns(rows, [column])
        low = graph.subtract(graph.constant(tree.lower[np.newaxis, :, column].copy()), value)
        high = graph.subtract(value, graph.constant(tree.upper[np.newaxis, :, column].copy()))
        doubled = graph.add(
            graph.add(low, graph.node("Abs", [low])), graph.add(high, graph.node("Abs", [high]))
        )
        part = _power(graph, graph.multiply(doubled, half), search, len(tree.lower))
        if search.metric == "chebyshev":
            total = graph.node("Max", [total, part]) if total else part
        else:
            total = graph.add(total, part) if total else part
    return total


def _power(graph: Graph, distance: str, search: Search, count: int) -> str:
    if search.metric == "euclidean":
        return graph.multiply(distance, distance)
    if search.metric == "minkowski":
        return graph.node("Pow", [distance, _exponent(graph, search.power, count)])
    return distance


def _exponent(graph: Graph, power: float, count: int) -> str:
    """One exponent a column: of a single 3 ONNX Runtime would make two products."""
    return graph.constant(np.full((1, count), power))


def reduced(graph: Graph, rows: str, search: Search) -> str:
    """The distances, those of euclidean squared: float64 [rows, points]."""
    if search.metric == "cosine":
        return _cosine(graph, rows, search.points)
    if search.products:
        return _products(graph, rows, search)
    return differences(graph, rows, search.points, search.metric, search.power)


def differences(graph: Graph, rows: str, points: Points, metric: str, power: float) -> str:
    """Distances from the columns one after the other, squared where they are euclidean."""
    if metric == "euclidean":
        return summed_differences(graph, rows, points)
    if metric == "manhattan":
        return summed_differences(graph, rows, points, power=1)
    total = ""
    for column in range(points.shape[1]):
        known = graph.constant(points[np.newaxis, :, column].copy())
        part = graph.node("Abs", [graph.subtract(graph.columns(rows, [column]), known)])
        if metric == "chebyshev":
            total = graph.node("Max", [total, part]) if total else part
        else:
            part = graph.node("Pow", [part, _exponent(graph, power, len(points))])
            total = graph.add(total, part) if total else part
    return total


def _products(graph: Graph, rows: str, search: Search) -> str:
    points = search.points
    if search.sparse:
        own = [_summed(graph, graph.multiply(rows, rows), points.shape[1])]
        product = _sparse_product(graph, rows, points)
        lengths = np.cumsum(points * points, axis=1)[:, -1]
    else:
        own = [fused_lengths(graph, rows)]
        product = graph.matmul(rows, graph.constant(np.ascontiguousarray(points.T)))
        lengths = np.array([np.dot(point, point) for point in points])
    doubled = graph.multiply(product, graph.constant(np.float64(-2)))
    total = graph.add(graph.add(doubled, own[0]), graph.constant(lengths[np.newaxis]))
    return graph.node("Max", [total, graph.constant(np.float64(0))])


def _summed(graph: Graph, matrix: str, columns: int) -> str:
    total = graph.columns(matrix, [0])
    for column in range(1, columns):
        total = graph.add(total, graph.columns(matrix, [column]))
    return total


def _sparse_product(graph: Graph, rows: str, points: Points) -> str:
    """Summed column by column with two roundings a term, as scipy does."""
    if points.shape[1] > WIDE:
        return graph.matmul(rows, graph.constant(np.ascontiguousarray(points.T)))
    total = ""
    for column in range(points.shape[1]):
        known = graph.constant(points[np.newaxis, :, column].copy())
        part = graph.multiply(graph.columns(rows, [column]), known)
        total = graph.add(total, part) if total else part
    return total


def _cosine(graph: Graph, rows: str, points: Points) -> str:
    lengths = np.sqrt(np.einsum("ij,ij->i", points, points))
    lengths[lengths == 0] = 1
    known = np.ascontiguousarray((points / lengths[:, np.newaxis]).T)
    own = graph.node("Sqrt", [squared_lengths(graph, rows, points.shape[1])])
    zero, one = graph.constant(np.float64(0)), graph.constant(np.float64(1))
    own = graph.where(graph.node("Equal", [own, zero]), one, own)
    product = graph.matmul(graph.divide(rows, own), graph.constant(known))
    far = graph.add(graph.node("Neg", [product]), one)
    return graph.node("Min", [graph.node("Max", [far, zero]), graph.constant(np.float64(2))])


def whole(graph: Graph, distances: str, search: Search) -> str:
    """Distances from those that `reduced` gives."""
    if search.metric == "euclidean":
        return graph.node("Sqrt", [distances])
    if search.metric == "minkowski":
        return graph.node("Pow", [distances, graph.constant(np.float64(1 / search.power))])
    return distances
