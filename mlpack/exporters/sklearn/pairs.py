"""Every row with every one of many known points, without a matrix of them all.

A hundred thousand rows with a few thousand points are more numbers than memory holds, so the rows
are taken some at a time, as scikit-learn and libsvm do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.graph import Graph

CELLS = 2**17
"""About so many numbers a tensor holds at a time: what fits a processor's cache."""

FEW = 64
"""With more columns than these a sum is one node, in an order of its own."""

Points = NDArray[np.float64]


def dense(points: Any) -> Points:
    """Points as a dense matrix."""
    whole = points.toarray() if hasattr(points, "toarray") else points
    return np.ascontiguousarray(np.asarray(whole, np.float64))


def in_chunks(
    graph: Graph,
    matrix: str,
    cells: int,
    answer: Callable[[Graph, str], Sequence[tuple[str, int]]],
) -> list[str]:
    """What `answer` makes of the rows, some rows at a time.

    Args:
        graph: holds the matrix.
        matrix: float64 [rows, columns].
        cells: how many numbers one row needs in the largest tensor.
        answer: adds the nodes for some rows; says matrices with one row each, and their widths.
    """
    one = graph.constant(np.int64(1))
    most = graph.constant(np.int64(max(1, CELLS // max(cells, 1))))
    rows = graph.node("Squeeze", [graph.node("Shape", [matrix], start=0, end=1)])
    # At least one run, for no rows; runs of equal length, so that little is computed in vain.
    runs = graph.node("Max", [_parts(graph, rows, most), one])
    size = _parts(graph, rows, runs)
    last = graph.subtract(rows, size)
    widths: list[int] = []

    def some(inner: Graph, run: str, _states: Sequence[str]) -> tuple[None, list[str], list[str]]:
        # The last run goes back to where a whole one begins: all must be of one length.
        start = inner.node("Min", [inner.multiply(run, size), last])
        chunk = inner.node(
            "Slice",
            [matrix, inner.reshape(start, [1]), inner.reshape(inner.add(start, size), [1])],
        )
        answers = answer(inner, chunk)
        widths.extend(width for _, width in answers)
        return None, [], [tensor for tensor, _ in answers]

    collected = graph.loop(runs, [], some)
    row = graph.node("Range", [graph.constant(np.int64(0)), rows, one])
    whole = graph.multiply(graph.subtract(runs, one), size)
    moved = graph.subtract(graph.multiply(runs, size), rows)
    place = graph.where(graph.node("Less", [row, whole]), row, graph.add(row, moved))
    return [
        graph.node("Gather", [_flat(graph, tensor, width), place], axis=0)
        for tensor, width in zip(collected, widths, strict=True)
    ]


def _flat(graph: Graph, tensor: str, width: int) -> str:
    """The runs one below the other: [runs * size, width]."""
    shape = graph.node("Shape", [tensor], start=0, end=2)
    total = graph.node("ReduceProd", [shape], keepdims=1)
    columns = graph.constant(np.array([width], np.int64))
    target = graph.node("Concat", [total, columns], axis=0)
    return graph.node("Reshape", [tensor, target], allowzero=1)


def _parts(graph: Graph, total: str, each: str) -> str:
    """How many times `each` it takes for `total`."""
    return graph.divide(graph.subtract(graph.add(total, each), graph.constant(np.int64(1))), each)


def summed_differences(graph: Graph, rows: str, points: Points, *, power: int = 2) -> str:
    """|x - p| to the power of 1 or 2, summed column by column: float64 [rows, points].

    In the order of ``sklearn/metrics/_dist_metrics.pyx``: what ties there ties here.
    """
    total = ""
    for column in range(points.shape[1]):
        difference = graph.subtract(
            graph.columns(rows, [column]), graph.constant(points[np.newaxis, :, column].copy())
        )
        part = (
            graph.multiply(difference, difference)
            if power == 2
            else graph.node("Abs", [difference])
        )
        total = graph.add(total, part) if total else part
    return total


def from_products(graph: Graph, rows: str, points: Points) -> str:
    """|x|^2 - 2 x p + |p|^2, never below zero: float64 [rows, points].

    The order is that of ``euclidean_distances``. It loses digits, and a model that was fitted with
    it has these losses in its weights: more precise distances answer something else.
    """
    product = graph.matmul(rows, graph.constant(np.ascontiguousarray(points.T)))
    doubled = graph.multiply(product, graph.constant(np.float64(-2)))
    lengths = graph.constant(np.einsum("ij,ij->i", points, points)[np.newaxis])
    with_rows = graph.add(doubled, squared_lengths(graph, rows, points.shape[1]))
    total = graph.add(with_rows, lengths)
    return graph.node("Max", [total, graph.constant(np.float64(0))])


def squared_lengths(graph: Graph, rows: str, columns: int) -> str:
    """|x|^2 of every row, summed in the order of numpy's einsum: float64 [rows, 1].

    It adds pairs of columns, four pairs backwards while there are four, and the two sums last.
    """
    squares = graph.multiply(rows, rows)
    pairs = -(-columns // 2)
    order = [block * 4 + place for block in range(columns // 8) for place in (3, 2, 1, 0)]
    order += range(len(order), pairs)
    sums = []
    for side in (0, 1):
        total = ""
        for column in (2 * pair + side for pair in order):
            if column < columns:
                part = graph.columns(squares, [column])
                total = graph.add(part, total) if total else part
        if total:
            sums.append(total)
    return graph.add(sums[0], sums[1]) if len(sums) > 1 else sums[0]


def fused_lengths(graph: Graph, rows: str) -> str:
    """|x|^2 of every row as BLAS has it for few columns, one rounding a term: float64 [rows, 1]."""
    one, two = graph.constant(np.array([1], np.int64)), graph.constant(np.array([2], np.int64))
    product = graph.matmul(
        graph.node("Unsqueeze", [rows, one]), graph.node("Unsqueeze", [rows, two])
    )
    return graph.node("Squeeze", [product, two])


def as_numpy_sums(graph: Graph, parts: list[str]) -> str:
    """The sum of tensors in the order in which numpy sums a row: pairwise, eight at a time."""
    count = len(parts)
    if count > 128:
        half = count // 2 - (count // 2) % 8
        return graph.add(as_numpy_sums(graph, parts[:half]), as_numpy_sums(graph, parts[half:]))
    if count < 8:
        return _in_turn(graph, parts)
    whole_eights = count - count % 8
    eight = [_in_turn(graph, parts[start:whole_eights:8]) for start in range(8)]
    pairs = [graph.add(eight[i], eight[i + 1]) for i in range(0, 8, 2)]
    total = graph.add(graph.add(pairs[0], pairs[1]), graph.add(pairs[2], pairs[3]))
    return _in_turn(graph, [total, *parts[whole_eights:]])


def _in_turn(graph: Graph, parts: list[str]) -> str:
    total = parts[0]
    for part in parts[1:]:
        total = graph.add(total, part)
    return total


def row_sums(graph: Graph, matrix: str, columns: int) -> str:
    """The sum of every row, of few columns in numpy's order: float64 [rows, 1]."""
    if columns > FEW:
        axis = graph.constant(np.array([1], np.int64))
        return graph.node("ReduceSum", [matrix, axis], keepdims=1)
    return as_numpy_sums(graph, [graph.columns(matrix, [column]) for column in range(columns)])
