# ruff: noqa: N803 - X is the name in scikit-learn
"""Models of the user's own class, which say what they are in a graph."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.training.observe import observe

X, Y = PENGUINS[NUMBERS], PENGUINS["species"]


class Nearest(ClassifierMixin, BaseEstimator):
    """Shares by the distance to the middle of each class, row by row: nothing to trace."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.middles_ = np.array([X[y == name].mean(axis=0) for name in self.classes_])
        return self

    def predict_proba(self, X):
        rows = []
        for row in X:
            near = np.array([np.exp(-np.abs(row - middle).sum()) for middle in self.middles_])
            rows.append(near / near.sum())
        return np.array(rows)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Said(Nearest):
    def __mlpack_export__(self, X, graph):
        near = [np.exp(-np.abs(X - middle).sum(axis=1)) for middle in self.middles_]
        return np.column_stack(near) / (near[0] + near[1] + near[2])[:, None]


class Wrong(Nearest):
    def __mlpack_export__(self, X, graph):
        near = [np.exp(-np.abs(X - middle).sum(axis=1)) for middle in self.middles_]
        return np.column_stack(near[::-1]) / (near[0] + near[1] + near[2])[:, None]


class Short(Nearest):
    def __mlpack_export__(self, X, graph):
        return X[:, :2]


class Scores(Nearest):
    """It has no probabilities, and says one number for each class."""

    predict_proba = property()

    def predict(self, X):
        scores = np.array([[-np.abs(row - each).sum() for each in self.middles_] for row in X])
        return self.classes_[scores.argmax(axis=1)]

    def __mlpack_export__(self, X, graph):
        return np.column_stack([-np.abs(X - each).sum(axis=1) for each in self.middles_])


class Slope(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.weights_ = np.linalg.lstsq(X, y, rcond=None)[0]
        return self

    def predict(self, X):
        return np.array([max(float(row @ self.weights_), 0.0) for row in X])

    def __mlpack_export__(self, X, graph):
        return np.maximum(X @ self.weights_, 0.0)


def pipeline(model):
    return make_pipeline(SimpleImputer(), StandardScaler(), model).fit(X, Y)


@pytest.mark.parametrize("model", [Said, Scores])
def test_a_classifier_that_says_what_it_is_exports(model):
    report, exported = assert_equal(pipeline(model()), X)
    assert exported.form == "onnx"
    assert exported.steps[-1].how == "traced"
    assert {check.name for check in report.checks} >= {"held-out", "extreme numbers"}


def test_a_regressor_that_says_what_it_is_exports():
    data = load_diabetes(as_frame=True, scaled=False)
    fitted = make_pipeline(StandardScaler(), Slope()).fit(data.data, data.target)
    assert_equal(fitted, data.data, tolerance=1e-9)


def test_what_it_says_wrongly_is_caught():
    report, _, _ = proved(pipeline(Wrong()), X)
    assert not report.equal


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Short, "2 columns for 3 classes"),
        (Nearest, "with __mlpack_export__, or as a model of scikit-learn"),
    ],
)
def test_what_cannot_be_exported_says_why(model, reason):
    fitted = pipeline(model())
    signature = observe(X, fitted, target="y", source="train")
    with pytest.raises(NotExportableError, match=reason):
        SklearnExporter().export(fitted, signature)


class Svr(SVR):
    """A subclass of a library's model may do otherwise: it is its author's own."""


def test_a_subclass_of_a_known_model_is_not_taken_for_it():
    data = load_diabetes(as_frame=True, scaled=False)
    fitted = make_pipeline(StandardScaler(), Svr()).fit(data.data, data.target)
    signature = observe(data.data, fitted, target="y", source="train")
    with pytest.raises(NotExportableError, match="model of your own"):
        SklearnExporter().export(fitted, signature)


class Module(Said):
    def __mlpack_export__(self, X, graph):
        return graph.module(len, X[:, 0])


def test_a_module_takes_rows_and_columns():
    fitted = pipeline(Module())
    signature = observe(X, fitted, target="y", source="train")
    with pytest.raises(NotExportableError, match="takes an array of rows and columns"):
        SklearnExporter().export(fitted, signature)
