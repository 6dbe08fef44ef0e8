"""Reducing and selecting."""

from __future__ import annotations

from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
    f_regression,
    mutual_info_classif,
)
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from cases.case import Case
from cases.parts import dense, filled, logistic, model


def _behind(step, last=None):
    """A step behind the whole preparation, before the model."""
    whole = dense(logistic() if last is None else last)
    return Pipeline([whole.steps[0], ("reduce", step), whole.steps[1]])


CASES = (
    Case("reducing/pca", "PCA(5)", lambda: _behind(PCA(5, random_state=0))),
    Case(
        "reducing/pca-whiten",
        "PCA(5, whiten=True)",
        lambda: _behind(PCA(5, whiten=True, random_state=0)),
    ),
    Case(
        "reducing/pca-share",
        "PCA(n_components=0.95)",
        lambda: _behind(PCA(n_components=0.95, random_state=0)),
    ),
    Case(
        "reducing/pca-tree",
        "PCA(5), then a tree",
        lambda: _behind(PCA(5, random_state=0), DecisionTreeClassifier(max_depth=8)),
    ),
    Case(
        "reducing/svd",
        "TruncatedSVD(5)",
        lambda: filled(StandardScaler(), TruncatedSVD(5, random_state=0)),
    ),
    Case(
        "reducing/svd-sparse",
        "TruncatedSVD(5) behind one-hot categories",
        lambda: Pipeline(
            [
                model(None).steps[0],
                ("reduce", TruncatedSVD(5, random_state=0)),
                ("model", logistic()),
            ]
        ),
    ),
    Case(
        "reducing/nystroem-rbf",
        "Nystroem(n_components=30)",
        lambda: _behind(Nystroem(gamma=0.1, n_components=30, random_state=0)),
    ),
    Case(
        "reducing/nystroem-poly",
        'Nystroem(kernel="poly", degree=2)',
        lambda: _behind(Nystroem(kernel="poly", degree=2, n_components=30, random_state=0)),
    ),
    Case(
        "reducing/rbf-sampler",
        "RBFSampler()",
        lambda: _behind(RBFSampler(gamma=0.1, n_components=30, random_state=0)),
    ),
    Case(
        "reducing/kernel-pca",
        'KernelPCA(4, kernel="rbf")',
        lambda: _behind(KernelPCA(4, kernel="rbf", gamma=0.05, random_state=0)),
    ),
    Case("reducing/best", "SelectKBest(k=8)", lambda: _behind(SelectKBest(k=8))),
    Case(
        "reducing/best-information",
        "SelectKBest(mutual_info_classif, k=4)",
        lambda: filled(StandardScaler(), SelectKBest(mutual_info_classif, k=4)),
    ),
    Case(
        "reducing/percentile",
        "SelectPercentile(f_regression, percentile=50)",
        lambda: _behind(SelectPercentile(f_regression, percentile=50), Ridge()),
        target="minutes",
    ),
    Case(
        "reducing/from-forest",
        "SelectFromModel(RandomForestClassifier())",
        lambda: _behind(SelectFromModel(RandomForestClassifier(10, random_state=0))),
    ),
    Case(
        "reducing/from-l1",
        'SelectFromModel(LogisticRegression(penalty="l1"))',
        lambda: _behind(
            SelectFromModel(LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.1))
        ),
    ),
    Case(
        "reducing/variance",
        "VarianceThreshold(0.05)",
        lambda: _behind(VarianceThreshold(0.05)),
    ),
    Case(
        "reducing/rfe",
        "RFE(LogisticRegression())",
        lambda: _behind(RFE(logistic(), n_features_to_select=6)),
    ),
    Case(
        "reducing/rfe-model",
        "RFE as the model itself",
        lambda: dense(RFE(logistic(), n_features_to_select=6)),
    ),
    Case(
        "reducing/rfecv",
        "RFECV(DecisionTreeClassifier())",
        lambda: _behind(RFECV(DecisionTreeClassifier(max_depth=4, random_state=0), cv=2, step=4)),
    ),
    Case(
        "reducing/sequential",
        "SequentialFeatureSelector(DecisionTreeClassifier())",
        lambda: filled(
            SequentialFeatureSelector(
                DecisionTreeClassifier(max_depth=3, random_state=0), n_features_to_select=2, cv=2
            )
        ),
    ),
)
