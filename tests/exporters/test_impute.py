"""Imputers that look at other columns, markers of missing values, and indicators."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - it makes the next work
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpack.ports import NotExportableError

CHANCE = np.random.default_rng(0)


def gaps(frame, share=0.1, columns=None):
    spoiled = frame.copy()
    for name in columns or frame.columns:
        spoiled.loc[CHANCE.random(len(frame)) < share, name] = np.nan
    return spoiled


def cancer():
    """Numbers with many digits, and at most one gap in a row: no two distances are the same."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data.iloc[:300, :5].copy()
    for place in range(frame.shape[1]):
        frame.iloc[place::23, place] = np.nan
    return frame, data.target[:300]


def penguins(columns):
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    return gaps(kept[columns], columns=[c for c in columns if c in NUMBERS]), kept.species


def numeric(imputer, last=None):
    return make_pipeline(imputer, StandardScaler(), last or LogisticRegression(max_iter=300))


@pytest.mark.parametrize(
    "imputer",
    [
        IterativeImputer(
            make_pipeline(StandardScaler(), Ridge()),
            max_iter=3,
            imputation_order="random",
            n_nearest_features=2,
            initial_strategy="most_frequent",
            min_value=[10, 14, 50],
            max_value=200,
            add_indicator=True,
            random_state=0,
        ),
        IterativeImputer(
            ExtraTreesRegressor(4, max_depth=3, random_state=0),
            max_iter=2,
            skip_complete=True,
            random_state=0,
        ),
    ],
    ids=["linear", "trees"],
)
def test_iterative(imputer):
    frame, target = penguins(NUMBERS)
    assert_equal(numeric(imputer).fit(frame, target), frame)


def test_a_model_that_is_not_asked_refuses_nothing():
    """A tree raises for what float32 cannot hold, but only rows that miss a value are shown it."""
    imputer = IterativeImputer(
        ExtraTreesRegressor(2, max_depth=2, random_state=0), max_iter=1, random_state=0
    )
    frame, target = penguins(NUMBERS)
    last = HistGradientBoostingClassifier(max_iter=3, early_stopping=False, random_state=0)
    report, _ = assert_equal(make_pipeline(imputer, last).fit(frame, target), frame)
    assert sum(check.refused for check in report.checks)


@pytest.mark.parametrize("keep", [False, True])
def test_iterative_with_an_empty_column(keep):
    frame, target = penguins(NUMBERS)
    frame = frame.assign(empty=np.nan)[["empty", *NUMBERS]]
    imputer = IterativeImputer(max_iter=2, keep_empty_features=keep, random_state=0)
    assert_equal(numeric(imputer).fit(frame, target), frame)


def test_iterative_by_chance_is_refused():
    frame, target = penguins(NUMBERS)
    pipeline = numeric(IterativeImputer(sample_posterior=True, max_iter=2, random_state=0))
    with pytest.raises(NotExportableError, match="sample_posterior"):
        proved(pipeline.fit(frame, target), frame)


@pytest.mark.parametrize(
    "imputer",
    [
        KNNImputer(),
        KNNImputer(n_neighbors=3, weights="distance", add_indicator=True),
    ],
    ids=["uniform", "distance"],
)
def test_neighbours(imputer):
    frame, target = cancer()
    pipeline = make_pipeline(StandardScaler(), imputer, LogisticRegression())
    assert_equal(pipeline.fit(frame, target), frame)


@pytest.mark.parametrize("keep", [False, True])
def test_neighbours_with_an_empty_column(keep):
    frame, target = cancer()
    frame = frame.assign(empty=np.nan)
    # All rows: beside a number of the size of 1e30 all distances are the same.
    imputer = KNNImputer(n_neighbors=1000, keep_empty_features=keep)
    assert_equal(numeric(imputer).fit(frame, target), frame)


def test_neighbours_that_tie_are_refused():
    """numpy takes other ones of equals on another processor, so that nothing could be the same."""
    frame, target = penguins(NUMBERS)
    with pytest.raises(NotExportableError, match="differs between processors"):
        proved(numeric(KNNImputer()).fit(frame.round(), target), frame.round())


def encoded(*steps, columns=STRINGS):
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        ColumnTransformer(
            [("some", make_pipeline(*steps, encoder), columns)], remainder=SimpleImputer()
        ),
        LogisticRegression(max_iter=300),
    )


def test_a_text_as_marker():
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    frame = kept[["island", "sex", "body_mass_g"]]
    steps = [
        SimpleImputer(strategy="constant", fill_value="?"),
        SimpleImputer(missing_values="?", strategy="most_frequent"),
        SimpleImputer(missing_values="Dream", strategy="most_frequent", add_indicator=True),
    ]
    assert_equal(encoded(*steps).fit(frame, kept.species), frame)


def test_an_indicator_of_texts_is_encoded():
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    frame = kept[["island", "sex", "body_mass_g"]]
    step = SimpleImputer(strategy="most_frequent", add_indicator=True)
    assert_equal(encoded(step).fit(frame, kept.species), frame)


def test_a_number_as_marker():
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    frame = gaps(kept[NUMBERS]).fillna(-1.0)
    step = SimpleImputer(missing_values=-1, strategy="median", add_indicator=True)
    report, _ = assert_equal(numeric(step).fit(frame, kept.species), frame)
    # A NaN is no missing value there: the original raises.
    assert sum(check.refused for check in report.checks)


def test_a_number_as_marker_of_categories():
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    frame = kept[["year", "body_mass_g"]]
    step = SimpleImputer(missing_values=2008, strategy="most_frequent")
    assert_equal(encoded(step, columns=["year"]).fit(frame, kept.species), frame)


@pytest.mark.parametrize(
    "indicator",
    [
        MissingIndicator(features="all"),
        MissingIndicator(error_on_new=True),
    ],
)
def test_an_indicator_alone(indicator):
    kept = PENGUINS.dropna(subset=["bill_length_mm"])
    frame = kept[NUMBERS].copy()
    frame.loc[frame.index[::7], "bill_depth_mm"] = np.nan
    pipeline = make_pipeline(
        make_union(SimpleImputer(), indicator), LogisticRegression(max_iter=300)
    )
    assert_equal(pipeline.fit(frame, kept.species), frame)
