"""The project's own tests: its data loads, and its pipeline learns from them."""

import sys
from pathlib import Path

import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import cross_val_score

from penguins import data, pipeline

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


def test_the_pipeline_tells_the_species_apart(config, frame):
    estimator = pipeline.build(config)
    assert is_classifier(estimator)
    scores = cross_val_score(estimator, frame[data.COLUMNS], frame[config["target"]], cv=5)
    assert scores.mean() > 0.95


def test_a_penguin_of_which_nothing_is_known_gets_a_prediction_too(config, frame):
    estimator = pipeline.build(config).fit(frame[data.COLUMNS], frame[config["target"]])
    unknown = frame[data.COLUMNS].iloc[[3]]
    assert unknown["sex"].isna().all()
    assert estimator.predict(unknown)[0] in set(frame[config["target"]])
