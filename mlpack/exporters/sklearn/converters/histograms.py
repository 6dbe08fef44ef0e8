"""Histogram gradient boosting of scikit-learn, categories included."""

from __future__ import annotations

from mlpack.exporters.sklearn.steps import Models, Transformers

TRANSFORMERS: Transformers = {}
MODELS: Models = {}
