"""What a model answers that gives a row several labels: the same as a graph and as Python."""

from __future__ import annotations

import csv
import io
import json

import bundles
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from asking import get, post
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.runtime.app import App
from mlpack.runtime.asked import Labels, shares
from mlpack.runtime.batch import predict_file
from mlpack.runtime.model import Model
from mlpack.runtime.settings import Settings
from mlpack.runtime.watch import Counter, Watch
from mlpack.training.observe import observe

X = pd.DataFrame({"size": np.linspace(-3, 3, 60), "age": np.tile([1.0, 2.0, 5.0], 20)})
WORDS = np.column_stack(
    [np.where(X["size"] > 1, "large", "small"), np.array(["a", "b", "c"])[np.arange(60) % 3]]
)
ROWS = X.iloc[[2, 30, 58]]


def fitted():
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, WORDS)


@pytest.fixture(scope="module", params=["onnx", "python"])
def several(request, tmp_path_factory) -> Model:
    """A tree that says how large something is and what kind it is of."""
    return made(fitted(), tmp_path_factory.mktemp("several"), request.param)


def made(pipeline, folder, form):
    signature = observe(X, pipeline, target="both", source="train")
    if form == "python":
        stream = io.BytesIO()
        joblib.dump(pipeline, stream)
        arguments = {"model": stream.getvalue(), "encoding": None, "form": form}
    else:
        exported = SklearnExporter().export(pipeline, signature)
        arguments = {"model": exported.model, "encoding": exported.encoding}
    return Model(bundles.bundle(folder, signature, **arguments))


def wanted(pipeline, rows):
    """The labels, and a dict from label to probability for each of them."""
    first, second = pipeline.predict_proba(rows)
    probabilities = [
        [
            dict(zip(pipeline.classes_[0].tolist(), one, strict=True)),
            dict(zip(pipeline.classes_[1].tolist(), two, strict=True)),
        ]
        for one, two in zip(first.tolist(), second.tolist(), strict=True)
    ]
    return pipeline.predict(rows).tolist(), probabilities


def asked(model, path, body, kind=b"application/json", accept=b"*/*"):
    answer = post(App(model, Settings()), path, body, [(b"accept", accept)], kind)
    assert answer.status == 200, answer.body
    return answer


def test_in_python(several):
    labels, probabilities = wanted(fitted(), ROWS)
    assert labels[0] != labels[2]
    assert several.predict(ROWS) == labels
    assert several.predict_proba(ROWS) == probabilities
    for row, label, share in zip(ROWS.to_dict("records"), labels, probabilities, strict=True):
        assert several.predict(row) == label
        assert several.predict_proba(row) == share


def test_over_http(several):
    labels, probabilities = wanted(fitted(), ROWS)
    objects = [
        {"label": label, "probabilities": share}
        for label, share in zip(labels, probabilities, strict=True)
    ]
    body = json.dumps({"instances": ROWS.to_dict("records")}).encode()
    assert asked(several, "/predict", body).json["predictions"] == objects
    one = json.dumps(ROWS.to_dict("records")[0]).encode()
    assert asked(several, "/predict", one).json["predictions"] == objects[:1]
    lines = asked(several, "/predict", body, accept=b"application/x-ndjson").body.splitlines()
    assert [json.loads(line) for line in lines] == objects
    api = several.openapi
    OpenAPIV31SpecValidator(api).validate()
    schema = {"$ref": "#/components/schemas/Prediction", "components": api["components"]}
    for told in objects:
        assert OAS31Validator(schema).is_valid(told)
    assert not OAS31Validator(schema).is_valid({**objects[0], "label": ["small"]})
    assert not OAS31Validator(schema).is_valid({**objects[0], "label": ["small", "z"]})


HEADER = [
    *("prediction_0", "prediction_1", "probability_0_large", "probability_0_small"),
    *("probability_1_a", "probability_1_b", "probability_1_c"),
]


def test_in_tables(several, tmp_path):
    labels, probabilities = wanted(fitted(), ROWS)
    numbers = [[share for group in row for share in group.values()] for row in probabilities]
    table = ROWS.to_csv(index=False)
    told = asked(several, "/predict", table.encode(), b"text/csv").body.decode()
    header, *rows = list(csv.reader(told.splitlines()))
    assert header == HEADER
    assert [row[:2] for row in rows] == labels
    assert [[float(cell) for cell in row[2:]] for row in rows] == numbers
    arrow = asked(
        several, "/predict", table.encode(), b"text/csv", b"application/vnd.apache.arrow.stream"
    )
    found = pa.ipc.open_stream(arrow.body).read_all()
    assert found.column_names == HEADER
    assert list(zip(*[found.column(i).to_pylist() for i in range(2)], strict=True)) == [
        tuple(label) for label in labels
    ]
    assert np.array(numbers).T.tolist() == [found.column(i).to_pylist() for i in range(2, 7)]
    (tmp_path / "in.csv").write_text(table, encoding="utf-8")
    assert predict_file(several, tmp_path / "in.csv", str(tmp_path / "out.csv")) == 0
    written = pd.read_csv(tmp_path / "out.csv")
    assert written[HEADER[:2]].to_numpy().tolist() == labels


