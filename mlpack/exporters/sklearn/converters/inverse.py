"""Ways back from a transformed target, in the order of the originals' arithmetic.

They are those of ``inverse_transform`` in ``sklearn/preprocessing/_data.py``. The normal
distribution is Cephes' (``ndtr.c``), which ``scipy.special.ndtr`` computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.interpolate import interpolated
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.steps import describe, join, name_of
from mlpack.exporters.sklearn.tracing.trace import trace_numbers
from mlpack.ports import NotExportableError

BOUNDS = 1e-7
"""``BOUNDS_THRESHOLD`` of sklearn/preprocessing/_data.py."""

NOTHING = float(np.spacing(1.0))
"""A power this near to a special one is that one: ``_yeo_johnson_inverse_transform``."""

# erfc(x) is exp(-x²) P(x) / Q(x) from 1 to 8, erf(x) is x T(x²) / U(x²) up to 1; the highest
# power first.
P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
     4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
     9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2)  # fmt: skip
Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
     9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
     1.65666309194161350182e3, 5.57535340817727675546e2)  # fmt: skip
T = (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
     7.00332514112805075473e3, 5.55923013010394962768e4)  # fmt: skip
U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
     2.26290000613890934246e4, 4.92673942608635921086e4)  # fmt: skip
FARTHEST = 8.0
"""Beyond it the normal distribution is nothing beside `BOUNDS`."""

Inverse = Callable[[str, Any, str, Context], str]


def inverted(path: str, step: Any, value: str, context: Context) -> str:
    """What ``inverse_transform`` of a fitted transformer makes of a matrix of doubles.

    Raises:
        NotExportableError: the transformer has no way back in the graph.
    """
    inverse = _INVERSES.get(name_of(step) or "")
    if inverse is None:
        raise NotExportableError(
            path,
            f"the inverse of {describe(step)} is not exported: use one of {', '.join(_INVERSES)}",
        )
    return inverse(path, step, value, context)


def _function(path: str, step: Any, value: str, context: Context) -> str:
    """The author's own function, or one of numpy's, followed into the graph."""
    if step.validate:
        context.refusals.append(context.graph.not_finite(value))
    if step.inverse_func is None:
        return value
    function = partial(step.inverse_func, **(step.inv_kw_args or {}))
    return trace_numbers(path, function, value, int(step.n_features_in_), context)


def _number(value: float, context: Context) -> str:
    return context.graph.constant(np.float64(value))


def _row(values: Any, context: Context) -> str:
    return context.graph.constant(np.asarray(values, np.float64).reshape(1, -1))


def _expm1(value: str, context: Context) -> str:
    # Near zero exp(x) - 1 is off by a unit in the last place of 1, far below any tolerance.
    graph = context.graph
    return graph.subtract(graph.node("Exp", [value]), _number(1, context))


def _log1p(value: str, context: Context) -> str:
    """With all digits near zero: log(u) is corrected by what the sum u = 1 + x has lost."""
    graph = context.graph
    one = _number(1, context)
    more = graph.add(value, one)
    left = graph.divide(value, graph.subtract(more, one))
    logarithm = graph.multiply(graph.node("Log", [more]), left)
    return graph.where(graph.node("Equal", [more, one]), value, logarithm)


def _standard(_path: str, step: Any, value: str, context: Context) -> str:
    graph = context.graph
    if step.with_std:
        value = graph.multiply(value, _row(step.scale_, context))
    return graph.add(value, _row(step.mean_, context)) if step.with_mean else value


def _least_most(_path: str, step: Any, value: str, context: Context) -> str:
    graph = context.graph
    moved = graph.subtract(value, _row(step.min_, context))
    return graph.divide(moved, _row(step.scale_, context))


def _largest(_path: str, step: Any, value: str, context: Context) -> str:
    return context.graph.multiply(value, _row(step.scale_, context))


def _robust(_path: str, step: Any, value: str, context: Context) -> str:
    graph = context.graph
    if step.with_scaling:
        value = graph.multiply(value, _row(step.scale_, context))
    return graph.add(value, _row(step.center_, context)) if step.with_centering else value


def _power(path: str, step: Any, value: str, context: Context) -> str:
    graph = context.graph
    context.refusals.append(graph.not_finite(value, allow_nan=True))
    if step.standardize:
        value = _standard(path, step._scaler, value, context)  # noqa: SLF001 - no public form
    column = _box_cox if step.method == "box-cox" else _yeo_johnson
    powers = [float(power) for power in step.lambdas_]
    return graph.concat(
        [
            column(graph.columns(value, [index]) if len(powers) > 1 else value, power, context)
            for index, power in enumerate(powers)
        ]
    )


def _box_cox(value: str, power: float, context: Context) -> str:
    """``scipy.special.inv_boxcox``."""
    graph = context.graph
    if power == 0:
        return graph.node("Exp", [value])
    number = _number(power, context)
    return graph.node("Exp", [graph.divide(_log1p(graph.multiply(value, number), context), number)])


def _yeo_johnson(value: str, power: float, context: Context) -> str:
    graph = context.graph
    one = _number(1, context)
    if abs(power) < NOTHING:
        above = _expm1(value, context)
    else:
        above = graph.subtract(_raised(value, power, 1 / power, context), one)
    rest = 2 - power
    if abs(power - 2) > NOTHING:
        below = graph.subtract(one, _raised(value, -rest, 1 / rest, context))
    else:
        below = graph.subtract(one, graph.node("Exp", [graph.node("Neg", [value])]))
    return graph.where(graph.node("GreaterOrEqual", [value, _number(0, context)]), above, below)


def _raised(value: str, factor: float, exponent: float, context: Context) -> str:
    graph = context.graph
    base = graph.add(graph.multiply(value, _number(factor, context)), _number(1, context))
    return graph.node("Pow", [base, _number(exponent, context)])


def _quantiles(_path: str, step: Any, value: str, context: Context) -> str:
    graph = context.graph
    context.refusals.append(graph.not_finite(value))
    normal = step.output_distribution == "normal"
    share = _normal_share(value, context) if normal else value
    quantiles = np.asarray(step.quantiles_, np.float64)
    width = quantiles.shape[1]
    made = graph.concat(
        [
            interpolated(
                graph.columns(share, [index]) if width > 1 else share,
                step.references_,
                quantiles[:, index],
                context,
            )
            for index in range(width)
        ]
    )
    if not normal:
        return made
    reach = _number(BOUNDS, context)
    low = graph.node("Less", [graph.subtract(share, reach), _number(0, context)])
    high = graph.node("Greater", [graph.add(share, reach), _number(1, context)])
    made = graph.where(high, _row(quantiles[-1], context), made)
    return graph.where(low, _row(quantiles[0], context), made)


def _normal_share(value: str, context: Context) -> str:
    """The normal distribution, to a few units in the last place of one."""
    graph = context.graph
    one, half = _number(1, context), _number(0.5, context)
    x = graph.multiply(value, _number(0.70710678118654752440, context))
    size = graph.node("Min", [graph.node("Abs", [x]), _number(FARTHEST, context)])
    square = graph.multiply(x, x)
    inner = graph.divide(
        graph.multiply(x, _polynomial(square, T, context)), _polynomial(square, U, context)
    )
    inner = graph.add(half, graph.multiply(half, inner))
    bell = graph.node("Exp", [graph.node("Neg", [graph.multiply(size, size)])])
    outer = graph.divide(
        graph.multiply(bell, _polynomial(size, P, context)), _polynomial(size, Q, context)
    )
    outer = graph.multiply(half, outer)
    right = graph.node("Greater", [x, _number(0, context)])
    outer = graph.where(right, graph.subtract(one, outer), outer)
    return graph.where(graph.node("Less", [size, one]), inner, outer)


def _polynomial(x: str, coefficients: Sequence[float], context: Context) -> str:
    graph = context.graph
    whole = _number(coefficients[0], context)
    for coefficient in coefficients[1:]:
        whole = graph.add(graph.multiply(whole, x), _number(coefficient, context))
    return whole


def _pipeline(path: str, step: Any, value: str, context: Context) -> str:
    for name, inner in reversed(step.steps):
        if inner is not None and inner != "passthrough":
            value = inverted(join(path, name), inner, value, context)
    return value


_INVERSES: dict[str, Inverse] = {
    "FunctionTransformer": _function,
    "MaxAbsScaler": _largest,
    "MinMaxScaler": _least_most,
    "Pipeline": _pipeline,
    "PowerTransformer": _power,
    "QuantileTransformer": _quantiles,
    "RobustScaler": _robust,
    "StandardScaler": _standard,
}
