"""What a model that holds others makes of their answers, in the order of the original's sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import Outputs, describe
from mlpack.ports import NotExportableError

SCORES, SHARES = "decision_function", "predict_proba"


def present(path: str, step: Any, tensors: Sequence[str | None], what: str) -> list[str]:
    """The tensors, all of which are there.

    Raises:
        NotExportableError: a member has no such answer in the graph.
    """
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) != len(tensors):
        raise NotExportableError(path, f"a member of {describe(step)} answers no {what}")
    return found


def response(
    path: str, member: Any, answer: Outputs, methods: Sequence[str] = (SCORES, SHARES)
) -> tuple[str, str]:
    """The first of the methods that the member has, and what it says.

    Raises:
        NotExportableError: the member has none of them, or its answer is not in the graph.
    """
    method = next((name for name in methods if hasattr(member, name)), None)
    tensor = answer.scores if method == SCORES else answer.probabilities
    if method is None or tensor is None:
        wanted = method or " or ".join(methods)
        raise NotExportableError(path, f"{wanted} of {describe(member)} has no exact graph yet")
    return method, tensor


def certainty(path: str, member: Any, answer: Outputs, context: Context) -> tuple[str, float]:
    """What a binary member says for its second class, and from where on it means that class.

    It is ``_predict_binary`` of ``sklearn/multiclass.py``: a score, else a probability, and of a
    regression its value.

    Returns:
        float64 [rows, 1], and the threshold.
    """
    if answer.label is None and answer.value is not None:
        return answer.value, 0.5
    method, said = response(path, member, answer)
    if method == SCORES:
        return said, 0.0
    return context.graph.columns(said, [1]), 0.5


def above(tensor: str, threshold: float, context: Context) -> str:
    """Whether a column is above a threshold, as a label: int64 [rows]."""
    graph = context.graph
    reached = graph.node("Greater", [tensor, graph.constant(np.float64(threshold))])
    return label_of(reached, context)


def label_of(condition: str, context: Context) -> str:
    """One for true, zero for false: int64 [rows] of bool [rows, 1]."""
    return context.graph.reshape(context.graph.cast(condition, INT64), [-1])


def one_hot(label: str, count: int, context: Context) -> str:
    """One where the label is, zero elsewhere: float64 [rows, count]."""
    graph = context.graph
    classes = graph.constant(np.arange(count, dtype=np.int64).reshape(1, -1))
    return graph.cast(graph.node("Equal", [graph.reshape(label, [-1, 1]), classes]), DOUBLE)


def total(tensors: Sequence[str], context: Context) -> str:
    """The sum, one after the other."""
    whole = tensors[0]
    for tensor in tensors[1:]:
        whole = context.graph.add(whole, tensor)
    return whole


def average(tensors: Sequence[str], weights: Any, context: Context) -> str:
    """The weighted mean, summed in order as numpy does."""
    graph = context.graph
    if weights is None:
        return graph.divide(total(tensors, context), graph.constant(np.float64(len(tensors))))
    numbers = [float(weight) for weight in weights]
    weighed = [
        graph.multiply(tensor, graph.constant(np.float64(weight)))
        for tensor, weight in zip(tensors, numbers, strict=True)
    ]
    return graph.divide(total(weighed, context), graph.constant(np.float64(sum(numbers))))


def across(tensor: str, width: int, context: Context) -> str:
    """The sum over the columns of each row, from left to right: float64 [rows, 1].

    ReduceSum of ONNX Runtime adds in another order; a product with ones does not.
    """
    return context.graph.matmul(tensor, context.graph.constant(np.ones((width, 1))))


def shares_of(tensor: str, width: int, context: Context, *, otherwise: float | None) -> str:
    """Each row by its sum; where the sum is zero, `otherwise`, or the row as it is."""
    graph = context.graph
    whole = across(tensor, width, context)
    nothing = graph.node("Equal", [whole, graph.constant(np.float64(0))])
    instead = tensor if otherwise is None else graph.constant(np.float64(otherwise))
    return graph.where(nothing, instead, graph.divide(tensor, whole))


def spread(tensor: str, places: Sequence[int], count: int, context: Context) -> str:
    """The columns at their places among `count`, zeros at the others: float64 [rows, count]."""
    if list(places) == list(range(count)):
        return tensor
    table = np.zeros((len(places), count))
    table[np.arange(len(places)), list(places)] = 1
    return context.graph.matmul(tensor, context.graph.constant(table))


def repeated(path: str, row: Sequence[float], features: Sequence[Feature], context: Context) -> str:
    """The same numbers for every row: float64 [rows, len(row)]."""
    graph = context.graph
    rows = graph.node("Shape", [_any(path, features, context)], start=0, end=1)
    width = graph.constant(np.array([len(row)], np.int64))
    shape = graph.node("Concat", [rows, width], axis=0)
    values = graph.constant(np.asarray(row, np.float64).reshape(1, -1))
    return graph.node("Expand", [values, shape])


def _any(path: str, features: Sequence[Feature], context: Context) -> str:
    """A tensor with as many rows as there are."""
    for feature in features:
        if feature.tensor is not None:
            return context.matrix([feature], path)
    for feature in features or context.raw_features():
        if feature.raw is not None:
            return context.code(feature.raw)
    raise NotExportableError(path, "there is no column left that tells how many rows there are")
