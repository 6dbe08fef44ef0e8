"""The pipeline: everything between raw columns and a prediction."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from flights.data import NUMBERS, STRINGS


def build(config: dict[str, Any]) -> Pipeline:
    """The pipeline, not yet fitted."""
    numbers = Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    strings = Pipeline(
        [
            ("fill", SimpleImputer(strategy="most_frequent")),
            ("encode", OneHotEncoder(handle_unknown="ignore")),
        ]
    )
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("strings", strings, STRINGS)])
    return Pipeline([("columns", columns), ("model", LogisticRegression(**config["model"]))])
