"""Encoding categories: strings, integers, booleans, with missing values."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from cases.case import Case
from cases.parts import categories, ordinal

MIXED = ["carrier", "month", "weekend", "manufacturer"]


def _filled() -> SimpleImputer:
    return SimpleImputer(strategy="constant", fill_value="missing")


def _forest() -> RandomForestClassifier:
    return RandomForestClassifier(10, max_depth=8, random_state=0)


CASES = (
    Case(
        "encoding/onehot-ignore",
        'OneHotEncoder(handle_unknown="ignore")',
        lambda: categories(_filled(), OneHotEncoder(handle_unknown="ignore")),
    ),
    Case(
        "encoding/onehot-dense",
        'OneHotEncoder(handle_unknown="ignore", sparse_output=False)',
        lambda: categories(_filled(), OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
    ),
    Case(
        "encoding/onehot-error",
        "OneHotEncoder(): a category that it does not know is an error",
        lambda: categories(OneHotEncoder(), columns=["origin"]),
    ),
    Case(
        "encoding/onehot-missing",
        'OneHotEncoder(handle_unknown="ignore"), missing as a category',
        lambda: categories(OneHotEncoder(handle_unknown="ignore")),
    ),
    Case(
        "encoding/onehot-infrequent",
        'OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)',
        lambda: categories(
            _filled(), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
        ),
    ),
    Case(
        "encoding/onehot-infrequent-share",
        'OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.05), missing too',
        lambda: categories(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.05)),
    ),
    Case(
        "encoding/onehot-max",
        'OneHotEncoder(handle_unknown="ignore", max_categories=5)',
        lambda: categories(OneHotEncoder(handle_unknown="ignore", max_categories=5)),
    ),
    Case(
        "encoding/onehot-drop-first",
        'OneHotEncoder(drop="first", handle_unknown="ignore")',
        lambda: categories(OneHotEncoder(drop="first", handle_unknown="ignore")),
    ),
    Case(
        "encoding/onehot-drop-binary",
        'OneHotEncoder(drop="if_binary", handle_unknown="ignore")',
        lambda: categories(
            OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
            columns=["origin", "weekend"],
        ),
    ),
    Case(
        "encoding/onehot-drop-named",
        'OneHotEncoder(drop=["EWR"], handle_unknown="ignore")',
        lambda: categories(
            OneHotEncoder(drop=["EWR"], handle_unknown="ignore"), columns=["origin"]
        ),
    ),
    Case(
        "encoding/onehot-given",
        'OneHotEncoder(categories=[...], handle_unknown="ignore")',
        lambda: categories(
            OneHotEncoder(categories=[["LGA", "EWR", "JFK", "PHL"]], handle_unknown="ignore"),
            columns=["origin"],
        ),
    ),
    Case(
        "encoding/onehot-integers",
        'OneHotEncoder(handle_unknown="ignore") on integers',
        lambda: categories(OneHotEncoder(handle_unknown="ignore"), columns=["month", "hour"]),
    ),
    Case(
        "encoding/onehot-numbers",
        'OneHotEncoder(handle_unknown="ignore") on numbers with missing values',
        lambda: categories(OneHotEncoder(handle_unknown="ignore"), columns=["year_built", "humid"]),
    ),
    Case(
        "encoding/onehot-booleans",
        'OneHotEncoder(handle_unknown="ignore") on booleans',
        lambda: categories(OneHotEncoder(handle_unknown="ignore"), columns=["weekend"]),
    ),
    Case(
        "encoding/onehot-mixed",
        "OneHotEncoder on strings, integers and booleans together",
        lambda: categories(OneHotEncoder(handle_unknown="ignore"), columns=MIXED),
    ),
    Case(
        "encoding/onehot-warn",
        'OneHotEncoder(handle_unknown="warn", min_frequency=30)',
        lambda: categories(_filled(), OneHotEncoder(handle_unknown="warn", min_frequency=30)),
    ),
    Case(
        "encoding/ordinal-unknown",
        'OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)',
        lambda: categories(
            _filled(),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            last=_forest(),
        ),
    ),
    Case(
        "encoding/ordinal-missing",
        "OrdinalEncoder(unknown_value=-1, encoded_missing_value=-2)",
        lambda: categories(ordinal(), last=_forest()),
    ),
    Case(
        "encoding/ordinal-missing-nan",
        "OrdinalEncoder(unknown_value=-1), missing stays NaN into the forest",
        lambda: categories(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), last=_forest()
        ),
    ),
    Case(
        "encoding/ordinal-unknown-nan",
        "OrdinalEncoder(unknown_value=np.nan), then a forest",
        lambda: categories(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            last=_forest(),
        ),
    ),
    Case(
        "encoding/ordinal-infrequent",
        "OrdinalEncoder(unknown_value=-1, min_frequency=30)",
        lambda: categories(
            _filled(),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=30),
            last=_forest(),
        ),
    ),
    Case(
        "encoding/ordinal-max",
        "OrdinalEncoder(unknown_value=-1, encoded_missing_value=-2, max_categories=4)",
        lambda: categories(
            OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=-2,
                max_categories=4,
            ),
            last=_forest(),
        ),
    ),
    Case(
        "encoding/ordinal-error",
        "OrdinalEncoder(): a category that it does not know is an error",
        lambda: categories(OrdinalEncoder(), last=_forest(), columns=["origin"]),
    ),
    Case(
        "encoding/ordinal-given",
        "OrdinalEncoder(categories=[...]) in an order of one's own",
        lambda: categories(
            OrdinalEncoder(
                categories=[["LGA", "JFK", "EWR"]],
                handle_unknown="use_encoded_value",
                unknown_value=-1,
            ),
            columns=["origin"],
        ),
    ),
    Case(
        "encoding/ordinal-integers",
        "OrdinalEncoder on integers",
        lambda: categories(ordinal(), last=_forest(), columns=["month", "hour"]),
    ),
    Case(
        "encoding/ordinal-mixed",
        "OrdinalEncoder on strings, integers and booleans together",
        lambda: categories(ordinal(), last=_forest(), columns=MIXED),
    ),
    Case(
        "encoding/target-binary",
        "TargetEncoder(), two classes",
        lambda: categories(_filled(), TargetEncoder(random_state=0)),
    ),
    Case(
        "encoding/target-missing",
        "TargetEncoder(), missing as a category",
        lambda: categories(TargetEncoder(random_state=0, smooth=10.0)),
    ),
    Case(
        "encoding/target-classes",
        "TargetEncoder(), three classes",
        lambda: categories(TargetEncoder(random_state=0)),
        target="band",
    ),
    Case(
        "encoding/target-number",
        "TargetEncoder(), a regression",
        lambda: categories(TargetEncoder(random_state=0), last=Ridge()),
        target="minutes",
    ),
    Case(
        "encoding/target-integers",
        "TargetEncoder() on integers",
        lambda: categories(TargetEncoder(random_state=0), columns=["month", "hour"]),
    ),
    Case(
        "encoding/target-mixed",
        "TargetEncoder() on strings, integers and booleans together",
        lambda: categories(TargetEncoder(random_state=0), columns=MIXED),
    ),
)
