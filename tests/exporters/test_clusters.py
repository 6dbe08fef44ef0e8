"""Clusters, as models and as distances to their centres."""

from __future__ import annotations

import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FRAME = PENGUINS[NUMBERS]

CENTRES = [
    KMeans(5, n_init=1, random_state=0),
    MiniBatchKMeans(4, n_init=1, random_state=0),
    BisectingKMeans(6, random_state=0),
    KMeans(1, n_init=1, random_state=0),
]


@pytest.mark.parametrize("step", CENTRES)
def test_the_nearest_centre(step):
    assert_equal(make_pipeline(SimpleImputer(), StandardScaler(), step).fit(FRAME), FRAME)


@pytest.mark.parametrize("step", CENTRES)
def test_distances_to_centres(step):
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), step, LogisticRegression())
    assert_equal(pipeline.fit(FRAME, PENGUINS.species), FRAME)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_mixtures(covariance):
    step = GaussianMixture(3, covariance_type=covariance, random_state=0)
    report, _ = assert_equal(
        make_pipeline(SimpleImputer(), StandardScaler(), step).fit(FRAME), FRAME
    )
    assert sum(check.rows for check in report.checks) > len(FRAME)


def test_points_between_two_centres():
    rows = pd.DataFrame({"a": [0.0, 0.0, 2.0, 2.0] * 3, "b": [0.0, 2.0, 0.0, 2.0] * 3})
    step = KMeans(4, n_init=1, random_state=0).fit(rows)
    middle = pd.DataFrame({"a": [1.0, 1.0, 0.0], "b": [1.0, 0.0, 1.0]})
    assert_equal(step, pd.concat([rows, middle], ignore_index=True))
