"""Sums over many trees that ask few questions each, in large batches.

A walk down a tree guesses at every branch, and guesses wrong. Here nothing branches: all that the
trees ask is asked once for all rows, and the answers to the few questions of a tree make a number,
which is the place of the tree's value in a table. The numbers of many trees are one product of a
matrix of whole numbers. For a few rows ONNX Runtime walks faster, so a graph has both ways.

Few questions have trees of a small depth, such as those of gradient boosting, and CatBoost's, which
ask the same everywhere on a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LEQ, Array, Ensemble, Tree, added
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import FLOAT, Graph

QUESTIONS = 8
"""So many different questions a tree may ask: their bits have room in one byte."""

FEW_TREES, FEW_ROWS = 20, 100
"""Up to so many the walk is faster."""

TOGETHER = 50
"""Trees in one product: of more, each would be multiplied with the questions of too many others."""

Question = tuple[int, bool, float]
"""A column, whether yes is said of a missing value, and the number that the column is at most."""


def sums(
    trees: Sequence[Tree],
    values: Sequence[Array],
    ensemble: Ensemble,
    matrix: str,
    context: Context,
) -> str:
    """The sums over the trees, one after the other: float64 [rows, targets].

    Args:
        trees: with thresholds of float32.
        values: what stands at the nodes of each tree: float64 [nodes, targets].
        ensemble: the same trees, as a node of its own.
        matrix: float64 [rows, columns], of numbers that float32 holds.
        context: of the export.
    """
    asked = [_asked(tree) for tree in trees]
    if len(trees) <= FEW_TREES or any(each is None for each in asked):
        return ensemble.node(matrix, context)
    bits = [each for each in asked if each is not None]
    every = sorted({question for each in bits for question in each}) or [(0, False, 0.0)]
    graph = context.graph

    def walked(inner: Graph) -> str:
        return ensemble.within(inner, matrix)

    def looked_up(inner: Graph) -> str:
        answers = _answers(every, matrix, inner)
        found: list[str] = []
        for start in range(0, len(trees), TOGETHER):
            chosen = slice(start, start + TOGETHER)
            tables = [
                _table(tree, each, value)
                for tree, each, value in zip(
                    trees[chosen], bits[chosen], values[chosen], strict=True
                )
            ]
            places = _places(every, bits[chosen], answers, inner)
            found = added(found, np.concatenate(tables), places, len(tables), inner)
        by_target = found[0] if len(found) == 1 else inner.node("Concat", found, axis=0)
        return inner.node("Transpose", [by_target], perm=[1, 0])

    rows = graph.node("Shape", [matrix], start=0, end=1)
    many = graph.node("Greater", [rows, graph.constant(np.array([FEW_ROWS], np.int64))])
    answer = graph.either(many, looked_up, walked)
    # So that what is held for some thousand rows stays in the processor's cache.
    graph.hold(answer, 1024 + len(every) // 2)
    return answer


def _asked(tree: Tree) -> Mapping[Question, int] | None:
    """The bit of each question of a tree; None if it asks too many, or for a set."""
    inner = np.flatnonzero(np.asarray(tree.left) >= 0)
    if len(inner) >= 1 << QUESTIONS:
        return None
    if tree.mode is not None and np.any(tree.mode[inner] != BRANCH_LEQ):
        return None
    questions = dict.fromkeys(_question(tree, node) for node in inner.tolist())
    if len(questions) > QUESTIONS:
        return None
    return {question: bit for bit, question in enumerate(questions)}


def _question(tree: Tree, node: int) -> Question:
    return int(tree.feature[node]), bool(tree.missing_left[node]), float(tree.threshold[node])


def _answers(every: Sequence[Question], matrix: str, graph: Graph) -> str:
    """The answers to all questions, which are sorted: int8 [questions, rows]."""
    by_column = graph.node("Transpose", [graph.cast(matrix, FLOAT)], perm=[1, 0])
    parts = []
    for column, missing in dict.fromkeys(question[:2] for question in every):
        edges = [[question[2]] for question in every if question[:2] == (column, missing)]
        edge = graph.constant(np.array(edges, np.float32))
        index = graph.constant(np.array([column], np.int64))
        row = graph.node("Gather", [by_column, index], axis=0)
        if missing:
            # Of a NaN nothing holds, and so not this either.
            parts.append(graph.node("Not", [graph.node("Greater", [row, edge])]))
        else:
            parts.append(graph.node("LessOrEqual", [row, edge]))
    # int8 beside the weights' uint8: ONNX Runtime multiplies these fastest.
    return graph.cast(graph.node("Concat", parts, axis=0), TensorProto.INT8)


def _places(
    every: Sequence[Question],
    bits: Sequence[Mapping[Question, int]],
    answers: str,
    graph: Graph,
) -> str:
    """Where in their tables, one after another, the trees' values stand: int32 [trees, rows]."""
    some = sorted({question for each in bits for question in each}) or every[:1]
    place = {question: index for index, question in enumerate(some)}
    weights = np.zeros((len(bits), len(some)), np.uint8)
    for tree, each in enumerate(bits):
        for question, bit in each.items():
            weights[tree, place[question]] = 1 << bit
    if len(some) < len(every):
        known = {question: index for index, question in enumerate(every)}
        chosen = graph.constant(np.array([known[question] for question in some], np.int64))
        answers = graph.node("Gather", [answers, chosen], axis=0)
    code = graph.node("MatMulInteger", [graph.constant(weights), answers])
    first = np.cumsum([0, *(1 << len(each) for each in bits)])[:-1].astype(np.int32)
    return graph.add(code, graph.constant(first.reshape(-1, 1)))


def _table(tree: Tree, bits: Mapping[Question, int], values: Array) -> Array:
    """What a tree says to each combination of answers: float64 [2 ** questions, targets]."""
    left, right = np.asarray(tree.left), np.asarray(tree.right)
    inner = np.flatnonzero(left >= 0)
    bit = np.full(len(left), -1)
    bit[inner] = [bits[_question(tree, node)] for node in inner.tolist()]
    codes = np.arange(1 << len(bits))
    node = np.zeros(len(codes), np.int64)
    while np.any(bit[node] >= 0):
        asks = bit[node]
        true = codes >> np.maximum(asks, 0) & 1 == 1
        node = np.where(asks < 0, node, np.where(true, left[node], right[node]))
    return np.asarray(values, np.float64)[node]
