"""The project's own tests: its data loads, and its pipeline learns from them."""

import sys
from pathlib import Path

import pytest
from sklearn.base import is_regressor
from sklearn.model_selection import KFold, cross_val_score

from mpg import data, pipeline

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def config():
    return tomllib.loads((ROOT / "config" / "default.toml").read_text())


@pytest.fixture(scope="module")
def frame(config):
    return data.load(config)


def test_the_data_have_every_column_and_a_target_in_every_row(config, frame):
    assert list(frame.columns) == [*data.COLUMNS, config["target"]]
    assert len(frame) > 300
    assert frame[config["target"]].notna().all()


def test_the_pipeline_uses_the_columns_that_the_data_have():
    assert sorted(pipeline.NUMBERS + pipeline.STRINGS) == sorted(data.COLUMNS)


def test_the_pipeline_explains_most_of_the_difference_between_cars(config, frame):
    estimator = pipeline.build(config)
    assert is_regressor(estimator)
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(estimator, frame[data.COLUMNS], frame[config["target"]], cv=folds)
    assert scores.mean() > 0.8


def test_a_car_from_elsewhere_gets_a_prediction_too(config, frame):
    estimator = pipeline.build(config).fit(frame[data.COLUMNS], frame[config["target"]])
    car = frame[data.COLUMNS].iloc[[0]].assign(origin="Antarctica", hp=float("nan"))
    assert 5 < estimator.predict(car)[0] < 50
