"""Support vector machines and other models of kernels, in double.

The decisions are those of libsvm (``svm_predict_values``): for each pair of classes a weighted sum
of kernels with the support vectors of both, and a vote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters import platt
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, Graph
from mlpack.exporters.sklearn.pairs import (
    FEW,
    Points,
    dense,
    from_products,
    in_chunks,
    summed_differences,
)
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

KERNELS = ("linear", "poly", "polynomial", "rbf", "sigmoid")

BLOCK = 64
"""So many numbers are summed before their sums are."""


def _kernel(
    graph: Graph, step: Any, rows: str, points: Points, *, gamma: float, differences: bool = True
) -> str:
    """The kernel of every row with every point: float64 [rows, points].

    libsvm takes the |x - p|^2 of rbf from differences, ``pairwise_kernels`` from products.
    """
    if step.kernel == "rbf":
        squares = _apart(graph, rows, points) if differences else from_products(graph, rows, points)
        return graph.node("Exp", [graph.multiply(squares, graph.constant(np.float64(-gamma)))])
    product = graph.matmul(rows, graph.constant(np.ascontiguousarray(points.T)))
    if step.kernel == "linear":
        return product
    start = 1.0 if step.coef0 is None else float(step.coef0)
    shifted = graph.add(
        graph.multiply(product, graph.constant(np.float64(gamma))),
        graph.constant(np.float64(start)),
    )
    if step.kernel == "sigmoid":
        return graph.node("Tanh", [shifted])
    degree = 3 if step.degree is None else step.degree
    return graph.node("Pow", [shifted, graph.constant(np.float64(degree))])


def _apart(graph: Graph, rows: str, points: Points) -> str:
    """|x - p|^2 from differences: products would lose digits."""
    if points.shape[1] <= FEW:
        return summed_differences(graph, rows, points)
    unsqueezed = graph.node("Unsqueeze", [rows, graph.constant(np.array([1], np.int64))])
    difference = graph.subtract(unsqueezed, graph.constant(points[np.newaxis]))
    axis = graph.constant(np.array([2], np.int64))
    squares = graph.multiply(difference, difference)
    return graph.node("ReduceSum", [squares, axis], keepdims=0)


def weighted(
    path: str,
    step: Any,
    matrix: str,
    points: Any,
    context: Context,
    summed: Callable[[Graph, str], tuple[str, int]],
    *,
    gamma: float,
    differences: bool = True,
) -> str:
    """What `summed` makes of the kernels with all points, [rows, points]: one row each."""
    if step.kernel not in KERNELS:
        raise NotExportableError(
            path, f"{describe(step, 'kernel')}: only {', '.join(KERNELS)} are exported"
        )
    known = dense(points)

    def answer(graph: Graph, rows: str) -> list[tuple[str, int]]:
        kernel = _kernel(graph, step, rows, known, gamma=gamma, differences=differences)
        return [summed(graph, kernel)]

    cells = len(known) * (known.shape[1] if known.shape[1] > FEW else 1)
    return in_chunks(context.graph, matrix, cells, answer)[0]


def _in_order(weights: Any) -> Callable[[Graph, str], tuple[str, int]]:
    """Sums as libsvm has them: one vector after the other, those without a weight left out.

    Its weights may be so large that another order shows in the twelfth digit.
    """
    wide = np.asarray(weights, np.float64)

    def summed(graph: Graph, kernel: str) -> tuple[str, int]:
        sums = []
        for column in wide.T:
            used = np.flatnonzero(column)
            some = kernel if len(used) == len(column) else graph.columns(kernel, used.tolist())
            parts = graph.multiply(some, graph.constant(column[np.newaxis, used]))
            running = graph.node("CumSum", [parts, graph.constant(np.int64(1))])
            sums.append(graph.columns(running, [len(used) - 1]))
        return graph.concat(sums), wide.shape[1]

    return summed


def _multiplied(weights: Any) -> Callable[[Graph, str], tuple[str, int]]:
    """Sums as a matrix product has them."""
    wide = np.ascontiguousarray(np.asarray(weights, np.float64))
    return lambda graph, kernel: (graph.matmul(kernel, graph.constant(wide)), wide.shape[1])


def _careful(weights: Any) -> Callable[[Graph, str], tuple[str, int]]:
    """Sums of sums, which are off by less than those of the original."""
    wide = np.asarray(weights, np.float64)
    blocks = -(-len(wide) // BLOCK)
    padded = np.zeros((blocks * BLOCK, wide.shape[1]))
    padded[: len(wide)] = wide

    def summed(graph: Graph, kernel: str) -> tuple[str, int]:
        lacking = graph.constant(np.array([0, 0, 0, len(padded) - len(wide)], np.int64))
        even = graph.node("Pad", [kernel, lacking, graph.constant(np.float64(0))])
        stacked = graph.node(
            "Reshape",
            [even, graph.constant(np.array([-1, blocks, BLOCK], np.int64))],
        )
        sums = []
        for column in padded.T:
            parts = graph.multiply(stacked, graph.constant(column.reshape(1, blocks, BLOCK)))
            last = graph.constant(np.array([2], np.int64))
            of_blocks = graph.node("ReduceSum", [parts, last], keepdims=0)
            first = graph.constant(np.array([1], np.int64))
            sums.append(graph.node("ReduceSum", [of_blocks, first], keepdims=1))
        return graph.concat(sums), wide.shape[1]

    return summed


def finite_matrix(path: str, features: tuple[Feature, ...], context: Context) -> str:
    """The columns as a matrix; rows that are not finite are refused, as the original does."""
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def decisions(path: str, step: Any, matrix: str, context: Context) -> str:
    """libsvm's decision for each pair of classes: float64 [rows, pairs]."""
    pairs = list(combinations(range(len(step.classes_)), 2))
    graph = context.graph
    sums = weighted(
        path,
        step,
        matrix,
        step.support_vectors_,
        context,
        _in_order(_pair_weights(step, pairs)),
        gamma=step._gamma,  # noqa: SLF001 - the number that the original multiplies with
    )
    start = np.asarray(step._intercept_, np.float64).reshape(1, -1)
    return graph.add(sums, graph.constant(start))


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = finite_matrix(path, features, context)
    pairwise = decisions(path, step, matrix, context)
    answered = classified(path, step, pairwise, context)
    if step.probability is not True:
        return answered
    return replace(answered, probabilities=platt.probabilities(step, pairwise, context))


