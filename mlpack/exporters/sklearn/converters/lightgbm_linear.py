"""LightGBM's trees with a linear model at each leaf; see Tree::Predict of its ``src/io/tree.cpp``.

The trees tell the leaves, and tables what stands at each of them. A row that lacks one of a leaf's
columns has the leaf's plain value instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble, Tree
from mlpack.exporters.sklearn.converters.lightgbm_model import Grown, Linear, Told, by_node
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE, INT64


def linear_sums(
    model: Told, trees: Sequence[Tree], columns: str, matrix: str, width: int, context: Context
) -> str:
    """The sums over the trees: float64 [rows, scores].

    Args:
        model: at least one of whose trees is linear.
        trees: its trees, over `matrix`.
        columns: float64 [rows, width], what the linear models multiply.
        matrix: what the trees compare.
        width: how many columns there are.
        context: whose graph it becomes.
    """
    graph = context.graph
    numbers = Ensemble(targets=len(trees))
    first = 0
    for index, (tree, grown) in enumerate(zip(trees, model.trees, strict=True)):
        count = len(grown.leaves)
        numbers.add_one(tree, by_node(grown, np.arange(first, first + count)), index)
        first += count
    leaf = graph.cast(numbers.node(matrix, context), INT64)

    def told(table: Array) -> str:
        return graph.node("Gather", [graph.constant(table), leaf])

    linear = [grown.linear or _flat(grown) for grown in model.trees]
    total = told(np.concatenate([each.constant for each in linear]))
    # A leaf with fewer columns than another takes a column of zeros for the rest.
    some = graph.columns(columns, [0])
    zeros = graph.cast(graph.node("And", [graph.node("IsNaN", [some]), _false(context)]), DOUBLE)
    padded = graph.concat([columns, zeros])
    lacking = ""
    for position in range(max(len(each) for model in linear for each in model.features)):
        column = told(_at(position, [each.features for each in linear], width))
        weight = told(_at(position, [each.weights for each in linear], 0.0))
        number = graph.node("GatherElements", [padded, column], axis=1)
        total = graph.add(total, graph.multiply(weight, number))
        absent = graph.node("IsNaN", [number])
        lacking = graph.node("Or", [lacking, absent]) if lacking else absent
    if lacking:
        plain = told(np.concatenate([grown.leaves for grown in model.trees]))
        total = graph.where(lacking, plain, total)
    by_tree = graph.node("Transpose", [total], perm=[1, 0])
    rounds = graph.reshape(by_tree, [len(trees) // model.scores, model.scores, -1])
    # Along the first axis ONNX Runtime adds one row of numbers after the other.
    axis = graph.constant(np.array([0], np.int64))
    sums = graph.node("ReduceSum", [rounds, axis], keepdims=0)
    return graph.node("Transpose", [sums], perm=[1, 0])


def _false(context: Context) -> str:
    return context.graph.constant(np.array(False))


def _flat(grown: Grown) -> Linear:
    nothing = (np.zeros(0),) * len(grown.leaves)
    return Linear(constant=grown.leaves, features=nothing, weights=nothing)


def _at(position: int, leaves: list[tuple[Array, ...]], otherwise: float) -> Array:
    """What each leaf of each tree has at a position, or `otherwise`."""
    kind = np.int64 if isinstance(otherwise, int) else np.float64
    found = [
        leaf[position] if position < len(leaf) else otherwise for tree in leaves for leaf in tree
    ]
    return np.array(found, kind)
