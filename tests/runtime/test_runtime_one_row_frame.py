"""A data frame of one row is read at once, and answers as any other table does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpack.runtime.model import InvalidInputError

ROW = {"age": 42.0, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


def both(model, frame):
    """The answer for a frame of one row, and for the same row twice."""
    one, two = model.predict(frame), model.predict(pd.concat([frame, frame], ignore_index=True))
    assert isinstance(one, list)
    assert two == one * 2
    return one


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"age": np.nan},
        {"age": None},
        {"age": 20, "visits": 0, "plan": ["\u00fc"]},
        {"vip": None, "note": None},
        {"visits": np.int8(4)},
        {"plan": pd.Categorical(["pro"])},
        {"visits": pd.array([5], dtype="Int64"), "vip": pd.array([None], dtype="boolean")},
    ],
)
def test_one_row_answers_as_two(churn, changed):
    frame = pd.DataFrame([ROW])
    for name, value in changed.items():
        frame[name] = value if hasattr(value, "__len__") else [value]
    both(churn, frame)


def test_numbers_alone(price):
    frame = pd.DataFrame({"size": [1.5], "rooms": [2]})
    assert both(price, frame) == [4.0]
    assert both(price, frame.astype({"size": "float32", "rooms": "int16"})) == [4.0]


def test_a_whole_number_is_not_rounded(price):
    large = 2**53 + 1  # as a float it would be 2**53
    with pytest.raises(InvalidInputError, match=str(large)):
        price.predict(pd.DataFrame({"size": [1.5], "rooms": [large]}))


def test_refusals_name_the_column(churn):
    frame = pd.DataFrame([ROW])
    for name, value in (("visits", "many"), ("visits", None), ("age", "old"), ("plan", 3)):
        with pytest.raises(InvalidInputError, match=f"row 0, {name}"):
            churn.predict(frame.assign(**{name: [value]}))
    with pytest.raises(InvalidInputError, match="colour"):
        churn.predict(frame.assign(colour="red"))


def test_an_index_of_any_kind_and_an_empty_frame(churn):
    frame = pd.DataFrame([ROW, ROW], index=["a", "a"])
    assert churn.predict(frame.iloc[[1]]) == churn.predict([ROW])
    assert churn.predict(frame.iloc[:0]) == []
