"""CatBoost: oblivious and other trees over float32 inputs and hashed categories."""

from __future__ import annotations

from mlpack.exporters.sklearn.steps import Models, Transformers

TRANSFORMERS: Transformers = {}
MODELS: Models = {}
