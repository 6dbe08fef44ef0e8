"""Outliers and clusters."""

from __future__ import annotations

from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline
from sklearn.svm import OneClassSVM

from cases.case import Case
from cases.parts import dense, few, gaps, logistic, model


def _distances():
    whole = dense(logistic())
    return Pipeline(
        [whole.steps[0], ("reduce", KMeans(4, n_init=1, random_state=0)), whole.steps[1]]
    )


def _case(name, what, build):
    return Case(f"outliers/{name}", what, build)


CASES = (
    _case(
        "isolation",
        "IsolationForest()",
        lambda: model(IsolationForest(n_estimators=30, random_state=0)),
    ),
    _case(
        "isolation-share",
        "IsolationForest(contamination=0.05, max_features=0.5) on missing values",
        lambda: gaps(
            IsolationForest(n_estimators=30, contamination=0.05, max_features=0.5, random_state=0)
        ),
    ),
    _case(
        "local",
        "LocalOutlierFactor(novelty=True)",
        lambda: few(LocalOutlierFactor(novelty=True)),
    ),
    _case("one-class", "OneClassSVM(nu=0.1)", lambda: few(OneClassSVM(nu=0.1))),
    _case("elliptic", "EllipticEnvelope()", lambda: few(EllipticEnvelope(random_state=0))),
    _case("kmeans", "KMeans(5)", lambda: dense(KMeans(5, n_init=1, random_state=0))),
    _case(
        "kmeans-sparse",
        "KMeans(5) on a sparse matrix",
        lambda: model(KMeans(5, n_init=1, random_state=0)),
    ),
    _case(
        "kmeans-batches",
        "MiniBatchKMeans(5)",
        lambda: dense(MiniBatchKMeans(5, n_init=1, random_state=0)),
    ),
    _case(
        "kmeans-bisecting",
        "BisectingKMeans(5)",
        lambda: dense(BisectingKMeans(5, random_state=0)),
    ),
    _case("kmeans-distances", "KMeans(4) as a transformer", _distances),
    _case(
        "mixture",
        "GaussianMixture(3)",
        lambda: few(GaussianMixture(3, random_state=0, reg_covar=1e-3)),
    ),
    _case(
        "mixture-diag",
        'GaussianMixture(3, covariance_type="diag")',
        lambda: few(GaussianMixture(3, covariance_type="diag", random_state=0, reg_covar=1e-3)),
    ),
    _case(
        "local-share",
        "LocalOutlierFactor(novelty=True, contamination=0.1)",
        lambda: dense(LocalOutlierFactor(novelty=True, contamination=0.1)),
    ),
    _case(
        "one-class-sparse",
        "OneClassSVM() on a sparse matrix",
        lambda: model(OneClassSVM(nu=0.1)),
    ),
)
