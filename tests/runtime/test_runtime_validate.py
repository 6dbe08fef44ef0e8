"""The compiled way and the precise way accept the same and read the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.malformed import MalformedError
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.validate import Validator, check_columns
from mlpack.runtime.values import Clean, cells

SIGNATURE = Signature(
    task="regression",
    columns=(
        Column(name="n", type="number", dtype="float64"),
        Column(name="required number", type="number", dtype="float64", nullable=False),
        Column(name="i", type="integer", dtype="int64"),
        Column(name="choice", type="integer", dtype="int64"),
        Column(name="half", type="number", dtype="float64"),
        Column(name="b", type="boolean", dtype="bool"),
        Column(name="s", type="string", dtype="str"),
        Column(name="é", type="string", dtype="str"),
    ),
    outputs=(Output(name="value", type="number"),),
)
SCHEMA = Schema(
    columns={
        "n": Constraint(minimum=0, maximum=10.5),
        "i": Constraint(required=True, minimum=-1.5, maximum=3.5),
        "choice": Constraint(categories=(1, 2, 3), minimum=2),
        "half": Constraint(categories=(0.5, 1.0)),
        "b": Constraint(categories=(True,)),
        "s": Constraint(categories=("a", "b")),
        "é": Constraint(pattern="(?i)[a-z]+"),
    }
)
GOOD = {
    "n": 1,
    "required number": 2.5,
    "i": 3,
    "choice": 2,
    "half": 0.5,
    "b": True,
    "s": "a",
    "é": "Z",
}


class Precise(Validator):
    """The validator without its compiled way."""

    def __init__(self) -> None:
        super().__init__(SIGNATURE, SCHEMA)
        self._decode_row = self._decode_batch = self._row = None


BOTH = Validator(SIGNATURE, SCHEMA)
PRECISE = Precise()

cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**63, -(2**63), 2**63 - 1, 10**30, 1.0, 2.0, 0.5, -1.5, 3.5, 1e300, 1e-300]),
    st.floats(-2, 12, allow_nan=False),
    st.sampled_from(["a", "b", "c", "", "Z", "z\n", "1", "é", "\x00"]),
    st.just([]),
    st.just({}),
)
row = st.one_of(
    st.fixed_dictionaries({}, optional=dict.fromkeys([*GOOD, "unknown"], cell)),
    # Mostly right rows: one or two cells are changed.
    st.dictionaries(st.sampled_from([*GOOD]), cell, max_size=2).map(lambda d: {**GOOD, **d}),
)
body = st.one_of(
    row, st.lists(row, max_size=3).map(lambda rows: {"instances": rows}), cell, st.lists(row)
)


def outcome(validator: Validator, data: bytes):
    """What a validator makes of a body, in one form whichever way it took."""
    try:
        clean = validator.decode(data)
    except MalformedError as error:
        return "malformed", str(error)
    if isinstance(clean, tuple):
        clean = Clean([(value,) for value in clean], 1)
    if clean.refusals:
        return "refused", clean.refusals
    return "accepted", [list(cells(column)) for column in clean.columns]


@settings(max_examples=250, deadline=None)
@given(body)
def test_both_ways_agree(data):
    raw = json.dumps(data).encode()
    assert outcome(BOTH, raw) == outcome(PRECISE, raw)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(lambda s: s.encode())))
def test_no_bytes_break_it(raw):
    assert outcome(BOTH, raw)[0] in ("malformed", "refused")


@settings(max_examples=100, deadline=None)
@given(row)
def test_python_rows_are_accepted_as_json_rows_are(data):
    found = BOTH.one(data)
    accepted = isinstance(found, tuple) or not found.refusals
    assert accepted == (outcome(BOTH, json.dumps(data).encode())[0] == "accepted")


def test_right_rows_take_the_compiled_way():
    assert BOTH.decode(json.dumps(GOOD).encode()) == (1.0, 2.5, 3, 2, 0.5, True, "a", "Z")
    assert outcome(BOTH, json.dumps({"instances": [GOOD, GOOD]}).encode())[0] == "accepted"
    assert BOTH.one(GOOD) == (1.0, 2.5, 3, 2, 0.5, True, "a", "Z")


def test_integral_floats_are_whole_numbers():
    kind, columns = outcome(BOTH, json.dumps({**GOOD, "i": 3.0, "choice": 2.0}).encode())
    assert kind == "accepted"
    assert columns[2:4] == [[3], [2]]


def test_absent_and_null_are_both_missing():
    minimal = {"required number": 0, "i": 0}
    nulls = dict.fromkeys(GOOD) | minimal
    assert outcome(BOTH, json.dumps(minimal).encode()) == outcome(BOTH, json.dumps(nulls).encode())
    assert outcome(BOTH, json.dumps(minimal).encode())[1][0] == [None]


def test_all_problems_of_all_rows_are_told():
    rows = [GOOD, {"n": -1, "choice": 1, "é": "1", "b": False}, {**GOOD, "zzz": 1, "half": 0.7}]
    kind, refusals = outcome(BOTH, json.dumps({"instances": rows}).encode())
    assert kind == "refused"
    assert [(r.row, r.column, r.expected, r.got) for r in refusals] == [
        (1, "required number", "a value: it may not be missing", "missing"),
        (1, "n", "at least 0", "-1.0"),
        (1, "i", "a value: it may not be missing", "missing"),
        (1, "choice", "at least 2", "1"),
        (1, "b", "one of true", "false"),
        (1, "é", "a string that matches (?i)[a-z]+", '"1"'),
        (2, "zzz", "a column of the model", "an unknown one"),
        (2, "half", "one of 0.5, 1.0", "0.7"),
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"n": NaN}', "NaN is no number"),
        (b'{"n": -Infinity}', "-Infinity is no number"),
        (b'{"s": "\xff"}', "not UTF-8 at byte 7"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"n": 1} x', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n":' * 100_000, "nested too deeply"),
    ],
)
def test_malformed(raw, said):
    with pytest.raises(MalformedError, match=said):
        BOTH.decode(raw)


@pytest.mark.parametrize(
    ("raw", "column", "got"),
    [
        (b"3", None, "3"),
        (b"[]", None, "an empty list"),
        (b"[{}]", None, "a list"),
        (b'{"instances": []}', "instances", "an empty list"),
        (b'{"instances": {}}', "instances", "an object"),
        (b'{"instances": [1]}', None, "1"),
        (b'{"instances": [], "x": 1}', "instances", "an empty list"),
        (b'{"n": 1e999, "required number": 1, "i": 1}', "n", "inf"),
        (b'{"n": %s, "required number": 1, "i": 1}' % (b"9" * 5000), "n", "inf"),
        (b'{"i": 9223372036854775808, "required number": 1}', "i", "9223372036854775808"),
        (b'{"s": "\\ud800", "required number": 1, "i": 1}', "s", '"\\ud800"'),
    ],
)
def test_well_formed_but_wrong(raw, column, got):
    kind, refusals = outcome(BOTH, raw)
    assert kind == "refused"
    assert (refusals[0].column, refusals[0].got) == (column, got)


def test_duplicate_keys_last_one_counts_in_both_ways():
    raw = json.dumps(GOOD).encode()[:-1] + b', "n": 99}'
    assert outcome(BOTH, raw) == outcome(PRECISE, raw)
    assert outcome(BOTH, raw)[0] == "refused"


def test_names_that_msgspec_cannot_take():
    signature = Signature(
        task="regression",
        columns=(Column(name='a"b\\c\n', type="number", dtype="float64"),),
        outputs=(Output(name="value", type="number"),),
    )
    validator = Validator(signature, Schema())
    assert validator.decode(json.dumps({'a"b\\c\n': 2}).encode()).columns == [[2.0]]
    assert validator.decode(b'{"x": 1}').refusals[0].column == "x"


def test_json_lines():
    raw = json.dumps(GOOD).encode()
    assert BOTH.lines(raw + b"\n\n" + raw).rows == 2
    assert BOTH.lines(raw + b'\r\n{"n": 1}').refusals[0].row == 1
    with pytest.raises(MalformedError, match="no row"):
        BOTH.lines(b"\n \n")
    with pytest.raises(MalformedError, match="not JSON"):
        BOTH.lines(raw + b"\n{")


def test_schema_with_a_bad_pattern():
    with pytest.raises(ValueError, match="bad pattern"):
        Validator(SIGNATURE, Schema(columns={"s": Constraint(pattern="(")}))


def test_column_names():
    check_columns(["a", "b"])
    for names, said in ((["instances"], "instances"), ([""], "no name"), (["a", "a"], "'a'")):
        with pytest.raises(ValueError, match=said):
            check_columns(names)
