"""``save_for_mlflow.py FOLDER``: the pipeline in MLflow's scikit-learn flavour, with signature."""

from __future__ import annotations

import sys

import mlflow
from frames import FACTS, frame, load
from mlflow.models import infer_signature

model = load()
table = frame(FACTS["rows"])
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    serialization_format="cloudpickle",
    signature=infer_signature(table, model.predict(table)),
)
