"""CatBoost's models in a pipeline export exactly, with their statistics of categories."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from mlpack.ports import NotExportableError

CATEGORIES = ["island", "sex"]
SOME = PENGUINS.iloc[::4].reset_index(drop=True)
FRAME = SOME[[*NUMBERS, *CATEGORIES]].assign(large=SOME.body_mass_g > 4500)
SPECIES = SOME.species.to_numpy()
ADELIE = np.where(SPECIES == "Adelie", "yes", "no")
MASS = SOME.body_mass_g.fillna(4200).to_numpy() / 1000
FEW = {
    "iterations": 12,
    "depth": 3,
    "verbose": False,
    "allow_writing_files": False,
    "thread_count": 1,
    "random_seed": 0,
}


def numbers(last, target):
    """A model that takes numbers with gaps as they are."""
    return Pipeline([("model", last)]).fit(FRAME[NUMBERS], target)


def strings(last, target, frame=FRAME):
    """A model that encodes categories itself, after their gaps were filled."""
    columns = ColumnTransformer(
        [("filled", SimpleImputer(strategy="constant", fill_value="none"), CATEGORIES)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return Pipeline([("columns", columns), ("model", last)]).fit(frame, target)


def classifier(**options):
    return CatBoostClassifier(**FEW | options)


def regressor(**options):
    return CatBoostRegressor(**FEW | options)


@pytest.mark.parametrize(
    ("last", "target"),
    [
        (classifier(), ADELIE),
        (classifier(class_names=["yes", "no"]), ADELIE),
        (classifier(nan_mode="Max", grow_policy="Lossguide"), SPECIES),
        (classifier(loss_function="MultiClassOneVsAll"), SPECIES),
        (regressor(grow_policy="Depthwise"), MASS),
        (regressor(loss_function="Poisson"), MASS),
        (regressor(loss_function="RMSEWithUncertainty"), MASS),
        (regressor(loss_function="MultiRMSE"), np.column_stack([MASS, MASS**2])),
    ],
)
def test_numbers_are_exact(last, target):
    assert_equal(numbers(last, target), FRAME[NUMBERS])


@pytest.mark.parametrize(
    ("last", "target"),
    [
        (classifier(cat_features=CATEGORIES), ADELIE),
        (classifier(cat_features=[*CATEGORIES, "large"], one_hot_max_size=9), SPECIES),
        (classifier(cat_features=CATEGORIES, iterations=60, nan_mode="Max"), np.roll(SPECIES, 1)),
        (regressor(cat_features=CATEGORIES, grow_policy="Lossguide"), MASS),
    ],
)
def test_categories_are_exact(last, target):
    assert_equal(strings(last, target), FRAME)


def test_statistics_of_combinations_are_exact():
    places = np.arange(200)
    frame = pd.DataFrame({"sex": [*"abcde"] * 40, "island": np.array([*"vwxyz"])[places // 5 % 5]})
    either = np.where((places % 5 < 2) ^ (places // 5 % 5 < 2), "yes", "no")
    last = classifier(cat_features=CATEGORIES, iterations=40, max_ctr_complexity=2)
    pipeline = strings(last, either, frame)
    with tempfile.TemporaryDirectory() as folder:
        pipeline[-1].save_model(f"{folder}/model.json", format="json")
        statistics = json.loads(Path(folder, "model.json").read_bytes())["features_info"]["ctrs"]
    assert {len(statistic["elements"]) for statistic in statistics} >= {1, 2}
    assert_equal(pipeline, frame)


def test_a_threshold_of_the_probability_is_kept():
    pipeline = numbers(classifier(iterations=3), ADELIE)
    before = pipeline.predict(FRAME[NUMBERS]).tolist()
    pipeline[-1].set_probability_threshold(0.2)
    assert pipeline.predict(FRAME[NUMBERS]).tolist() != before
    assert_equal(pipeline, FRAME[NUMBERS])


def test_pandas_categories_are_refused_where_catboost_raises():
    frame = FRAME.dropna().assign(island=lambda rows: rows.island.astype("category"))
    last = classifier(cat_features=["island", "sex"])
    pipeline = Pipeline([("model", last)]).fit(frame, SPECIES[frame.index])
    report, exported = assert_equal(pipeline, frame)
    assert sum(check.refused for check in report.checks)
    assert {c.column for c in exported.encoding.codes if c.refuse_unknown} == {"island"}


@pytest.mark.parametrize("options", [{}, {"one_hot_max_size": 200}])
def test_categories_that_the_signature_does_not_name_are_told(options):
    birds = np.arange(len(FRAME)) % 60
    frame = FRAME.assign(sex=[f"bird {bird}" for bird in birds])
    last = classifier(cat_features=CATEGORIES, iterations=60, **options)
    pipeline = strings(last, np.where(birds < 20, "yes", "no"), frame)
    with pytest.raises(NotExportableError, match="does not name, of 'sex'"):
        proved(pipeline, frame)


def test_one_category_too_few_is_noticed():
    last = classifier(cat_features=CATEGORIES, iterations=60, one_hot_max_size=1)
    pipeline = strings(last, np.where(FRAME.island == "Dream", "yes", "no"))
    with pytest.raises(NotExportableError, match="does not name"):
        proved(pipeline, FRAME[FRAME.island != "Dream"].reset_index(drop=True))


def test_computed_categories_are_told():
    encoder = OrdinalEncoder(dtype=int, encoded_missing_value=9).set_output(transform="pandas")
    last = classifier(cat_features=CATEGORIES)
    pipeline = Pipeline([("codes", encoder), ("model", last)]).fit(FRAME[CATEGORIES], ADELIE)
    with pytest.raises(NotExportableError, match="an earlier step computed"):
        proved(pipeline, FRAME[CATEGORIES])
