"""Rows on both sides of the comparisons that a graph makes.

A threshold that is off by one unit in the last place shows only on a row that reaches it and lies
between the two values. So for every node of every tree a row is taken that reaches it, and one of
its raw numbers is moved, by bisection through the graph itself, to the two neighbouring numbers
between which the comparison turns. Where libraries may differ in the last place on the way (a
logarithm, a matrix product) the rows keep a distance from the turning point.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlpack.proof.comparisons import Compared, Comparison, compared
from mlpack.runtime.contract import Encoding, Signature
from mlpack.runtime.encode import Encoder
from mlpack.runtime.values import Reader

Array = NDArray[Any]
Row = dict[str, Any]
Feed = Callable[[Sequence[Mapping[str, Any]]], dict[str, Array]]
"""Turns rows into the inputs of the graph."""

WALKED = 1_000
"""So many rows are sent through the trees to find one that reaches a node."""

NODES = 4_000
"""So many comparisons are looked at; of more, a choice."""

SAMPLES = 8
DISTANCE = 1e-9
_SIGN = np.int64(-(2**63))


@dataclass(frozen=True)
class Boundaries:
    """Rows around comparisons.

    Attributes:
        adjacent: pairs of neighbouring numbers between which a comparison turns.
        near: the same at a distance, where the arithmetic on the way may differ by a last place.
        missing: rows that reach a comparison with what it compares missing.
    """

    adjacent: tuple[Row, ...] = ()
    near: tuple[Row, ...] = ()
    missing: tuple[Row, ...] = ()


class _Probe:
    """The tensors that the graph compares, for numbers put into its inputs."""

    def __init__(self, found: Compared, inputs: dict[str, Array]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        model = b"" if found.model is None else found.model.SerializeToString()
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        wanted = {value.name for value in self._session.get_inputs()}
        self._names = list(found.tensors)
        self.inputs = {name: array for name, array in inputs.items() if name in wanted}
        self.complete = wanted == set(self.inputs)

    def run(self, rows: Array, numbers: Array | None) -> list[Array]:
        """The tensors for some of the rows, with other numbers: each [rows, columns]."""
        feeds = {name: array[rows] for name, array in self.inputs.items()}
        if numbers is not None and "numbers" in feeds:
            feeds["numbers"] = numbers
        answers = self._session.run(self._names, feeds)
        return [np.asarray(each, np.float64).reshape(len(rows), -1) for each in answers]


def feeder(signature: Signature, encoding: Encoding) -> Feed:
    """Feeds a graph as the runtime does."""
    reader, encoder = Reader(signature), Encoder(signature, encoding)

    def feed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
        clean = reader.rows(rows)
        return encoder.many(clean.columns, clean.rows)[0]

    return feed


def boundaries(
    model: bytes,
    encoding: Encoding,
    signature: Signature,
    feed: Feed,
    rows: Sequence[Mapping[str, Any]],
    *,
    nodes: int = NODES,
    seed: int = 0,
) -> Boundaries:
    """Rows on both sides of what a graph compares.

    Args:
        model: the graph.
        encoding: which raw columns are its numbers.
        signature: the raw columns.
        feed: turns rows into the graph's inputs.
        rows: real rows; those that the graph can take.
        nodes: at most so many comparisons.
        seed: of the choices.
    """
    found = compared(model)
    if found.model is None or not encoding.numbers or not rows:
        return Boundaries()
    chance = random.Random(seed)  # noqa: S311 - a choice of test rows, no secret
    base = [dict(row) for row in (rows if len(rows) <= WALKED else chance.sample(rows, WALKED))]
    inputs = feed(base)
    probe = _Probe(found, inputs)
    if not probe.complete or "numbers" not in probe.inputs:
        return Boundaries()
    everything = np.arange(len(base))
    values = probe.run(everything, None)
    comparisons = _reached(found, values, chance)
    if len(comparisons) > nodes:
        comparisons = chance.sample(comparisons, nodes)
    moved = _movers(probe, encoding, signature, values, everything)
    return _placed(comparisons, moved, found, probe, encoding, signature, base)


def _reached(found: Compared, values: list[Array], chance: random.Random) -> list[Comparison]:
    """Every comparison that some row reaches."""
    comparisons: list[Comparison] = []
    for probe, (trees, matrix) in enumerate(zip(found.trees, values, strict=True)):
        if not trees:
            comparisons += [
                Comparison(probe, feature, 0.5, 0, chance.randrange(len(matrix)))
                for feature in range(matrix.shape[1])
            ]
        for ensemble in trees:
            rows = ensemble.reached(matrix)
            comparisons += [
                Comparison(
                    probe,
                    int(ensemble.feature[node]),
                    float(ensemble.threshold[node]),
                    int(ensemble.mode[node]),
                    int(rows[node]),
                )
                for node in np.flatnonzero((rows >= 0) & (ensemble.mode < 4))
            ]
    return list(dict.fromkeys(comparisons))  # a tree may stand once for each class


def _movers(
    probe: _Probe,
    encoding: Encoding,
    signature: Signature,
    values: list[Array],
    everything: Array,
) -> dict[tuple[int, int], list[int]]:
    """For each probed feature the numbers that move it, as indices into the graph's numbers."""
    some = everything[:: max(1, len(everything) // SAMPLES)][:SAMPLES]
    moved: dict[tuple[int, int], list[int]] = {}
    for place, name in enumerate(encoding.numbers):
        for end in _ends(signature, name):
            numbers = probe.inputs["numbers"][some].copy()
            numbers[:, place] = end
            for index, matrix in enumerate(probe.run(some, numbers)):
                before = values[index][some]
                same = (matrix == before) | (np.isnan(matrix) & np.isnan(before))
                for feature in np.flatnonzero(~same.all(axis=0)).tolist():
                    places = moved.setdefault((index, feature), [])
                    if place not in places:
                        places.append(place)
    return moved


def _ends(signature: Signature, name: str) -> tuple[float, float]:
    """Numbers far enough apart that most comparisons turn between them."""
    column = signature.column(name)
    if column.type == "boolean":
        return 0.0, 1.0
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    margin = max(high - low, 1.0)
    return low - margin, high + margin


def _placed(
    comparisons: list[Comparison],
    moved: dict[tuple[int, int], list[int]],
    found: Compared,
    probe: _Probe,
    encoding: Encoding,
    signature: Signature,
    base: list[Row],
) -> Boundaries:
    """Search all the turning points at once, first with the first number that moves each."""
    chosen = [c for c in comparisons if moved.get((c.probe, c.feature))]
    if not chosen:
        return Boundaries()
    places = np.array([moved[c.probe, c.feature][0] for c in chosen])
    names = [encoding.numbers[place] for place in places]
    whole = np.array([signature.column(name).type != "number" for name in names])
    ends = np.array([_ends(signature, name) for name in names])
    search = _Search(probe, chosen, places)
    low, high = ends[:, 0].copy(), ends[:, 1].copy()
    low_side, high_side = search.sides(low), search.sides(high)
    turning = low_side != high_side
    low, high = search.bisect(low, high, low_side, whole)
    adjacent: list[Row] = []
    near: list[Row] = []
    missing: list[Row] = []
    for index, comparison in enumerate(chosen):
        name, row = names[index], base[comparison.row]
        column = signature.column(name)
        if column.nullable:
            missing.append({**row, name: None})
        if not turning[index] or column.type == "boolean":
            continue
        alone = len(moved[comparison.probe, comparison.feature]) == 1
        if found.exact[comparison.probe] and alone:
            pair, into = (low[index], high[index]), adjacent
        else:
            away = DISTANCE * max(abs(low[index]), abs(ends[index, 1] - ends[index, 0]))
            pair, into = (low[index] - away, high[index] + away), near
        for value in pair:
            if column.type == "integer":
                into.append({**row, name: int(np.floor(value) if value == pair[0] else value)})
            else:
                into.append({**row, name: float(value)})
    return Boundaries(tuple(adjacent), tuple(near), _different(missing))


class _Search:
    """Bisection of many comparisons at once, each by one raw number of one row."""

    def __init__(self, probe: _Probe, comparisons: list[Comparison], places: Array) -> None:
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
        answers = self._probe.run(self._rows, numbers)
        found = np.zeros(len(values))
        for tensor, matrix in enumerate(answers):
            mine = np.flatnonzero(self._tensor == tensor)
            found[mine] = matrix[mine, self._feature[mine]]
        strict = (self._mode == 1) | (self._mode == 2)
        return np.where(strict, found < self._threshold, found <= self._threshold)

    def bisect(self, low: Array, high: Array, low_side: Array, whole: Array) -> tuple[Array, Array]:
        """The neighbouring numbers between which each comparison turns, whole ones if asked."""
        left, right = _ordered(low), _ordered(high)
        for _ in range(64):
            middle = np.where(
                whole,
                _ordered(np.floor((_number(left) + _number(right)) / 2)),
                left // 2 + right // 2 + (left & right & 1),  # the difference may overflow
            )
            open_ = (middle > left) & (middle < right)
            if not open_.any():
                break
            same = self.sides(_number(middle)) == low_side
            left = np.where(open_ & same, middle, left)
            right = np.where(open_ & ~same, middle, right)
        return _number(left), _number(right)


def _ordered(numbers: Array) -> Array:
    """Doubles as whole numbers in the same order, neighbours one apart."""
    bits = (numbers + 0.0).view(np.int64)
    return np.asarray(np.where(bits < 0, _SIGN - bits, bits))


def _number(ordered: Array) -> Array:
    return np.ascontiguousarray(np.where(ordered < 0, _SIGN - ordered, ordered)).view(np.float64)


def _different(rows: list[Row]) -> tuple[Row, ...]:
    return tuple({tuple(row.items()): row for row in rows}.values())
