"""numpy's ufuncs by name: what each becomes in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable

from mlpack.exporters.sklearn.tracing import maths
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import TRUTH, WHOLE
from mlpack.exporters.sklearn.tracing.values import Value

Formula = Callable[..., Value]


def _add(a: Value, b: Value) -> Value:
    return a | b if a.dtype == TRUTH else a + b


def _multiply(a: Value, b: Value) -> Value:
    return a & b if a.dtype == TRUTH else a * b


def _divided(a: Value, b: Value) -> tuple[Value, Value]:
    """Whole quotient and remainder of whole numbers; zero where numpy warns of a zero."""
    # The processor stops the program for a zero, and for the least number by -1.
    odd = b.equals(0) | b.equals(-1)
    safe = odd.where(b.like(1), b)
    rest = a.make("Mod", safe)
    down = ~rest.equals(0) & (a < 0).make("Xor", safe < 0)
    quotient = a / safe
    quotient = down.where(quotient - 1, quotient)
    quotient = b.equals(0).where(a.like(0), b.equals(-1).where(-a, quotient))
    return quotient, odd.where(a.like(0), rest)


def _floor_divide(a: Value, b: Value) -> Value:
    return maths.floor_divide(a, b) if a.dtype.kind == "f" else _divided(a, b)[0]


def _remainder(a: Value, b: Value) -> Value:
    return maths.remainder(a, b) if a.dtype.kind == "f" else _divided(a, b)[1]


def _fmod(a: Value, b: Value) -> Value:
    if a.dtype.kind == "f":
        return maths.fmod(a, b)
    rest = _divided(a.absolute(), b.absolute())[1]
    return (a < 0).where(-rest, rest)


def _power(a: Value, b: Value) -> Value:
    if a.dtype.kind != "f":
        raise TraceError("a power of whole numbers that is not a constant has no exact graph")
    return maths.power(a, b)


def _square(a: Value) -> Value:
    return _multiply(a, a)


def _maximum(a: Value, b: Value) -> Value:
    return a | b if a.dtype == TRUTH else a.make("Max", b)


def _minimum(a: Value, b: Value) -> Value:
    return a & b if a.dtype == TRUTH else a.make("Min", b)


def _fmax(a: Value, b: Value) -> Value:
    if a.dtype.kind != "f":
        return _maximum(a, b)
    return a.is_nan().where(b, b.is_nan().where(a, a.make("Max", b)))


def _fmin(a: Value, b: Value) -> Value:
    if a.dtype.kind != "f":
        return _minimum(a, b)
    return a.is_nan().where(b, b.is_nan().where(a, a.make("Min", b)))


def _ordered(compare: Callable[[Value, Value], Value]) -> Formula:
    def formula(a: Value, b: Value) -> Value:
        if a.dtype == TRUTH:
            a, b = a.cast(WHOLE), b.cast(WHOLE)
        return compare(a, b)

    return formula


def truth(a: Value) -> Value:
    """Whether it counts as true: everything but zero, NaN too."""
    return a if a.dtype == TRUTH else ~a.equals(0)


def _xor(a: Value, b: Value) -> Value:
    return truth(a).make("Xor", truth(b))


def _bits(operator: str) -> Formula:
    def formula(a: Value, b: Value) -> Value:
        if a.dtype == TRUTH:
            return a.make(
                {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor"}[operator], b
            )
        return a.make(operator, b)

    return formula


def _invert(a: Value) -> Value:
    return ~a if a.dtype == TRUTH else a.make("BitwiseNot")


def _rounding(formula: Formula) -> Formula:
    return lambda a: formula(a) if a.dtype.kind == "f" else a


def _sign(a: Value) -> Value:
    return maths.sign(a) if a.dtype.kind == "f" else a.make("Sign")


def _finite(a: Value) -> Value:
    return ~(a.is_nan() | a.is_infinite())


def _signbit(a: Value) -> Value:
    return (a < 0) | (a.equals(0) & ((1.0 / a) < 0))


def _heaviside(a: Value, b: Value) -> Value:
    return a.is_nan().where(a, a.equals(0).where(b, (a > 0).where(a.like(1), a.like(0))))


def _xlogy(a: Value, b: Value) -> Value:
    return (a.equals(0) & ~b.is_nan()).where(a.like(0), a * maths.log(b))


def _xlog1py(a: Value, b: Value) -> Value:
    return (a.equals(0) & ~b.is_nan()).where(a.like(0), a * maths.log1p(b))


def _reciprocal(a: Value) -> Value:
    return 1 / a if a.dtype.kind == "f" else _divided(a.like(1), a)[0]


UFUNCS: dict[str, Formula] = {
    "add": _add,
    "subtract": lambda a, b: a - b,
    "multiply": _multiply,
    "divide": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "mod": _remainder,
    "fmod": _fmod,
    "power": _power,
    "pow": _power,
    "float_power": _power,
    "negative": lambda a: -a,
    "positive": lambda a: a,
    "absolute": lambda a: a.absolute(),
    "abs": lambda a: a.absolute(),
    "fabs": lambda a: a.absolute(),
    "sign": _sign,
    "square": _square,
    "sqrt": maths.sqrt,
    "cbrt": maths.cbrt,
    "reciprocal": _reciprocal,
    "exp": maths.exp,
    "exp2": maths.exp2,
    "expm1": maths.expm1,
    "log": maths.log,
    "log2": maths.log2,
    "log10": maths.log10,
    "log1p": maths.log1p,
    "logaddexp": maths.logaddexp,
    "sin": lambda a: a.make("Sin"),
    "cos": maths.cos,
    "tan": maths.tan,
    "arcsin": maths.arcsin,
    "asin": maths.arcsin,
    "arccos": maths.arccos,
    "acos": maths.arccos,
    "arctan": maths.arctan,
    "atan": maths.arctan,
    "arctan2": maths.arctan2,
    "atan2": maths.arctan2,
    "sinh": maths.sinh,
    "cosh": maths.cosh,
    "tanh": maths.tanh,
    "arcsinh": maths.arcsinh,
    "asinh": maths.arcsinh,
    "arccosh": maths.arccosh,
    "acosh": maths.arccosh,
    "arctanh": maths.arctanh,
    "atanh": maths.arctanh,
    "hypot": maths.hypot,
    "deg2rad": lambda a: a * (math.pi / 180),
    "radians": lambda a: a * (math.pi / 180),
    "rad2deg": lambda a: a * (180 / math.pi),
    "degrees": lambda a: a * (180 / math.pi),
    "floor": _rounding(lambda a: a.make("Floor")),
    "ceil": _rounding(lambda a: a.make("Ceil")),
    "rint": _rounding(lambda a: a.make("Round")),
    "trunc": _rounding(maths.truncated),
    "maximum": _maximum,
    "minimum": _minimum,
    "fmax": _fmax,
    "fmin": _fmin,
    "less": _ordered(lambda a, b: a < b),
    "less_equal": _ordered(lambda a, b: a <= b),
    "greater": _ordered(lambda a, b: a > b),
    "greater_equal": _ordered(lambda a, b: a >= b),
    "equal": lambda a, b: a.equals(b),
    "not_equal": lambda a, b: ~a.equals(b),
    "logical_and": lambda a, b: truth(a) & truth(b),
    "logical_or": lambda a, b: truth(a) | truth(b),
    "logical_xor": _xor,
    "logical_not": lambda a: ~truth(a),
    "bitwise_and": _bits("BitwiseAnd"),
    "bitwise_or": _bits("BitwiseOr"),
    "bitwise_xor": _bits("BitwiseXor"),
    "invert": _invert,
    "bitwise_not": _invert,
    "isnan": lambda a: a.is_nan(),
    "isinf": lambda a: a.is_infinite(),
    "isfinite": _finite,
    "signbit": _signbit,
    "copysign": maths.with_sign,
    "heaviside": _heaviside,
    # scipy's
    "expit": maths.expit,
    "logit": maths.logit,
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
}
"""Formulas by the name of numpy's ufunc. The values come in the types of the loop that numpy
itself would choose; the result is cast to that loop's own."""

COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})
