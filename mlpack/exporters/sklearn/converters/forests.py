"""Sums over many trees of scikit-learn, in its order, and fast in large batches too.

ONNX Runtime walks through all trees of a TreeEnsemble for one row before it takes the next, so
that the nodes of a deep forest never stay in a cache; and a leaf has one target, so that a tree
stands once for each class. Here a tree or a few at a time tell for all rows which leaf was reached,
and what stands at the leaf is looked up in a table for each target.

The trees compare in float32: their input is rounded to it, and such a number is at most a double
exactly if it is at most the largest float32 that is not above that double. Where the leaves of
several trees can be told in 24 bits, which float32 holds exactly, one number tells them: the first
tree's leaf in its lowest bits, the next one's above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble, Tree, added
from mlpack.exporters.sklearn.converters.shallow import sums
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import FLOAT, INT32, UINT32

SMALL, SMALL_ALONE = 4_000, 32_000
"""So many nodes one TreeEnsemble holds as well as several do: counted once for each of several
targets, or with one target alone."""

FEW = 4
"""Fewer trees are not worth columns of negated numbers."""

TOGETHER = 100
"""Trees whose answers are held at once: 0.8 kB a row, and half as much for each step before."""

BITS = 24

CACHED = 32_000
"""Nodes of trees that one TreeEnsemble holds, if it has more trees than share a number: each such
operator takes a microsecond, and more nodes than a processor's cache has room for take longer."""


def summed(
    trees: Sequence[Tree], values: Sequence[Array], matrix: str, width: int, context: Context
) -> str:
    """The sums over the trees, one tree after the other: float64 [rows, targets].

    Args:
        trees: over the columns of `matrix`.
        values: what stands at the nodes of each tree: float64 [nodes, targets].
        matrix: float64 [rows, width], of numbers that were rounded to float32.
        width: how many columns it has.
        context: of the export.
    """
    targets = values[0].shape[1]
    nodes = targets * sum(len(tree.left) for tree in trees)
    if nodes <= (SMALL_ALONE if targets == 1 else SMALL):
        ensemble = Ensemble(targets=targets)
        for tree, value in zip(trees, values, strict=True):
            ensemble.add(tree, value)
        return sums([_rounded(tree) for tree in trees], values, ensemble, matrix, context)
    graph = context.graph
    trees, single = _both_ways(trees, matrix, width, context)
    if len(trees) == 1:
        leaf = _leaves(_group(trees), single, context)
        table = graph.constant(_at_leaves(trees[0], values[0]))
        return graph.node("Gather", [table, graph.reshape(leaf, [-1])], axis=0)
    found: list[str] = []
    for start in range(0, len(trees), TOGETHER):
        chosen = slice(start, start + TOGETHER)
        found = _added(found, trees[chosen], values[chosen], single, context)
    by_target = found[0] if targets == 1 else graph.node("Concat", found, axis=0)
    return graph.node("Transpose", [by_target], perm=[1, 0])


@dataclass(frozen=True)
class _Group:
    """How some trees share numbers.

    Attributes:
        trees: all of them.
        bits: that the leaf of one tree takes.
        numbers: how many numbers there are; tree i is in number i % numbers.
        positions: how many trees a number holds at most.
    """

    trees: Sequence[Tree]
    bits: int
    numbers: int
    positions: int


