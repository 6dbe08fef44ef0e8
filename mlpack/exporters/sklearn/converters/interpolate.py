"""``numpy.interp`` in the graph: straight lines between known points."""

from __future__ import annotations

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble, Tree
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import INT64


def interpolated(column: str, known: Array, values: Array, context: Context) -> str:
    """What ``numpy.interp(column, known, values)`` answers, to the last bit.

    Args:
        column: float64 [rows, 1], without NaN.
        known: float64 [points], strictly increasing.
        values: float64 [points].
        context: of the export.

    Returns:
        float64 [rows, 1].
    """
    graph = context.graph
    known, values = np.asarray(known, np.float64), np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        slopes = np.append(np.diff(values) / np.diff(known), 0.0)
    # Outside the known points the first and the last value hold.
    within = graph.node("Clip", [column, graph.constant(known[0]), graph.constant(known[-1])])
    table = np.column_stack([known, values, slopes])
    if len(known) == 1:
        table = np.array([[known[0], values[0], 0.0]])
        place = graph.multiply(within, graph.constant(np.float64(0)))
    else:
        place = _place(within, known, context)
    index = graph.reshape(graph.cast(place, INT64), [-1])
    line = graph.node("Gather", [graph.constant(table), index], axis=0)
    start, value, slope = (graph.columns(line, [part]) for part in range(3))
    return graph.add(graph.multiply(slope, graph.subtract(within, start)), value)


def _place(column: str, known: Array, context: Context) -> str:
    """The last known point that is reached: a search by halves, as a tree."""
    left: list[int] = []
    right: list[int] = []
    threshold: list[float] = []
    leaf: list[float] = []

    def grow(first: int, last: int) -> int:
        node = len(left)
        left.append(-1)
        right.append(-1)
        threshold.append(0.0)
        leaf.append(float(first))
        if first < last:
            middle = (first + last + 1) // 2
            # To the left is what lies below the point; the tree's comparison is "at most".
            threshold[node] = float(np.nextafter(known[middle], -np.inf))
            left[node] = grow(first, middle - 1)
            right[node] = grow(middle, last)
        return node

    grow(0, len(known) - 1)
    ensemble = Ensemble(targets=1)
    ensemble.add_one(
        Tree(
            left=np.array(left),
            right=np.array(right),
            feature=np.zeros(len(left), np.int64),
            threshold=np.array(threshold),
            missing_left=np.zeros(len(left)),
        ),
        np.array(leaf),
        0,
    )
    return ensemble.node(column, context)
