"""Filling gaps."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - it makes the next work
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cases.case import Case
from cases.data import INTEGERS
from cases.parts import categories, logistic, numbers


def _hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore")


CASES = (
    Case(
        "imputing/mean",
        "SimpleImputer()",
        lambda: numbers(SimpleImputer(), StandardScaler()),
    ),
    Case(
        "imputing/median",
        'SimpleImputer(strategy="median")',
        lambda: numbers(SimpleImputer(strategy="median"), StandardScaler()),
    ),
    Case(
        "imputing/most-frequent",
        'SimpleImputer(strategy="most_frequent") on numbers',
        lambda: numbers(SimpleImputer(strategy="most_frequent"), StandardScaler()),
    ),
    Case(
        "imputing/constant",
        'SimpleImputer(strategy="constant", fill_value=-1)',
        lambda: numbers(SimpleImputer(strategy="constant", fill_value=-1.0), StandardScaler()),
    ),
    Case(
        "imputing/constant-default",
        'SimpleImputer(strategy="constant") on numbers',
        lambda: numbers(SimpleImputer(strategy="constant"), StandardScaler()),
    ),
    Case(
        "imputing/callable",
        "SimpleImputer(strategy=np.max)",
        lambda: numbers(SimpleImputer(strategy=np.max), StandardScaler()),
    ),
    Case(
        "imputing/indicator",
        "SimpleImputer(add_indicator=True)",
        lambda: numbers(SimpleImputer(add_indicator=True), StandardScaler()),
    ),
    Case(
        "imputing/mostly-missing",
        "SimpleImputer(add_indicator=True), a column four fifths empty",
        lambda: make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), logistic()
        ),
        data="flights, gusts",
    ),
    Case(
        "imputing/marker",
        "SimpleImputer(missing_values=0)",
        lambda: numbers(
            SimpleImputer(), SimpleImputer(missing_values=0, strategy="median"), StandardScaler()
        ),
    ),
    Case(
        "imputing/strings-most-frequent",
        'SimpleImputer(strategy="most_frequent") on strings',
        lambda: categories(SimpleImputer(strategy="most_frequent"), _hot()),
    ),
    Case(
        "imputing/strings-constant",
        'SimpleImputer(strategy="constant", fill_value="missing") on strings',
        lambda: categories(SimpleImputer(strategy="constant", fill_value="missing"), _hot()),
    ),
    Case(
        "imputing/strings-default",
        'SimpleImputer(strategy="constant") on strings',
        lambda: categories(SimpleImputer(strategy="constant"), _hot()),
    ),
    Case(
        "imputing/strings-indicator",
        'SimpleImputer(strategy="most_frequent", add_indicator=True) on strings, then one-hot',
        lambda: categories(SimpleImputer(strategy="most_frequent", add_indicator=True), _hot()),
    ),
    Case(
        "imputing/integers",
        "SimpleImputer() on integers",
        lambda: numbers(SimpleImputer(), StandardScaler(), columns=INTEGERS),
    ),
    Case(
        "imputing/integers-most-frequent",
        'SimpleImputer(strategy="most_frequent") on integers, then one-hot',
        lambda: categories(
            SimpleImputer(strategy="most_frequent"), _hot(), columns=["month", "hour"]
        ),
    ),
    Case(
        "imputing/neighbours",
        "KNNImputer()",
        lambda: numbers(KNNImputer(), StandardScaler()),
    ),
    Case(
        "imputing/neighbours-distance",
        'KNNImputer(weights="distance", add_indicator=True)',
        lambda: numbers(
            KNNImputer(n_neighbors=3, weights="distance", add_indicator=True), StandardScaler()
        ),
    ),
    Case(
        "imputing/iterative",
        "IterativeImputer()",
        lambda: numbers(IterativeImputer(random_state=0, max_iter=5), StandardScaler()),
    ),
    Case(
        "imputing/iterative-ridge",
        "IterativeImputer(estimator=Ridge(), add_indicator=True)",
        lambda: numbers(
            IterativeImputer(Ridge(), random_state=0, max_iter=3, add_indicator=True),
            StandardScaler(),
        ),
    ),
    Case(
        "imputing/iterative-bayes",
        "IterativeImputer(estimator=BayesianRidge(), initial_strategy='median', min_value=0)",
        lambda: numbers(
            IterativeImputer(
                BayesianRidge(),
                random_state=0,
                max_iter=3,
                initial_strategy="median",
                min_value=0,
            ),
            StandardScaler(),
        ),
    ),
    Case(
        "imputing/iterative-forest",
        "IterativeImputer(estimator=RandomForestRegressor())",
        lambda: numbers(
            IterativeImputer(
                RandomForestRegressor(5, max_depth=4, random_state=0), random_state=0, max_iter=2
            ),
            StandardScaler(),
        ),
    ),
    Case(
        "imputing/indicator-alone",
        "MissingIndicator() beside SimpleImputer() in a union",
        lambda: numbers(make_union(SimpleImputer(), MissingIndicator()), StandardScaler()),
    ),
    Case(
        "imputing/indicator-all",
        'MissingIndicator(features="all")',
        lambda: numbers(make_union(SimpleImputer(), MissingIndicator(features="all"))),
    ),
    Case(
        "imputing/indicator-strings",
        "MissingIndicator() on strings",
        lambda: categories(MissingIndicator(features="all", missing_values=np.nan)),
    ),
    Case(
        "imputing/marker-negative",
        "SimpleImputer(missing_values=-1, add_indicator=True)",
        lambda: numbers(
            SimpleImputer(strategy="constant", fill_value=-1.0),
            SimpleImputer(missing_values=-1, add_indicator=True),
            StandardScaler(),
        ),
    ),
    Case(
        "imputing/marker-integers",
        "SimpleImputer(missing_values=5) on integers, then one-hot",
        lambda: categories(
            SimpleImputer(missing_values=5, strategy="most_frequent"),
            _hot(),
            columns=["month", "hour"],
        ),
    ),
    Case(
        "imputing/marker-strings",
        'SimpleImputer(missing_values="B6", add_indicator=True) on strings, then one-hot',
        lambda: categories(
            SimpleImputer(missing_values="B6", strategy="most_frequent", add_indicator=True),
            _hot(),
            columns=["carrier", "origin"],
        ),
    ),
    Case(
        "imputing/marker-filled",
        'SimpleImputer(missing_values="?") on strings that another step filled',
        lambda: categories(
            SimpleImputer(strategy="constant", fill_value="?"),
            SimpleImputer(missing_values="?", strategy="most_frequent"),
            _hot(),
        ),
    ),
    Case(
        "imputing/strings-both",
        'SimpleImputer(strategy="constant", fill_value="none", add_indicator=True) on strings',
        lambda: categories(
            SimpleImputer(strategy="constant", fill_value="none", add_indicator=True), _hot()
        ),
    ),
    Case(
        "imputing/indicator-missing-only",
        "MissingIndicator(error_on_new=False) on strings",
        lambda: categories(MissingIndicator(error_on_new=False)),
    ),
)
