"""Columns of a step's answer, in the forms in which the original and the graph have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlpack.export import Block
from mlpack.proof.columns import Answer, as_numbers, coded, entries, labels, numbers


def test_frames_of_mixed_columns_are_read_column_by_column():
    answer = Answer(pd.DataFrame({"a": [1, 2], "b": pd.array([1.5, None]), "c": ["x", None]}))
    assert answer.width == 3
    assert np.array_equal(answer.numbers(slice(0, 2)), [[1, 1.5], [2, np.nan]], equal_nan=True)
    assert answer.numbers(slice(1, 3)) is None
    assert answer.cells(2)[0] == "x"
    assert Answer(pd.Series([1.0, 2.0])).numbers(slice(0, 1)).shape == (2, 1)


def test_what_is_missing_on_one_side_only_differs_and_has_no_size():
    found = numbers(
        np.array([[1.0, np.nan, np.nan, 1e9, np.inf, 3.0]]),
        np.array([[1.0, np.nan, 0.0, 1e9 + 1, np.inf, np.nan]]),
        1e-6,
    )
    assert (found.columns, found.beyond) == (6, 2)
    assert found.largest == pytest.approx(1e-9)  # relative beyond 1
    assert labels(np.array(["a", "b"]), np.array(["a", "c"])).beyond == 1


def test_entries_that_one_side_lacks_are_zeros():
    block = Block(width=2, indices=(5, 1))
    original = (np.array([0, 1]), np.array([0, 1]), np.array([1.0, 2.0]))
    same = (np.array([[0], [1], [1]]), np.array([5, 1, 3]), np.array([1.0, 2.0, 9.0]))
    assert entries(original, same, block, 1e-6).beyond == 0  # the third is a column not chosen
    lacks = tuple(each[:1] for each in same)
    found = entries(original, lacks, block, 1e-6)
    assert (found.beyond, found.largest, found.columns) == (1, 1.0, 2)


ANY = object()


@pytest.mark.parametrize(
    ("column", "values", "beyond"),
    [
        (["a", None, "other"], ("a", ANY, np.nan), 0),
        (["a", "b", "other"], ("a", ANY, np.nan), 1),
        (["a", None, None], ("a", ANY, np.nan), 1),
        ([1.0, 0.0, 5.0], (1.0, ANY, 0), 0),
        ([True, False, 5.0], (1.0, ANY, 0), 0),
        ([1.5, 0.0, 5.0], (1.0, ANY, 0), 1),
        ([1.5, pd.NA, 5.0], (1.5, ANY, None), 0),
    ],
)
def test_values_by_a_columns_code(column, values, beyond):
    block = Block(width=1, raw="x", values=values, unknown=ANY)
    cells = np.array(column, dtype=object)
    assert coded(cells, np.array([0, 2, 1]), block, 1e-6).beyond == beyond


def test_moments_are_no_numbers():
    assert as_numbers(np.array(["2026-01-01"], "M8[ns]")) is None
    assert as_numbers(np.array(["1.5"], object)) is None
    block = Block(width=1, raw="x", values=(1.0,), unknown=ANY)
    assert coded(np.array(["2026-01-01"], "M8[ns]"), np.array([0]), block, 1e-6) is None
