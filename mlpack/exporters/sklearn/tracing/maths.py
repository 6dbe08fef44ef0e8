"""numpy's functions of floats as formulas, in the order of its arithmetic.

ONNX Runtime has no double kernel for many of them, and none at all for some. The formulas keep
the precision near the places where the plain ones lose it: log(1 + x) after W. Kahan, the arc
tangent after the fdlibm of Sun Microsystems (s_atan.c), division with remainder after numpy's own
npy_divmod.
"""

from __future__ import annotations

import math

import numpy as np

from mlpack.exporters.sklearn.tracing.values import Value

_ATAN = (
    3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01,
    -1.11111104054623557880e-01, 9.09088713343650656196e-02, -7.69187620504482999495e-02,
    6.66107313738753120669e-02, -5.83357013379057348645e-02, 4.97687799461593236017e-02,
    -3.65315727442169155270e-02, 1.62858201153657823623e-02,
)  # fmt: skip
# The arc tangents of 1/2, 1, 3/2 and infinity in two parts each.
_PARTS = (
    (0.0, 0.0),
    (4.63647609000806093515e-01, 2.26987774529616870924e-17),
    (7.85398163397448278999e-01, 3.06161699786838301793e-17),
    (9.82793723247329054082e-01, 1.39033110312309984516e-17),
    (1.57079632679489655800e00, 6.12323399573676603587e-17),
)


def _apply(operator: str, x: Value) -> Value:
    return x.make(operator)


def sqrt(x: Value) -> Value:
    """The square root; NaN below zero."""
    return _apply("Sqrt", x)


def exp(x: Value) -> Value:
    """e to the power of x."""
    return _apply("Exp", x)


def log(x: Value) -> Value:
    """The natural logarithm; -inf at zero, NaN below."""
    return _apply("Log", x)


def log1p(x: Value) -> Value:
    """log(1 + x), exact near zero."""
    up = x + 1
    precise = log(up) * (x / (up - 1))
    small = up.equals(1).where(x, precise)
    return x.is_infinite().where(log(x), small)


def expm1(x: Value) -> Value:
    """exp(x) - 1, exact near zero."""
    up = exp(x)
    less = up - 1
    precise = less * (x / log(up))
    edge = (up.is_infinite() | less.equals(-1)).where(less, precise)
    return up.equals(1).where(x, edge)


def power(x: Value, y: Value | float) -> Value:
    """x to the power of y."""
    return x.make("Pow", x.like(y))


def exp2(x: Value) -> Value:
    """Two to the power of x."""
    return power(x.like(2), x)


def _log_of(x: Value, base: float) -> Value:
    """Exact at the whole powers of the base, where others may round down."""
    plain = log(x) / math.log(base)
    whole = plain.make("Round")
    return power(x.like(base), whole).equals(x).where(whole, plain)


def log2(x: Value) -> Value:
    """The logarithm to the base of two."""
    return _log_of(x, 2.0)


def log10(x: Value) -> Value:
    """The logarithm to the base of ten."""
    return _log_of(x, 10.0)


def truncated(x: Value) -> Value:
    """Without the fraction; minus zero for what lies between -1 and 0."""
    return (x < 0).where(x.make("Ceil"), x.make("Floor"))


def sign(x: Value) -> Value:
    """-1, 0 or 1; NaN for NaN."""
    return x.is_nan().where(x, x.make("Sign"))


def with_sign(x: Value, y: Value) -> Value:
    """x with the sign of y; the sign of a zero is that of its reciprocal."""
    size = x.absolute()
    negative = (y < 0) | (y.equals(0) & ((1.0 / y) < 0))
    return negative.where(-size, size)


def divmod_(a: Value, b: Value) -> tuple[Value, Value]:
    """a // b and a % b, as numpy's npy_divmod."""
    rest = a.tape.node("Mod", [a.tensor, b.tensor], fmod=1)
    remainder = Value(a.tape, rest, a.dtype)
    whole = (a - remainder) / b
    adjust = ~remainder.equals(0) & ((b < 0).cast(a.dtype) - (remainder < 0).cast(a.dtype)).make(
        "Abs"
    ).equals(1)
    whole = adjust.where(whole - 1, whole)
    remainder = adjust.where(
        remainder + b, remainder.equals(0).where(with_sign(remainder, b), remainder)
    )
    floored = whole.make("Floor")
    floored = ((whole - floored) > 0.5).where(floored + 1, floored)
    floored = whole.equals(0).where(with_sign(whole, a / b), floored)
    return b.equals(0).where(a / b, floored), remainder


def floor_divide(a: Value, b: Value) -> Value:
    """a // b of floats."""
    return divmod_(a, b)[0]


def remainder(a: Value, b: Value) -> Value:
    """a % b of floats, with the sign of b."""
    return divmod_(a, b)[1]


def fmod(a: Value, b: Value) -> Value:
    """What is left of a division, with the sign of a."""
    return Value(a.tape, a.tape.node("Mod", [a.tensor, b.tensor], fmod=1), a.dtype)


def hypot(a: Value, b: Value) -> Value:
    """The root of the sum of squares, without running over on the way."""
    first, second = a.absolute(), b.absolute()
    large, small = first.make("Max", second), first.make("Min", second)
    ratio = small / large
    size = large * sqrt(ratio * ratio + 1)
    size = large.equals(0).where(large, size)
    return (first.is_infinite() | second.is_infinite()).where(math.inf, size)


