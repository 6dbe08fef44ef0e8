"""The pipeline: everything between raw columns and a prediction."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

NUMBERS = ["cyl", "displ", "hp", "weight", "accel", "yr"]
STRINGS = ["origin"]


def build(config: dict[str, Any]) -> Pipeline:
    """The pipeline, not yet fitted. The trees take numbers as they are, missing ones too."""
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("strings", encode, STRINGS)])
    model = HistGradientBoostingRegressor(**config["model"])
    return Pipeline([("columns", columns), ("model", model)])
