"""What numpy does is done by the graph, on numbers that have fooled somebody."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.exporters.sklearn.tracing.trace import trace
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Column, Signature

WIDTH = 3
ODD = np.array(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, 8.0, 1000.0, 1e-10, -1e-10, 0.1, 0.3),
        *(
            np.nan,
            np.inf,
            -np.inf,
            5e-324,
            -5e-324,
            2.3e-308,
            1e300,
            -1e300,
            1.7976931348623157e308,
        ),
        *(2.0**53, 2.0**53 + 2, 1e15, 709.7, -745.0, 0.9999999999999999, 1e5, -7.0),
    ]
)
SQUARE = np.column_stack([each.ravel() for each in np.meshgrid(ODD, ODD)])
HARD = np.column_stack([SQUARE, np.roll(SQUARE[:, 0], 7)])


def graph(function, width=WIDTH):
    """The traced function, to be asked of numbers."""
    columns = tuple(Column(name=f"x{i}", type="number", dtype="float64") for i in range(width))
    signature = Signature(task="regression", columns=columns, outputs=())
    context = Context(
        signature=signature, vocabulary={}, numbers=tuple(column.name for column in columns)
    )
    features = context.made("numbers", [None] * width)
    made = trace("step", function, features, context, packages=set(), more=[globals()])
    context.declare_inputs()
    matrix = context.matrix(made, "step")
    model = context.graph.build([("made", matrix, DOUBLE, ["rows", len(made)])])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"numbers": x})[0]


def expected(function, x):
    with np.errstate(all="ignore"):
        made = np.asarray(function(x.copy()), np.float64)
    return made.reshape(len(x), -1)


def assert_same(function, x=HARD, tolerance=0.0):
    got, want = graph(function)(x), expected(function, x)
    assert got.shape == want.shape
    with np.errstate(all="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        near = np.abs(got - want) <= tolerance * np.abs(want)
    wrong = np.argwhere(~(same | near))
    assert not len(wrong), [(x[row], got[row], want[row]) for row, _ in wrong[:3]]


EXACT = """
abs sign sqrt square negative positive reciprocal floor ceil trunc rint isnan
isinf isfinite signbit logical_not nan_to_num fabs fix deg2rad
"""
CLOSE = """
log1p expm1 exp exp2 log log2 log10 sin cos tan arcsin arccos arctan sinh cosh
tanh arcsinh arccosh arctanh cbrt
"""


@pytest.mark.parametrize("name", EXACT.split())
def test_functions_of_one_are_exact(name):
    assert_same(getattr(np, name))


@pytest.mark.parametrize("name", CLOSE.split())
def test_functions_of_one_that_the_processor_approximates(name):
    assert_same(getattr(np, name), tolerance=4e-15)


PAIRS = """
add subtract multiply divide floor_divide mod fmod maximum minimum fmax fmin
greater greater_equal less less_equal equal not_equal logical_and logical_or
logical_xor copysign heaviside
"""


@pytest.mark.parametrize("name", PAIRS.split())
def test_functions_of_two_are_exact(name):
    assert_same(lambda x: getattr(np, name)(x[:, 0], x[:, 1]))


@pytest.mark.parametrize("name", ["power", "hypot", "arctan2", "logaddexp"])
def test_functions_of_two_that_the_processor_approximates(name):
    assert_same(lambda x: getattr(np, name)(x[:, 0], x[:, 1]), tolerance=4e-15)


ROWS = """
sum mean max min prod std var nansum nanmean nanmax nanmin nanstd nanvar any all
argmax argmin median ptp cumsum sort count_nonzero
"""


@pytest.mark.parametrize("name", ROWS.split())
def test_numbers_per_row_are_exact(name):
    assert_same(lambda x: getattr(np, name)(x, axis=1))


def in_place(x):
    x = x.copy()
    x[:, 0] = x[:, 0] * 2
    x[x < 0] = 0
    x[:, [1, 2]] += 1
    view = x[:, 1]
    view -= 3
    return x


def masked(x):
    x = np.array(x)
    positive = x[:, 0] > 0
    x[positive, 1] = x[positive, 0] / 3
    x[~positive] += 1
    return x


def whole(x):
    small = np.nan_to_num(np.clip(x, -50, 50)).astype(int)
    return np.column_stack([small // small[:, [0]], small % small[:, [1]], small**3 - small // 7])


WRITTEN = {
    "in place": in_place,
    "masked": masked,
    "whole": whole,
    "stacked": lambda x: np.column_stack([x[:, 0], x[:, 1:], np.ones(len(x))]),
    "joined": lambda x: np.hstack([x, x[:, [0]] ** 2, np.zeros((x.shape[0], 1))]),
    "beside": lambda x: np.c_[x, x[:, 0], np.asarray(x)[:, 1:]],
    "listed": lambda x: np.array([x[:, 0], x[:, 2]]).T,
    "concatenated": lambda x: np.concatenate((x[:, ::-1], x[:, None, 0]), axis=1),
    "reshaped": lambda x: x[:, 0].reshape(-1, 1) - x.mean(axis=1, keepdims=True),
    "split": lambda x: np.hstack([part * 2 for part in np.split(x, 3, axis=1)]),
    "unpacked": lambda x: np.stack([a + 1 for a in x.T], axis=1),
    "masked columns": lambda x: x[:, np.array([True, False, True])],
    "to whole numbers": lambda x: np.clip(x, -1e9, 1e9).astype(np.int64),
    "to truths": lambda x: x.astype(bool),
    "to small ones": lambda x: (x > 0).astype(np.int8) * 100 + (x > 1).astype("int8") * 100,
    "to single ones": lambda x: x.astype(np.float32) * np.float32(0.1),
    "clipped": lambda x: x.clip(0, 1) + np.clip(x, [0, -1, 2], None),
    "chosen": lambda x: np.where(x > 0, x, -x),
    "selected": lambda x: np.select([x > 1, x < 0], [x, 1.0], default=9),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: v * 2, 7]),
    "digitized": lambda x: np.digitize(x, [0, 1, 10.0]),
    "digitized downwards": lambda x: np.digitize(x, [10, 1, 0.0], right=True),
    "sorted in": lambda x: np.searchsorted([0, 1, 10.0], x),
    "interpolated": lambda x: np.interp(x, [0, 1, 10.0], [1, 5, 2.0], right=7),
    "rounded": lambda x: np.column_stack([x.round(2), np.round(x, -1), np.around(x)]),
    "reflected": lambda x: 1 - x + 2 / x - 3 // x + 2 % x,
    "operators": lambda x: -x + +x - abs(x) + (x > 1) * (x != 2) + ~(x < 0),
    "powers": lambda x: x**2 + x**0.5 + x**-1 + x**1,
    "counted": lambda x: (x[:, 0] > x[:, 1]).astype(int) + (x[:, 2] > 0),
    "isin": lambda x: np.isin(x, [1, 2.5, np.inf]),
    "next to": lambda x: np.isclose(x[:, 0], x[:, 1]),
    "differences": lambda x: np.diff(x, axis=1),
    "length": lambda x: np.linalg.norm(np.clip(x, -1e100, 1e100), axis=1),
    "taken": lambda x: np.take(x, [2, 0], axis=1) + np.delete(x, 1, axis=1),
    "remainder": lambda x: np.column_stack([x // 3, x % -2.5, np.fmod(x, 2)]),
    "polynomial": lambda x: np.polyval([1.0, -2, 0.5], np.clip(x, -1e100, 1e100)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_people_write_is_exact(name):
    assert_same(WRITTEN[name])


def test_a_product_with_constants():
    x = np.random.default_rng(0).normal(size=(50, WIDTH))
    weights = np.arange(6.0).reshape(3, 2)
    for function in (
        lambda x: x @ weights,
        lambda x: x.dot(weights[:, 0]),
        lambda x: x @ [1, 2, 3],
    ):
        assert_same(function, x, 1e-14)


@pytest.mark.parametrize("count", [7, 8, 9, 30, 200])
def test_sums_are_in_numpys_order(count):
    x = np.random.default_rng(0).lognormal(sigma=9, size=(200, count))
    made = graph(lambda x: x.sum(axis=1), count)(x)
    assert (made[:, 0] == x.sum(axis=1)).all()


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (5, WIDTH), elements=NUMBERS))
def test_any_numbers(x):
    for function, made in COMPILED:
        got, want = made(x), expected(function, x)
        assert ((got == want) | (np.isnan(got) & np.isnan(want))).all(), (x, got, want)


def mixed(x):
    a, b, c = x[:, 0], x[:, 1], x[:, 2]
    return np.column_stack(
        [a + b * c, a - b, a / b, np.where(a > b, c, -c), np.maximum(a, b), np.fmin(b, c)]
    )


def rounded(x):
    return np.column_stack([np.floor(x), np.rint(x), np.trunc(x), np.sign(x), np.sqrt(np.abs(x))])


def divided(x):
    return np.column_stack([x[:, 0] // x[:, 1], x[:, 1] % x[:, 2], np.fmod(x[:, 0], x[:, 2])])


COMPILED = [(each, graph(each)) for each in (mixed, rounded, divided, in_place, masked)]


def test_one_row_and_many_are_alike():
    made = graph(mixed)
    many = made(HARD)
    for row in range(0, len(HARD), 97):
        np.testing.assert_array_equal(made(HARD[row : row + 1])[0], many[row])


def branches(x):
    if x[0, 0] > 1:
        return x
    return -x


def decides(x):
    return x if (x > 0).all(axis=1) else -x


def loops(x):
    return np.array([row * 2 for row in x])


REFUSED = {
    "a branch": (branches, "takes single rows"),
    "a decision": (decides, "np.where"),
    "a loop": (loops, "one by one"),
    "a mean of all": (lambda x: x - x.mean(axis=0), "learn it in fit"),
    "the largest of all": (lambda x: x / np.max(x), "other rows"),
    "some rows": (lambda x: x[x[:, 0] > 0], "some of the rows"),
    "rows by place": (lambda x: x[:10], "position"),
    "how many rows": (lambda x: x / len(x), "number of rows"),
    "the row's number": (lambda x: x[:, 0] + np.arange(len(x)), "position"),
    "chance": (lambda x: x + np.random.rand(), "chance"),
    "sorted rows": (lambda x: np.sort(x, axis=0), "other rows"),
    "a number": (lambda x: x * float(x[:, 0]), "taken out"),
    "compiled code": (lambda x: 1 + np.vectorize(lambda v: v + 1)(x), "wants the numbers"),
    "unknown": (lambda x: np.unwrap(x) + 1, "unwrap"),
    "rows and columns": (lambda x: x + x[:, 0], "rows meet columns"),
    "its own exception": (lambda x: x[:, 7], "IndexError"),
    "no array": (lambda x: 5, "int"),
    "text": (lambda x: x.astype(str), "no graph"),
}


# What shows only in the answer has no line.
ANSWERED = ("no array", "some rows", "how many rows", "chance", "the row's number")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_traced_says_why(name):
    function, told = REFUSED[name]
    with pytest.raises(NotExportableError) as error:
        graph(function)
    assert told in error.value.reason
    if name not in ANSWERED:
        assert "test_tracing_numpy.py, line" in error.value.reason


def test_a_try_does_not_hide_what_cannot_be_traced():
    def function(x):
        try:
            return x - x.mean(axis=0)
        except Exception:  # noqa: BLE001 - as people write it
            return x

    with pytest.raises(NotExportableError, match="other rows"):
        graph(function)


def test_nothing_is_left_behind():
    before = (np.asarray, np.array, np.c_)
    graph(WRITTEN["beside"])
    with pytest.raises(NotExportableError):
        graph(branches)
    assert (np.asarray, np.array, np.c_) == before


def test_a_graph_holds_no_more_than_it_needs():
    columns = tuple(Column(name=f"x{i}", type="number", dtype="float64") for i in range(50))
    signature = Signature(task="regression", columns=columns, outputs=())
    context = Context(signature=signature, vocabulary={}, numbers=tuple(c.name for c in columns))
    features = context.made("numbers", [None] * 50)
    made = trace(
        "step", lambda x: np.abs(x * 2 + 1), features, context, packages=set(), more=[globals()]
    )
    matrix = context.matrix(made, "")
    context.declare_inputs()
    model = context.graph.build([("y", matrix, DOUBLE, ["rows", 50])])
    assert [node.op_type for node in model.graph.node] == ["Mul", "Add", "Abs", "Identity"]


@pytest.mark.parametrize("name", ["std", "var", "nanstd", "nanvar"])
def test_the_spread_with_degrees_of_freedom(name):
    assert_same(lambda x: getattr(np, name)(x, axis=1, ddof=1))