def classified(path: str, step: Any, pairwise: str, context: Context) -> Outputs:
    """Label and scores from the decisions of the pairs."""
    graph = context.graph
    count = len(step.classes_)
    pairs = list(combinations(range(count), 2))
    if count == 2:
        # The original turns the sign of two classes, so that more means the second.
        scores = graph.node("Neg", [pairwise])
    elif step.decision_function_shape == "ovr":
        scores = _one_versus_rest(pairwise, pairs, count, context)
    else:
        scores = pairwise
    if step.break_ties and count > 2:
        if step.decision_function_shape == "ovo":
            raise NotExportableError(
                path, f"{describe(step, 'break_ties', 'decision_function_shape')} cannot predict"
            )
        return Outputs(label=graph.argmax(scores), scores=scores)
    return Outputs(label=_voted(pairwise, pairs, count, context), scores=scores)


def _one_versus_rest(
    pairwise: str, pairs: list[tuple[int, int]], count: int, context: Context
) -> str:
    """Votes, and the decisions as fractions of a vote: ``_ovr_decision_function``."""
    graph = context.graph
    sums: list[str] = [""] * count
    for column, (i, j) in enumerate(pairs):
        decision = graph.columns(pairwise, [column])
        sums[i] = graph.add(sums[i], decision) if sums[i] else decision
        sums[j] = graph.subtract(sums[j], decision) if sums[j] else graph.node("Neg", [decision])
    confidence = graph.concat(sums)
    size = graph.add(graph.node("Abs", [confidence]), graph.constant(np.float64(1)))
    fraction = graph.divide(confidence, graph.multiply(size, graph.constant(np.float64(3))))
    # Here a decision of zero, which is nobody's in a prediction, is a vote for the first.
    zero = graph.constant(np.float64(0))
    second = graph.cast(graph.node("Less", [pairwise, zero]), DOUBLE)
    first = graph.subtract(graph.constant(np.float64(1)), second)
    return graph.add(_votes(first, second, pairs, count, context), fraction)


