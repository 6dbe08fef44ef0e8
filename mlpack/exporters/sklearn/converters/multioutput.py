"""Models with several outputs, made of a model for each."""

from __future__ import annotations

from mlpack.exporters.sklearn.steps import Models, Transformers

TRANSFORMERS: Transformers = {}
MODELS: Models = {}
