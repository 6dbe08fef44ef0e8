"""Naive Bayes: the arithmetic of ``sklearn/naive_bayes.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64, Graph
from mlpack.exporters.sklearn.pairs import row_sums
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk


def _finite(path: str, features: tuple[Feature, ...], context: Context) -> str:
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    return matrix


def _answered(graph: Graph, joint: str) -> Outputs:
    """Label and probabilities from the joint log likelihoods: float64 [rows, classes]."""
    return Outputs(label=graph.argmax(joint), probabilities=from_logarithms(graph, joint))


def from_logarithms(graph: Graph, joint: str) -> str:
    """exp(x - logsumexp(x)): what a row's logarithms are as shares of one.

    The sum's logarithm is added to the largest before anything is taken from it, as the original
    does: of large logarithms that leaves few digits.
    """
    axis = graph.constant(np.array([1], np.int64))
    largest = graph.node("ReduceMax", [joint, axis], keepdims=1)
    powers = graph.node("Exp", [graph.subtract(joint, largest)])
    total = graph.node("Log", [graph.node("ReduceSum", [powers, axis], keepdims=1)])
    return graph.node("Exp", [graph.subtract(joint, graph.add(total, largest))])


def _gaussian(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = _finite(path, features, context)
    half = graph.constant(np.float64(0.5))
    logarithms = []
    for index, prior in enumerate(step.class_prior_):
        spread = np.asarray(step.var_[index], np.float64)
        difference = graph.subtract(matrix, graph.constant(step.theta_[index][np.newaxis].copy()))
        terms = graph.divide(
            graph.multiply(difference, difference), graph.constant(spread[np.newaxis])
        )
        summed = row_sums(graph, terms, len(features))
        start = -0.5 * np.sum(np.log(2.0 * np.pi * spread))
        total = graph.subtract(
            graph.constant(np.float64(start)),
            graph.multiply(half, summed),
        )
        logarithms.append(graph.add(graph.constant(np.log(np.float64(prior))), total))
    return _answered(graph, graph.concat(logarithms))


def _product(graph: Graph, matrix: str, weights: Any, start: Any) -> str:
    """X @ weights.T + start."""
    wide = np.ascontiguousarray(np.asarray(weights, np.float64).T)
    product = graph.matmul(matrix, graph.constant(wide))
    first = np.asarray(start, np.float64).reshape(1, -1)
    return graph.add(product, graph.constant(first)) if first.any() else product


def _multinomial(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = _finite(path, features, context)
    joint = _product(context.graph, matrix, step.feature_log_prob_, step.class_log_prior_)
    return _answered(context.graph, joint)


def _complement(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    matrix = _finite(path, features, context)
    # The prior counts only where there is a single class.
    start = step.class_log_prior_ if len(step.classes_) == 1 else 0.0
    joint = _product(context.graph, matrix, step.feature_log_prob_, start)
    return _answered(context.graph, joint)


def _bernoulli(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = _finite(path, features, context)
    if step.binarize is not None:
        above = graph.node("Greater", [matrix, graph.constant(np.float64(step.binarize))])
        matrix = graph.cast(above, DOUBLE)
    absent = np.log(1 - np.exp(step.feature_log_prob_))
    start = step.class_log_prior_ + absent.sum(axis=1)
    return _answered(graph, _product(graph, matrix, step.feature_log_prob_ - absent, start))


def _categorical(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    matrix = _finite(path, features, context)
    sizes = np.array([table.shape[1] for table in step.feature_log_prob_], np.float64)
    # Numbers lose their fraction; a category that no table has is an error.
    low = graph.node("LessOrEqual", [matrix, graph.constant(np.float64(-1))])
    high = graph.node("GreaterOrEqual", [matrix, graph.constant(sizes[np.newaxis])])
    outside = graph.node("Or", [low, high])
    axis = graph.constant(np.array([1], np.int64))
    lost = graph.node("ReduceMax", [graph.cast(outside, FLOAT), axis], keepdims=0)
    context.refusals.append(graph.node("Greater", [lost, graph.constant(np.float32(0))]))
    known = graph.where(outside, graph.constant(np.float64(0)), matrix)
    whole = graph.node("IsNaN", [known])
    codes = graph.cast(graph.where(whole, graph.constant(np.float64(0)), known), INT64)
    joint = ""
    for column, table in enumerate(step.feature_log_prob_):
        code = graph.node("Gather", [codes, graph.constant(np.int64(column))], axis=1)
        wide = np.ascontiguousarray(np.asarray(table, np.float64).T)
        part = graph.node("Gather", [graph.constant(wide), code], axis=0)
        joint = graph.add(joint, part) if joint else part
    prior = graph.constant(np.asarray(step.class_log_prior_, np.float64)[np.newaxis])
    return _answered(graph, graph.add(joint, prior))


MODELS: Models = {
    "BernoulliNB": _bernoulli,
    "CategoricalNB": _categorical,
    "ComplementNB": _complement,
    "GaussianNB": _gaussian,
    "MultinomialNB": _multinomial,
}
TRANSFORMERS: Transformers = {}
