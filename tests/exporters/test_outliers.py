"""What tells outliers from others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import EXACT, NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from sklearn.compose import make_column_transformer
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.svm import OneClassSVM

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

FRAME = PENGUINS[NUMBERS]

DETECTORS = [
    IsolationForest(n_estimators=20, random_state=0),
    IsolationForest(n_estimators=20, contamination=0.1, max_features=2, random_state=0),
    IsolationForest(n_estimators=10, max_samples=16, bootstrap=True, random_state=0),
    LocalOutlierFactor(novelty=True),
    LocalOutlierFactor(5, novelty=True, contamination=0.1, algorithm="kd_tree"),
    OneClassSVM(nu=0.2),
    EllipticEnvelope(random_state=0),
]


@pytest.mark.parametrize("detector", DETECTORS)
def test_labels_and_scores(detector):
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), detector).fit(FRAME)
    report, exported = assert_equal(pipeline, FRAME)
    assert set(pipeline.predict(FRAME)) == {-1, 1}
    assert exported.form == "onnx"
    assert all(check.labels_wrong == 0 for check in report.checks)


def test_neighbours_by_products_are_exact_where_no_two_are_equally_near():
    """Of equals it hangs on rounding, which in the original is another with another processor.

    Even with another number of threads: it asks BLAS for parts of other sizes then.
    """
    detector = LocalOutlierFactor(5, novelty=True, contamination=0.1, algorithm="brute")
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), detector).fit(FRAME)
    _, _, exported = proved(pipeline, FRAME)
    assert exported.form == "onnx"
    frame = pd.concat([FRAME, *(FRAME.assign(**{name: np.nan}) for name in NUMBERS)])
    points, rows = (pipeline[:-1].transform(each) for each in (FRAME, frame))
    far = np.sort(((rows[:, np.newaxis] - points) ** 2).sum(axis=2), axis=1)
    alone = far[:, 5] - far[:, 4] > 1e-12
    assert 0.8 < np.mean(alone) < 1
    signature = observe(FRAME, pipeline, target=None, source="train")
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    told = session.columns(dict(frame.items()))
    wanted = pipeline.decision_function(frame)
    assert np.abs(told.values[alone, 0] - wanted[alone]).max() <= EXACT
    assert np.array_equal(told.labels[alone] == 1, wanted[alone] >= 0)


def test_a_line_around_most_rows():
    pipeline = make_pipeline(SimpleImputer(), OneClassSVM(kernel="linear")).fit(FRAME)
    _, exported = assert_equal(pipeline, FRAME)
    assert exported.form == "onnx"


def test_a_line_through_what_cancels_out_is_as_exact_as_the_original():
    # Of scaled rows the support vectors' sum is nearly nothing: a thousand times a place of it is
    # rounding, which is another on another processor. The gate holds scores to 1e-6.
    scaled = make_pipeline(SimpleImputer(), StandardScaler(), OneClassSVM(kernel="linear"))
    report, _, exported = proved(scaled.fit(FRAME), FRAME)
    assert report.equal
    assert exported.form == "onnx"
    assert all(check.labels_wrong == 0 for check in report.checks)


def test_missing_values_and_categories_go_into_a_forest_as_they_are():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encoder, STRINGS), remainder="passthrough")
    forest = IsolationForest(n_estimators=10, random_state=0)
    frame = PENGUINS[[*NUMBERS, *STRINGS]]
    assert_equal(make_pipeline(columns, forest).fit(frame), frame)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25])
def test_the_row_on_the_edge_is_no_outlier(share):
    """Its score is the threshold itself, by whatever power the machine has."""
    frame = pd.DataFrame({"a": np.arange(21.0), "b": np.arange(21.0) ** 2})
    forest = IsolationForest(n_estimators=8, contamination=share, random_state=0).fit(frame)
    assert 0.0 in forest.decision_function(frame)
    assert_equal(forest, frame)


def test_a_wrong_score_is_caught():
    pipeline = make_pipeline(SimpleImputer(), OneClassSVM(nu=0.2, gamma=1e-3)).fit(FRAME)
    signature = observe(FRAME, pipeline, target=None, source="train")
    exported = SklearnExporter().export(pipeline, signature)
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    rows = list(batches(signature, real_rows(FRAME), exported, nodes=10))
    assert prove(pipeline, session, signature, exported, rows)[0].equal
    pipeline[-1]._intercept_ = pipeline[-1]._intercept_ + 1e-4
    report, worst = prove(pipeline, session, signature, exported, rows)
    assert not report.equal
    assert max(check.beyond for check in report.checks) > 100
    assert worst[0].original.startswith(("-1 [", "1 ["))


def test_a_forest_of_single_rows_is_not_exported():
    forest = IsolationForest(n_estimators=3, max_samples=1).fit(FRAME.dropna())
    with pytest.raises(NotExportableError, match="max_samples"):
        proved(forest, FRAME.dropna())
