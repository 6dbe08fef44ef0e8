"""A row's own function: what it computes, and what no file can make it do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.runtime.program import MANY, OPERATIONS, Branch, Program, ProgramError, compiled

INF = math.inf
A, B = ("number", (0,)), ("number", (1,))


def run(steps, values, *, refused=None, tables=(), codes=()):
    """The last result."""
    count = sum(len(tables[args[0]][0]) if op == "row" else 1 for op, args in steps)
    program = Program(steps=tuple(steps), tables=tables, values=(count - 1,), refused=refused)
    found = compiled(program, [(0, True), (1, False)], codes)(values)
    return None if found is None else found[2][0]


@pytest.mark.parametrize(
    ("step", "values", "wanted"),
    [
        (("add", (0, 1)), (1.5, 2), 3.5),
        (("add", (0, 2.5)), (1.5, 2), 4.0),
        (("sub", (0, 1)), (1.5, 2), -0.5),
        (("sub", (1.0, 0)), (1.5, 2), -0.5),
        (("mul", (0, -2.0)), (1.5, 2), -3.0),
        (("div", (0, 1)), (3.0, 2), 1.5),
        (("neg", (0,)), (3.0, 2), -3.0),
        (("abs", (0,)), (-3.0, 2), 3.0),
        (("exp", (0,)), (0.0, 2), 1.0),
        (("exp", (0,)), (1000.0, 2), INF),
        (("exp", (0,)), (-1000.0, 2), 0.0),
        (("isnan", (0,)), (None, 2), True),
        (("isnan", (0,)), (1.0, 2), False),
        (("isinf", (0,)), (-INF, 2), True),
        (("isinf", (0,)), (1e308, 2), False),
        (("greater", (0, 1)), (3.0, 2), True),
        (("less", (0, 1)), (None, 2), False),
        (("equal", (0, 2.0)), (2.0, 2), True),
        (("sum", (0, 1, 0)), (3.0, 2), 8.0),
        (("dot", (0, 1, 2.0, -1.0)), (3.0, 2), 4.0),
        (("argmax", (0, 1)), (2.0, 2), 0),
        (("argmax", (0, 1)), (1.0, 2), 1),
    ],
)
def test_a_step(step, values, wanted):
    found = run([A, B, step], values)
    assert found == wanted
    assert type(found) is type(wanted)


def test_what_is_no_float_becomes_one_before_it_is_compared():
    large = 2**53 + 1
    assert run([A, B, ("equal", (1, float(2**53)))], (0.0, large)) is True
    assert run([A, B, ("add", (1, 0.0))], (0.0, True)) == 1.0


def test_a_long_chain_is_not_too_deep_for_the_parser():
    chain = [("add", (place, 1.0)) for place in range(1, 3000)]
    assert run([A, B, *chain], (0.0, 0)) == len(chain)


def test_what_is_asked_for_twice_is_computed_once():
    doubled = [("add", (place, place)) for place in range(1, 60)]
    assert run([A, B, *doubled], (0.0, 1)) == 2.0 ** len(doubled)
    # And where a step itself says it twice.
    steps = [A, B]
    for _ in range(40):
        last = len(steps) - 1
        steps += [("add", (last, 1.0)), ("isnan", (last + 1,)), ("int", (last + 2,))]
    assert run(steps, (0.0, 1)) == 0


def test_a_place_is_kept_while_another_is_searched():
    steps = [A, B, ("argmax", (0, 1)), ("argmax", (1, 0)), ("sub", (2, 3))]
    assert run(steps, (2.0, 1)) == 0 - 1


def test_truths():
    steps = [A, B, ("greater", (0, 0.0)), ("greater", (1, 0.0))]
    for one in (-1.0, 1.0):
        for other in (-1, 1):
            both, either = one > 0 and other > 0, one > 0 or other > 0
            assert run([*steps, ("and", (2, 3))], (one, other)) is both
            assert run([*steps, ("or", (2, 3))], (one, other)) is either
            assert run([*steps, ("not", (2,))], (one, other)) is not (one > 0)
            assert run([*steps, ("int", (2,))], (one, other)) == int(one > 0)
            assert run([*steps, ("where", (2, 7.0, 1))], (one, other)) == (
                7.0 if one > 0 else other
            )


def test_shares_sum_to_one_whatever_the_scores():
    scores = (700.0, 710.0, -5.0)
    steps = (*(("add", (0, score)) for score in scores), ("softmax", (1, 2, 3)))
    program = Program(steps=(A, *steps), probabilities=(4, 5, 6))
    _, shares, _ = compiled(program, [(0, True)], ())([0.0])
    powers = np.exp(np.array(scores) - 710.0)
    assert np.array_equal(shares, powers / powers.sum())


def test_shares_are_kept_while_others_are_computed():
    steps = (A, ("add", (0, 1.0)), ("softmax", (0, 1)), ("add", (0, 9.0)), ("softmax", (0, 4)))
    program = Program(steps=(*steps, ("argmax", (3, 2))), label=7, probabilities=(2, 3, 5, 6))
    label, (a, b, c, d), _ = compiled(program, [(0, True)], ())([0.0])
    assert label == 0
    assert (a + b, c + d) == pytest.approx((1, 1))
    assert (b / a, d / c) == pytest.approx((math.e, math.exp(9)))


def test_codes_choose_rows_of_tables():
    lookup = {"a": 0, "b": 1, None: 2}
    tables = (((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)),)
    steps = [("code", (0,)), ("place", (0, 1)), ("row", (0, 1))]
    assert run(steps, ["b"], tables=tables, codes=[(0, lookup, None)]) == 6.0
    assert run(steps, ["b"], tables=tables, codes=[(0, lookup, 1)]) is None
    assert run(steps, ["a"], tables=tables, codes=[(0, lookup, 1)]) == 4.0


def test_the_graph_is_asked_for_what_is_refused():
    steps = [A, B, ("isnan", (0,)), ("add", (0, 1))]
    assert run(steps, (None, 1), refused=2) is None
    assert run(steps, (1.0, 1), refused=2) == 2.0


@st.composite
def grown(draw):
    """A tree of up to 15 comparisons of three values, and how many leaves it has."""
    branches, leaves = [], []

    def end():
        leaves.append(len(leaves))
        return -len(leaves)

    def grow(depth):
        place = len(branches)
        branches.append(None)
        below = [grow(depth - 1) if depth and draw(st.booleans()) else end() for _ in ("yes", "no")]
        branches[place] = Branch(
            asked=draw(st.integers(0, 2)),
            threshold=draw(st.sampled_from((-1.0, 0.0, 0.5, 1e300, None))),
            strict=draw(st.booleans()),
            missing=draw(st.booleans()),
            yes=below[0],
            no=below[1],
        )
        return place

    grow(3)
    return tuple(branches), len(leaves)


def walked(tree, values):
    """The leaf that is reached, step by step."""
    place = 0
    while place >= 0:
        branch = tree[place]
        value = values[branch.asked]
        if value != value:
            yes = branch.missing
        elif branch.threshold is None:
            yes = True
        else:
            yes = value < branch.threshold if branch.strict else value <= branch.threshold
        place = branch.yes if yes else branch.no
    return -1 - place


some = st.sampled_from((math.nan, -INF, -1.0, -0.5, 0.0, 0.5, 1.0, 1e300, INF))


@given(grown(), st.lists(st.tuples(some, some, some), min_size=1, max_size=9))
def test_a_tree_answers_as_one_that_is_walked(made, rows):
    tree, leaves = made
    steps = [
        *(("number", (place,)) for place in range(3)),
        ("leaf", (0, 0, 1, 2)),
        ("pick", (0, 3)),
    ]
    values = tuple(0.5 + number for number in range(leaves))
    program = Program(steps=tuple(steps), trees=(tree,), lists=(values,), values=(4, 3))
    row = compiled(program, [(place, True) for place in range(3)], ())
    for each in rows:
        leaf = walked(tree, each)
        assert row(each)[2] == [values[leaf], leaf]


def test_numbers_of_float32():
    steps = [A, ("number", (1,)), ("single", (0, 1)), ("add", (2, 3))]
    row = compiled(Program(steps=tuple(steps), values=(2, 4)), [(0, True), (1, True)], ())
    assert row([0.1, 0.5])[2] == [float(np.float32(0.1)), float(np.float32(0.1)) + 0.5]
    assert row([INF, 0.0])[2] == [INF, INF]
    assert row([1e300, -1e300])[2] == [INF, pytest.approx(math.nan, nan_ok=True)]


LOOP = (Branch(0, 1.0, strict=False, missing=False, yes=0, no=-1),)
ASTRAY = (Branch(0, 1.0, strict=False, missing=False, yes=7, no=-1),)
TOGETHER = tuple(
    Branch(0, 1.0, strict=False, missing=False, yes=at + 1, no=at + 1) for at in range(50)
)
BEYOND = (Branch(0, INF, strict=False, missing=False, yes=-2, no=-1),)
UNSURE = (Branch(0, math.nan, strict=False, missing=False, yes=-2, no=-1),)
OTHER = (Branch(1, 1.0, strict=False, missing=False, yes=-2, no=-1),)


@pytest.mark.parametrize("tree", [LOOP, ASTRAY, TOGETHER, BEYOND, UNSURE, OTHER, ()])
def test_a_tree_that_is_none_is_refused(tree):
    program = Program(steps=(A, ("leaf", (0, 0))), trees=(tree,), values=(1,))
    with pytest.raises(ProgramError):
        compiled(program, [(0, True)], ())


@pytest.mark.parametrize(
    "steps",
    [
        [("import", (0.0,))],
        [A, ("leaf", (0, 0))],
        [A, ("pick", (0, 0))],
        [("text", ())],
        [("step", (0,))],
        [A, ("add", (0,))],
        [A, ("add", (0, 1))],
        [A, ("add", (0, -1))],
        [A, ("add", (0, math.nan))],
        [A, ("add", (0, INF))],
        [("number", (2,))],
        [("number", (-1,))],
        [("number", (0.0,))],
        [("number", ())],
        [("code", (0,))],
        [A, ("place", (0,))],
        [A, ("place", (0, -1))],
        [A, ("row", (0, 0))],
        [A, ("dot", (0, 1.0, 2.0))],
        *([(operation, ())] for operation in MANY),
    ],
)
def test_a_damaged_program_is_refused(steps):
    with pytest.raises(ProgramError):
        compiled(Program(steps=tuple(steps), values=(0,)), [(0, True), (1, False)], ())


def test_an_empty_table_is_refused():
    with pytest.raises(ProgramError):
        compiled(Program(steps=(A, ("row", (0, 0))), tables=((),), values=(0,)), [(0, True)], ())
    with pytest.raises(ProgramError):
        compiled(Program(steps=(A,), label=3), [(0, True)], ())


cells = st.one_of(st.integers(-3, 9), st.floats(allow_nan=True))
anything = st.tuples(
    st.one_of(st.sampled_from(sorted(OPERATIONS)), st.text(max_size=12)),
    st.lists(cells, max_size=4).map(tuple),
)


branches = st.builds(
    Branch,
    asked=st.integers(-1, 2),
    threshold=st.floats(),
    strict=st.booleans(),
    missing=st.booleans(),
    yes=st.integers(-3, 3),
    no=st.integers(-3, 3),
)
some_trees = st.lists(st.lists(branches, max_size=3).map(tuple), max_size=2).map(tuple)


@given(st.lists(anything, max_size=6), st.integers(-1, 8), some_trees)
def test_whatever_a_file_says_is_a_function_or_an_error(steps, value, trees):
    tables = (((1.0, 2.0), (3.0, 4.0)),)
    program = Program(
        steps=tuple(steps), tables=tables, trees=trees, lists=((1.0, 2.0),), values=(value,)
    )
    try:
        made = compiled(program, [(0, True)], [(1, {"a": 0}, None)])
    except ProgramError:
        return
    try:
        made([1.0, "a"])
    except (ArithmeticError, LookupError, TypeError):
        return  # a row of a table that is not there; what a graph's own program never asks for
