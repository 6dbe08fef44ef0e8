"""Quantiles and splines: piecewise functions of one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from mlpack.exporters.sklearn.converters.ensemble import Array, Ensemble, Tree
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, FLOAT, INT64
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError

BOUNDS = 1e-7
"""``BOUNDS_THRESHOLD`` of sklearn/preprocessing/_data.py."""

# The inverse of the normal distribution by Cephes (ndtri.c), which scipy.special.ndtri computes:
# the coefficients of its two ranges that lie within the bounds above, the highest power first.
CENTRE = 0.13533528323661269189  # exp(-2)
ROOT = 2.50662827463100050242  # sqrt(2 pi)
P0 = (-59.9633501014107895267, 98.0010754185999661536, -56.6762857469070293439,
      13.9312609387279679503, -1.23916583867381258016)  # fmt: skip
Q0 = (1.0, 1.95448858338141759834, 4.67627912898881538453, 86.3602421390890590575,
      -225.462687854119370527, 200.260212380060660359, -82.0372256168333339912,
      15.9056225126211695515, -1.18331621121330003142)  # fmt: skip
P1 = (4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162,
      44.0805073893200834700, 14.6849561928858024014, 2.18663306850790267539,
      -0.140256079171354495875, -0.0350424626827848203418, -8.57456785154685413611e-4)  # fmt: skip
Q1 = (1.0, 15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440,
      15.0425385692907503408, 2.50464946208309415979, -0.142182922854787788574,
      -0.0380806407691578277194, -9.33259480895457427372e-4)  # fmt: skip


def _quantiles(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """The mean of ``np.interp`` upwards and downwards, then the other distribution."""
    graph = context.graph
    matrix = context.matrix(features, path)
    context.refusals.append(graph.not_finite(matrix, allow_nan=True))
    tables = [_stretches(column, step.references_) for column in np.asarray(step.quantiles_.T)]
    found = _gathered(
        _search([table[:-1, _ABOVE] for table in tables], matrix, context), tables, context
    )
    below, start, slope, above, stop, last = found
    upward = graph.add(graph.multiply(slope, graph.subtract(matrix, below)), start)
    downward = graph.subtract(graph.multiply(slope, graph.subtract(above, matrix)), stop)
    at = graph.node("Equal", [matrix, above])
    upward = graph.where(at, last, upward)
    downward = graph.where(at, graph.node("Neg", [stop]), downward)
    half = graph.constant(np.float64(0.5))
    share = graph.multiply(half, graph.subtract(upward, downward))
    lowest = graph.constant(np.asarray(step.quantiles_[:1], np.float64))
    highest = graph.constant(np.asarray(step.quantiles_[-1:], np.float64))
    zero, one = graph.constant(np.float64(0)), graph.constant(np.float64(1))
    if step.output_distribution == "normal":
        reach = graph.constant(np.float64(BOUNDS))
        low = graph.node("Less", [graph.subtract(matrix, reach), lowest])
        high = graph.node("Greater", [graph.add(matrix, reach), highest])
        made = _normal(graph.where(low, zero, graph.where(high, one, share)), context)
    else:
        low = graph.node("LessOrEqual", [matrix, lowest])
        high = graph.node("GreaterOrEqual", [matrix, highest])
        made = graph.where(low, zero, graph.where(high, one, share))
    return context.made(made, [each.name for each in features])


_ABOVE = 3


def _stretches(quantiles: Array, references: Array) -> Array:
    """The line on each stretch between different quantiles: float64 [stretches, 6].

    A stretch reaches from one quantile (which it does not hold) to the next one (which it does).
    Its columns: the quantile below, the reference there, the slope, the quantile above, the first
    reference there and the last. One stretch more at either end is flat.
    """
    values, first = np.unique(np.asarray(quantiles, np.float64), return_index=True)
    last = np.append(first[1:], len(quantiles)) - 1
    with np.errstate(all="ignore"):
        rise = references[first[1:]] - references[last[:-1]]
        slopes = rise / (values[1:] - values[:-1])
    # Doubles so near each other that the slope overflows have none between them.
    slopes[~np.isfinite(slopes)] = 0
    flat = np.zeros(1)
    return np.column_stack(
        [
            np.concatenate([values[:1], values]),
            np.concatenate([references[:1], references[last]]),
            np.concatenate([flat, slopes, flat]),
            np.concatenate([values, values[-1:]]),
            np.concatenate([references[first], references[-1:]]),
            np.concatenate([references[last], references[-1:]]),
        ]
    )


def _search(edges: list[Array], matrix: str, context: Context) -> str:
    """How many of a column's edges lie below each number: int64 [rows, columns].

    A tree for every column: as many comparisons as a binary search, without a matrix of all.
    """
    ensemble = Ensemble(targets=len(edges))
    for column, values in enumerate(edges):
        tree, places = _halving(column, values)
        ensemble.add_one(tree, places, column)
    return context.graph.cast(ensemble.node(matrix, context), INT64)


def _halving(column: int, edges: Array) -> tuple[Tree, Array]:
    """A binary search in ascending edges as a tree, and the place that each leaf stands for."""
    left: list[int] = []
    right: list[int] = []
    place: list[int] = []
    threshold: list[float] = []

    def node(low: int, high: int) -> int:
        number = len(left)
        for each in (left, right, place):
            each.append(-1)
        threshold.append(0.0)
        if low == high:
            place[number] = low
            return number
        middle = (low + high) // 2
        threshold[number] = float(edges[middle])
        left[number] = node(low, middle)
        right[number] = node(middle + 1, high)
        return number

    node(0, len(edges))
    tree = Tree(
        left=np.array(left),
        right=np.array(right),
        feature=np.full(len(left), column),
        threshold=np.array(threshold),
        missing_left=np.zeros(len(left)),
    )
    return tree, np.array(place, np.float64)


def _gathered(place: str, tables: list[Array], context: Context) -> list[str]:
    """The columns of each number's own row in its column's table: each float64 [rows, columns]."""
    graph = context.graph
    starts = np.cumsum([0, *(len(table) for table in tables[:-1])]).astype(np.int64)
    own = graph.add(place, graph.constant(starts.reshape(1, -1)))
    whole = np.concatenate(tables)
    return [
        graph.node("Gather", [graph.constant(np.ascontiguousarray(whole[:, column])), own])
        for column in range(whole.shape[1])
    ]


def _normal(share: str, context: Context) -> str:
    """``scipy.stats.norm.ppf``, clipped as the original clips it."""
    graph = context.graph

    def number(value: float) -> str:
        return graph.constant(np.float64(value))

    edge = BOUNDS - np.spacing(1)
    least, most = float(ndtri(edge)), float(ndtri(1 - edge))
    # Whatever lies beyond the clip ends there; nearer to 0 and 1 other coefficients would hold.
    within = graph.node("Clip", [share, number(BOUNDS / 100), number(1 - BOUNDS / 100)])
    upper = graph.node("Greater", [within, number(1 - CENTRE)])
    tail = graph.where(upper, graph.subtract(number(1), within), within)
    centre = graph.subtract(tail, number(0.5))
    square = graph.multiply(centre, centre)
    ratio = graph.divide(
        graph.multiply(square, _polynomial(square, P0, context)), _polynomial(square, Q0, context)
    )
    inner = graph.multiply(graph.add(centre, graph.multiply(centre, ratio)), number(ROOT))
    x = graph.node("Sqrt", [graph.multiply(number(-2), graph.node("Log", [tail]))])
    start = graph.subtract(x, graph.divide(graph.node("Log", [x]), x))
    z = graph.divide(number(1), x)
    rest = graph.divide(graph.multiply(z, _polynomial(z, P1, context)), _polynomial(z, Q1, context))
    outer = graph.subtract(start, rest)
    outer = graph.where(upper, outer, graph.node("Neg", [outer]))
    middle = graph.node("Greater", [tail, number(CENTRE)])
    found = graph.where(middle, inner, outer)
    return graph.node("Clip", [found, number(least), number(most)])


def _polynomial(x: str, coefficients: tuple[float, ...], context: Context) -> str:
    graph = context.graph
    first, second, *others = coefficients
    product = x if first == 1 else graph.multiply(x, graph.constant(np.float64(first)))
    total = graph.add(product, graph.constant(np.float64(second)))
    for coefficient in others:
        total = graph.add(graph.multiply(total, x), graph.constant(np.float64(coefficient)))
    return total


@dataclass(frozen=True)
class _Spline:
    """The splines of one column, as scipy evaluates them, and what stands beyond them.

    Attributes:
        knots: with those outside the base interval.
        low, high: where the original leaves the splines for the lines.
        below, above: value and slope of each spline's line on either side: float64 [2, splines].
    """

    knots: Array
    low: float
    high: float
    below: Array
    above: Array


def _splines(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    degree = int(step.degree)
    if degree == 0:
        raise NotExportableError(path, f"{describe(step, 'degree')}: use KBinsDiscretizer instead")
    graph = context.graph
    matrix = context.matrix(features, path)
    # Since scikit-learn 1.8; with it infinities are taken too.
    zeros = getattr(step, "handle_missing", "error") == "zeros"
    if not zeros:
        context.refusals.append(graph.not_finite(matrix))
    columns = _fitted(step)
    count = step.bsplines_[0].c.shape[1]
    ends = [np.array([[c.knots[place] for c in columns]]) for place in (degree, -degree - 1)]
    x = matrix
    if step.extrapolation == "periodic":
        x = _wrapped(matrix, ends[0], ends[1], context)
    place, basis = _basis(x, columns, degree, context)
    made = _placed(place, basis, count, context)
    if step.extrapolation == "error":
        low, high = (graph.constant(end) for end in ends)
        beyond = graph.node("Or", [graph.node("Less", [x, low]), graph.node("Greater", [x, high])])
        context.refusals.append(_any(beyond, context))
    elif step.extrapolation in ("constant", "linear"):
        made = _extended(made, matrix, columns, context)
    if zeros:
        absent = graph.node("Unsqueeze", [graph.node("IsNaN", [matrix]), _axis(2, context)])
        made = graph.where(absent, graph.constant(np.float64(0)), made)
    kept = count if step.include_bias else count - 1
    if kept < count:
        chosen = graph.constant(np.arange(kept, dtype=np.int64))
        made = graph.node("Gather", [made, chosen], axis=2)
    names = [each.name for each in features for _ in range(kept)]
    return context.made(graph.reshape(made, [-1, len(names)]), names)


def _axis(number: int, context: Context) -> str:
    return context.graph.constant(np.array([number], np.int64))


def _any(flags: str, context: Context) -> str:
    """Whether any flag of a row is set: bool [rows]."""
    graph = context.graph
    most = graph.node("ReduceMax", [graph.cast(flags, FLOAT), _axis(1, context)], keepdims=0)
    return graph.cast(most, BOOL)


def _fitted(step: Any) -> list[_Spline]:
    degree = reach = int(step.degree)
    columns = []
    for number, spline in enumerate(step.bsplines_):
        knots = np.asarray(spline.t, np.float64)
        if step.extrapolation == "linear" and number and degree == 1 and _forgets(step, number):
            reach = 2
        low, high = knots[reach], knots[-reach - 1]
        below, above = (np.zeros((2, spline.c.shape[1])) for _ in range(2))
        if step.extrapolation == "constant":
            below[0, :degree] = spline(low)[:degree]
            above[0, -degree:] = spline(high)[-degree:]
        elif step.extrapolation == "linear":
            first, last = max(degree, 2), -max(degree, 2)
            below[:, :first] = spline(low)[:first], spline(low, nu=1)[:first]
            above[:, last:] = spline(high)[last:], spline(high, nu=1)[last:]
        columns.append(_Spline(knots, float(low), float(high), below, above))
    return columns


def _forgets(step: Any, number: int) -> bool:
    """Whether the lines of degree 1 begin a knot too early in all columns but the first.

    scikit-learn 1.9 and older raise the degree while they go through the columns. The original is
    asked: between the outermost base knots a spline that ends there is bent, a line is not.
    """
    knots = np.asarray([spline.t for spline in step.bsplines_], np.float64).T
    rows = (knots[1:2] + knots[2:3]) / 2
    said = step.transform(rows)
    said = said.toarray() if hasattr(said, "toarray") else np.asarray(said)
    width = said.shape[1] // len(step.bsplines_)
    expected = step.bsplines_[number](rows[0, number])[:width]
    return not np.allclose(said[0, number * width : (number + 1) * width], expected)


def _wrapped(matrix: str, low: Array, high: Array, context: Context) -> str:
    """Every number brought into the base interval, by Python's modulo."""
    graph = context.graph
    start, period = graph.constant(low), graph.constant(high - low)
    rest = graph.node("Mod", [graph.subtract(matrix, start), period], fmod=1)
    negative = graph.node("Less", [rest, graph.constant(np.float64(0))])
    wrapped = graph.add(start, graph.where(negative, graph.add(rest, period), rest))
    # A column of one value has no period: the original puts zeros there.
    empty = graph.constant(high - low <= 0)
    return graph.where(empty, graph.constant(np.float64(0)), wrapped)


