"""What is done for all rows at once says the same as what is done row by row."""

from __future__ import annotations

import csv
import io

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.runtime import tables
from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.predictions import Answers, Predictions
from mlpack.runtime.rules import Rules
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.validate import Validator

LABELS = [("no", "yes"), (True, False), (0, 1, 2), ('50%, "b"', "%s\n%b", ":0,"), (True, "true")]


def signature(labels=("a",), columns=()):
    outputs = (Output(name="label", type="string"), Output(name="probabilities", type="number"))
    return Signature(
        task="classification", columns=tuple(columns), outputs=outputs, labels=tuple(labels)
    )


@pytest.mark.parametrize("labels", LABELS, ids=str)
@given(data=st.data())
def test_answers_are_written_as_their_objects_are(labels, data):
    rows = data.draw(st.integers(0, 5))
    numbers = st.floats(0, 1) | st.sampled_from([1e-7, 1e-4, 9e-5, 1e-300, 0.1 + 0.2, 5e-324])
    share = st.lists(numbers, min_size=len(labels), max_size=len(labels))
    probabilities = data.draw(st.lists(share, min_size=rows, max_size=rows))
    places = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=rows, max_size=rows))
    answers = Answers(signature(labels))
    predictions = Predictions(
        rows,
        np.array(places, dtype=np.int64),
        np.array(probabilities, dtype=np.float64).reshape(rows, len(labels)),
    )
    assert answers.json(predictions) == msgspec.json.encode(answers.objects(predictions))
    written = list(csv.reader(io.StringIO(tables.written(answers, predictions).decode())))
    expected = list(tables.cells(answers, predictions))
    assert written[0] == tables.header(answers, predictions)
    assert written[1:] == [[str(cell) for cell in row] for row in expected]


def test_probabilities_that_are_no_numbers_are_written_as_before():
    answers = Answers(signature(("no", "yes")))
    odd = Predictions(1, np.array([1]), np.array([[np.nan, np.inf]]))
    assert answers.json(odd) == msgspec.json.encode(answers.objects(odd))
    assert tables.written(answers, odd).splitlines()[1] == b"yes,nan,inf"


BOUND = st.none() | st.integers(-5, 5) | st.sampled_from([2**53, 2**53 + 2, -(2**60)])


@given(
    values=st.lists(st.none() | st.integers(-6, 6) | st.sampled_from([2**53 + 1, -(2**60) - 1])),
    low=BOUND,
    high=BOUND,
    required=st.booleans(),
    whole=st.booleans(),
)
def test_ranges_refuse_the_same_in_arrays_and_in_lists(values, low, high, required, whole):
    if whole:
        values = [0 if value is None else value for value in values]
    else:
        values = [None if value is None else float(value) for value in values]
    kind = "integer" if whole else "number"
    column = Column(name="x", type=kind, dtype="int64" if whole else "float64", nullable=not whole)
    constraint = Constraint(
        minimum=None if low is None else float(low),
        maximum=None if high is None else float(high),
        required=required,
    )
    rules = Rules(signature(columns=[column]), Schema(columns={"x": constraint}))
    array = np.array(values, dtype=np.int64 if whole else np.float64)
    one_by_one = [refusal for i, value in enumerate(values) for refusal in rules.one([value])]
    together = rules.many([array])
    assert [(r.expected, r.got) for r in together] == [(r.expected, r.got) for r in one_by_one]


@given(st.lists(st.sampled_from(["a", "b", "c", None])), st.booleans())
def test_categories_refuse_the_same_together(values, required):
    column = Column(name="x", type="string", dtype="str", nullable=True)
    constraint = Constraint(categories=("a", "b"), required=required)
    rules = Rules(signature(columns=[column]), Schema(columns={"x": constraint}))
    one_by_one = [refusal for value in values for refusal in rules.one([value])]
    assert [(r.expected, r.got) for r in rules.many([values])] == [
        (r.expected, r.got) for r in one_by_one
    ]


CELLS = st.sampled_from(
    ["", "1", "1.5", " 2 ", "1_0", "nan", "inf", "1e999", "x", "9" * 30, "-0", "true"]
)


@given(st.lists(CELLS, min_size=1), st.sampled_from(["number", "integer"]), st.booleans())
def test_csv_columns_are_read_as_their_cells_are(values, kind, nullable):
    column = Column(
        name="x", type=kind, dtype="float64", nullable=nullable, finite=kind == "integer"
    )
    known = signature(columns=[column])
    validator = Validator(known, Schema())
    text = "x,y\n" + "".join(f"{value},\n" for value in values)
    batch = next(tables.CsvReader(io.StringIO(text), known).batches(100))
    read = tables._integer if kind == "integer" else tables._number
    slowly = validator.columns({"x": [read(value) for value in values]})
    quickly = validator.columns({"x": batch.columns["x"]})
    assert quickly.refusals == slowly.refusals
    assert _listed(quickly.columns[0]) == _listed(slowly.columns[0])


def _listed(values):
    return [None if value is None or value != value else value for value in values]
