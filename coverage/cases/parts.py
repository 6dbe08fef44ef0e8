"""The ordinary pipelines around the one estimator that a row is about."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from cases.data import BOOLEANS, INTEGERS, NUMBERS, STRINGS


def logistic() -> Any:
    """The model behind a row that is about a transformer."""
    return LogisticRegression(max_iter=300)


def scaled() -> Pipeline:
    """What most people do with numbers."""
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler())


def hot() -> Pipeline:
    """What most people do with categories."""
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=20),
    )


def ordinal() -> OrdinalEncoder:
    """What people do with categories before trees."""
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )


def model(last: Any) -> Pipeline:
    """A model behind the whole preparation: scaled numbers, encoded categories, the rest."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", scaled(), [*NUMBERS, *INTEGERS]),
                        ("categories", hot(), STRINGS),
                        ("flags", "passthrough", BOOLEANS),
                    ]
                ),
            ),
            ("model", last),
        ]
    )


def dense(last: Any, scale: Any = None) -> Pipeline:
    """The same without a sparse matrix, for models that want none; with another scaler."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=4)
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        (
                            "numbers",
                            make_pipeline(SimpleImputer(), scale or StandardScaler()),
                            [*NUMBERS, *INTEGERS],
                        ),
                        ("categories", one_hot, ["carrier", "origin"]),
                        ("flags", "passthrough", BOOLEANS),
                    ]
                ),
            ),
            ("model", last),
        ]
    )


def few(last: Any) -> Pipeline:
    """A few scaled numbers and one category, for models that are slow with many."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", scaled(), ["dep_delay", "temp", "distance", "hour"]),
                        (
                            "categories",
                            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                            ["origin"],
                        ),
                    ]
                ),
            ),
            ("model", last),
        ]
    )


def gaps(last: Any) -> Pipeline:
    """A model that takes missing numbers as they are, behind ordinal categories."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [("categories", ordinal(), STRINGS)],
                    remainder="passthrough",
                ),
            ),
            ("model", last),
        ]
    )


def numbers(*steps: Any, last: Any = None, columns: list[str] | None = None) -> Pipeline:
    """Steps for the numbers, ordinary ones for the categories, and a model behind them."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", make_pipeline(*steps), columns or NUMBERS),
                        ("categories", hot(), ["carrier", "origin"]),
                    ]
                ),
            ),
            ("model", logistic() if last is None else last),
        ]
    )


def filled(*steps: Any, last: Any = None, columns: list[str] | None = None) -> Pipeline:
    """The same with the numbers' gaps filled first."""
    return numbers(SimpleImputer(strategy="median"), *steps, last=last, columns=columns)


def categories(*steps: Any, last: Any = None, columns: list[str] | None = None) -> Pipeline:
    """Steps for the categories, ordinary ones for the numbers, and a model behind them."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", scaled(), NUMBERS),
                        ("categories", make_pipeline(*steps), columns or STRINGS),
                    ]
                ),
            ),
            ("model", logistic() if last is None else last),
        ]
    )


def text(vectorizer: Any, *steps: Any, last: Any = None) -> Pipeline:
    """A text column beside a category and a number: the passengers of the Titanic."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("text", make_pipeline(vectorizer, *steps), "name"),
                        ("class", OneHotEncoder(handle_unknown="ignore"), ["class", "sex"]),
                        ("age", scaled(), ["age"]),
                    ]
                ),
            ),
            ("model", logistic() if last is None else last),
        ]
    )


def city(vectorizer: Any, *steps: Any) -> Pipeline:
    """A text column in every script, beside a number: the cities of the world."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("text", make_pipeline(vectorizer, *steps), "name"),
                        ("place", scaled(), ["lat"]),
                    ]
                ),
            ),
            ("model", logistic()),
        ]
    )