def _basis(x: str, columns: list[_Spline], degree: int, context: Context) -> tuple[str, list[str]]:
    """The splines that are not zero at each number, by de Boor's recursion.

    The order is that of ``_deBoor_D`` in scipy/interpolate (fitpack), on which the last bit hangs.

    Returns:
        The number of the first of them, int64 [rows, columns], and their values, degree + 1 times
        float64 [rows, columns].
    """
    graph = context.graph
    inner = [column.knots[degree + 1 : -degree - 1] for column in columns]
    place = _reached(inner, x, context)
    around = [
        np.lib.stride_tricks.sliding_window_view(column.knots[1:-1], 2 * degree)
        for column in columns
    ]
    # From degree - 1 knots before the last knot that the number reaches to degree after it.
    knot = _gathered(place, around, context)
    zero = graph.constant(np.float64(0))
    values = [graph.constant(np.float64(1))]
    for order in range(1, degree + 1):
        previous, values = values, [zero]
        for n in range(1, order + 1):
            right, left = knot[degree - 1 + n], knot[degree - 1 + n - order]
            width = graph.subtract(right, left)
            weight = graph.divide(previous[n - 1], width)
            weight = graph.where(graph.node("Equal", [right, left]), zero, weight)
            grown = graph.multiply(weight, graph.subtract(right, x))
            values[n - 1] = grown if n == 1 else graph.add(values[n - 1], grown)
            values.append(graph.multiply(weight, graph.subtract(x, left)))
    return place, values


