"""XGBoost: its trees compare float32 with float32, and so does the graph."""

from __future__ import annotations

from mlpack.exporters.sklearn.steps import Models, Transformers

TRANSFORMERS: Transformers = {}
MODELS: Models = {}
