"""Bagging, voting and stacking."""

from __future__ import annotations

from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from cases.case import Case
from cases.parts import dense, few, gaps, model


def _logistic():
    return LogisticRegression(max_iter=500)


def _forest():
    return RandomForestClassifier(10, max_depth=8, random_state=0)


def _classifiers():
    return [
        ("linear", _logistic()),
        ("forest", _forest()),
        ("tree", DecisionTreeClassifier(max_depth=5, random_state=0)),
    ]


def _regressors():
    return [
        ("linear", Ridge()),
        ("forest", RandomForestRegressor(10, max_depth=8, random_state=0)),
        ("boosting", GradientBoostingRegressor(n_estimators=10, random_state=0)),
    ]


def _case(name, what, build, target="late"):
    return Case(f"ensembles/{name}", what, build, target=target)


CASES = (
    _case(
        "bagging",
        "BaggingClassifier()",
        lambda: model(BaggingClassifier(n_estimators=8, random_state=0)),
    ),
    _case(
        "bagging-gaps",
        "BaggingClassifier() on missing values, three classes",
        lambda: gaps(BaggingClassifier(n_estimators=8, random_state=0)),
        "band",
    ),
    _case(
        "bagging-features",
        "BaggingClassifier(LogisticRegression(), max_features=0.5)",
        lambda: dense(
            BaggingClassifier(
                _logistic(), n_estimators=5, max_features=0.5, max_samples=0.5, random_state=0
            )
        ),
    ),
    _case(
        "bagging-votes",
        "BaggingClassifier(LinearSVC()): votes, no probabilities",
        lambda: dense(BaggingClassifier(LinearSVC(), n_estimators=5, random_state=0)),
    ),
    _case(
        "bagging-number",
        "BaggingRegressor()",
        lambda: model(BaggingRegressor(n_estimators=8, random_state=0)),
        "minutes",
    ),
    _case(
        "voting-hard",
        "VotingClassifier()",
        lambda: model(VotingClassifier(_classifiers())),
    ),
    _case(
        "voting-soft",
        'VotingClassifier(voting="soft")',
        lambda: model(VotingClassifier(_classifiers(), voting="soft")),
    ),
    _case(
        "voting-soft-classes",
        'VotingClassifier(voting="soft", weights=[2, 1, 1]), three classes',
        lambda: model(VotingClassifier(_classifiers(), voting="soft", weights=[2, 1, 1])),
        "band",
    ),
    _case(
        "voting-hard-weights",
        "VotingClassifier(weights=[2, 1, 1]), three classes",
        lambda: model(VotingClassifier(_classifiers(), weights=[2, 1, 1])),
        "band",
    ),
    _case(
        "voting-boosting",
        'VotingClassifier(voting="soft") of boosting, forest and naive Bayes',
        lambda: dense(
            VotingClassifier(
                [
                    ("boosting", HistGradientBoostingClassifier(max_iter=10, random_state=0)),
                    ("forest", _forest()),
                    ("bayes", GaussianNB()),
                ],
                voting="soft",
            )
        ),
    ),
    _case(
        "voting-number",
        "VotingRegressor(weights=[1, 2, 1])",
        lambda: model(VotingRegressor(_regressors(), weights=[1, 2, 1])),
        "minutes",
    ),
    _case(
        "stacking",
        "StackingClassifier()",
        lambda: model(StackingClassifier(_classifiers(), cv=2)),
    ),
    _case(
        "stacking-classes",
        "StackingClassifier(), three classes",
        lambda: model(StackingClassifier(_classifiers(), cv=2)),
        "band",
    ),
    _case(
        "stacking-passthrough",
        "StackingClassifier(final_estimator=RandomForestClassifier(), passthrough=True)",
        lambda: dense(
            StackingClassifier(_classifiers(), final_estimator=_forest(), passthrough=True, cv=2)
        ),
    ),
    _case(
        "stacking-scores",
        "StackingClassifier of SVC and LinearSVC: their scores",
        lambda: few(
            StackingClassifier([("svc", SVC()), ("linear", LinearSVC(random_state=0))], cv=2)
        ),
    ),
    _case(
        "stacking-labels",
        'StackingClassifier(stack_method="predict")',
        lambda: model(StackingClassifier(_classifiers(), stack_method="predict", cv=2)),
        "late01",
    ),
    _case(
        "stacking-number",
        "StackingRegressor()",
        lambda: model(StackingRegressor(_regressors(), cv=2)),
        "minutes",
    ),
    _case(
        "stacking-number-passthrough",
        "StackingRegressor(final_estimator=Ridge(), passthrough=True)",
        lambda: dense(
            StackingRegressor(_regressors(), final_estimator=Ridge(), passthrough=True, cv=2)
        ),
        "minutes",
    ),
)
