"""Pipelines that learn without a target: what tells outliers from others, and clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import AffinityPropagation, Birch, BisectingKMeans, KMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from mlpack.errors import InputError
from mlpack.proof.original import ask
from mlpack.training.columns import real_rows
from mlpack.training.evaluate import measure, needs_target, split
from mlpack.training.observe import observe
from mlpack.training.reference import read_reference, write_reference

ROWS = pd.DataFrame(
    np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 9]], 30, axis=0),
    columns=["a", "b"],
)


def behind_a_scaler(step):
    return make_pipeline(StandardScaler(), step)


def learned(pipeline):
    return observe(ROWS, pipeline, target=None, source="train")


@pytest.mark.parametrize(
    "detector",
    [
        IsolationForest(random_state=0),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(),
        EllipticEnvelope(random_state=0),
    ],
)
@pytest.mark.parametrize("shape", [behind_a_scaler, lambda step: step])
def test_outliers_have_a_label_and_a_score(detector, shape):
    pipeline = shape(detector).fit(ROWS)
    signature = learned(pipeline)
    assert (signature.task, signature.labels, signature.positive) == ("outliers", (-1, 1), None)
    assert [(output.name, output.type, output.size) for output in signature.outputs] == [
        ("label", "integer", 1),
        ("score", "number", 1),
    ]
    outcomes = ask(pipeline, signature, real_rows(ROWS))
    assert [signature.labels[index] for index in outcomes.labels] == list(pipeline.predict(ROWS))
    assert outcomes.numbers[:, 0].tolist() == pipeline.decision_function(ROWS).tolist()


@pytest.mark.parametrize(
    "clusterer",
    [
        KMeans(4, n_init=1, random_state=0),
        BisectingKMeans(4, random_state=0),
        Birch(n_clusters=4, threshold=0.1),
        AffinityPropagation(random_state=0),
    ],
)
def test_clusters_have_their_numbers_as_labels(clusterer):
    pipeline = behind_a_scaler(clusterer).fit(ROWS)
    signature = learned(pipeline)
    assert signature.task == "clusters"
    assert signature.labels == tuple(range(len(set(pipeline[-1].labels_))))
    assert [output.name for output in signature.outputs] == ["label"]


def test_a_cluster_that_no_row_is_in_has_a_number_too():
    pipeline = KMeans(4, n_init=1, random_state=0).fit(ROWS)
    first = ROWS[pipeline.labels_ == 0]
    assert observe(first, pipeline, target=None, source="sample").labels == (0, 1, 2, 3)


def test_a_mixture_has_probabilities_beside():
    pipeline = behind_a_scaler(GaussianMixture(3, random_state=0)).fit(ROWS)
    signature = learned(pipeline)
    assert (signature.task, signature.labels) == ("clusters", (0, 1, 2))
    assert [(output.name, output.size) for output in signature.outputs] == [
        ("label", 1),
        ("probabilities", 3),
    ]


def test_a_search_is_what_it_searches_for():
    search = GridSearchCV(KMeans(n_init=1, random_state=0), {"n_clusters": [2, 3]}, cv=2).fit(ROWS)
    assert learned(search).task == "clusters"


def test_rows_that_it_refuses_are_told_apart():
    pipeline = behind_a_scaler(OneClassSVM()).fit(ROWS)
    rows = [{"a": 0.0, "b": None}, {"a": 0.0, "b": 0.0}]
    outcomes = ask(pipeline, learned(pipeline), rows)
    assert outcomes.refused.tolist() == [True, False]
    assert outcomes.numbers.shape == (2, 1)


@pytest.mark.parametrize(
    ("step", "needed"),
    [
        (LogisticRegression(), True),
        (IsolationForest(), False),
        (KMeans(), False),
        (GaussianMixture(), False),
        (object(), True),
    ],
)
def test_who_needs_a_target(step, needed):
    assert needs_target(step) is needed
    if needed is False:
        assert needs_target(behind_a_scaler(step)) is False


def test_rows_are_split_without_a_target():
    parts = split(ROWS, None, stratify=True, seed=0)
    assert (len(parts.train), len(parts.test), parts.stratified) == (48, 12, False)
    assert parts.train_target is None
    assert parts.test_target is None
    with pytest.raises(InputError, match="there is 1 row: too few"):
        split(ROWS.head(1), None, stratify=False, seed=0)


def test_nothing_is_right_or_wrong_so_shares_are_told():
    detector = IsolationForest(contamination=0.1, random_state=0).fit(ROWS)
    share = float(np.mean(detector.predict(ROWS) == -1))
    assert measure(detector, ROWS, None) == {"outliers": share}
    clusterer = KMeans(2, n_init=1, random_state=0).fit(ROWS)
    assert measure(clusterer, ROWS, None) == {"largest_cluster": 0.5}


def test_reference_rows_without_a_target(tmp_path):
    pipeline = IsolationForest(random_state=0).fit(ROWS)
    signature = learned(pipeline)
    outcomes = ask(pipeline, signature, real_rows(ROWS))
    path = tmp_path / "reference.parquet"
    write_reference(path, ROWS, None, outcomes, signature)
    pd.testing.assert_frame_equal(read_reference(path), ROWS)
    table = pd.read_parquet(path)
    assert "mlpack:target" not in table
    assert table["mlpack:number:0"].tolist() == pipeline.decision_function(ROWS).tolist()
