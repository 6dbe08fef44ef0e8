"""What ships as Python is the same object: only what depends on the other rows is a difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from mlpack.export import Exported
from mlpack.proof.prove import ALONE, prove
from mlpack.proof.rows import Batch
from mlpack.runtime.python_session import PythonEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

FRAME = pd.DataFrame({"x": np.arange(30.0), "y": np.arange(30.0)[::-1]})
EXPORTED = Exported(form="python", model=b"", encoding=None, steps=())


class Shaky(RegressorMixin, BaseEstimator):
    """Answers a batch by `shift` more than a single row."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, frame, target=None):
        self.fitted_ = True
        return self

    def predict(self, frame):
        return frame["x"].to_numpy() + (self.shift if len(frame) > 1 else 0.0)


def report(model):
    signature = observe(FRAME, model.fit(FRAME), target="t", source="train")
    session = Session(signature, PythonEngine(model, signature))
    batch = Batch("held-out", tuple(real_rows(FRAME)))
    return prove(model, session, signature, EXPORTED, [batch])[0]


@pytest.mark.parametrize("shift", [0.0, 5e-6, ALONE / 2])
def test_a_row_alone_may_differ_by_the_roundings_of_float32(shift):
    made = report(Shaky(shift))
    assert made.equal
    assert made.checks[0].largest == 0


@pytest.mark.parametrize("shift", [ALONE * 2, 1.0])
def test_a_row_may_not_depend_on_the_others(shift):
    made = report(Shaky(shift))
    assert not made.equal
    assert made.checks[0].beyond > 0


def test_of_a_graph_nothing_is_forgiven():
    model = Shaky(5e-6)
    signature = observe(FRAME, model.fit(FRAME), target="t", source="train")
    session = Session(signature, PythonEngine(model, signature))
    batch = Batch("held-out", tuple(real_rows(FRAME)))
    exported = Exported(form="onnx", model=b"", encoding=None, steps=())
    assert not prove(model, session, signature, exported, [batch])[0].equal