def cbrt(x: Value) -> Value:
    """The cube root, refined once; tiny numbers are scaled out of the subnormal ones before."""
    given = x.absolute()
    tiny = given < 1e-200
    size = tiny.where(given * 2.0**600, given)
    root = power(size, 1 / 3)
    root = root - (root * root * root - size) / (3 * root * root)
    root = (size.equals(0) | size.is_infinite()).where(size, root)
    return with_sign(tiny.where(root * 2.0**-200, root), x)


def cos(x: Value) -> Value:
    """The cosine, by the sine of half the angle: older ONNX Runtimes have no double one."""
    half = _apply("Sin", x * 0.5)
    return 1 - 2 * (half * half)


def tan(x: Value) -> Value:
    """The tangent."""
    return _apply("Sin", x) / cos(x)


def arctan(x: Value) -> Value:
    """The arc tangent."""
    size = x.absolute()
    steps = (7 / 16, 11 / 16, 19 / 16, 39 / 16)
    reduced = -1.0 / size
    for limit, made in zip(
        reversed(steps),
        (
            (size - 1.5) / (size * 1.5 + 1),
            (size - 1) / (size + 1),
            (size * 2 - 1) / (size + 2),
            size,
        ),
        strict=True,
    ):
        reduced = (size < limit).where(made, reduced)
    square = reduced * reduced
    series = square.like(_ATAN[-1])
    for factor in reversed(_ATAN[:-1]):
        series = series * square + factor
    series = series * square
    place = size.like(0.0)
    tail = size.like(0.0)
    for limit, (high, low) in zip(steps, _PARTS[1:], strict=True):
        beyond = size >= limit
        place, tail = beyond.where(high, place), beyond.where(low, tail)
    angle = place - ((reduced * series - tail) - reduced)
    angle = size.is_nan().where(size, angle)
    return with_sign(angle, x)


def arctan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y)."""
    both = y.is_infinite() & x.is_infinite()
    ratio = both.where(with_sign(x.like(1.0), y) / with_sign(x.like(1.0), x), y / x)
    angle = arctan(ratio)
    left = (x < 0) | (x.equals(0) & ((1.0 / x) < 0))
    turned = angle + with_sign(y.like(math.pi), y)
    angle = left.where(turned, angle)
    flat = with_sign(y.like(0.0), y)
    back = with_sign(y.like(math.pi), y)
    nothing = y.equals(0) & ~x.is_nan()
    return nothing.where(left.where(back, flat), angle)


def arcsin(x: Value) -> Value:
    """The arc sine; NaN beyond 1."""
    return arctan2(x, sqrt((1 - x) * (x + 1)))


def arccos(x: Value) -> Value:
    """The arc cosine; NaN beyond 1."""
    return 2 * arctan2(sqrt(1 - x), sqrt(x + 1))


def sinh(x: Value) -> Value:
    """The hyperbolic sine."""
    size = x.absolute()
    less = expm1(size)
    half = (less + less / (less + 1)) * 0.5
    root = exp(size * 0.5)
    far = (root * 0.5) * root
    return with_sign((size > 30).where(far, half), x)


def cosh(x: Value) -> Value:
    """The hyperbolic cosine."""
    size = x.absolute()
    root = exp(size * 0.5)
    return (size > 30).where((root * 0.5) * root, (exp(size) + exp(-size)) * 0.5)


def tanh(x: Value) -> Value:
    """The hyperbolic tangent."""
    return _apply("Tanh", x) if x.dtype == np.float32 else _tanh(x)


def _tanh(x: Value) -> Value:
    size = x.absolute()
    less = expm1(size * 2)
    return with_sign((size > 22).where(size.is_nan().where(size, 1), less / (less + 2)), x)


def arcsinh(x: Value) -> Value:
    """The inverse of the hyperbolic sine."""
    size = x.absolute()
    square = size * size
    near = log1p(size + square / (sqrt(square + 1) + 1))
    return with_sign((size > 2.0**28).where(log(size) + math.log(2), near), x)


def arccosh(x: Value) -> Value:
    """The inverse of the hyperbolic cosine; NaN below 1."""
    up = x - 1
    near = log1p(up + sqrt(up * 2 + up * up))
    far = (x > 2.0**28).where(log(x) + math.log(2), near)
    return (x < 1).where(math.nan, far)


def arctanh(x: Value) -> Value:
    """The inverse of the hyperbolic tangent; NaN beyond 1."""
    size = x.absolute()
    return with_sign(log1p(size * 2 / (1 - size)) * 0.5, x)


def logaddexp(a: Value, b: Value) -> Value:
    """log(exp(a) + exp(b))."""
    return a.equals(b).where(a + math.log(2), a.make("Max", b) + log1p(exp(-((a - b).absolute()))))


def expit(x: Value) -> Value:
    """1 / (1 + exp(-x)), as scipy's."""
    return 1.0 / (exp(-x) + 1)


def logit(x: Value) -> Value:
    """log(x / (1 - x)), as scipy's."""
    return log(x / (1 - x))
