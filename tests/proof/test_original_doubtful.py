"""The original is asked about every row, whatever is expected of it."""

from __future__ import annotations

import numpy as np

from mlpack.proof.original import ask
from mlpack.runtime.contract import Column, Output, Signature

SIGNATURE = Signature(
    task="regression",
    columns=(Column(name="a", type="number", dtype="float64"),),
    outputs=(Output(name="value", type="number"),),
)


class Picky:
    """Doubles numbers; raises for a batch with a negative one."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, frame):
        self.sizes.append(len(frame))
        if (frame["a"] < 0).any():
            raise ValueError("negative")
        return frame["a"].to_numpy() * 2


def test_the_answers_are_those_without_any_doubt():
    rows = [{"a": float(number if number % 5 else -1)} for number in range(23)]
    right = np.array([row["a"] < 0 for row in rows])
    plain = ask(Picky(), SIGNATURE, rows)
    for doubtful in (right, ~right, np.ones(23, bool), np.zeros(23, bool), np.arange(23) < 7):
        found = ask(Picky(), SIGNATURE, rows, doubtful)
        assert found.refused.tolist() == plain.refused.tolist() == right.tolist()
        answered = ~right
        assert found.numbers[answered].tolist() == plain.numbers[answered].tolist()
        assert found.labels is None


def test_right_doubts_spare_the_halves():
    rows = [{"a": 1.0}] * 60 + [{"a": -1.0}] * 3 + [{"a": 2.0}] * 60
    pipeline = Picky()
    ask(pipeline, SIGNATURE, rows, np.array([row["a"] < 0 for row in rows]))
    assert pipeline.sizes == [1, 1, 1, 120]
