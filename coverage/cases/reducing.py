"""Reducing and selecting."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import FeatureAgglomeration
from sklearn.decomposition import (
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    KernelPCA,
    TruncatedSVD,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
    f_regression,
    mutual_info_classif,
)
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
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
    Case(
        "reducing/pca-incremental",
        "IncrementalPCA(5, whiten=True)",
        lambda: _behind(IncrementalPCA(5, whiten=True)),
    ),
    Case(
        "reducing/pca-histograms",
        "PCA(5), then histogram boosting",
        lambda: _behind(
            PCA(5, random_state=0),
            HistGradientBoostingClassifier(max_iter=10, early_stopping=False, random_state=0),
        ),
    ),
    Case("reducing/ica", "FastICA(4)", lambda: _behind(FastICA(4, random_state=0))),
    Case("reducing/factors", "FactorAnalysis(3)", lambda: _behind(FactorAnalysis(3))),
    Case(
        "reducing/discriminant",
        "LinearDiscriminantAnalysis() as a transformer, three classes",
        lambda: _behind(LinearDiscriminantAnalysis()),
        target="band",
    ),
    Case(
        "reducing/neighbourhood",
        "NeighborhoodComponentsAnalysis(3)",
        lambda: _behind(NeighborhoodComponentsAnalysis(3, max_iter=3, random_state=0)),
    ),
    Case(
        "reducing/random-gaussian",
        "GaussianRandomProjection(6)",
        lambda: _behind(GaussianRandomProjection(6, random_state=0)),
    ),
    Case(
        "reducing/random-sparse",
        "SparseRandomProjection(6)",
        lambda: _behind(SparseRandomProjection(6, random_state=0)),
    ),
    Case("reducing/groups", "FeatureAgglomeration(4)", lambda: _behind(FeatureAgglomeration(4))),
    Case(
        "reducing/groups-max",
        "FeatureAgglomeration(4, pooling_func=np.max)",
        lambda: _behind(FeatureAgglomeration(4, pooling_func=np.max)),
    ),
    Case(
        "reducing/kernel-pca-linear",
        'KernelPCA(4, kernel="linear")',
        lambda: _behind(KernelPCA(4, kernel="linear", random_state=0)),
    ),
    Case(
        "reducing/kernel-pca-poly",
        'KernelPCA(4, kernel="poly", degree=2)',
        lambda: _behind(KernelPCA(4, kernel="poly", degree=2, random_state=0)),
    ),
    Case(
        "reducing/kernel-pca-cosine",
        'KernelPCA(4, kernel="cosine")',
        lambda: _behind(KernelPCA(4, kernel="cosine", random_state=0)),
    ),
    Case(
        "reducing/kernel-pca-sigmoid",
        'KernelPCA(4, kernel="sigmoid", gamma=0.01)',
        lambda: _behind(KernelPCA(4, kernel="sigmoid", gamma=0.01, random_state=0)),
    ),
    Case(
        "reducing/additive-chi2",
        "AdditiveChi2Sampler() behind MinMaxScaler(clip=True)",
        lambda: filled(MinMaxScaler(clip=True), AdditiveChi2Sampler()),
    ),
    Case(
        "reducing/skewed-chi2",
        "SkewedChi2Sampler() behind MinMaxScaler(clip=True)",
        lambda: filled(MinMaxScaler(clip=True), SkewedChi2Sampler(n_components=20, random_state=0)),
    ),
    Case(
        "reducing/count-sketch",
        "PolynomialCountSketch(coef0=1)",
        lambda: _behind(PolynomialCountSketch(coef0=1, n_components=40, random_state=0)),
    ),
    Case(
        "reducing/univariate",
        'GenericUnivariateSelect(mode="k_best", param=6)',
        lambda: _behind(GenericUnivariateSelect(mode="k_best", param=6)),
    ),
    Case("reducing/rate-positive", "SelectFpr()", lambda: _behind(SelectFpr())),
    Case("reducing/rate-discovery", "SelectFdr()", lambda: _behind(SelectFdr())),
    Case("reducing/rate-family", "SelectFwe()", lambda: _behind(SelectFwe())),
)
