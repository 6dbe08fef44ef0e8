"""The probabilities of support vector machines.

libsvm fits a sigmoid to each pair of classes (Platt) and finds the probabilities that agree best
with all pairs by an iteration (Wu, Lin and Weng): ``svm_predict_probability`` and
``multiclass_probability`` of ``sklearn/svm/src/libsvm/svm.cpp``, here for all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import BOOL, FLOAT, Graph
from mlpack.exporters.sklearn.steps import Models, Transformers

LEAST = 1e-7
"""No pair is surer than this."""

RUNS = 100


def probabilities(step: Any, pairwise: str, context: Context) -> str:
    """float64 [rows, classes], from the decisions of the pairs."""
    graph = context.graph
    count = len(step.classes_)
    scale = np.asarray(step._probA, np.float64).reshape(1, -1)  # noqa: SLF001
    shift = np.asarray(step._probB, np.float64).reshape(1, -1)  # noqa: SLF001
    shares = _sigmoid(graph, pairwise, scale, shift)
    wins: dict[tuple[int, int], str] = {}
    one = graph.constant(np.float64(1))
    for column, (i, j) in enumerate(combinations(range(count), 2)):
        wins[i, j] = graph.columns(shares, [column])
        wins[j, i] = graph.subtract(one, wins[i, j])
    return _coupled(graph, wins, count)


def _sigmoid(graph: Graph, decisions: str, scale: Any, shift: Any) -> str:
    """The probability of the first of each pair, from the side that loses no digits."""
    one = graph.constant(np.float64(1))
    power = graph.add(graph.multiply(decisions, graph.constant(scale)), graph.constant(shift))
    # exp of minus the absolute value serves both sides and never overflows.
    small = graph.node("Exp", [graph.node("Neg", [graph.node("Abs", [power])])])
    below = graph.add(one, small)
    positive = graph.node("GreaterOrEqual", [power, graph.constant(np.float64(0))])
    share = graph.where(positive, graph.divide(small, below), graph.divide(one, below))
    least, most = graph.constant(np.float64(LEAST)), graph.constant(np.float64(1 - LEAST))
    return graph.node("Min", [graph.node("Max", [share, least]), most])


def _coupled(graph: Graph, wins: dict[tuple[int, int], str], count: int) -> str:
    """The iteration, for all rows until the last of them is done; what is done stays as it is."""
    matrix: list[list[str]] = [[""] * count for _ in range(count)]
    for t in range(count):
        total = ""
        for j in range(count):
            if j != t:
                square = graph.multiply(wins[j, t], wins[j, t])
                total = graph.add(total, square) if total else square
                if j > t:
                    product = graph.multiply(graph.node("Neg", [wins[j, t]]), wins[t, j])
                    matrix[t][j] = matrix[j][t] = product
        matrix[t][t] = total
    zero = graph.multiply(wins[0, 1], graph.constant(np.float64(0)))
    start = graph.add(zero, graph.constant(np.full((1, count), 1.0 / count)))

    def run(
        inner: Graph, _run: str, states: Sequence[str]
    ) -> tuple[str | None, list[str], list[str]]:
        shares = states[0]
        moved, going = _iterated(inner, matrix, shares, count)
        left = inner.node("ReduceSum", [inner.cast(going, FLOAT)], keepdims=0)
        return inner.cast(left, BOOL), [inner.where(going, moved, shares)], []

    return graph.loop(graph.constant(np.int64(max(RUNS, count))), [start], run)[0]


def _iterated(graph: Graph, matrix: list[list[str]], shares: str, count: int) -> tuple[str, str]:
    """One run of the iteration: the next probabilities, and bool [rows, 1], who is not done yet."""
    p = [graph.columns(shares, [t]) for t in range(count)]
    rest: list[str] = []
    whole = ""
    for t in range(count):
        total = ""
        for j in range(count):
            part = graph.multiply(matrix[t][j], p[j])
            total = graph.add(total, part) if total else part
        rest.append(total)
        part = graph.multiply(p[t], total)
        whole = graph.add(whole, part) if whole else part
    errors = [graph.node("Abs", [graph.subtract(each, whole)]) for each in rest]
    largest = graph.node("Max", errors)
    going = graph.node("GreaterOrEqual", [largest, graph.constant(np.float64(0.005 / count))])
    one, two = graph.constant(np.float64(1)), graph.constant(np.float64(2))
    for t in range(count):
        diff = graph.divide(graph.add(graph.node("Neg", [rest[t]]), whole), matrix[t][t])
        p[t] = graph.add(p[t], diff)
        grown = graph.add(one, diff)
        inside = graph.add(graph.multiply(diff, matrix[t][t]), graph.multiply(two, rest[t]))
        whole = graph.divide(
            graph.divide(graph.add(whole, graph.multiply(diff, inside)), grown), grown
        )
        for j in range(count):
            rest[j] = graph.divide(graph.add(rest[j], graph.multiply(diff, matrix[t][j])), grown)
            p[j] = graph.divide(p[j], grown)
    return graph.concat(p), going


TRANSFORMERS: Transformers = {}
MODELS: Models = {}