def _reached(edges: list[Array], x: str, context: Context) -> str:
    """How many of a column's edges each number reaches: int64 [rows, columns]."""
    graph = context.graph
    if not len(edges[0]):
        edges = [np.array([np.nan])] * len(edges)  # nothing reaches a NaN
    rows = graph.node("Unsqueeze", [x, _axis(2, context)])
    reached = graph.node("GreaterOrEqual", [rows, graph.constant(np.array([edges]))])
    return graph.node("ReduceSum", [graph.cast(reached, INT64), _axis(2, context)], keepdims=0)


def _placed(place: str, basis: list[str], count: int, context: Context) -> str:
    """The values at their own splines' places, zeros elsewhere: float64 [rows, columns, count]."""
    graph = context.graph
    numbers = np.arange(count, dtype=np.int64).reshape(1, 1, -1)
    zero = graph.constant(np.float64(0))
    first = graph.node("Unsqueeze", [place, _axis(2, context)])
    total = ""
    for offset, value in enumerate(basis):
        # Periodic splines go round: the last ones are the first ones.
        spline = graph.add(first, graph.constant(np.int64(offset)))
        spline = graph.node("Mod", [spline, graph.constant(np.int64(count))])
        here = graph.node("Equal", [spline, graph.constant(numbers)])
        part = graph.where(here, graph.node("Unsqueeze", [value, _axis(2, context)]), zero)
        total = graph.add(total, part) if total else part
    return total


def _extended(made: str, matrix: str, columns: list[_Spline], context: Context) -> str:
    """Straight lines beyond the ends; their slopes are zero where the ends are held constant."""
    graph = context.graph
    x = graph.node("Unsqueeze", [matrix, _axis(2, context)])
    for end, side, comparison in (("low", "below", "Less"), ("high", "above", "Greater")):
        limit = graph.constant(np.array([getattr(c, end) for c in columns]).reshape(1, -1, 1))
        lines = np.array([getattr(c, side) for c in columns])
        value, slope = (graph.constant(lines[:, i][np.newaxis]) for i in (0, 1))
        line = value
        if lines[:, 1].any():
            line = graph.add(value, graph.multiply(graph.subtract(x, limit), slope))
        made = graph.where(graph.node(comparison, [x, limit]), line, made)
    return made


TRANSFORMERS: Transformers = {
    "QuantileTransformer": _quantiles,
    "SplineTransformer": _splines,
}
MODELS: Models = {}
