"""Imputers that look at other columns: nearest neighbours, and one model a column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.exporters.sklearn.converters.prepare import absent, indicate
from mlpack.exporters.sklearn.features import NAN, Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, FLOAT, Graph
from mlpack.exporters.sklearn.pairs import Points, from_products, in_chunks
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError

Rows = NDArray[np.int64]

PROBES = 400
"""Of so many rows with gaps the neighbours are looked at."""


def _iterative(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> tuple[Feature, ...]:
    """The models of all rounds in their order, each on what the ones before it filled."""
    if step.sample_posterior:
        raise NotExportableError(
            path,
            f"{describe(step, 'sample_posterior')} answers by chance: leave sample_posterior out",
        )
    graph = context.graph
    marked = _marked(path, step, features, context)
    started = walk.transform(join(path, "initial"), step.initial_imputer_, features, context)
    empty = np.asarray(step._is_empty_feature, bool)  # noqa: SLF001 - there is no public form
    kept = [index for index in range(len(features)) if step.keep_empty_features or not empty[index]]
    # An empty column is not missing: it stays as the first imputer filled it.
    missing = {
        place: graph.columns(marked, [index])
        for place, index in enumerate(kept)
        if not empty[index]
    }
    filled = list(started)
    for number, (place, neighbours, estimator) in enumerate(step.imputation_sequence_):
        if int(place) not in missing:
            continue
        others = tuple(filled[int(index)] for index in neighbours)
        value = _asked(
            join(path, f"{number}"), estimator, others, missing[int(place)], context, walk
        )
        limits = (step._min_value[place], step._max_value[place])  # noqa: SLF001
        if np.isfinite(limits).any():
            value = graph.node("Clip", [value, *(graph.constant(np.float64(x)) for x in limits)])
        before = context.matrix([filled[int(place)]], path)
        column = graph.where(missing[int(place)], value, before)
        filled[int(place)] = context.made(column, [filled[int(place)].name])[0]
    return (*filled, *_indicators(step, features, context))


def _marked(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """Where a value is missing: bool [rows, columns]. What the original raises for is refused."""
    graph = context.graph
    matrix = context.matrix(features, path)
    nan = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    context.refusals.append(graph.not_finite(matrix, allow_nan=nan))
    return absent(matrix, step.missing_values, context)


def _indicators(step: Any, features: tuple[Feature, ...], context: Context) -> list[Feature]:
    if not step.add_indicator:
        return []
    chosen = step.indicator_.features_
    return [indicate(features[index], step.missing_values, context) for index in chosen]


def _asked(
    path: str,
    estimator: Any,
    features: tuple[Feature, ...],
    missing: str,
    context: Context,
    walk: Walk,
) -> str:
    """What one model says: float64 [rows, 1]. It is asked only for rows that miss the value."""
    graph = context.graph
    before = len(context.refusals)
    outputs = walk.predict(path, estimator, features, context)
    if outputs.value is None:
        raise NotExportableError(path, f"{describe(estimator)} is no regressor")
    asked = graph.reshape(missing, [-1])
    context.refusals[before:] = [
        graph.node("And", [refusal, asked]) for refusal in context.refusals[before:]
    ]
    return outputs.value


def _neighbours(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """Means over the nearest rows that have the value, for the rows that miss one."""
    if step.metric != "nan_euclidean" or callable(step.weights):
        raise NotExportableError(
            path,
            f"{describe(step, 'metric', 'weights')}: only nan_euclidean distances with uniform "
            "or distance weights are exported",
        )
    known = np.where(step._mask_fit_X, np.nan, np.asarray(step._fit_X, np.float64))  # noqa: SLF001
    _refuse_ties(path, step, known)
    graph = context.graph
    marked = _marked(path, step, features, context)
    matrix = context.matrix(features, path)
    valid = np.asarray(step._valid_mask, bool)  # noqa: SLF001 - there is no public form
    places = np.flatnonzero(valid).tolist()
    nothing = graph.constant(np.float64(NAN))
    gaps = graph.where(marked, nothing, matrix)

    def answer(inner: Graph, chunk: str) -> list[tuple[str, int]]:
        # Rows that miss nothing need no distances.
        own = inner.columns(chunk, places)
        missing = inner.cast(inner.node("IsNaN", [own]), FLOAT)
        axis = inner.constant(np.array([1], np.int64))
        rows = inner.node("NonZero", [inner.node("ReduceMax", [missing, axis], keepdims=0)])
        # And always the first one: up to 1.23 ONNX Runtime's TopK of no rows ends the process.
        first = inner.constant(np.array([0], np.int64))
        rows = inner.node("Concat", [inner.reshape(rows, [-1]), first], axis=0)
        some, own_some = (inner.node("Gather", [part, rows], axis=0) for part in (chunk, own))
        distances = _distances(inner, some, known)
        found = [_donated(inner, distances, known[:, place], step) for place in places]
        filled = inner.where(inner.node("IsNaN", [own_some]), inner.concat(found), own_some)
        targets = inner.reshape(rows, [-1, 1])
        return [(inner.node("ScatterND", [own, targets, filled]), len(places))]

    made = in_chunks(graph, gaps, known.shape[0], answer)[0]
    columns = list(context.made(made, [features[place].name for place in places]))
    if step.keep_empty_features and len(places) < len(features):
        zero = graph.multiply(
            graph.cast(graph.columns(marked, [0]), DOUBLE), graph.constant(np.float64(0))
        )
        empty = context.made(zero, [None])[0]
        by_place = dict(zip(places, columns, strict=True))
        columns = [by_place.get(place, empty) for place in range(len(features))]
    return (*columns, *_indicators(step, features, context))


def _distances(graph: Graph, rows: str, known: Points) -> str:
    """``nan_euclidean_distances`` squared, NaN where nothing can be compared: [rows, known]."""
    zero = graph.constant(np.float64(0))
    missing = graph.node("IsNaN", [rows])
    filled = graph.where(missing, zero, rows)
    gaps = np.isnan(known)
    points = np.where(gaps, 0.0, known)
    total = from_products(graph, filled, points)
    # What the other side misses counts for nothing.
    absent_there = np.ascontiguousarray(gaps.T, np.float64)
    squares = np.ascontiguousarray((points * points).T)
    total = graph.subtract(
        total, graph.matmul(graph.multiply(filled, filled), graph.constant(absent_there))
    )
    flags = graph.cast(missing, DOUBLE)
    total = graph.subtract(total, graph.matmul(flags, graph.constant(squares)))
    total = graph.node("Max", [total, zero])
    present = graph.subtract(graph.constant(np.float64(1)), flags)
    count = graph.matmul(present, graph.constant(1 - absent_there))
    total = graph.divide(total, graph.node("Max", [count, graph.constant(np.float64(1))]))
    total = graph.multiply(total, graph.constant(np.float64(known.shape[1])))
    none = graph.node("Equal", [count, zero])
    return graph.where(none, graph.constant(np.float64(NAN)), graph.node("Sqrt", [total]))


def _donated(graph: Graph, distances: str, values: Points, step: Any) -> str:
    """What the nearest rows that have a value give for it: float64 [rows, 1]."""
    donors = np.flatnonzero(~np.isnan(values))
    given = values[donors]
    count = min(step.n_neighbors, len(donors))
    own = graph.columns(distances, donors.tolist())
    unknown = graph.node("IsNaN", [own])
    infinite = graph.constant(np.float64(np.inf))
    sizes = graph.constant(np.array([count], np.int64))
    nearest, which = graph.nodes(
        "TopK", [graph.where(unknown, infinite, own), sizes], outputs=2, axis=1, largest=0
    )
    zero, one = graph.constant(np.float64(0)), graph.constant(np.float64(1))
    nowhere = graph.node("Equal", [nearest, infinite])
    weights = graph.where(nowhere, zero, one)
    axis = graph.constant(np.array([1], np.int64))
    if step.weights == "distance":
        same = graph.cast(graph.node("Equal", [nearest, zero]), DOUBLE)
        exact = graph.node("ReduceMax", [same, axis], keepdims=1)
        inverse = graph.divide(one, graph.where(nowhere, infinite, nearest))
        weights = graph.where(graph.cast(exact, BOOL), same, inverse)
    donated = graph.node("Gather", [graph.constant(given), which])
    total = graph.node("ReduceSum", [graph.multiply(donated, weights), axis], keepdims=1)
    weight = graph.node("ReduceSum", [weights, axis], keepdims=1)
    # A row that can be compared with none of them gets the mean.
    mean = graph.constant(np.float64(given.mean()))
    return graph.where(graph.node("Equal", [weight, zero]), mean, graph.divide(total, weight))


def _refuse_ties(path: str, step: Any, known: Points) -> None:
    """Refuse to export where the original's answer hangs on the processor.

    Of rows that are equally near the original takes those that ``np.argpartition`` leaves in
    front, and numpy has another one for each set of vector instructions. Rows with gaps of the
    training data show whether that happens, or, where there are few, rows that lose a value.
    """
    gaps = np.flatnonzero(np.isnan(known).any(axis=1))
    probes = [known[_spread(gaps)]]
    for column in range(known.shape[1]):
        some = known[_spread(np.arange(len(known)), PROBES // 8)].copy()
        some[:, column] = np.nan
        probes.append(some)
    rows = np.concatenate(probes)
    tied = sum(_tied(rows[start : start + 64], step, known) for start in range(0, len(rows), 64))
    if tied:
        raise NotExportableError(
            path,
            f"{describe(step, 'n_neighbors')}: of {len(rows)} rows with a gap {tied} have more "
            "neighbours equally near than it takes, and which it takes differs between processors "
            "in scikit-learn itself; numbers without ties would be exportable, or IterativeImputer",
        )


def _spread(rows: Rows, count: int = PROBES) -> Rows:
    """At most `count` of the rows, evenly."""
    return rows[:: max(1, -(-len(rows) // count))]


def _tied(rows: Points, step: Any, known: Points) -> int:
    """How many of the rows have a gap for which neighbours tie that would fill it differently."""
    there = ~np.isnan(known)
    here = ~np.isnan(rows)
    filled, points = np.nan_to_num(rows), np.nan_to_num(known)
    counts = here.astype(np.float64) @ there.T
    squares = np.zeros_like(counts)
    for other in range(known.shape[1]):
        both = here[:, [other]] & there[:, other]
        squares += np.where(both, (filled[:, [other]] - points[:, other]) ** 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = np.where(counts > 0, squares / counts, np.inf)
    # Differences that rounding may turn are ties too: distances come from sums of squares.
    reach = 1e-12 * ((filled**2).sum(axis=1) + (points**2).sum(axis=1).max())
    tied = np.zeros(len(rows), bool)
    for column in np.flatnonzero(there.any(axis=0)):
        donors = np.flatnonzero(there[:, column])
        if step.n_neighbors >= len(donors):
            continue
        missing = np.flatnonzero(~here[:, column] & ~tied)
        own = distances[np.ix_(missing, donors)]
        ends = np.partition(own, (step.n_neighbors - 1, step.n_neighbors), axis=1)
        last = ends[:, step.n_neighbors - 1]
        doubtful = ends[:, step.n_neighbors] - last <= reach[missing]
        for place in np.flatnonzero(doubtful & np.isfinite(last)):
            same = np.abs(own[place] - last[place]) <= reach[missing[place]]
            values = known[donors[same], column]
            tied[missing[place]] = values.min() < values.max()
    return int(tied.sum())


TRANSFORMERS: Transformers = {"IterativeImputer": _iterative, "KNNImputer": _neighbours}
MODELS: Models = {}
