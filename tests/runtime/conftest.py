"""Models of every kind, loaded once."""

from __future__ import annotations

import io

import bundles
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.model import Model


@pytest.fixture(scope="session")
def churn(tmp_path_factory) -> Model:
    """The classifier with the author's constraints."""
    return Model(bundles.bundle(tmp_path_factory.mktemp("churn"), schema=bundles.SCHEMA))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the package ``churn`` in it, as an artifact installs it."""
    root = tmp_path_factory.mktemp("site")
    bundles.package(root, schema=bundles.SCHEMA)
    return root


@pytest.fixture(scope="session")
def price(tmp_path_factory) -> Model:
    """The regression."""
    return Model(
        bundles.bundle(
            tmp_path_factory.mktemp("price"),
            bundles.REGRESSION,
            model=bundles.regression_graph(),
            encoding=bundles.REGRESSION_ENCODING,
        )
    )


PYTHON_SIGNATURE = Signature(
    task="classification",
    columns=(
        Column(name="age", type="number", dtype="float64"),
        Column(name="plan", type="string", dtype="str", categories=("basic", "pro")),
    ),
    outputs=(
        Output(name="label", type="integer"),
        Output(name="probabilities", type="number", size=2),
    ),
    labels=(0, 1),
)


@pytest.fixture(scope="session")
def pipeline():
    """A fitted pipeline that refuses unknown plans."""
    rows = pd.DataFrame(
        {"age": [20.0, 30.0, np.nan, 60.0] * 5, "plan": ["basic", "pro", "basic", "pro"] * 5}
    )
    columns = make_column_transformer(
        (SimpleImputer(), ["age"]), (OneHotEncoder(handle_unknown="error"), ["plan"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(rows, [0, 1, 0, 1] * 5)


@pytest.fixture(scope="session")
def pickled(tmp_path_factory, pipeline) -> Model:
    """The same pipeline as a model of the python form."""
    stream = io.BytesIO()
    joblib.dump(pipeline, stream)
    return Model(
        bundles.bundle(
            tmp_path_factory.mktemp("pickled"),
            PYTHON_SIGNATURE,
            model=stream.getvalue(),
            encoding=None,
            form="python",
        )
    )
