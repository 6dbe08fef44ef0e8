"""Nearest neighbours: votes, means, and who is chosen of those that are equally far."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpack.ports import NotExportableError

CHANCE = np.random.default_rng(7)
GRID = pd.DataFrame(CHANCE.integers(0, 4, size=(160, 3)).astype(float), columns=list("abc"))
GRID["a"] *= 1.37
CLASSES = np.array(["u", "v", "w"])[CHANCE.integers(0, 3, len(GRID))]
VALUES = CHANCE.normal(size=(len(GRID), 2))


@pytest.mark.parametrize(
    ("count", "algorithm", "options"),
    [
        (4, "brute", {}),
        (13, "brute", {"p": 1, "weights": "distance"}),
        (4, "kd_tree", {}),
        (13, "kd_tree", {"weights": "distance"}),
        (13, "ball_tree", {}),
        (4, "ball_tree", {"p": 3}),
    ],
)
def test_of_equally_distant_points_the_same_are_chosen(count, algorithm, options):
    model = KNeighborsClassifier(count, algorithm=algorithm, leaf_size=5, **options)
    assert_equal(model.fit(GRID, CLASSES), GRID.head(25))


def test_the_grid_would_show_another_choice():
    model = KNeighborsClassifier(4, algorithm="kd_tree", leaf_size=5).fit(GRID, CLASSES)
    far, _ = model.kneighbors(GRID, 5)
    assert np.mean(far[:, 3] == far[:, 4]) > 0.3


def penguins(last, sparse=0.0):
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), STRINGS),
        sparse_threshold=sparse,
    )
    return make_pipeline(columns, last)


FRAME = PENGUINS[[*NUMBERS, *STRINGS]].head(200)
SPECIES = PENGUINS.species.head(200)


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(),
        KNeighborsClassifier(9, weights="distance"),
        KNeighborsClassifier(metric="cosine"),
        RadiusNeighborsClassifier(1.0, weights="distance", outlier_label="Adelie"),
        NearestCentroid(),
        NearestCentroid(metric="manhattan"),
        NearestCentroid(priors=[0.3, 0.7]),
    ],
)
def test_classifiers(model):
    assert_equal(penguins(model).fit(FRAME, SPECIES), FRAME)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_on_a_sparse_matrix(weights):
    """Who is chosen of equals is numpy's to say, and not known; real rows show none."""
    pipeline = penguins(KNeighborsClassifier(weights=weights), sparse=0.9)
    report, worst, _ = proved(pipeline.fit(FRAME, SPECIES), FRAME)
    real = report.checks[0]
    assert (real.labels_wrong, real.outcomes_wrong, real.beyond) == (0, 0, 0), worst[:3]
    assert real.largest <= 1e-12


def test_all_points_are_equally_far_from_a_row_that_is_far_from_all():
    """Then the choice of numpy's is known, on this machine."""
    pipeline = penguins(KNeighborsClassifier(), sparse=0.9).fit(FRAME, SPECIES)
    far = FRAME.head(9).fillna({"sex": "male", "bill_length_mm": 40.0}).assign(bill_depth_mm=1e60)
    report, worst, _ = proved(pipeline, far)
    assert report.checks[0].equal, worst[:3]


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsRegressor(4, algorithm="ball_tree"),
        KNeighborsRegressor(4, weights="distance"),
        RadiusNeighborsRegressor(1.5),
        RadiusNeighborsRegressor(1.5, weights="distance", algorithm="brute"),
    ],
)
def test_regressions(model):
    assert_equal(model.fit(GRID, VALUES), GRID.head(20))


def test_a_regression_of_one_value():
    assert_equal(KNeighborsRegressor(4).fit(GRID, VALUES[:, 0]), GRID.head(20))


def test_a_row_without_neighbours_is_refused_where_the_original_raises():
    model = RadiusNeighborsClassifier(0.5).fit(GRID, CLASSES)
    report, _ = assert_equal(model, GRID.head(20))
    assert sum(check.refused for check in report.checks) > 0


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (KNeighborsClassifier(metric="canberra"), "canberra"),
        (KNeighborsClassifier(weights=lambda far: far + 1), "weights"),
        (RadiusNeighborsClassifier(0.1, outlier_label="x"), "outlier_label"),
    ],
)
def test_what_is_not_exported_is_named(model, said):
    with pytest.raises(NotExportableError, match=said):
        assert_equal(model.fit(GRID, CLASSES), GRID.head(20))
