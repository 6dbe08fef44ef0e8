"""What a model answers that tells outliers from others, or finds clusters: the same everywhere."""

from __future__ import annotations

import csv
import io
import json

import bundles
import joblib
import numpy as np
import pandas as pd
import pytest
from asking import post
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture

from mlpack.runtime.app import App
from mlpack.runtime.batch import predict_file
from mlpack.runtime.contract import Output, Signature
from mlpack.runtime.faults import InvalidInputError, ModelError
from mlpack.runtime.model import Model
from mlpack.runtime.settings import Settings

ROWS = [{"size": 1.0}, {"size": -4.5}, {"size": 3.0}]
TOLD = [
    {"label": 1, "score": 2.0},
    {"label": -1, "score": -1.5},
    {"label": 1, "score": 0.0},
]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Model:
    """The graph that finds outliers."""
    return Model(
        bundles.bundle(
            tmp_path_factory.mktemp("found"),
            bundles.OUTLIERS,
            model=bundles.outliers_graph(),
            encoding=bundles.OUTLIERS_ENCODING,
        )
    )


def python_model(folder, estimator, signature) -> Model:
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    return Model(
        bundles.bundle(folder, signature, model=stream.getvalue(), encoding=None, form="python")
    )


def posted(model, body: bytes, kind: bytes, accept: bytes = b"*/*") -> bytes:
    """What the server answers."""
    answer = post(App(model, Settings()), "/predict", body, [(b"accept", accept)], kind)
    assert answer.status == 200
    return answer.body


def test_in_python(found):
    assert [found.predict(row) for row in ROWS] == [1, -1, 1]
    assert found.predict(ROWS) == [1, -1, 1]
    assert found.predict(pd.DataFrame(ROWS)) == [1, -1, 1]
    assert found.predict_score(ROWS) == [2.0, -1.5, 0.0]
    assert found.predict_score(ROWS[1]) == -1.5
    with pytest.raises(ModelError, match="no probabilities"):
        found.predict_proba(ROWS)
    with pytest.raises(InvalidInputError):
        found.predict_score({"size": 13.0})


def test_other_models_have_no_scores(churn, price):
    with pytest.raises(ModelError, match="no scores"):
        churn.predict_score({"visits": 1, "plan": "pro"})
    with pytest.raises(ModelError, match="no scores"):
        price.predict_score({"size": 1.0})


def test_over_http(found):
    body = json.dumps({"instances": ROWS}).encode()
    assert json.loads(posted(found, body, b"application/json"))["predictions"] == TOLD
    lines = posted(found, body, b"application/json", b"application/x-ndjson").splitlines()
    assert [json.loads(line) for line in lines] == TOLD
    text = posted(found, b"size\n1.0\n-4.5\n3.0\n", b"text/csv").decode()
    assert list(csv.reader(text.splitlines())) == [
        ["prediction", "score"],
        ["1", "2.0"],
        ["-1", "-1.5"],
        ["1", "0.0"],
    ]


def test_in_files(found, tmp_path):
    (tmp_path / "in.csv").write_text("size\n1.0\n-4.5\n", encoding="utf-8")
    assert predict_file(found, tmp_path / "in.csv", str(tmp_path / "out.csv")) == 0
    told = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert told == ["size,prediction,score", "1.0,1,2.0", "-4.5,-1,-1.5"]


def test_in_the_document(found):
    api = found.openapi
    OpenAPIV31SpecValidator(api).validate()
    assert "outliers" in api["info"]["description"]
    schema = {"$ref": "#/components/schemas/Prediction", "components": api["components"]}
    for answer in TOLD:
        assert OAS31Validator(schema).is_valid(answer)
    assert not OAS31Validator(schema).is_valid({"label": 0, "score": 1.0})
    assert not OAS31Validator(schema).is_valid({"label": 1})


def test_the_pipeline_itself_says_the_same(tmp_path):
    rows = pd.DataFrame({"size": np.linspace(-3, 3, 40)})
    estimator = IsolationForest(n_estimators=5, random_state=0).fit(rows)
    model = python_model(tmp_path, estimator, bundles.OUTLIERS)
    assert model.predict(rows) == estimator.predict(rows).tolist()
    assert model.predict_score(rows) == estimator.decision_function(rows).tolist()
    model.warm()


def test_clusters_are_numbers_and_may_have_probabilities(tmp_path):
    rows = pd.DataFrame({"size": [0.0, 0.1, 0.2, 9.0, 9.1, 9.2]})
    estimator = GaussianMixture(2, random_state=0).fit(rows)
    signature = Signature(
        task="clusters",
        columns=bundles.OUTLIERS.columns,
        outputs=(
            Output(name="label", type="integer"),
            Output(name="probabilities", type="number", size=2),
        ),
        labels=(0, 1),
    )
    model = python_model(tmp_path, estimator, signature)
    assert model.predict(rows) == estimator.predict(rows).tolist()
    shares = estimator.predict_proba(rows).tolist()
    assert model.predict_proba(rows) == [dict(enumerate(row)) for row in shares]
    body = json.dumps({"instances": [{"size": 9.0}]}).encode()
    (told,) = json.loads(posted(model, body, b"application/json"))["predictions"]
    assert told["label"] == int(estimator.predict(rows[3:4])[0])
    assert set(told["probabilities"]) == {"0", "1"}
    api = model.openapi
    OpenAPIV31SpecValidator(api).validate()
    schema = {"$ref": "#/components/schemas/Prediction", "components": api["components"]}
    assert OAS31Validator(schema).is_valid(told)
    assert api["info"]["description"].startswith("Clustering")