def test_over_other_protocols(several):
    labels, probabilities = wanted(fitted(), ROWS)
    inputs = [
        {"name": name, "shape": [3], "datatype": "FP64", "data": ROWS[name].tolist()} for name in X
    ]
    path = f"/v2/models/{several.name}"
    told = asked(several, f"{path}/infer", json.dumps({"inputs": inputs}).encode()).json
    outputs = {each["name"]: each for each in told["outputs"]}
    assert outputs["label"]["shape"] == [3, 2]
    assert outputs["label"]["datatype"] == "BYTES"
    assert outputs["label"]["data"] == [label for row in labels for label in row]
    assert outputs["probabilities"]["shape"] == [3, 5]
    about = get(App(several, Settings()), path).json
    names = next(each for each in about["outputs"] if each["name"] == "probabilities")
    assert names["parameters"]["labels"] == [name[12:] for name in HEADER[2:]]
    columns = {"inputs": {name: ROWS[name].tolist() for name in X}}
    v1 = asked(several, f"/v1/models/{several.name}:predict", json.dumps(columns).encode()).json
    assert v1["outputs"]["label"] == labels
    first = [row[0]["large"] for row in probabilities]
    assert v1["outputs"]["probabilities"]["0_large"] == first


def test_what_is_counted(several):
    app = App(several, Settings())
    labels, _ = wanted(fitted(), ROWS)
    post(app, "/predict", json.dumps({"instances": ROWS.to_dict("records")}).encode())
    families = text_string_to_metric_families(get(app, "/metrics").body.decode())
    found = {
        sample.labels["label"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "mlpack_predictions_total"
    }
    assert found["0_large"] == sum(label[0] == "large" for label in labels)
    assert sum(found.values()) == 2 * len(labels)


@pytest.mark.parametrize("rows", [3, 400])
def test_of_a_large_batch_every_group_is_looked_at(several, rows):
    counter = Counter(several.signature)
    watch = Watch(counter, len(X.columns))
    asked = pd.concat([X] * 7).head(rows)
    clean = several.validator.columns(asked)
    watch.note(counter.columns(clean.columns, several.predict_clean(clean)))
    recent = watch.recent()
    # Two labels a row: as many of the first group as of the second.
    assert recent[:2].sum() == recent[2:].sum() > 0


def test_labels_that_are_numbers_and_no_probabilities(tmp_path):
    flags = np.column_stack([X["size"] > 0, X.age > 1]).astype(int)
    pipeline = RidgeClassifier().fit(X, flags)
    for form in ("onnx", "python"):
        model = made(pipeline, tmp_path / form, form)
        assert model.predict(ROWS) == pipeline.predict(ROWS).tolist()
        body = json.dumps({"instances": ROWS.to_dict("records")}).encode()
        told = asked(model, "/predict", body).json["predictions"]
        assert told == [{"label": label} for label in pipeline.predict(ROWS).tolist()]
        told = asked(model, "/predict", ROWS.to_csv(index=False).encode(), b"text/csv").body
        assert told.splitlines()[0] == b"prediction_0,prediction_1"


def test_what_estimators_say():
    flags = np.column_stack([X["size"] > 0, X.age > 1]).astype(int)
    pipeline = MultiOutputClassifier(LogisticRegression()).fit(X, flags)
    signature = observe(X, pipeline, target="both", source="train")
    assert shares(np.array([[0.25, 1.0]]), signature).tolist() == [[0.75, 0.25, 0.0, 1.0]]
    assert shares([np.array([[0.5, 0.5]]), np.array([[1, 0]])], signature).tolist() == [
        [0.5, 0.5, 1.0, 0.0]
    ]
    with pytest.raises(ValueError, match="one for each"):
        shares(np.array([[0.25, 1.0, 0.5]]), signature)
    labels = Labels(signature)
    assert labels.places(np.array([[0, 1], [1.0, 0]])).tolist() == [[0, 3], [1, 2]]
    with pytest.raises(KeyError):
        labels.places(np.array([[0, 2]]))
    with pytest.raises(ValueError, match="reshape"):
        labels.places(np.array([0, 1, 1]))


@pytest.mark.parametrize("form", ["onnx", "python"])
def test_of_a_model_for_several_targets_that_learned_one(tmp_path, form):
    pipeline = MultiOutputClassifier(LogisticRegression()).fit(X, WORDS[:, :1])
    model = made(pipeline, tmp_path, form)
    assert model.predict(ROWS) == pipeline.predict(ROWS)[:, 0].tolist()
    labels = pipeline.classes_[0].tolist()
    expected = pipeline.predict_proba(ROWS)[0].tolist()
    found = model.predict_proba(ROWS)
    assert [list(row) for row in found] == [labels] * 3
    np.testing.assert_allclose([list(row.values()) for row in found], expected, atol=1e-15)
