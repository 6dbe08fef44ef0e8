"""Rows on both sides of the comparisons that a graph makes.

A threshold that is off by one unit in the last place shows only on a row that reaches it and lies
between the two values. So for every node of every tree a row is taken that reaches it, and one of
its raw numbers is moved, by bisection through the graph itself, to the two neighbouring numbers
between which the comparison turns; a node that looks at a category meets the categories on both its
sides. Rows made so reach further nodes, which are met in a second round. Where libraries may differ
in the last place on the way (a logarithm, a matrix product) the rows keep a distance.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.proof.comparisons import Compared, Comparison, compared
from mlpack.proof.search import Probe, Search
from mlpack.runtime.contract import Encoding, Signature
from mlpack.runtime.encode import Encoder
from mlpack.runtime.hybrid_session import HybridEncoder, load_parts
from mlpack.runtime.values import Reader

Array = NDArray[Any]
Row = dict[str, Any]
Feed = Callable[[Sequence[Mapping[str, Any]]], dict[str, Array]]
"""Turns rows into the inputs of the graph."""

WALKED = 1_000
"""So many rows are sent through the trees to find one that reaches a node."""

NODES = 8_000
"""So many comparisons are looked at; of more, a choice."""

WITH_ROWS = 12
"""So many rows are tried for each comparison where there is room: the sides of one may answer the
same for one row and not for another."""

ROUNDS = 4
SAMPLES = 8
DISTANCE = 1e-9
UNKNOWN = "\u2047 no category"


@dataclass(frozen=True)
class Boundaries:
    """Rows around comparisons.

    Attributes:
        adjacent: pairs of neighbouring numbers between which a comparison turns.
        near: the same at a distance, where the arithmetic on the way may differ by a last place.
        categories: rows that reach a comparison of a category, with those on both of its sides.
        missing: rows that reach a comparison with what it compares missing.
    """

    adjacent: tuple[Row, ...] = ()
    near: tuple[Row, ...] = ()
    categories: tuple[Row, ...] = ()
    missing: tuple[Row, ...] = ()


@dataclass
class _Rows:
    adjacent: list[Row] = field(default_factory=list)
    near: list[Row] = field(default_factory=list)
    categories: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)

    def every(self) -> list[Row]:
        """All of them."""
        return [*self.adjacent, *self.near, *self.categories, *self.missing]


@dataclass(frozen=True)
class _Graph:
    """What the search knows of the graph.

    Attributes:
        numbers: for each compared feature the numbers that move it, as indices.
        codes: for each compared feature the codes that move it, each with the feature's value by
            code.
    """

    found: Compared
    probe: Probe
    encoding: Encoding
    signature: Signature
    numbers: dict[tuple[int, int], list[int]]
    codes: dict[tuple[int, int], list[tuple[int, Array]]]


def feeder(signature: Signature, encoding: Encoding, parts: bytes = b"") -> Feed:
    """Feeds a graph as the runtime does; `parts` are those of a hybrid."""
    reader, encoder = Reader(signature), Encoder(signature, encoding)
    if parts:
        names = frozenset(part.name for part in encoding.parts)
        encoder = HybridEncoder(signature, encoding, load_parts(parts), names)

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
        encoding: which raw columns are its numbers and codes.
        signature: the raw columns.
        feed: turns rows into the graph's inputs.
        rows: real rows.
        nodes: at most so many comparisons.
        seed: of the choices.
    """
    found = compared(model)
    if found.model is None or not rows:
        return Boundaries()
    chance = random.Random(seed)  # noqa: S311 - a choice of test rows, no secret
    base = [dict(row) for row in (rows if len(rows) <= WALKED else chance.sample(rows, WALKED))]
    probe = Probe(found)
    if not probe.feed(feed(base)):
        return Boundaries()
    some = np.arange(len(base))[:: max(1, len(base) // SAMPLES)][:SAMPLES]
    graph = _Graph(
        found,
        probe,
        encoding,
        signature,
        numbers=_number_movers(probe, encoding, signature, some),
        codes=_code_movers(probe, encoding, some[0]),
    )
    made = _Rows()
    known: set[tuple[int, int, int]] = set()
    for turn in range(ROUNDS):
        comparisons = _meet(graph, known, len(base), chance, nodes, WITH_ROWS if turn == 0 else 1)
        if not comparisons:
            break
        placed = _placed(graph, comparisons, base, chance)
        for name in ("adjacent", "near", "categories", "missing"):
            getattr(made, name).extend(getattr(placed, name))
        further = placed.every()
        base = further if len(further) <= WALKED else chance.sample(further, WALKED)
        if not base or not probe.feed(feed(base)):
            break
    return Boundaries(
        tuple(made.adjacent),
        tuple(made.near),
        _different(made.categories),
        _different(made.missing),
    )


def _meet(
    graph: _Graph,
    known: set[tuple[int, int, int]],
    rows: int,
    chance: random.Random,
    nodes: int,
    times: int,
) -> list[Comparison]:
    """Comparisons that are not known yet, each with a row that reaches it; several if asked."""
    values = graph.probe.run(np.arange(rows))
    before = frozenset(known)
    comparisons: dict[Comparison, None] = {}
    for _ in range(times):
        met = _reached(graph.found, values, before, known, chance)
        if len(met) > nodes:
            met = chance.sample(met, nodes)
        comparisons.update(dict.fromkeys(met))
        if len(comparisons) + len(met) > nodes:
            break
    return list(comparisons)


def _reached(
    found: Compared,
    values: list[Array],
    before: frozenset[tuple[int, int, int]],
    known: set[tuple[int, int, int]],
    chance: random.Random,
) -> list[Comparison]:
    comparisons: list[Comparison] = []
    order = np.array(chance.sample(range(len(values[0])), len(values[0])))
    for probe, (trees, matrix) in enumerate(zip(found.trees, values, strict=True)):
        if not trees:
            for feature in range(matrix.shape[1]):
                if (probe, -1, feature) not in before:
                    known.add((probe, -1, feature))
                    row = chance.randrange(len(matrix))
                    comparisons.append(Comparison(probe, feature, 0.5, 0, row))
        for number, ensemble in enumerate(trees):
            rows = ensemble.reached(matrix[order])
            for node in np.flatnonzero((rows >= 0) & (ensemble.mode < 4)).tolist():
                if (probe, number, node) in before:
                    continue
                known.add((probe, number, node))
                comparisons.append(
                    Comparison(
                        probe,
                        int(ensemble.feature[node]),
                        float(ensemble.threshold[node]),
                        int(ensemble.mode[node]),
                        int(order[rows[node]]),
                    )
                )
    return list(dict.fromkeys(comparisons))  # a tree may stand once for each class


def _number_movers(
    probe: Probe, encoding: Encoding, signature: Signature, some: Array
) -> dict[tuple[int, int], list[int]]:
    moved: dict[tuple[int, int], list[int]] = {}
    if "numbers" not in probe.inputs:
        return moved
    values = probe.run(some)
    for place, name in enumerate(encoding.numbers):
        for end in _ends(signature, name):
            numbers = probe.inputs["numbers"][some].copy()
            numbers[:, place] = end
            for index, matrix in enumerate(probe.run(some, numbers=numbers)):
                for feature in _changed(matrix, values[index]):
                    places = moved.setdefault((index, feature), [])
                    if place not in places:
                        places.append(place)
    return moved


def _code_movers(
    probe: Probe, encoding: Encoding, row: int
) -> dict[tuple[int, int], list[tuple[int, Array]]]:
    moved: dict[tuple[int, int], list[tuple[int, Array]]] = {}
    if "codes" not in probe.inputs:
        return moved
    for place, codes in enumerate(encoding.codes):
        count = len(codes.categories) + 2
        rows = np.full(count, row)
        changed = probe.inputs["codes"][rows].copy()
        changed[:, place] = np.arange(count)
        for index, matrix in enumerate(probe.run(rows, codes=changed)):
            for feature in _changed(matrix, matrix[:1]):
                moved.setdefault((index, feature), []).append((place, matrix[:, feature].copy()))
    return moved


def _changed(matrix: Array, before: Array) -> list[int]:
    """The columns in which two matrices differ."""
    same = (matrix == before) | (np.isnan(matrix) & np.isnan(before))
    found: list[int] = np.flatnonzero(~same.all(axis=0)).tolist()
    return found


def _ends(signature: Signature, name: str) -> tuple[float, float]:
    """Numbers far enough apart that most comparisons turn between them."""
    column = signature.column(name)
    if column.type == "boolean":
        return 0.0, 1.0
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    margin = max(high - low, 1.0)
    return low - margin, high + margin


def _placed(
    graph: _Graph, comparisons: list[Comparison], base: list[Row], chance: random.Random
) -> _Rows:
    made = _Rows()
    for comparison in comparisons:
        for place, table in graph.codes.get((comparison.probe, comparison.feature), ()):
            row = base[comparison.row]
            made.categories += _by_category(graph, comparison, place, table, row, chance)
    _by_number(graph, comparisons, base, made)
    return made


def _by_category(
    graph: _Graph,
    comparison: Comparison,
    place: int,
    table: Array,
    row: Row,
    chance: random.Random,
) -> list[Row]:
    """The row with a category nearest to the comparison on each side, an unknown one, none."""
    codes = graph.encoding.codes[place]
    column = graph.signature.column(codes.column)
    known = len(codes.categories)
    made: list[Row] = []
    with np.errstate(invalid="ignore"):
        distance = table[:known] - comparison.threshold
    for side in (distance <= 0, distance > 0):
        places = np.flatnonzero(side)
        if len(places):
            nearest = np.abs(distance[places]).min()
            ties = [code for code in places.tolist() if abs(distance[code]) == nearest]
            made.append({**row, codes.column: codes.categories[chance.choice(ties)]})
    if column.type == "string":
        made.append({**row, codes.column: UNKNOWN})
    if column.nullable:
        made.append({**row, codes.column: None})
    return made


def _by_number(graph: _Graph, comparisons: list[Comparison], base: list[Row], made: _Rows) -> None:
    """Search all the turning points at once, each with the first number that moves it."""
    chosen = [c for c in comparisons if graph.numbers.get((c.probe, c.feature))]
    if not chosen:
        return
    places = np.array([graph.numbers[c.probe, c.feature][0] for c in chosen])
    names = [graph.encoding.numbers[place] for place in places]
    whole = np.array([graph.signature.column(name).type != "number" for name in names])
    ends = np.array([_ends(graph.signature, name) for name in names])
    search = Search(graph.probe, chosen, places)
    low, high = ends[:, 0].copy(), ends[:, 1].copy()
    low_side, high_side = search.sides(low), search.sides(high)
    low, high = search.bisect(low, high, low_side, whole)
    for index, comparison in enumerate(chosen):
        name, row = names[index], base[comparison.row]
        column = graph.signature.column(name)
        if column.nullable:
            made.missing.append({**row, name: None})
        if low_side[index] == high_side[index] or column.type == "boolean":
            continue
        key = (comparison.probe, comparison.feature)
        if graph.found.exact[comparison.probe] and len(graph.numbers[key]) == 1:
            pair, into = (low[index], high[index]), made.adjacent
        else:
            away = DISTANCE * max(abs(low[index]), abs(ends[index, 1] - ends[index, 0]))
            pair, into = (low[index] - away, high[index] + away), made.near
        if column.type == "integer":
            into += [{**row, name: int(np.floor(pair[0]))}, {**row, name: int(np.ceil(pair[1]))}]
        else:
            into += [{**row, name: float(value)} for value in pair]


def _different(rows: list[Row]) -> tuple[Row, ...]:
    return tuple({tuple(row.items()): row for row in rows}.values())
