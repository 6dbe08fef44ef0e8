"""Looks into a graph, and finds by bisection where its comparisons turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlpack.proof.comparisons import Compared, Comparison
from mlpack.proof.feeds import taken
from mlpack.runtime.onnx_session import ROUNDING

Array = NDArray[Any]

_SIGN = np.int64(-(2**63))


class Probe:
    """The tensors that a graph compares, for whatever is put into its inputs.

    Attributes:
        inputs: the inputs for a number of rows.
    """

    def __init__(self, found: Compared) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        model = b"" if found.model is None else found.model.SerializeToString()
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=ROUNDING
        )
        self._wanted = {value.name for value in self._session.get_inputs()}
        self._names = list(found.tensors)
        self.inputs: dict[str, Array] = {}

    def feed(self, inputs: Mapping[str, Array]) -> bool:
        """Take other rows; whether they are all that the graph needs."""
        self.inputs = {name: array for name, array in inputs.items() if name in self._wanted}
        return self._wanted == set(self.inputs)

    def run(self, rows: Array, **changed: Array) -> list[Array]:
        """The tensors for some of the rows, with some inputs changed: each [rows, columns]."""
        feeds = taken(self.inputs, rows)
        feeds |= {name: array for name, array in changed.items() if name in feeds}
        answers = self._session.run(self._names, feeds)
        return [_by_row(np.asarray(each), len(rows)) for each in answers]


class Search:
    """Bisection of many comparisons at once, each by one raw number of one row.

    Args:
        probe: the graph and the rows.
        comparisons: what is looked for.
        places: for each the number that moves it, an index into the graph's numbers.
    """

    def __init__(self, probe: Probe, comparisons: Sequence[Comparison], places: Array) -> None:
        self._probe = probe
        self._rows = np.array([c.row for c in comparisons])
        self._places = places
        self._tensor = np.array([c.probe for c in comparisons])
        self._feature = np.array([c.feature for c in comparisons])
        self._threshold = np.array([c.threshold for c in comparisons])
        self._mode = np.array([c.mode for c in comparisons])

    def sides(self, values: Array) -> Array:
        """On which side each comparison falls, with each row's number set: bool."""
        numbers = self._probe.inputs["numbers"][self._rows].copy()
        numbers[np.arange(len(values)), self._places] = values
        answers = self._probe.run(self._rows, numbers=numbers)
        found = np.zeros(len(values))
        for tensor, matrix in enumerate(answers):
            mine = np.flatnonzero(self._tensor == tensor)
            found[mine] = matrix[mine, self._feature[mine]]
        strict = (self._mode == 1) | (self._mode == 2)
        return np.where(strict, found < self._threshold, found <= self._threshold)

    def bisect(self, low: Array, high: Array, low_side: Array, whole: Array) -> tuple[Array, Array]:
        """The neighbouring numbers between which each comparison turns, whole ones if asked."""
        left, right = ordered(low), ordered(high)
        for _ in range(64):
            middle = np.where(
                whole,
                ordered(np.floor((number(left) + number(right)) / 2)),
                left // 2 + right // 2 + (left & right & 1),  # the difference may overflow
            )
            between = (middle > left) & (middle < right)
            if not between.any():
                break
            same = self.sides(number(middle)) == low_side
            left = np.where(between & same, middle, left)
            right = np.where(between & ~same, middle, right)
        return number(left), number(right)


def _by_row(answer: Array, rows: int) -> Array:
    """A tensor as a matrix; one that is not of rows, such as a shape, has no columns."""
    if answer.ndim == 0 or len(answer) != rows:
        return np.zeros((rows, 0))
    return answer.astype(np.float64).reshape(rows, -1)


def ordered(numbers: Array) -> Array:
    """Doubles as whole numbers in the same order, neighbours one apart: int64."""
    bits = (numbers + 0.0).view(np.int64)
    return np.asarray(np.where(bits < 0, _SIGN - bits, bits))


def number(places: Array) -> Array:
    """The doubles that `ordered` numbered."""
    return np.ascontiguousarray(np.where(places < 0, _SIGN - places, places)).view(np.float64)
