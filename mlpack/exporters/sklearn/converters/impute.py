"""Imputers that look at other columns: nearest neighbours, and one model a column."""

from __future__ import annotations

from mlpack.exporters.sklearn.steps import Models, Transformers

TRANSFORMERS: Transformers = {}
MODELS: Models = {}
