"""The project's own tests: its data loads, and its pipeline learns from them."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import cross_val_score

from names import data, pipeline

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
    assert len(frame) > 1300
    assert frame[config["target"]].notna().all()


def test_the_pipeline_reads_the_sex_from_the_name(config, frame):
    estimator = pipeline.build(config)
    assert is_classifier(estimator)
    scores = cross_val_score(estimator, frame[data.COLUMNS], frame[config["target"]], cv=5)
    assert scores.mean() > 0.95


def test_a_name_that_nobody_had_gets_a_prediction_too(config, frame):
    estimator = pipeline.build(config).fit(frame[data.COLUMNS], frame[config["target"]])
    names = pd.DataFrame({"name": ["Lovelace, Mrs Ada", "Babbage, Mr Charles", ""]})
    assert list(estimator.predict(names)[:2]) == ["female", "male"]
