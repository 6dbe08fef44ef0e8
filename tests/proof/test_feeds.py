"""Some rows of a graph's inputs are what the encoder makes of those rows alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.proof.feeds import taken
from mlpack.runtime.contract import Column, Encoding, Output, Signature, Text
from mlpack.runtime.encode import Encoder

SIGNATURE = Signature(
    task="regression",
    columns=(
        Column(name="n", type="number", dtype="float64"),
        Column(name="s", type="string", dtype="str"),
    ),
    outputs=(Output(name="value", type="number"),),
)
ENCODER = Encoder(
    SIGNATURE,
    Encoding(
        numbers=("n",),
        texts=(Text(name="text_0", column="s", pattern=r"\w", terms=("a", "b", "c")),),
        rows=True,
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.text("abcx ", max_size=6), min_size=1, max_size=8))
def test_some_rows_are_taken(data, said):
    rows = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=10))
    numbers = [float(row) for row in range(len(said))]
    inputs, _ = ENCODER.many([numbers, said], len(said))
    wanted, _ = ENCODER.many([[numbers[row] for row in rows], [said[r] for r in rows]], len(rows))
    found = taken(inputs, np.array(rows, np.int64))
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].tolist() == array.tolist()
