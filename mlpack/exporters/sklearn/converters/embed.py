"""Random features, kernel components, and the leaves of random trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Ensemble
from mlpack.exporters.sklearn.converters.trees import float32_matrix, sklearn_tree, takes_nan
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64, Graph
from mlpack.exporters.sklearn.pairs import Points, dense, from_products, in_chunks
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError

KERNELS = ("linear", "poly", "rbf", "sigmoid", "cosine")


def _finite(path: str, features: tuple[Feature, ...], context: Context) -> str:
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def _waves(matrix: str, step: Any, scale: float, context: Context) -> str:
    """Cosines of random projections."""
    graph = context.graph
    # Of large angles a cosine keeps the last digits only.
    product = graph.matmul(graph.laid_out(matrix), graph.constant(dense(step.random_weights_)))
    offset = graph.constant(np.asarray(step.random_offset_, np.float64).reshape(1, -1))
    cosine = _cosine(graph.add(product, offset), graph)
    return graph.multiply(cosine, graph.constant(np.float64(scale)))


def _cosine(angle: str, graph: Graph) -> str:
    """By the sine of half the angle: ONNX Runtime has no double cosine before 1.29."""
    half = graph.node("Sin", [graph.multiply(angle, graph.constant(np.float64(0.5)))])
    twice = graph.multiply(graph.constant(np.float64(2)), graph.multiply(half, half))
    return graph.subtract(graph.constant(np.float64(1)), twice)


def _fourier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    matrix = _finite(path, features, context)
    made = _waves(matrix, step, (2.0 / step.n_components) ** 0.5, context)
    return context.made(made, [None] * step.n_components)


def _skewed(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = _finite(path, features, context)
    least = graph.constant(np.float64(-step.skewedness))
    _refuse(graph.node("LessOrEqual", [matrix, least]), context)
    moved = graph.add(matrix, graph.constant(np.float64(step.skewedness)))
    scale = float(np.sqrt(2.0) / np.sqrt(step.n_components))
    made = _waves(graph.node("Log", [moved]), step, scale, context)
    return context.made(made, [None] * step.n_components)


def _refuse(flags: str, context: Context) -> None:
    """Refuse the rows in which any flag is set."""
    graph = context.graph
    axis = graph.constant(np.array([1], np.int64))
    most = graph.node("ReduceMax", [graph.cast(flags, FLOAT), axis], keepdims=0)
    context.refusals.append(graph.node("Greater", [most, graph.constant(np.float32(0))]))


def _additive(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = _finite(path, features, context)
    zero = graph.constant(np.float64(0))
    _refuse(graph.node("Less", [matrix, zero]), context)
    interval = step.sample_interval
    if interval is None:
        interval = {1: 0.8, 2: 0.5, 3: 0.4}[step.sample_steps]
    empty = graph.node("Equal", [matrix, zero])
    positive = graph.where(empty, graph.constant(np.float64(1)), matrix)
    width = graph.constant(np.float64(interval))
    blocks = [graph.node("Sqrt", [graph.multiply(positive, width)])]
    logarithm = graph.multiply(width, graph.node("Log", [positive]))
    doubled = graph.multiply(graph.multiply(graph.constant(np.float64(2)), positive), width)
    for number in range(1, step.sample_steps):
        divisor = graph.constant(np.float64(np.cosh(np.pi * number * interval)))
        factor = graph.node("Sqrt", [graph.divide(doubled, divisor)])
        angle = graph.multiply(graph.constant(np.float64(number)), logarithm)
        waves = (_cosine(angle, graph), graph.node("Sin", [angle]))
        blocks += [graph.multiply(factor, wave) for wave in waves]
    made = graph.concat([graph.where(empty, zero, block) for block in blocks])
    return context.made(made, [each.name for each in features] * len(blocks))


def _sketch(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """The product of count sketches as polynomials, by a Fourier transform as two matrices."""
    graph = context.graph
    size = int(step.n_components)
    matrix = _finite(path, features, context)
    scaled = graph.multiply(graph.constant(np.float64(np.sqrt(step.gamma))), matrix)
    turns = np.outer(np.arange(size), np.arange(size)) % size * (2 * np.pi / size)
    cosines, sines = (graph.constant(wave(turns)) for wave in (np.cos, np.sin))
    real = imaginary = ""
    for places, signs in zip(step.indexHash_, step.bitHash_, strict=True):
        hashes = np.zeros((len(places), size))
        hashes[np.arange(len(places)), places] = signs
        sketch = graph.matmul(scaled, graph.constant(hashes[: len(features)].copy()))
        if step.coef0 != 0:
            constant = np.sqrt(step.coef0) * hashes[len(features) :]
            sketch = graph.add(sketch, graph.constant(constant))
        a, b = graph.matmul(sketch, cosines), graph.node("Neg", [graph.matmul(sketch, sines)])
        if real:
            a, b = (
                graph.subtract(graph.multiply(real, a), graph.multiply(imaginary, b)),
                graph.add(graph.multiply(real, b), graph.multiply(imaginary, a)),
            )
        real, imaginary = a, b
    total = graph.subtract(graph.matmul(real, cosines), graph.matmul(imaginary, sines))
    made = graph.divide(total, graph.constant(np.float64(size)))
    return context.made(made, [None] * size)


def _kernel(graph: Graph, step: Any, rows: str, points: Points, gamma: float) -> str:
    """The kernel of every row with every point, as ``pairwise_kernels`` has it."""
    if step.kernel == "rbf":
        squares = from_products(graph, rows, points)
        return graph.node("Exp", [graph.multiply(squares, graph.constant(np.float64(-gamma)))])
    if step.kernel == "cosine":
        rows, points = _unit(graph, rows), _unit_points(points)
    product = graph.matmul(rows, graph.constant(np.ascontiguousarray(points.T)))
    if step.kernel in ("linear", "cosine"):
        return product
    scaled = graph.multiply(product, graph.constant(np.float64(gamma)))
    shifted = graph.add(scaled, graph.constant(np.float64(step.coef0)))
    if step.kernel == "sigmoid":
        return graph.node("Tanh", [shifted])
    return graph.node("Pow", [shifted, graph.constant(np.float64(step.degree))])


def _unit(graph: Graph, rows: str) -> str:
    """Rows of length one; as they are where they are next to nothing."""
    axis = graph.constant(np.array([1], np.int64))
    squares = graph.node("ReduceSum", [graph.multiply(rows, rows), axis], keepdims=1)
    length = graph.node("Sqrt", [squares])
    nothing = graph.node("Less", [length, graph.constant(10 * np.finfo(np.float64).eps)])
    return graph.divide(rows, graph.where(nothing, graph.constant(np.float64(1)), length))


def _unit_points(points: Points) -> Points:
    lengths = np.sqrt(np.einsum("ij,ij->i", points, points))
    lengths[lengths < 10 * np.finfo(np.float64).eps] = 1
    made: Points = points / lengths[:, np.newaxis]
    return made


def _components(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    if step.kernel not in KERNELS:
        raise NotExportableError(
            path, f"{describe(step, 'kernel')}: only {', '.join(KERNELS)} are exported"
        )
    matrix = _finite(path, features, context)
    points = dense(step.X_fit_)
    used = np.flatnonzero(step.eigenvalues_)
    weights = np.zeros_like(step.eigenvectors_)
    weights[:, used] = step.eigenvectors_[:, used] / np.sqrt(step.eigenvalues_[used])
    centre = step._centerer  # noqa: SLF001 - there is no public form of it
    count = weights.shape[1]

    def answer(graph: Graph, rows: str) -> list[tuple[str, int]]:
        kernel = _kernel(graph, step, rows, points, float(step.gamma_))
        axis = graph.constant(np.array([1], np.int64))
        total = graph.node("ReduceSum", [kernel, axis], keepdims=1)
        mean = graph.divide(total, graph.constant(np.float64(len(points))))
        fitted = graph.constant(np.asarray(centre.K_fit_rows_, np.float64).reshape(1, -1))
        kernel = graph.subtract(graph.subtract(kernel, fitted), mean)
        kernel = graph.add(kernel, graph.constant(np.float64(centre.K_fit_all_)))
        return [(graph.matmul(kernel, graph.constant(np.ascontiguousarray(weights))), count)]

    made = in_chunks(context.graph, matrix, len(points), answer)[0]
    return context.made(made, [None] * count)


def _leaves(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """One column for every leaf: 1 where the row falls into it."""
    graph = context.graph
    trees = [sklearn_tree(member) for member in step.estimators_]
    nan = takes_nan(step.estimators_[0])
    matrix = float32_matrix(path, features, context, allow_nan=nan)
    ensemble = Ensemble(targets=len(trees))
    for number, tree in enumerate(trees):
        ensemble.add_one(tree, np.arange(len(tree.left), dtype=np.float64), number)
    leaves = graph.cast(ensemble.node(matrix, context), INT64)
    categories = step.one_hot_encoder_.categories_
    owners = [number for number, known in enumerate(categories) for _ in known]
    wanted = np.concatenate(categories).astype(np.int64).reshape(1, -1)
    hot = graph.node("Equal", [graph.columns(leaves, owners), graph.constant(wanted)])
    return context.made(graph.cast(hot, DOUBLE), [None] * len(owners))


TRANSFORMERS: Transformers = {
    "AdditiveChi2Sampler": _additive,
    "KernelPCA": _components,
    "PolynomialCountSketch": _sketch,
    "RBFSampler": _fourier,
    "RandomTreesEmbedding": _leaves,
    "SkewedChi2Sampler": _skewed,
}
MODELS: Models = {}
