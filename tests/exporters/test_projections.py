"""Projections, random features, kernel components, and selectors."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn.cluster import FeatureAgglomeration
from sklearn.decomposition import FactorAnalysis, FastICA, IncrementalPCA, KernelPCA, SparsePCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomTreesEmbedding
from sklearn.feature_selection import RFE, GenericUnivariateSelect, SequentialFeatureSelector
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    StandardScaler,
)
from sklearn.random_projection import SparseRandomProjection
from sklearn.tree import DecisionTreeClassifier

from mlpack.ports import NotExportableError

KEPT = PENGUINS.dropna(subset=["bill_length_mm"])
FRAME = KEPT[[*NUMBERS, "body_mass_g"]]
LAST = LogisticRegression(max_iter=300)


def fitted(*steps, last=LAST):
    return make_pipeline(*steps, last).fit(FRAME, KEPT.species)


@pytest.mark.parametrize(
    "steps",
    [
        [
            IncrementalPCA(3, whiten=True),
            FastICA(3, random_state=0),
            FactorAnalysis(2),
            SparseRandomProjection(3, random_state=0),
        ],
        [
            LinearDiscriminantAnalysis(solver="eigen", n_components=1),
            FeatureAgglomeration(2),
            FeatureAgglomeration(2, pooling_func=np.max),
            RandomTreesEmbedding(5, max_depth=3, random_state=0),
        ],
        [
            RBFSampler(gamma=0.1, n_components=20, random_state=0),
            PolynomialCountSketch(degree=3, gamma=0.3, coef0=1, n_components=20, random_state=0),
        ],
        [
            KernelPCA(3, kernel="rbf", gamma=0.3),
            KernelPCA(3, kernel="cosine"),
            KernelPCA(3, kernel="poly", degree=2, gamma=0.1),
        ],
    ],
    ids=["linear", "groups", "random", "kernels"],
)
def test_projections(steps):
    assert_equal(fitted(StandardScaler(), make_union(*steps)), FRAME)


def test_what_wants_positive_numbers_refuses_others():
    step = make_union(AdditiveChi2Sampler(), SkewedChi2Sampler(n_components=10, random_state=0))
    report, _ = assert_equal(fitted(MinMaxScaler(), step), FRAME)
    assert sum(check.refused for check in report.checks)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (SparsePCA(2, max_iter=5, random_state=0), "single row"),
        (FeatureAgglomeration(2, pooling_func=np.median), "pooling_func"),
        (KernelPCA(2, kernel=np.dot), "kernel"),
    ],
    ids=["single-row", "median", "kernel"],
)
def test_what_is_not_exported_says_so(step, reason):
    with pytest.raises(NotExportableError, match=reason):
        proved(fitted(StandardScaler(), step), FRAME)


def test_selectors():
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    step = make_union(
        GenericUnivariateSelect(mode="k_best", param=2),
        SequentialFeatureSelector(tree, n_features_to_select=2, cv=2),
    )
    assert_equal(fitted(step), FRAME)


def test_a_selector_looks_at_the_columns_that_it_leaves_out():
    """exp overflows in a column that is not selected, and the model would take infinities."""
    step = GenericUnivariateSelect(mode="k_best", param=1)
    last = HistGradientBoostingClassifier(max_iter=3, early_stopping=False)
    pipeline = fitted(StandardScaler(), FunctionTransformer(np.exp), step, last=last)
    report, _ = assert_equal(pipeline, FRAME)
    assert sum(check.refused for check in report.checks)


def test_a_selector_as_the_model():
    assert_equal(fitted(StandardScaler(), last=RFE(LAST, n_features_to_select=2)), FRAME)


def test_bins_refuse_what_is_not_finite():
    """A logarithm below zero is NaN, which has no bin."""
    step = KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    report, _ = assert_equal(fitted(FunctionTransformer(np.log), step), FRAME)
    assert sum(check.refused for check in report.checks)
