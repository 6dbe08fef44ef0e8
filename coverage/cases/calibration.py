"""Calibrated probabilities and thresholds of one's own."""

from __future__ import annotations

from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC

from cases.case import Case
from cases.parts import dense, few, model


def _logistic():
    return LogisticRegression(max_iter=500)


def _forest():
    return RandomForestClassifier(10, max_depth=8, random_state=0)


def _case(name, what, build, target="late"):
    return Case(f"calibration/{name}", what, build, target=target)


CASES = (
    _case(
        "sigmoid-svc",
        "CalibratedClassifierCV(LinearSVC())",
        lambda: model(CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)),
    ),
    _case(
        "sigmoid-classes",
        "CalibratedClassifierCV(LinearSVC()), three classes",
        lambda: model(CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)),
        "band",
    ),
    _case(
        "sigmoid-forest",
        "CalibratedClassifierCV(RandomForestClassifier(), ensemble=False)",
        lambda: model(CalibratedClassifierCV(_forest(), cv=3, ensemble=False)),
    ),
    _case(
        "isotonic-forest",
        'CalibratedClassifierCV(RandomForestClassifier(), method="isotonic")',
        lambda: model(CalibratedClassifierCV(_forest(), method="isotonic", cv=3)),
    ),
    _case(
        "isotonic-classes",
        'CalibratedClassifierCV(GaussianNB(), method="isotonic"), three classes',
        lambda: dense(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3)),
        "band",
    ),
    _case(
        "isotonic-svc",
        'CalibratedClassifierCV(SVC(), method="isotonic")',
        lambda: few(CalibratedClassifierCV(SVC(), method="isotonic", cv=2)),
    ),
    _case(
        "temperature",
        'CalibratedClassifierCV(LogisticRegression(), method="temperature")',
        lambda: model(CalibratedClassifierCV(_logistic(), method="temperature", cv=3)),
    ),
    _case(
        "temperature-classes",
        'CalibratedClassifierCV(LinearSVC(), method="temperature"), three classes',
        lambda: model(
            CalibratedClassifierCV(LinearSVC(random_state=0), method="temperature", cv=3)
        ),
        "band",
    ),
    _case(
        "tuned",
        "TunedThresholdClassifierCV(LogisticRegression())",
        lambda: model(TunedThresholdClassifierCV(_logistic(), cv=3, random_state=0)),
    ),
    _case(
        "tuned-forest",
        'TunedThresholdClassifierCV(RandomForestClassifier(), scoring="f1"), labels 0 and 1',
        lambda: model(TunedThresholdClassifierCV(_forest(), scoring="f1", cv=3)),
        "late01",
    ),
    _case(
        "fixed",
        "FixedThresholdClassifier(LogisticRegression(), threshold=0.3)",
        lambda: model(FixedThresholdClassifier(_logistic(), threshold=0.3)),
    ),
    _case(
        "fixed-scores",
        "FixedThresholdClassifier(LinearSVC(), threshold=0.2)",
        lambda: model(
            FixedThresholdClassifier(
                LinearSVC(random_state=0), threshold=0.2, response_method="decision_function"
            )
        ),
    ),
    _case(
        "fixed-label",
        'FixedThresholdClassifier(..., threshold=0.3, pos_label="late")',
        lambda: model(
            FixedThresholdClassifier(
                _logistic(), threshold=0.3, pos_label="late", response_method="predict_proba"
            )
        ),
    ),
)
