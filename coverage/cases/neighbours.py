"""Nearest neighbours."""

from __future__ import annotations

from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)

from cases.case import Case
from cases.parts import dense, few, model

CASES = (
    Case("neighbours/classifier", "KNeighborsClassifier()", lambda: few(KNeighborsClassifier())),
    Case(
        "neighbours/classifier-sparse",
        "KNeighborsClassifier() on a sparse matrix",
        lambda: model(KNeighborsClassifier()),
    ),
    Case(
        "neighbours/classifier-distance",
        'KNeighborsClassifier(weights="distance"), three classes',
        lambda: few(KNeighborsClassifier(7, weights="distance")),
        target="band",
    ),
    Case(
        "neighbours/classifier-manhattan",
        'KNeighborsClassifier(metric="manhattan")',
        lambda: few(KNeighborsClassifier(metric="manhattan")),
    ),
    Case(
        "neighbours/classifier-cosine",
        'KNeighborsClassifier(metric="cosine")',
        lambda: few(KNeighborsClassifier(metric="cosine")),
    ),
    Case(
        "neighbours/classifier-tree",
        'KNeighborsClassifier(algorithm="kd_tree")',
        lambda: few(KNeighborsClassifier(algorithm="kd_tree")),
    ),
    Case(
        "neighbours/regressor",
        "KNeighborsRegressor()",
        lambda: few(KNeighborsRegressor()),
        target="minutes",
    ),
    Case(
        "neighbours/regressor-distance",
        'KNeighborsRegressor(weights="distance")',
        lambda: few(KNeighborsRegressor(weights="distance")),
        target="minutes",
    ),
    Case(
        "neighbours/regressor-two",
        "KNeighborsRegressor(), two outputs",
        lambda: few(KNeighborsRegressor()),
        target="both",
    ),
    Case(
        "neighbours/radius",
        "RadiusNeighborsClassifier(outlier_label='most_frequent')",
        lambda: few(RadiusNeighborsClassifier(radius=1.5, outlier_label="most_frequent")),
    ),
    Case(
        "neighbours/radius-number",
        "RadiusNeighborsRegressor()",
        lambda: few(RadiusNeighborsRegressor(radius=2.0)),
        target="minutes",
    ),
    Case("neighbours/centroid", "NearestCentroid()", lambda: few(NearestCentroid())),
    Case(
        "neighbours/centroid-classes",
        'NearestCentroid(metric="manhattan"), three classes',
        lambda: few(NearestCentroid(metric="manhattan")),
        target="band",
    ),
    Case(
        "neighbours/centroid-shrunk",
        "NearestCentroid(shrink_threshold=0.5)",
        lambda: few(NearestCentroid(shrink_threshold=0.5)),
    ),
    Case(
        "neighbours/classifier-brute",
        'KNeighborsClassifier(algorithm="brute")',
        lambda: few(KNeighborsClassifier(algorithm="brute")),
        target="band",
    ),
    Case(
        "neighbours/classifier-ball",
        'KNeighborsClassifier(algorithm="ball_tree", p=1)',
        lambda: few(KNeighborsClassifier(algorithm="ball_tree", p=1)),
    ),
    Case(
        "neighbours/classifier-many",
        "KNeighborsClassifier(15) of more than 15 columns",
        lambda: dense(KNeighborsClassifier(15)),
    ),
    Case(
        "neighbours/centroid-priors",
        'NearestCentroid(priors="empirical"), three classes',
        lambda: few(NearestCentroid(priors="empirical")),
        target="band",
    ),
)
