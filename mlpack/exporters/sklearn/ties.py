"""Which of equally distant points are the nearest ones.

scikit-learn keeps the nearest points of a row in a heap and pushes one point after the other,
trees in the order in which they visit their leaves (``sklearn/utils/_heap.pyx`` and
``sklearn/neighbors/_binary_tree.pxi.tp``). Only a point that is nearer than the farthest of the
heap gets in, and drives that one out. So where several points are as far away as the last of the
chosen ones, the order decides. Rows in which that happens are few; for them all this is done
again, push by push.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack.exporters.sklearn.graph import BOOL, FLOAT, INT64, Graph
from mlpack.exporters.sklearn.search import Search, Tree, bounds

LARGEST = float(np.finfo(np.float64).max)


def settled(
    graph: Graph,
    search: Search,
    rows: str,
    far: str,
    tied: str,
    found: tuple[str, str],
    count: int,
) -> tuple[str, str]:
    """The nearest points again, those of tied rows as the original has them.

    Args:
        graph: holds the tensors.
        search: how the original looks for neighbours.
        rows: float64 [rows, columns].
        far: float64 [rows, points], the distances.
        tied: bool [rows, 1].
        found: float64 and int64 [rows, count], the distances and places found so far.
        count: how many are chosen.
    """

    def again(
        inner: Graph, _run: str, states: Sequence[str]
    ) -> tuple[str | None, list[str], list[str]]:
        which = inner.node("NonZero", [inner.reshape(tied, [-1])])
        index = inner.node("Transpose", [which], perm=[1, 0])
        picked = inner.reshape(which, [-1])
        some = inner.node("Gather", [far, picked], axis=0)
        order, bound = None, None
        if search.tree is not None:
            rows_of = inner.node("Gather", [rows, picked], axis=0)
            order, bound = _arrival(inner, search, search.tree, rows_of)
            some = inner.node("GatherElements", [some, order], axis=1)
        values, places = _pushed(inner, some, bound, len(search.points), count, search)
        if order is not None:
            first = inner.constant(np.int64(np.flatnonzero(search.original == 0)[0]))
            kept = inner.node("Max", [places, inner.constant(np.int64(0))])
            moved = inner.node("GatherElements", [order, kept], axis=1)
            empty = inner.node("Less", [places, inner.constant(np.int64(0))])
            places = inner.where(empty, first, moved)
        else:
            places = inner.node("Max", [places, inner.constant(np.int64(0))])
        return (
            None,
            [
                inner.node("ScatterND", [states[0], index, values]),
                inner.node("ScatterND", [states[1], index, places]),
            ],
            [],
        )

    any_tied = graph.cast(graph.node("ReduceSum", [graph.cast(tied, FLOAT)], keepdims=0), BOOL)
    values, places = graph.loop(graph.constant(np.int64(1)), list(found), again, going=any_tied)
    return values, places


def _arrival(graph: Graph, search: Search, tree: Tree, rows: str) -> tuple[str, str]:
    """The order in which a row meets the points, and how near their leaves could be.

    Returns:
        int64 [rows, points], the places in the tree's order; float64 [rows, points].
    """
    least = bounds(graph, rows, search, tree)
    levels = tree.levels
    keys = graph.node(
        "Expand",
        [
            graph.constant(np.zeros((1, 1), np.int64)),
            graph.node("Concat", [_count(graph, rows), graph.constant(np.array([1]))], axis=0),
        ],
    )
    for level in range(1, levels):
        start, width = 2**level - 1, 2**level
        of_level = graph.columns(least, list(range(start, start + width)))
        left = graph.columns(of_level, list(range(0, width, 2)))
        right = graph.columns(of_level, list(range(1, width, 2)))
        # The nearer child first, the left one of equals.
        second = graph.cast(graph.node("LessOrEqual", [left, right]), INT64)
        first = graph.subtract(graph.constant(np.int64(1)), second)
        axis = graph.constant(np.array([2], np.int64))
        pair = graph.node(
            "Concat",
            [graph.node("Unsqueeze", [each, axis]) for each in (first, second)],
            axis=2,
        )
        doubled = graph.multiply(keys, graph.constant(np.int64(2)))
        keys = graph.reshape(graph.add(graph.node("Unsqueeze", [doubled, axis]), pair), [-1, width])
    leaf = graph.constant(tree.leaf)
    leaves = 2 ** (levels - 1)
    key = graph.add(
        graph.multiply(
            graph.node("Gather", [keys, leaf], axis=1),
            graph.constant(np.int64(int(tree.within.max()) + 1)),
        ),
        graph.constant(tree.within[np.newaxis]),
    )
    order = graph.nodes(
        "TopK",
        [key, graph.constant(np.array([len(search.points)], np.int64))],
        outputs=2,
        axis=1,
        largest=0,
        sorted=1,
    )[1]
    of_leaves = graph.columns(least, list(range(leaves - 1, 2 * leaves - 1)))
    bound = graph.node("Gather", [of_leaves, leaf], axis=1)
    return order, graph.node("GatherElements", [bound, order], axis=1)


def _count(graph: Graph, rows: str) -> str:
    return graph.node("Shape", [rows], start=0, end=1)


def _pushed(
    graph: Graph, far: str, bound: str | None, points: int, count: int, search: Search
) -> tuple[str, str]:
    """What is in the heaps when every point has been pushed, the nearest first.

    Returns:
        float64 and int64 [rows, count]: distances, and places in the order of pushing; -1 where
        nothing was pushed.
    """
    # Children that do not exist are as near as can be: nothing changes places with them.
    width = 2 * count + 1
    limit = LARGEST if search.tree is None else np.inf
    empty = np.full((1, width), -np.inf)
    empty[0, :count] = limit
    shape = graph.node("Concat", [_count(graph, far), graph.constant(np.array([width]))], axis=0)
    values = graph.node("Expand", [graph.constant(empty), shape])
    places = graph.node("Expand", [graph.constant(np.full((1, width), -1, np.int64)), shape])
    first = graph.columns(places, [0])
    number = graph.constant(np.arange(points, dtype=np.int64)[np.newaxis])

    def push(
        inner: Graph, _run: str, states: Sequence[str]
    ) -> tuple[str | None, list[str], list[str]]:
        heap, held, at = states
        root = inner.columns(heap, [0])
        enters = inner.node(
            "And", [inner.node("Less", [far, root]), inner.node("Greater", [number, at])]
        )
        if bound is not None:
            enters = inner.node("And", [enters, inner.node("LessOrEqual", [bound, root])])
        mark = inner.cast(enters, FLOAT)
        place = inner.node("ArgMax", [mark], axis=1, keepdims=1, select_last_index=0)
        more = inner.cast(inner.node("GatherElements", [mark, place], axis=1), BOOL)
        value = inner.node("GatherElements", [far, place], axis=1)
        heap, held = _sifted(inner, (heap, held), (value, place), more, count)
        left = inner.node("ReduceSum", [inner.cast(more, FLOAT)], keepdims=0)
        return inner.cast(left, BOOL), [heap, held, inner.where(more, place, at)], []

    most = graph.constant(np.int64(points + 1))
    heap, held, _ = graph.loop(most, [values, places, first], push)
    chosen = list(range(count))
    near, order = graph.nodes(
        "TopK",
        [graph.columns(heap, chosen), graph.constant(np.array([count], np.int64))],
        outputs=2,
        axis=1,
        largest=0,
        sorted=1,
    )
    return near, graph.node("GatherElements", [graph.columns(held, chosen), order], axis=1)


def _sifted(
    graph: Graph, heap: tuple[str, str], new: tuple[str, str], more: str, count: int
) -> tuple[str, str]:
    """The heaps after a push: the new value takes the root's place and sinks."""
    values, places = heap
    value, place = new
    slots = graph.constant(np.arange(2 * count + 1, dtype=np.int64)[np.newaxis])
    one, two = graph.constant(np.int64(1)), graph.constant(np.int64(2))
    at = graph.multiply(place, graph.constant(np.int64(0)))
    sinking = more
    for _ in range(int(np.log2(count)) if count > 1 else 0):
        left = graph.add(graph.multiply(at, two), one)
        right = graph.add(left, one)
        of_left = graph.node("GatherElements", [values, left], axis=1)
        of_right = graph.node("GatherElements", [values, right], axis=1)
        child = graph.where(graph.node("GreaterOrEqual", [of_left, of_right]), left, right)
        larger = graph.node("Max", [of_left, of_right])
        sinking = graph.node("And", [sinking, graph.node("Less", [value, larger])])
        here = graph.node("And", [sinking, graph.node("Equal", [slots, at])])
        below = graph.node("GatherElements", [places, child], axis=1)
        values, places = graph.where(here, larger, values), graph.where(here, below, places)
        at = graph.where(sinking, child, at)
    here = graph.node("And", [more, graph.node("Equal", [slots, at])])
    return graph.where(here, value, values), graph.where(here, place, places)
