"""Several targets, chains, transformed targets, classes against each other."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import (
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from cases.case import Case
from cases.parts import dense, gaps, model


def _logistic():
    return LogisticRegression(max_iter=300)


def _target(name, what, **options):
    """The options are copied: a step belongs to one pipeline alone."""
    return Case(
        f"composite/target-{name}",
        f"TransformedTargetRegressor({what})",
        lambda: dense(TransformedTargetRegressor(Ridge(), **copy.deepcopy(options))),
        target="air time",
    )


def _case(name, what, build, target):
    return Case(f"composite/{name}", what, build, target=target)


CASES = (
    _target("log1p", "func=np.log1p, inverse_func=np.expm1", func=np.log1p, inverse_func=np.expm1),
    _target("log", "func=np.log, inverse_func=np.exp", func=np.log, inverse_func=np.exp),
    _target("sqrt", "func=np.sqrt, inverse_func=np.square", func=np.sqrt, inverse_func=np.square),
    _target("standard", "transformer=StandardScaler()", transformer=StandardScaler()),
    _target("minmax", "transformer=MinMaxScaler()", transformer=MinMaxScaler()),
    _target("power", "transformer=PowerTransformer()", transformer=PowerTransformer()),
    _target(
        "box-cox",
        'transformer=PowerTransformer("box-cox")',
        transformer=PowerTransformer("box-cox"),
    ),
    _target(
        "quantile",
        'transformer=QuantileTransformer(output_distribution="normal")',
        transformer=QuantileTransformer(
            n_quantiles=200, output_distribution="normal", random_state=0
        ),
    ),
    _case(
        "target-around",
        "TransformedTargetRegressor around the whole pipeline",
        lambda: TransformedTargetRegressor(
            gaps(HistGradientBoostingRegressor(max_iter=15)), func=np.log1p, inverse_func=np.expm1
        ),
        "air time",
    ),
    _case(
        "outputs-number",
        "MultiOutputRegressor(HistGradientBoostingRegressor())",
        lambda: gaps(MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=10))),
        "both",
    ),
    _case(
        "outputs-number-ridge",
        "MultiOutputRegressor(Ridge())",
        lambda: model(MultiOutputRegressor(Ridge())),
        "both",
    ),
    _case(
        "outputs-labels",
        "MultiOutputClassifier(LogisticRegression())",
        lambda: model(MultiOutputClassifier(_logistic())),
        "labels",
    ),
    _case(
        "chain-labels",
        "ClassifierChain(LogisticRegression())",
        lambda: model(ClassifierChain(_logistic(), order=[1, 0])),
        "labels",
    ),
    _case(
        "chain-number",
        "RegressorChain(Ridge())",
        lambda: dense(RegressorChain(Ridge(), order=[1, 0])),
        "both",
    ),
    _case(
        "rest",
        "OneVsRestClassifier(LogisticRegression())",
        lambda: model(OneVsRestClassifier(_logistic())),
        "band",
    ),
    _case(
        "rest-forest",
        "OneVsRestClassifier(RandomForestClassifier())",
        lambda: model(OneVsRestClassifier(RandomForestClassifier(8, random_state=0))),
        "band",
    ),
    _case(
        "rest-svc",
        "OneVsRestClassifier(LinearSVC()): scores, no probabilities",
        lambda: model(OneVsRestClassifier(LinearSVC(random_state=0))),
        "band",
    ),
    _case(
        "rest-labels",
        "OneVsRestClassifier(LogisticRegression()), two labels at once",
        lambda: model(OneVsRestClassifier(_logistic())),
        "labels",
    ),
    _case(
        "rest-labels-scores",
        "OneVsRestClassifier(LinearSVC()), two labels at once",
        lambda: model(OneVsRestClassifier(LinearSVC(random_state=0))),
        "labels",
    ),
    _case(
        "chain-labels-probabilities",
        'ClassifierChain(LogisticRegression(), chain_method="predict_proba")',
        lambda: model(ClassifierChain(_logistic(), chain_method="predict_proba")),
        "labels",
    ),
    _case(
        "outputs-labels-boosting",
        "MultiOutputClassifier(HistGradientBoostingClassifier())",
        lambda: gaps(MultiOutputClassifier(HistGradientBoostingClassifier(max_iter=15))),
        "labels",
    ),
    _case(
        "ridge-labels",
        "RidgeClassifier(), two labels at once",
        lambda: model(RidgeClassifier()),
        "labels",
    ),
    _case(
        "neighbours-labels",
        'KNeighborsClassifier(weights="distance"), two labels at once',
        lambda: dense(KNeighborsClassifier(5, weights="distance")),
        "labels",
    ),
    _case(
        "network-labels",
        "MLPClassifier(), two labels at once",
        lambda: model(MLPClassifier((8,), max_iter=40, random_state=0)),
        "labels",
    ),
    _case(
        "dummy-labels",
        "DummyClassifier(), two labels at once",
        lambda: model(DummyClassifier()),
        "labels",
    ),
    _case(
        "one",
        "OneVsOneClassifier(LogisticRegression())",
        lambda: model(OneVsOneClassifier(_logistic())),
        "band",
    ),
    _case(
        "one-svc",
        "OneVsOneClassifier(LinearSVC())",
        lambda: model(OneVsOneClassifier(LinearSVC(random_state=0))),
        "band",
    ),
    _case(
        "output-code",
        "OutputCodeClassifier(LogisticRegression())",
        lambda: model(OutputCodeClassifier(_logistic(), random_state=0)),
        "band",
    ),
    _case("dummy-prior", "DummyClassifier()", lambda: model(DummyClassifier()), "late"),
    _case(
        "dummy-frequent",
        'DummyClassifier(strategy="most_frequent"), three classes',
        lambda: model(DummyClassifier(strategy="most_frequent")),
        "band",
    ),
    _case(
        "dummy-constant",
        'DummyClassifier(strategy="constant", constant="late")',
        lambda: model(DummyClassifier(strategy="constant", constant="late")),
        "late",
    ),
    _case("dummy-mean", "DummyRegressor()", lambda: model(DummyRegressor()), "minutes"),
    _case(
        "dummy-quantile",
        'DummyRegressor(strategy="quantile", quantile=0.9)',
        lambda: model(DummyRegressor(strategy="quantile", quantile=0.9)),
        "minutes",
    ),
)
