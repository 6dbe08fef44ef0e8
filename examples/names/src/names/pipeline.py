"""The pipeline: everything between raw columns and a prediction."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


def build(config: dict[str, Any]) -> Pipeline:
    """The pipeline, not yet fitted: which words a name has, and how rare they are."""
    words = TfidfVectorizer(**config["words"])
    # A vectorizer takes one column of texts, so its column is named alone and not in a list.
    columns = ColumnTransformer([("name", words, "name")])
    return Pipeline([("columns", columns), ("model", LogisticRegression(**config["model"]))])
