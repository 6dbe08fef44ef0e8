"""Histogram boosting: its own categories, and what is missing or unknown among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

WHOLE = PENGUINS.dropna(subset=["body_mass_g"])
CHANCE = np.random.default_rng(0)
FEW = {"max_iter": 8, "min_samples_leaf": 5, "random_state": 0, "early_stopping": False}


def numbered(rows=3000):
    """Categories that are numbers, gaps among them, more than ONNX Runtime keeps in one test."""
    codes = CHANCE.choice(np.arange(80) * 2.5 - 20, size=rows)
    frame = pd.DataFrame({"code": codes, "size": CHANCE.normal(size=rows)})
    answers = (codes * 2 % 7 > 3) * 3 + (codes % 5 == 0) + frame["size"] / 9
    frame.loc[CHANCE.random(rows) < 0.1, "code"] = np.nan
    return frame, answers


@pytest.mark.parametrize("gaps", [True, False])
def test_categories_that_are_numbers(gaps):
    frame, answers = numbered()
    known = frame if gaps else frame.dropna()
    pipeline = HistGradientBoostingRegressor(categorical_features=["code"], **FEW)
    pipeline.fit(known, answers[known.index])
    assert any(nodes["is_categorical"].any() for nodes in _nodes(pipeline))
    odd = [-20.0, -20.5, -17.5, np.nextafter(-17.5, 0), 0.0, -0.0, 1.0, 177.5, 300.0, np.nan]
    rows = pd.DataFrame({"code": odd, "size": 0.0})
    assert_equal(pipeline, pd.concat([frame, rows], ignore_index=True))


def test_columns_of_pandas_categories_by_their_dtype():
    frame = WHOLE[[*NUMBERS, *STRINGS]].astype(dict.fromkeys(STRINGS, "category"))
    pipeline = HistGradientBoostingClassifier(categorical_features="from_dtype", **FEW)
    assert_equal(pipeline.fit(frame, WHOLE["species"]), frame)


def test_text_columns_are_encoded_by_the_model_itself():
    frame = WHOLE[[*STRINGS, *NUMBERS]]
    pipeline = HistGradientBoostingClassifier(categorical_features=STRINGS, **FEW)
    assert_equal(pipeline.fit(frame, WHOLE["species"]), frame)


@pytest.mark.parametrize("categories", [[2, 3], [False, False, True, True, False]])
def test_codes_of_an_encoder_before_it(categories):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer(
        [("numbers", "passthrough", NUMBERS[:2]), ("codes", encoder, STRINGS)],
        remainder="passthrough",
    )
    last = HistGradientBoostingRegressor(categorical_features=categories, **FEW)
    frame = WHOLE[[*NUMBERS, *STRINGS]]
    assert_equal(make_pipeline(columns, last).fit(frame, WHOLE["body_mass_g"]), frame)


def test_a_set_with_nothing_but_the_missing():
    """Where all categories go right and only a missing one left, the set of the left is empty."""
    frame = pd.DataFrame({"code": np.repeat([0.0, 1.0, np.nan], 60), "size": np.arange(180) % 7.0})
    answers = np.where(frame["code"].isna(), 5.0, 0.0) + frame["size"]
    pipeline = HistGradientBoostingRegressor(categorical_features=["code"], **FEW)
    assert_equal(pipeline.fit(frame, answers), frame)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "quantile"])
def test_numbers_by_their_link(loss):
    options = {"quantile": 0.8} if loss == "quantile" else {}
    pipeline = HistGradientBoostingRegressor(loss=loss, **options, **FEW)
    assert_equal(pipeline.fit(WHOLE[NUMBERS], WHOLE["body_mass_g"]), WHOLE[NUMBERS])


def _nodes(pipeline):
    return [predictor.nodes for stage in pipeline._predictors for predictor in stage]
