"""What tells outliers from others: the label is 0 for an outlier (-1) and 1 for the others.

The scores are those of ``decision_function``: the less the more of an outlier.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Ensemble
from mlpack.exporters.sklearn.converters.kernels import decision, finite_matrix
from mlpack.exporters.sklearn.converters.trees import sklearn_tree
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64, Graph
from mlpack.exporters.sklearn.nearest import nearest
from mlpack.exporters.sklearn.pairs import FEW
from mlpack.exporters.sklearn.search import search_of
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError


def _told(graph: Graph, reached: str, scores: str) -> Outputs:
    """The answer where `reached`, bool [rows, 1], is true for those that are no outliers."""
    return Outputs(label=graph.reshape(graph.cast(reached, INT64), [-1]), scores=scores)


def _not_below_zero(graph: Graph, scores: str) -> Outputs:
    zero = graph.constant(np.float64(0))
    return _told(graph, graph.node("GreaterOrEqual", [scores, zero]), scores)


def _isolation(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    lengths = getattr(step, "_decision_path_lengths", None)
    if lengths is None:
        raise NotExportableError(
            path, f"{describe(step)} was fitted by a scikit-learn that does not tell its depths"
        )
    largest = float(_path_length(step._max_samples))  # noqa: SLF001
    if not largest:
        raise NotExportableError(path, f"{describe(step, 'max_samples')}: use at least 2 samples")
    graph = context.graph
    matrix = context.matrix(features, path)
    rounded = graph.cast(graph.cast(matrix, FLOAT), DOUBLE)
    _refuse_odd(step, rounded, context)
    ensemble = Ensemble(targets=1)
    averages = step._average_path_length_per_tree  # noqa: SLF001
    for index, (member, chosen) in enumerate(
        zip(step.estimators_, step.estimators_features_, strict=True)
    ):
        tree = sklearn_tree(member)
        used = np.asarray(chosen)[np.maximum(tree.feature, 0)]
        depth = np.asarray(lengths[index] + averages[index] - 1.0, np.float64)
        ensemble.add(_of_columns(tree, used), depth.reshape(-1, 1))
    depths = ensemble.node(rounded, context)
    whole = len(step.estimators_) * largest
    power = graph.node("Neg", [graph.divide(depths, graph.constant(np.float64(whole)))])
    two = graph.constant(np.array([[2.0]]))
    score = graph.subtract(
        graph.node("Neg", [graph.node("Pow", [two, power])]),
        graph.constant(np.float64(step.offset_)),
    )
    # The power is off by a unit in the last place now and then, the sum of depths is not.
    least = graph.constant(np.float64(_least_depth(whole, float(step.offset_))))
    return _told(graph, graph.node("GreaterOrEqual", [depths, least]), score)


def _of_columns(tree: Any, used: Any) -> Any:
    """The tree of some columns as a tree of all."""
    return type(tree)(
        left=tree.left,
        right=tree.right,
        feature=used,
        threshold=tree.threshold,
        missing_left=tree.missing_left,
    )


def _path_length(samples: int) -> float:
    """How deep a search among so many samples goes on average: ``_average_path_length``."""
    if samples <= 2:
        return float(max(samples - 1, 0))
    return float(2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples)


def _least_depth(whole: float, offset: float) -> float:
    """The smallest sum of depths with which a row is no outlier, by the original's arithmetic."""

    def no_outlier(depth: float) -> bool:
        powers = 2 ** (-np.divide(np.array([depth]), whole))
        return bool(-powers[0] - offset >= 0)

    low, high = 0.0, 64.0 * whole
    if no_outlier(low):
        return low
    if not no_outlier(high):
        return float("inf")
    while np.nextafter(low, np.inf) < high:
        middle = (low + high) / 2
        if no_outlier(middle):
            high = middle
        else:
            low = middle
    return high


def _refuse_odd(step: Any, matrix: str, context: Context) -> None:
    """Refuse what the fitted original refuses: newer releases take NaN and infinities."""
    graph = context.graph
    takes_nan, takes_infinity = _takes(step, np.nan), _takes(step, np.inf)
    if not takes_infinity:
        context.refusals.append(graph.not_finite(matrix, allow_nan=takes_nan))
    elif not takes_nan:
        axis = graph.constant(np.array([1], np.int64))
        gone = graph.cast(graph.node("IsNaN", [matrix]), FLOAT)
        total = graph.node("ReduceSum", [gone, axis], keepdims=0)
        context.refusals.append(graph.node("Greater", [total, graph.constant(np.float32(0))]))


def _takes(step: Any, value: float) -> bool:
    rows = np.zeros((1, step.n_features_in_))
    rows[0, 0] = value
    try:
        step.score_samples(rows)
    except ValueError:
        return False
    return True


def _local(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = finite_matrix(path, features, context)
    count = step.n_neighbors_
    far, places = nearest(graph, matrix, search_of(path, step), count)
    own = np.asarray(step._distances_fit_X_[:, count - 1], np.float64)
    reach = graph.node("Max", [far, graph.node("Gather", [graph.constant(own), places], axis=0)])
    number = graph.constant(np.float64(count))
    axis = graph.constant(np.array([1], np.int64))

    def mean(tensor: str) -> str:
        return graph.divide(graph.node("ReduceSum", [tensor, axis], keepdims=1), number)

    density = graph.divide(
        graph.constant(np.float64(1)), graph.add(mean(reach), graph.constant(np.float64(1e-10)))
    )
    densities = graph.constant(np.asarray(step._lrd, np.float64))  # noqa: SLF001
    ratios = graph.divide(graph.node("Gather", [densities, places], axis=0), density)
    offset = graph.constant(np.float64(step.offset_))
    return _not_below_zero(graph, graph.subtract(graph.node("Neg", [mean(ratios)]), offset))


def _one_class(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    scores = decision(path, step, finite_matrix(path, features, context), context)
    return _told(graph, graph.node("Greater", [scores, graph.constant(np.float64(0))]), scores)


def _elliptic(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = finite_matrix(path, features, context)
    precision = np.ascontiguousarray(step.get_precision(), np.float64)
    centre = np.asarray(step.location_, np.float64)[np.newaxis]
    apart = graph.subtract(matrix, graph.constant(centre))
    width = precision.shape[0]
    if width > FEW:
        turned = graph.matmul(apart, graph.constant(np.ascontiguousarray(precision.T)))
        axis = graph.constant(np.array([1], np.int64))
        square = graph.node("ReduceSum", [graph.multiply(apart, turned), axis], keepdims=1)
    else:
        # The order of scipy's mahalanobis, and its square root: of equals both say the same.
        turned = ""
        for column in range(width):
            row = graph.constant(precision[np.newaxis, :, column].copy())
            part = graph.multiply(graph.columns(apart, [column]), row)
            turned = graph.add(turned, part) if turned else part
        terms = graph.multiply(apart, turned)
        square = graph.columns(terms, [0])
        for column in range(1, width):
            square = graph.add(square, graph.columns(terms, [column]))
    root = graph.node("Sqrt", [square])
    far = graph.node("Neg", [graph.multiply(root, root)])
    offset = graph.constant(np.float64(step.offset_))
    return _not_below_zero(graph, graph.subtract(far, offset))


MODELS: Models = {
    "EllipticEnvelope": _elliptic,
    "IsolationForest": _isolation,
    "LocalOutlierFactor": _local,
    "OneClassSVM": _one_class,
}
TRANSFORMERS: Transformers = {}
