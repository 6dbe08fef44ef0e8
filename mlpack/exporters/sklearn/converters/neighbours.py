"""Nearest neighbours: votes and means of the nearest points, and of centroids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.converters.multioutput import several
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64, Graph
from mlpack.exporters.sklearn.nearest import nearest
from mlpack.exporters.sklearn.pairs import (
    as_numpy_sums,
    dense,
    from_products,
    in_chunks,
    summed_differences,
)
from mlpack.exporters.sklearn.search import Search, reduced, search_of, whole
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

WEIGHTS = ("uniform", "distance")


def _prepared(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[str, Search]:
    """The rows and the search; whether they are weighed in a way that is known."""
    weights = "uniform" if step.weights is None else step.weights
    if not isinstance(weights, str) or weights not in WEIGHTS:
        raise NotExportableError(
            path, f"{describe(step, 'weights')}: only uniform and distance are exported"
        )
    search = search_of(path, step)
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix, search


def _inverse(graph: Graph, distances: str) -> str:
    """1 / distance; where some of a row are at no distance, one for these and zero for others."""
    share = graph.divide(graph.constant(np.float64(1)), distances)
    hit = graph.cast(graph.node("IsInf", [share]), DOUBLE)
    along = graph.constant(np.array([1], np.int64))
    hits = graph.node("ReduceSum", [hit, along], keepdims=1)
    return graph.where(graph.node("Greater", [hits, graph.constant(np.float64(0))]), hit, share)


def _one_hot(codes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """The class of every training point, of so many: float64 [points, classes]."""
    return np.asarray(np.eye(count)[codes], np.float64)


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix, search = _prepared(path, step, features, context)
    graph = context.graph
    far, places = nearest(graph, matrix, search, step.n_neighbors)
    known = np.asarray(step._y)  # noqa: SLF001
    if not step.outputs_2d_:
        return _voted(step, known.reshape(-1), len(step.classes_), (far, places), context)
    sizes = list(map(len, step.classes_))
    answers = [
        _voted(step, known[:, output], size, (far, places), context)
        for output, size in enumerate(sizes)
    ]
    return several(path, step, answers, sizes, context)


def _voted(
    step: Any, codes: NDArray[np.int64], count: int, found: tuple[str, str], context: Context
) -> Outputs:
    """What the neighbours are, by their classes of which there are `count`.

    Args:
        step: the model.
        codes: the class of every training point.
        count: how many classes there are.
        found: the neighbours' distances and places, [rows, neighbours].
        context: of the export.
    """
    graph = context.graph
    far, places = found
    classes = graph.constant(_one_hot(codes, count))
    votes = graph.node("Gather", [classes, places], axis=0)
    if step.weights != "distance":
        axis = graph.constant(np.array([1], np.int64))
        counts = graph.node("ReduceSum", [votes, axis], keepdims=0)
        share = graph.divide(counts, graph.constant(np.float64(step.n_neighbors)))
        return Outputs(label=graph.argmax(counts), probabilities=share)
    weights = _inverse(graph, far)
    parts = []
    for rank in range(step.n_neighbors):
        one = graph.node("Gather", [votes, graph.constant(np.int64(rank))], axis=1)
        parts.append(graph.multiply(one, graph.columns(weights, [rank])))
    # Label and probabilities come from sums in different orders.
    total = parts[0]
    for part in parts[1:]:
        total = graph.add(total, part)
    columns = [graph.columns(total, [index]) for index in range(count)]
    share = graph.divide(total, as_numpy_sums(graph, columns))
    return Outputs(label=graph.argmax(as_numpy_sums(graph, parts)), probabilities=share)


def _targets(step: Any) -> NDArray[np.float64]:
    """What every training point has: float64 [points, outputs]."""
    known = np.asarray(step._y, np.float64)  # noqa: SLF001
    return known.reshape(len(known), -1)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix, search = _prepared(path, step, features, context)
    graph = context.graph
    far, places = nearest(graph, matrix, search, step.n_neighbors)
    found = graph.node("Gather", [graph.constant(_targets(step)), places], axis=0)
    axis = graph.constant(np.array([1], np.int64))
    if step.weights != "distance":
        total = graph.node("ReduceSum", [found, axis], keepdims=0)
        return Outputs(value=graph.divide(total, graph.constant(np.float64(step.n_neighbors))))
    weights = _inverse(graph, far)
    weighed = graph.multiply(
        found, graph.node("Unsqueeze", [weights, graph.constant(np.array([2], np.int64))])
    )
    total = graph.node("ReduceSum", [weighed, axis], keepdims=0)
    return Outputs(value=graph.divide(total, graph.node("ReduceSum", [weights, axis], keepdims=1)))


def _within(
    step: Any, matrix: str, search: Search, context: Context, known: NDArray[np.float64]
) -> tuple[str, str]:
    """Sums over the points within the radius.

    Returns:
        The sums of `known`, float64 [rows, known.shape[1]], and of the weights, [rows, 1].
    """
    radius = float(step.radius)
    limit = radius
    if search.metric == "euclidean":
        limit = radius * radius
    elif search.metric == "minkowski":
        limit = radius**search.power
    points = np.concatenate([known, np.ones((len(known), 1))], axis=1)[search.original]

    def answer(graph: Graph, rows: str) -> list[tuple[str, int]]:
        far = reduced(graph, rows, search)
        inside = graph.node("LessOrEqual", [far, graph.constant(np.float64(limit))])
        weights = graph.cast(inside, DOUBLE)
        if step.weights == "distance":
            # Those outside are at no distance at all.
            near = graph.where(
                inside, whole(graph, far, search), graph.constant(np.float64(np.inf))
            )
            weights = _inverse(graph, near)
        return [(graph.matmul(weights, graph.constant(points)), points.shape[1])]

    sums = in_chunks(context.graph, matrix, len(points), answer)[0]
    width = known.shape[1]
    graph = context.graph
    return graph.columns(sums, list(range(width))), graph.columns(sums, [width])


def _radius_classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    if step.outputs_2d_:
        raise NotExportableError(path, f"{describe(step)} with several labels is not exported")
    matrix, search = _prepared(path, step, features, context)
    graph = context.graph
    codes = np.asarray(step._y).reshape(-1)  # noqa: SLF001
    known = _one_hot(codes, len(step.classes_))
    counts, total = _within(step, matrix, search, context, known)
    alone = graph.node("Equal", [total, graph.constant(np.float64(0))])
    classes = step.classes_.tolist()
    if step.outlier_label_ is None:
        context.refusals.append(graph.reshape(alone, [-1]))
        share = graph.divide(counts, total)
        return Outputs(label=graph.argmax(share), probabilities=share)
    label = np.asarray(step.outlier_label_[0]).item()
    if label not in classes:
        raise NotExportableError(
            path, f"{describe(step, 'outlier_label')} is none of the classes it was fitted with"
        )
    shares = np.zeros((1, len(classes)))
    by_number = search.tree is None and not search.sparse and search.metric != "cosine"
    if by_number and step.weights != "distance":
        # Here the original looks for the label among the classes' numbers.
        shares[0] = [number == step.outlier_label for number in range(len(classes))]
    else:
        shares[0, classes.index(label)] = 1
    safe = graph.where(alone, graph.constant(np.float64(1)), total)
    share = graph.where(alone, graph.constant(shares), graph.divide(counts, safe))
    lonely = graph.reshape(alone, [-1])
    most = graph.argmax(share)
    if not shares.any():
        most = graph.where(lonely, graph.constant(np.int64(classes.index(label))), most)
    return Outputs(label=most, probabilities=share)


def _radius_regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix, search = _prepared(path, step, features, context)
    graph = context.graph
    sums, total = _within(step, matrix, search, context, _targets(step))
    # Of a row without neighbours the original says NaN, which is no answer.
    alone = graph.node("Equal", [total, graph.constant(np.float64(0))])
    context.refusals.append(graph.reshape(alone, [-1]))
    return Outputs(value=graph.divide(sums, total))


def _centroid(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    if step.metric not in ("euclidean", "manhattan"):
        raise NotExportableError(
            path, f"{describe(step, 'metric')}: only euclidean and manhattan are exported"
        )
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix))
    centres = dense(step.centroids_)
    count = len(step.classes_)
    # Priors, and probabilities with them, came with scikit-learn 1.6.
    prior = getattr(step, "class_prior_", np.full(count, 1 / count))
    scores = None
    if step.metric == "euclidean" and hasattr(step, "predict_proba"):
        scores = _discriminant(graph, step, matrix, prior)
    if np.isclose(prior, 1 / count).all():
        far = (
            from_products(graph, matrix, centres)
            if step.metric == "euclidean"
            else summed_differences(graph, matrix, centres, power=1)
        )
        label = graph.node("ArgMin", [far], axis=1, keepdims=0, select_last_index=0)
    else:
        label = graph.argmax(scores or _discriminant(graph, step, matrix, prior))
    if scores is None:
        return Outputs(label=label)
    shares = graph.node("Softmax", [scores], axis=1)
    if count == 2:
        first, second = graph.columns(scores, [0]), graph.columns(scores, [1])
        scores = graph.subtract(second, first)
    return Outputs(label=graph.cast(label, INT64), probabilities=shares, scores=scores)


def _discriminant(graph: Graph, step: Any, matrix: str, prior: Any) -> str:
    """Minus the squared distance of standardized columns, and the prior: [rows, classes]."""
    spread = np.array(step.within_class_std_dev_, np.float64).reshape(-1)
    spread[spread == 0] = 1
    scaled = graph.divide(matrix, graph.constant(spread[np.newaxis]))
    centres = dense(step.centroids_) / spread
    if step.metric == "euclidean":
        far = graph.node("Sqrt", [from_products(graph, scaled, centres)])
    else:
        far = summed_differences(graph, scaled, centres, power=1)
    squares = graph.node("Neg", [graph.multiply(far, far)])
    return graph.add(squares, graph.constant(2.0 * np.log(np.asarray(prior))[np.newaxis]))


MODELS: Models = {
    "KNeighborsClassifier": _classifier,
    "KNeighborsRegressor": _regressor,
    "RadiusNeighborsClassifier": _radius_classifier,
    "RadiusNeighborsRegressor": _radius_regressor,
    "NearestCentroid": _centroid,
}
TRANSFORMERS: Transformers = {}
