"""Multi-layer perceptrons: ``_forward_pass_fast`` of ``sklearn/neural_network``."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import above
from mlpack.exporters.sklearn.converters.linear import two_sided
from mlpack.exporters.sklearn.converters.multioutput import several
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, Graph
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

ACTIVATIONS = ("identity", "exp", "tanh", "logistic", "relu", "softmax")


def _activated(graph: Graph, name: str, tensor: str, kind: Any) -> str:
    if name == "relu":
        return graph.node("Max", [tensor, graph.constant(kind(0))])
    if name == "tanh":
        return graph.node("Tanh", [tensor])
    if name == "exp":
        return graph.node("Exp", [tensor])
    if name == "softmax":
        return graph.node("Softmax", [tensor], axis=1)
    if name == "logistic":
        # 1 / (1 + exp(-x)), and exp(x) / (1 + exp(x)) below zero: neither loses digits.
        power = graph.node("Exp", [graph.node("Neg", [graph.node("Abs", [tensor])])])
        one = graph.constant(kind(1))
        below = graph.node("Less", [tensor, graph.constant(kind(0))])
        return graph.divide(graph.where(below, power, one), graph.add(one, power))
    return tensor


def _forward(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """What the last layer says: float64 [rows, outputs]."""
    unknown = {step.activation, step.out_activation_} - set(ACTIVATIONS)
    if unknown:
        raise NotExportableError(
            path, f"{describe(step, 'activation')}: only {', '.join(ACTIVATIONS)} are exported"
        )
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix))
    # Fitted on float32, it computes in float32.
    single = np.asarray(step.coefs_[0]).dtype == np.float32
    kind: Any = np.float32 if single else np.float64
    tensor = graph.cast(matrix, FLOAT) if single else matrix
    last = len(step.coefs_) - 1
    for layer, (weights, start) in enumerate(zip(step.coefs_, step.intercepts_, strict=True)):
        wide = np.ascontiguousarray(np.asarray(weights, kind))
        first = np.asarray(start, kind).reshape(1, -1)
        tensor = graph.add(graph.matmul(tensor, graph.constant(wide)), graph.constant(first))
        name = step.out_activation_ if layer == last else step.activation
        tensor = _activated(graph, name, tensor, kind)
    return graph.cast(tensor, DOUBLE) if single else tensor


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    graph = context.graph
    shares = _forward(path, step, features, context)
    if step.n_outputs_ > 1 and step.out_activation_ != "softmax":
        each = [graph.columns(shares, [place]) for place in range(step.n_outputs_)]
        labels = [Outputs(label=above(share, 0.5, context)) for share in each]
        found = several(path, step, labels, [2] * len(labels), context)
        both = graph.concat([two_sided(share, context) for share in each])
        return Outputs(label=found.label, probabilities=both)
    if step.n_outputs_ > 1:
        return Outputs(label=graph.argmax(shares), probabilities=shares)
    return Outputs(label=above(shares, 0.5, context), probabilities=two_sided(shares, context))


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    return Outputs(value=_forward(path, step, features, context))


MODELS: Models = {"MLPClassifier": _classifier, "MLPRegressor": _regressor}
TRANSFORMERS: Transformers = {}