def _pair_weights(step: Any, pairs: list[tuple[int, int]]) -> Any:
    """What each support vector adds to each pair's decision: float64 [vectors, pairs]."""
    dual = dense(step._dual_coef_)
    ends = np.cumsum(step.n_support_)
    starts = ends - step.n_support_
    weights = np.zeros((dual.shape[1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        of_i, of_j = slice(starts[i], ends[i]), slice(starts[j], ends[j])
        weights[of_i, column] = dual[j - 1, of_i]
        weights[of_j, column] = dual[i, of_j]
    return weights


def _voted(pairwise: str, pairs: list[tuple[int, int]], count: int, context: Context) -> str:
    """The class with the most pairs, the first of equals."""
    graph = context.graph
    first = graph.cast(graph.node("Greater", [pairwise, graph.constant(np.float64(0))]), DOUBLE)
    second = graph.subtract(graph.constant(np.float64(1)), first)
    return graph.argmax(_votes(first, second, pairs, count, context))


def _votes(
    first: str, second: str, pairs: list[tuple[int, int]], count: int, context: Context
) -> str:
    """How many pairs each class has won: float64 [rows, classes]."""
    graph = context.graph
    for_first, for_second = np.zeros((len(pairs), count)), np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        for_first[row, i] = for_second[row, j] = 1
    return graph.add(
        graph.matmul(first, graph.constant(for_first)),
        graph.matmul(second, graph.constant(for_second)),
    )


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = finite_matrix(path, features, context)
    return Outputs(value=decision(path, step, matrix, context))


def decision(path: str, step: Any, matrix: str, context: Context) -> str:
    """libsvm's decision where it has no classes: float64 [rows, 1]."""
    sums = weighted(
        path,
        step,
        matrix,
        step.support_vectors_,
        context,
        _in_order(dense(step._dual_coef_).T),
        gamma=step._gamma,  # noqa: SLF001
    )
    start = np.asarray(step._intercept_, np.float64).reshape(1, -1)
    return context.graph.add(sums, context.graph.constant(start))


def _width(step: Any, columns: int) -> float:
    """gamma as ``pairwise_kernels`` has it by default."""
    return 1.0 / columns if step.gamma is None else float(step.gamma)


def _ridge(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = finite_matrix(path, features, context)
    points = dense(step.X_fit_)
    weights = np.asarray(step.dual_coef_, np.float64).reshape(len(points), -1)
    gamma = _width(step, len(features))
    summed = _careful(weights)
    value = weighted(path, step, matrix, points, context, summed, gamma=gamma, differences=False)
    return Outputs(value=value)


def _nystroem(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    matrix = context.matrix(features, path)
    gamma = _width(step, len(features))
    weights = step.normalization_.T
    summed = _multiplied(weights)
    made = weighted(
        path, step, matrix, step.components_, context, summed, gamma=gamma, differences=False
    )
    return context.made(made, [None] * weights.shape[1])


MODELS: Models = {
    "SVC": _classifier,
    "NuSVC": _classifier,
    "SVR": _regressor,
    "NuSVR": _regressor,
    "KernelRidge": _ridge,
}
TRANSFORMERS: Transformers = {"Nystroem": _nystroem}
