"""The pipeline: everything between raw columns and a prediction."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from titanic.features import PassengerNames

NUMBERS = ["age", "family"]
STRINGS = ["class", "sex", "title"]


def build(config: dict[str, Any]) -> Pipeline:
    """The pipeline, not yet fitted. The age of every other passenger is not known."""
    numbers = SimpleImputer(strategy="median", add_indicator=True)
    strings = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("strings", strings, STRINGS)])
    return Pipeline(
        [
            ("names", PassengerNames()),
            ("columns", columns),
            ("model", RandomForestClassifier(**config["model"])),
        ]
    )
