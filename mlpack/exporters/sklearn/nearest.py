"""The nearest of many known points, as ``sklearn.neighbors`` finds them."""

from __future__ import annotations

import numpy as np

from mlpack.exporters.sklearn.graph import Graph
from mlpack.exporters.sklearn.pairs import in_chunks
from mlpack.exporters.sklearn.search import Search, reduced, whole
from mlpack.exporters.sklearn.ties import settled


def nearest(graph: Graph, matrix: str, search: Search, count: int) -> tuple[str, str]:
    """The nearest points: their distances and their places in the training data.

    Returns:
        float64 [rows, count] and int64 [rows, count], the nearest first.
    """
    size = len(search.points)
    asked = min(count + 1, size)

    def answer(inner: Graph, rows: str) -> list[tuple[str, int]]:
        far = reduced(inner, rows, search)
        values, places = inner.nodes(
            "TopK",
            [far, inner.constant(np.array([asked], np.int64))],
            outputs=2,
            axis=1,
            largest=0,
            sorted=1,
        )
        chosen = list(range(count))
        near, place = inner.columns(values, chosen), inner.columns(places, chosen)
        if search.partitioned:
            place = _parted(inner, search, far, (values, place), count)
        elif asked > count:
            last, next_one = inner.columns(values, [count - 1]), inner.columns(values, [count])
            tied = inner.node("Equal", [last, next_one])
            near, place = settled(inner, search, rows, far, tied, (near, place), count)
        original = inner.node("Gather", [inner.constant(search.original), place], axis=0)
        return [(whole(inner, near, search), count), (original, count)]

    near, place = in_chunks(graph, matrix, size, answer)
    return near, place


def _parted(graph: Graph, search: Search, far: str, found: tuple[str, str], count: int) -> str:
    """The places where the original lets numpy's argpartition choose: int64 [rows, count].

    It says nothing of equals, and does with them what the processor's instructions make easy. What
    can be known is what it does where all points are equally far, as they are from a row that is
    far from everything. Otherwise the first of equals are taken.
    """
    values, place = found
    size = len(search.points)
    chosen = np.argpartition(np.zeros(size), count - 1)[:count]
    axis = graph.constant(np.array([1], np.int64))
    most = graph.node("ReduceMax", [far, axis], keepdims=1)
    same = graph.node("Equal", [graph.columns(values, [0]), most])
    return graph.where(same, graph.constant(chosen.astype(np.int64)[np.newaxis]), place)
