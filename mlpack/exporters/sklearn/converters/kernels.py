"""Support vector machines and other models of kernels, in double.

The decisions are those of libsvm (``svm_predict_values``): for each pair of classes a weighted sum
of kernels with the support vectors of both, and a vote.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

KERNELS = ("linear", "poly", "polynomial", "rbf", "sigmoid")


def _kernel(
    path: str,
    step: Any,
    matrix: str,
    others: Any,
    context: Context,
    *,
    gamma: float,
) -> str:
    """The kernel of every row with every one of `others`: float64 [rows, len(others)]."""
    if step.kernel not in KERNELS:
        raise NotExportableError(
            path, f"{describe(step, 'kernel')}: only {', '.join(KERNELS)} are exported"
        )
    graph = context.graph
    known = np.asarray(others.todense() if hasattr(others, "todense") else others, np.float64)
    if step.kernel == "rbf":
        return _radial(matrix, known, gamma, context)
    product = graph.matmul(matrix, graph.constant(np.ascontiguousarray(known.T)))
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


def _radial(matrix: str, known: Any, gamma: float, context: Context) -> str:
    """exp(-gamma |x - s|^2), the distance from differences: products would lose digits."""
    graph = context.graph
    rows = graph.node("Unsqueeze", [matrix, graph.constant(np.array([1], np.int64))])
    difference = graph.subtract(rows, graph.constant(known[np.newaxis]))
    axis = graph.constant(np.array([2], np.int64))
    squares = graph.multiply(difference, difference)
    distance = graph.node("ReduceSum", [squares, axis], keepdims=0)
    return graph.node("Exp", [graph.multiply(distance, graph.constant(np.float64(-gamma)))])


def _matrix(path: str, features: tuple[Feature, ...], context: Context) -> str:
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    if step.probability is True:
        raise NotExportableError(
            path,
            f"{describe(step, 'probability')}: its probabilities come from an iteration that has "
            "no graph: leave probability out",
        )
    graph = context.graph
    matrix = _matrix(path, features, context)
    kernel = _kernel(path, step, matrix, step.support_vectors_, context, gamma=step._gamma)  # noqa: SLF001
    count = len(step.classes_)
    if step.break_ties and count > 2:
        raise NotExportableError(path, f"{describe(step, 'break_ties')} is not exported")
    pairs = list(combinations(range(count), 2))
    decisions = graph.add(
        graph.matmul(kernel, graph.constant(_pair_weights(step, pairs))),
        graph.constant(np.asarray(step._intercept_, np.float64).reshape(1, -1)),
    )
    return Outputs(label=_voted(decisions, pairs, count, context))


def _pair_weights(step: Any, pairs: list[tuple[int, int]]) -> Any:
    """What each support vector adds to each pair's decision: float64 [vectors, pairs]."""
    dual = step._dual_coef_
    dual = np.asarray(dual.todense() if hasattr(dual, "todense") else dual, np.float64)
    ends = np.cumsum(step.n_support_)
    starts = ends - step.n_support_
    weights = np.zeros((dual.shape[1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        of_i, of_j = slice(starts[i], ends[i]), slice(starts[j], ends[j])
        weights[of_i, column] = dual[j - 1, of_i]
        weights[of_j, column] = dual[i, of_j]
    return weights


def _voted(decisions: str, pairs: list[tuple[int, int]], count: int, context: Context) -> str:
    """The class with the most pairs, the first of equals."""
    graph = context.graph
    first = graph.cast(graph.node("Greater", [decisions, graph.constant(np.float64(0))]), DOUBLE)
    second = graph.subtract(graph.constant(np.float64(1)), first)
    for_first, for_second = np.zeros((len(pairs), count)), np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        for_first[row, i] = for_second[row, j] = 1
    votes = graph.add(
        graph.matmul(first, graph.constant(for_first)),
        graph.matmul(second, graph.constant(for_second)),
    )
    return graph.argmax(votes)


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = _matrix(path, features, context)
    kernel = _kernel(path, step, matrix, step.support_vectors_, context, gamma=step._gamma)  # noqa: SLF001
    dual = step._dual_coef_
    weights = np.asarray(dual.todense() if hasattr(dual, "todense") else dual, np.float64).T
    start = np.asarray(step._intercept_, np.float64).reshape(1, -1)
    product = graph.matmul(kernel, graph.constant(np.ascontiguousarray(weights)))
    return Outputs(value=graph.add(product, graph.constant(start)))


def _width(step: Any, columns: int) -> float:
    """gamma as ``pairwise_kernels`` has it by default."""
    return 1.0 / columns if step.gamma is None else float(step.gamma)


def _ridge(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = _matrix(path, features, context)
    gamma = _width(step, len(features))
    kernel = _kernel(path, step, matrix, step.X_fit_, context, gamma=gamma)
    dual = np.asarray(step.dual_coef_, np.float64).reshape(len(step.X_fit_), -1)
    return Outputs(value=graph.matmul(kernel, graph.constant(dual)))


def _nystroem(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = context.matrix(features, path)
    gamma = _width(step, len(features))
    kernel = _kernel(path, step, matrix, step.components_, context, gamma=gamma)
    weights = graph.constant(np.ascontiguousarray(step.normalization_.T))
    return context.made(graph.matmul(kernel, weights), [None] * step.normalization_.shape[0])


MODELS: Models = {
    "SVC": _classifier,
    "NuSVC": _classifier,
    "SVR": _regressor,
    "NuSVR": _regressor,
    "KernelRidge": _ridge,
}
TRANSFORMERS: Transformers = {"Nystroem": _nystroem}
