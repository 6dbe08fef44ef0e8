"""What the hand-written services share: the pickled pipeline, and rows as the frame it knows.

A missing string is the reason for the types: pandas would make an object column of a lone None,
which scikit-learn's imputer does not take for missing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import pandas as pd

FACTS = json.loads(Path(os.environ["BENCH_FACTS"]).read_text())
COLUMNS = list(FACTS["dtypes"])
PORT = int(os.environ["BENCH_PORT"])


def load():
    """The fitted pipeline."""
    return joblib.load(os.environ["BENCH_MODEL"])


def frame(rows):
    """Rows of JSON as a frame."""
    return pd.DataFrame(rows, columns=COLUMNS).astype(FACTS["dtypes"])


def answers(model, table):
    """A label and probabilities for each row."""
    probabilities = model.predict_proba(table)
    labels = model.classes_[probabilities.argmax(axis=1)].tolist()
    keys = model.classes_.tolist()
    return [
        {"label": label, "probabilities": dict(zip(keys, row, strict=True))}
        for label, row in zip(labels, probabilities.tolist(), strict=True)
    ]
