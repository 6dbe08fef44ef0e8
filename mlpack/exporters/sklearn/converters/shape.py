"""Reshaping numbers: norms, bins, powers, products, indicators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.prepare import absent, indicate, prepared
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, FLOAT
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk


def _finite(path: str, features: tuple[Feature, ...], context: Context) -> str:
    """The columns as a matrix; a NaN or infinity that an earlier step computed is refused."""
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def _normalizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = _finite(path, features, context)
    axis = graph.constant(np.array([1], np.int64))
    if step.norm == "l2":
        squares = graph.multiply(matrix, matrix)
        size = graph.node("Sqrt", [graph.node("ReduceSum", [squares, axis], keepdims=1)])
    else:
        reduce = "ReduceSum" if step.norm == "l1" else "ReduceMax"
        size = graph.node(reduce, [graph.node("Abs", [matrix]), axis], keepdims=1)
    # A row that is next to nothing stays as it is: sklearn.preprocessing._handle_zeros_in_scale.
    nothing = graph.node("Less", [size, graph.constant(10 * np.finfo(np.float64).eps)])
    divisor = graph.where(nothing, graph.constant(np.float64(1)), size)
    return context.made(graph.divide(matrix, divisor), [each.name for each in features])


def _binarizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    graph = context.graph
    matrix = _finite(path, features, context)
    above = graph.node("Greater", [matrix, graph.constant(np.float64(step.threshold))])
    return context.made(graph.cast(above, DOUBLE), [each.name for each in features])


def _bins(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """How many inner edges a value reaches: ``searchsorted`` from the right."""
    graph = context.graph
    axis = graph.constant(np.array([1], np.int64))
    made: list[Feature] = []
    _finite(path, features, context)
    for index, feature in enumerate(features):
        edges = np.asarray(step.bin_edges_[index], np.float64)[1:-1].reshape(1, -1)
        column = context.matrix([feature], path)
        reached = graph.node("GreaterOrEqual", [column, graph.constant(edges)])
        number = graph.node("ReduceSum", [graph.cast(reached, DOUBLE), axis], keepdims=1)
        if step.encode == "ordinal":
            made.extend(context.made(number, [feature.name]))
            continue
        count = int(step.n_bins_[index])
        places = graph.constant(np.arange(count, dtype=np.float64).reshape(1, -1))
        hot = graph.cast(graph.node("Equal", [number, places]), DOUBLE)
        made.extend(context.made(hot, [feature.name] * count))
    return tuple(made)


def _polynomial(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """Products in the original's order: each is one of a lower degree times one more column."""
    graph = context.graph
    matrix = _finite(path, features, context)
    wanted = [
        tuple(int(i) for i, power in enumerate(row) for _ in range(int(power)))
        for row in step.powers_
    ]
    needed = {combination[start:] for combination in wanted for start in range(len(combination))}
    known: dict[tuple[int, ...], Feature] = {
        (index,): column
        for index, column in enumerate(context.made(matrix, [None] * len(features)))
    }
    for degree in range(2, max(map(len, needed), default=0) + 1):
        level = sorted(combination for combination in needed if len(combination) == degree)
        lower = context.matrix([known[combination[1:]] for combination in level], path)
        factors = graph.columns(matrix, [combination[0] for combination in level])
        products = context.made(graph.multiply(lower, factors), [None] * len(level))
        known |= dict(zip(level, products, strict=True))
    if () in wanted:
        one = graph.constant(np.float64(1))
        column = graph.columns(matrix, [0])
        # One wherever there is a row: a constant alone would not know how many there are.
        ones = graph.where(graph.node("Equal", [column, column]), one, one)
        known[()] = context.made(ones, [None])[0]
    return tuple(known[combination] for combination in wanted)


def _indicator(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    prepared(path, features, step.missing_values, context)
    chosen = {int(index) for index in step.features_}
    if step.features == "missing-only" and step.error_on_new:
        _refuse_new([f for i, f in enumerate(features) if i not in chosen], step, context)
    return tuple(
        replace(indicate(features[index], step.missing_values, context), name=features[index].name)
        for index in sorted(chosen)
    )


def _refuse_new(features: list[Feature], step: Any, context: Context) -> None:
    """The original raises for a missing value where there was none in training."""
    numbers = [feature for feature in features if feature.tensor is not None]
    if not numbers:
        return  # a raw text column that raises for a missing value is not nullable
    graph = context.graph
    missing = absent(context.matrix(numbers, ""), step.missing_values, context)
    axis = graph.constant(np.array([1], np.int64))
    count = graph.node("ReduceMax", [graph.cast(missing, FLOAT), axis], keepdims=0)
    context.refusals.append(graph.cast(count, BOOL))


def _power(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """Yeo-Johnson and Box-Cox as scipy computes them, then the scaler."""
    graph = context.graph
    context.refusals.append(graph.not_finite(context.matrix(features, path), allow_nan=True))
    powers = np.asarray(step.lambdas_, np.float64)
    columns: list[str] = []
    for feature, power in zip(features, powers, strict=True):
        column = context.matrix([feature], path)
        if step.method == "box-cox":
            bad = graph.node("LessOrEqual", [column, graph.constant(np.float64(0))])
            context.refusals.append(graph.reshape(bad, [-1]))
            columns.append(_raised(graph.node("Log", [column]), float(power), context))
        else:
            columns.append(_yeo_johnson(column, float(power), context))
    made = graph.concat(columns)
    if step.standardize:
        scaler = step._scaler  # noqa: SLF001 - there is no public form of it
        made = graph.subtract(made, graph.constant(scaler.mean_.reshape(1, -1)))
        made = graph.divide(made, graph.constant(scaler.scale_.reshape(1, -1)))
    return context.made(made, [each.name for each in features])


def _raised(logarithm: str, power: float, context: Context) -> str:
    """(x^power - 1) / power from log(x); the logarithm itself for a power of zero."""
    graph = context.graph
    if power == 0:
        return logarithm
    raised = graph.node("Exp", [graph.multiply(logarithm, graph.constant(np.float64(power)))])
    less = graph.subtract(raised, graph.constant(np.float64(1)))
    return graph.divide(less, graph.constant(np.float64(power)))


def _yeo_johnson(column: str, power: float, context: Context) -> str:
    graph = context.graph
    one, zero = graph.constant(np.float64(1)), graph.constant(np.float64(0))
    size = graph.node("Abs", [column])
    logarithm = graph.node("Log", [graph.add(size, one)])
    above = _raised(logarithm, power, context)
    below = graph.node("Neg", [_raised(logarithm, 2 - power, context)])
    return graph.where(graph.node("GreaterOrEqual", [column, zero]), above, below)


TRANSFORMERS: Transformers = {
    "Normalizer": _normalizer,
    "Binarizer": _binarizer,
    "KBinsDiscretizer": _bins,
    "PolynomialFeatures": _polynomial,
    "MissingIndicator": _indicator,
    "PowerTransformer": _power,
}
MODELS: Models = {}
