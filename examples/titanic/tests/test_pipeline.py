"""The project's own tests: its data loads, and its pipeline learns from them."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from titanic import data, pipeline
from titanic.features import PassengerNames

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


def test_a_name_gives_a_title_and_the_size_of_the_family():
    names = PassengerNames().fit(
        pd.DataFrame({"name": ["Allison, Mr Hudson", "Allison, Master Trevor", "Calic, Mr Peter"]})
    )
    asked = pd.DataFrame(
        {"name": ["Allison, Mrs Bessie", "Calic, Rev Petar", "Nobody, Miss Ann", "?", None]}
    )
    told = names.transform(asked)
    assert told["title"].tolist() == ["Mrs", "other", "Miss", "other", "other"]
    assert told["family"].tolist() == [2, 1, 0, 0, 0]


def test_the_pipeline_knows_most_survivors(config, frame):
    estimator = pipeline.build(config)
    assert is_classifier(estimator)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(estimator, frame[data.COLUMNS], frame[config["target"]], cv=folds)
    assert scores.mean() > 0.8


def test_a_passenger_of_whom_only_the_class_is_known_gets_a_prediction_too(config, frame):
    estimator = pipeline.build(config).fit(frame[data.COLUMNS], frame[config["target"]])
    unknown = frame[data.COLUMNS].iloc[[0]].assign(name=None, age=float("nan"), sex=None)
    assert estimator.predict(unknown)[0] in (0, 1)