def _group(trees: Sequence[Tree]) -> _Group:
    most = max(int(np.count_nonzero(np.asarray(tree.left) < 0)) for tree in trees)
    bits = max(1, (most - 1).bit_length())
    numbers = -(-len(trees) // max(1, BITS // bits))
    return _Group(trees, bits, numbers, -(-len(trees) // numbers))


def _added(
    sums: list[str],
    trees: Sequence[Tree],
    values: Sequence[Array],
    matrix: str,
    context: Context,
) -> list[str]:
    """The sums so far and some more trees, target by target: each float64 [1, rows]."""
    graph = context.graph
    group = _group(trees)
    tables = [_at_leaves(tree, value) for tree, value in zip(trees, values, strict=True)]
    first = np.cumsum([0, *(len(table) for table in tables)])
    # After the last tree there is room for some that are not there: they add zero.
    absent = group.numbers * group.positions - len(trees)
    offsets = np.append(first[:-1], np.full(absent, first[-1])).astype(np.int32)
    table = np.concatenate([*tables, np.zeros((1, tables[0].shape[1]))])
    leaf = _leaves(group, matrix, context)
    places = graph.add(leaf, graph.constant(offsets.reshape(-1, 1)))
    return added(sums, table, places, len(offsets), graph)


def _leaves(group: _Group, matrix: str, context: Context) -> str:
    """Which leaf of each tree is reached: int32 [positions * numbers, rows].

    In the order of the trees; after the last one there may be zeros.
    """
    graph = context.graph
    told = [
        _numbers(group, some, matrix, context)
        for some in _parts([_nodes(group, number) for number in range(group.numbers)])
    ]
    together = told[0] if len(told) == 1 else graph.node("Concat", told, axis=0)
    if group.positions > 1:
        told_apart = _taken_apart(group, graph.reshape(together, [1, -1]), context)
        return graph.reshape(told_apart, [group.positions * group.numbers, -1])
    return graph.cast(graph.reshape(together, [group.numbers, -1]), INT32)


def _nodes(group: _Group, number: int) -> int:
    return sum(len(tree.left) for tree in group.trees[number :: group.numbers])


def _parts(sizes: Sequence[int]) -> list[range]:
    """Runs of numbers whose trees have no more nodes together than stay in a cache."""
    starts, held = [0], 0
    for number, size in enumerate(sizes):
        if held and held + size > CACHED:
            starts.append(number)
            held = 0
        held += size
    return [range(*ends) for ends in pairwise([*starts, len(sizes)])]


def _numbers(group: _Group, some: range, matrix: str, context: Context) -> str:
    """Some of the numbers, one after the other: float32 [numbers * rows, 1]."""
    ensemble = Ensemble(targets=len(some), element=FLOAT)
    for target, number in enumerate(some):
        for position, tree in enumerate(group.trees[number :: group.numbers]):
            leaf = np.asarray(tree.left) < 0
            weight = np.zeros(len(leaf))
            weight[leaf] = np.arange(np.count_nonzero(leaf)) * 2.0 ** (group.bits * position)
            ensemble.add_one(tree, weight, target)
    told = ensemble.node(matrix, context)
    if len(some) == 1:
        return told
    return context.graph.reshape(context.graph.node("Transpose", [told], perm=[1, 0]), [-1, 1])


def _taken_apart(group: _Group, together: str, context: Context) -> str:
    """The numbers' parts: int32 [positions, numbers * rows] of float32 [1, numbers * rows]."""
    graph = context.graph
    bits = np.arange(group.positions, dtype=np.uint32).reshape(-1, 1) * np.uint32(group.bits)
    whole = graph.cast(together, UINT32)
    above = graph.node("BitShift", [whole, graph.constant(bits)], direction="RIGHT")
    mask = graph.constant(np.uint32((1 << group.bits) - 1))
    return graph.cast(graph.node("BitwiseAnd", [above, mask]), INT32)


def _both_ways(
    trees: Sequence[Tree], columns: str, width: int, context: Context
) -> tuple[list[Tree], str]:
    """The same comparisons in float32, where it pays without a word of what is missing.

    A NaN goes where a comparison does not hold. A node that sends it left asks whether the number
    is above the threshold, which is whether the negated number, which stands in a column of its
    own, is at most the negated threshold. ONNX Runtime is faster by a sixth for it. A few trees
    are left to tell what is missing.

    Returns:
        The trees, and float32 [rows, columns], the negated ones last if there are any.
    """
    graph = context.graph
    single = graph.cast(columns, FLOAT)
    inner = [np.asarray(tree.left) >= 0 for tree in trees]
    turned = [
        there & np.asarray(tree.missing_left, bool)
        for there, tree in zip(inner, trees, strict=True)
    ]
    if len(trees) < FEW or not any(each.any() for each in turned):
        return [_rounded(tree) for tree in trees], single
    pairs = list(zip(trees, turned, strict=True))
    other = np.unique(np.concatenate([np.asarray(tree.feature)[each] for tree, each in pairs]))
    negated = graph.node("Neg", [graph.columns(single, other.tolist())])
    made = [_turned(_rounded(tree), each, width, other) for tree, each in pairs]
    return made, graph.concat([single, negated])


def _rounded(tree: Tree) -> Tree:
    """The same comparisons for numbers of float32."""
    wanted = np.asarray(tree.threshold, np.float64)
    with np.errstate(over="ignore"):
        threshold = wanted.astype(np.float32)
    above = threshold > wanted
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    return replace(tree, threshold=threshold)


def _turned(tree: Tree, nodes: Array, width: int, other: Array) -> Tree:
    """The tree with the comparisons of some nodes asked the other way round.

    Args:
        tree: over all columns.
        nodes: which of its nodes.
        width: how many columns there are, which stand as they are.
        other: those of them that stand negated behind them, in order.
    """
    left, right = np.asarray(tree.left), np.asarray(tree.right)
    with np.errstate(over="ignore"):
        above = np.nextafter(tree.threshold, np.float32(np.inf))
    return replace(
        tree,
        left=np.where(nodes, right, left),
        right=np.where(nodes, left, right),
        feature=np.where(nodes, width + np.searchsorted(other, tree.feature), tree.feature),
        threshold=np.where(nodes, -above, tree.threshold),
        missing_left=np.zeros(len(left)),
    )


def _at_leaves(tree: Tree, values: Array) -> Array:
    """What stands at the leaves, in the order of their numbers: float64 [leaves, targets]."""
    return np.asarray(values, np.float64)[np.asarray(tree.left) < 0]
