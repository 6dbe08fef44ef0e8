"""A client that openapi-python-client makes from the served document works against the server."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from environments import Environment
from msgspec.structs import replace
from runtime import bundles
from runtime.servers import Server

from mlpack.runtime.contract import Output, label_key
from mlpack.runtime.openapi import document
from mlpack.runtime.schema import Constraint, Schema

KEY = "a-key-of-the-tests"
FORMATS = {
    "Unsupported content type text/csv": 1,
    "Unsupported content type application/x-ndjson": 1,
    "Missing schema": 1,  # Arrow: OpenAPI 3.1 has none for bytes that are no text
}


def cannot(name: str) -> Counter:
    """All that the generator may warn of: bodies other than JSON, of which it knows few."""
    own = ((path, FORMATS) for path in ("/predict", "/invocations"))
    infer = (
        (f"/v2/models/{name}{version}/infer", {"Missing schema": 1})
        for version in ("", "/versions/1.2.0")
    )
    return Counter(
        {
            (f"POST {path}", said): times
            for path, warnings in (*own, *infer)
            for said, times in warnings.items()
        }
    )


@dataclass
class Made:
    """A client that was generated.

    Attributes:
        name: its package's.
        warnings: how often the generator said what of which operation.
        said: all that the generator said.
    """

    name: str
    folder: Path
    warnings: Counter
    said: str

    def module(self, path: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.{path}")

    def operation(self, name: str) -> ModuleType:
        return self.module(f"api.default.{name}")

    @property
    def models(self) -> ModuleType:
        return self.module("models")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """openapi-python-client in an environment of its own: it wants an older typer than mlpack."""
    environment = Environment(tmp_path_factory.mktemp("generator") / "env")
    environment.install("openapi-python-client==0.29.1")
    return environment.python


@pytest.fixture(scope="module")
def generate(tmp_path_factory, generator):
    """Makes clients, which can be imported until the module's tests are over."""
    made = []

    def make(api: dict, name: str) -> Made:
        folder = tmp_path_factory.mktemp("generated")
        (folder / "openapi.json").write_text(json.dumps(api), encoding="utf-8")
        # Formatting is all that it would need other programs for.
        (folder / "config.json").write_text('{"post_hooks": []}', encoding="utf-8")
        command = [
            *(generator, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", "openapi.json", "--config", "config.json", "--output-path", name),
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-4000:]
        found = re.findall(
            r"^WARNING parsing (\S+ \S+) within default\.\n\n(.+)$", said, re.MULTILINE
        )
        spec = importlib.util.spec_from_file_location(name, folder / name / "__init__.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        made.append(name)
        spec.loader.exec_module(sys.modules[name])
        return Made(name, folder / name, Counter(found), said)

    yield make
    for module in [*sys.modules]:
        if module.partition(".")[0] in made:
            del sys.modules[module]


@pytest.fixture(scope="module")
def churn_server(tmp_path_factory):
    root = tmp_path_factory.mktemp("churn")
    bundles.package(root, schema=bundles.SCHEMA)
    with Server(root, MLPACK_API_KEYS=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def price_server(tmp_path_factory):
    root = tmp_path_factory.mktemp("price")
    bundles.package(
        root,
        signature=bundles.REGRESSION,
        model=bundles.regression_graph(),
        encoding=bundles.REGRESSION_ENCODING,
    )
    with Server(root) as running:
        yield running


def served(server: Server) -> dict:
    return httpx.get(f"{server.url}/openapi.json", headers={"X-API-Key": KEY}).json()


@pytest.fixture(scope="module")
def churn(churn_server, generate) -> Made:
    return generate(served(churn_server), "churn_client")


@pytest.fixture(scope="module")
def price(price_server, generate) -> Made:
    return generate(served(price_server), "price_client")


@pytest.fixture(scope="module")
def client(churn, churn_server):
    """It shows the key as a bearer's token, and fails at statuses that the document lacks."""
    made = churn.module("client").AuthenticatedClient(
        churn_server.url, token=KEY, raise_on_unexpected_status=True
    )
    with made as opened:
        yield opened


@pytest.fixture(scope="module")
def open_client(price, price_server):
    made = price.module("client").Client(price_server.url, raise_on_unexpected_status=True)
    with made as opened:
        yield opened


def sigmoid(score: float):
    return pytest.approx(1 / (1 + math.exp(-score)), abs=1e-6)


def complete(made: Made, api: dict) -> bool:
    """Whether every operation and every component came out, and nothing else was said."""
    operations = [each for methods in api["paths"].values() for each in methods.values()]
    modules = list((made.folder / "api" / "default").glob("*.py"))
    lost = re.search("Unable|Cannot|Failure|not be generated|omitted|ERROR", made.said)
    warned = made.said.count("WARNING")
    return (
        len(modules) == len(operations) + 1
        and all(hasattr(made.models, name) for name in api["components"]["schemas"])
        and lost is None
        and warned == made.warnings.total()
    )


def test_the_served_document_is_the_one_of_the_signature(churn_server, price_server):
    said = document("churn", "1.2.0", bundles.SIGNATURE, bundles.SCHEMA)
    assert served(churn_server) == json.loads(json.dumps(said))
    said = document("churn", "1.2.0", bundles.REGRESSION, bundles.NO_SCHEMA)
    assert served(price_server) == json.loads(json.dumps(said))


@pytest.mark.parametrize("name", ["churn", "price"])
def test_the_generator_finds_nothing_that_it_cannot_do_but_formats(name, request):
    made = request.getfixturevalue(name)
    assert made.warnings == cannot("churn")
    assert complete(made, served(request.getfixturevalue(f"{name}_server")))


def test_the_server_is_alive_and_ready(churn, client):
    for operation, status in (("live", "alive"), ("ready", "ready")):
        answer = churn.operation(operation).sync_detailed(client=client)
        assert answer.status_code == HTTPStatus.OK
        assert answer.parsed.status == status
    assert churn.operation("infer_ready").sync(client=client).ready is True


def test_the_server_says_what_the_model_is(churn, client):
    told = churn.operation("model").sync(client=client)
    assert isinstance(told, churn.models.Model)
    assert (told.name, told.version, told.labels) == ("churn", "1.2.0", ["no", "yes"])
    assert told.task is churn.models.ModelTask.CLASSIFICATION
    age = told.columns[0]
    assert isinstance(age, churn.models.ModelColumn)
    assert (age.name, age.minimum, age.maximum) == ("age", 0, 120)
    assert age.observed.range_ == [18.0, 90.0]
    assert isinstance(told.parity, churn.models.ModelParity)


def test_one_row(churn, client):
    row = churn.models.Row(age=50.0, visits=5, plan="pro", vip=False, note="a note")
    answer = churn.operation("predict").sync(client=client, body=row)
    assert isinstance(answer, churn.models.Predictions)
    assert (answer.model.name, answer.model.version) == ("churn", "1.2.0")
    [prediction] = answer.predictions
    assert prediction.label is churn.models.PredictionLabel.YES
    assert prediction.probabilities["yes"] == sigmoid(1.5)
    assert prediction.probabilities.additional_keys == ["no", "yes"]


def test_rows(churn, client):
    rows = [churn.models.Row(age=30.0, visits=visits, plan="basic", vip=True) for visits in (0, 9)]
    body = churn.models.Rows(instances=rows)
    for operation in ("predict", "sagemaker_invocations"):
        answer = churn.operation(operation).sync(client=client, body=body)
        assert [each.label.value for each in answer.predictions] == ["no", "yes"]
        assert [each.probabilities["yes"] for each in answer.predictions] == [
            sigmoid(-3.7),
            sigmoid(5.3),
        ]


def test_missing_values(churn, client):
    absent = churn.models.Row(visits=5, plan="basic", vip=False)
    null = churn.models.Row(visits=5, plan="basic", vip=False, age=None, note=None)
    body = churn.models.Rows(instances=[absent, null])
    answer = churn.operation("predict").sync(client=client, body=body)
    for row in answer.predictions:
        assert row.probabilities["yes"] == sigmoid(0.4)
        assert row.label is churn.models.PredictionLabel.YES


@pytest.mark.parametrize(
    ("values", "row", "column"),
    [({"age": 121.0}, 1, "age"), ({"note": "UPPER"}, 1, "note"), ({"visits": "5"}, 1, "visits")],
)
def test_a_value_that_cannot_be_accepted_is_a_typed_problem(churn, client, values, row, column):
    fine = {"visits": 5, "plan": "basic"}
    rows = [churn.models.Row(**fine), churn.models.Row(**{**fine, **values})]
    body = churn.models.Rows(instances=rows)
    answer = churn.operation("predict").sync_detailed(client=client, body=body)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    problem = answer.parsed
    assert isinstance(problem, churn.models.Problem)
    assert problem.status == 422
    assert problem.request_id == answer.headers["x-request-id"]
    [error] = problem.errors
    assert isinstance(error, churn.models.ProblemErrorsItem)
    assert (error.row, error.column) == (row, column)
    assert error.expected
    assert error.got == json.dumps(values[column])


def test_without_a_key_the_problem_is_typed_too(churn, churn_server):
    with churn.module("client").Client(churn_server.url) as stranger:
        row = churn.models.Row(visits=5, plan="basic")
        answer = churn.operation("predict").sync_detailed(client=stranger, body=row)
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        assert isinstance(answer.parsed, churn.models.Problem)
        assert churn.operation("ready").sync(client=stranger).status == "ready"


def test_a_number_is_predicted(price, open_client):
    rows = [price.models.Row(size=2.5, rooms=2), price.models.Row(size=1.0, rooms=1)]
    body = price.models.Rows(instances=rows)
    answer = price.operation("predict").sync(client=open_client, body=body)
    assert [each.value for each in answer.predictions] == [6.0, 2.0]
    refused = price.operation("predict").sync(
        client=open_client, body=price.models.Row(size=1.0, rooms=4)
    )
    assert isinstance(refused, price.models.Problem)
    assert refused.errors[0].column == "rooms"


@pytest.mark.parametrize("version", ["", "_version"])
def test_columns_as_the_inference_protocol_has_them(price, open_client, version):
    models = price.models
    inputs = [
        models.InferInput(
            name=name,
            shape=[2],
            datatype=models.InferInputDatatype(datatype),
            data=data,
        )
        for name, datatype, data in (("size", "FP64", [2.5, 1.0]), ("rooms", "INT64", [2, 1]))
    ]
    operation = price.operation(f"infer{version}")
    answer = operation.sync(client=open_client, body=models.InferRequest(inputs=inputs))
    assert isinstance(answer, models.InferResponse)
    assert answer.outputs[0].data == [6.0, 2.0]


@pytest.mark.parametrize("version", ["", "_version"])
def test_rows_lists_and_columns_as_tensorflow_serving_has_them(price, open_client, version):
    models = price.models
    operation = price.operation(f"v_1_predict{version}")
    objects, lists, columns = (
        getattr(models, f"V1Predict{version.strip('_').title()}BodyType{place}")
        for place in range(3)
    )
    asked = [models.Row(size=2.5, rooms=2), models.Row(size=1.0, rooms=1)]
    answer = operation.sync(client=open_client, body=objects(instances=asked))
    assert [each.value for each in answer.predictions] == [6.0, 2.0]
    answer = operation.sync(client=open_client, body=lists(instances=[[2.5, 2], [1.0, 1]]))
    assert [each.value for each in answer.predictions] == [6.0, 2.0]
    asked = columns.from_dict({"inputs": {"size": [2.5, 1.0], "rooms": [2, 1]}})
    answer = operation.sync(client=open_client, body=asked)
    assert answer.outputs["value"] == [6.0, 2.0]


BOTH = (Output(name="label", type="string"), Output(name="probabilities", type="number", size=2))
CHOICES = {"age": (1.5, 2.0), "visits": (1, 2), "plan": ("basic", "pro"), "vip": (True,)}
ROWS = ({"visits": 2}, {"age": 1.5, "visits": 1, "plan": "pro", "vip": True, "note": None})


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ((-1, 1), "signs"),
        ((False, True), "truths"),
        ((0.0, 1.5), "fractions"),
        (("a b", "a-b", "A b", "1", ""), "texts"),
    ],
)
def test_labels_and_choices_of_every_kind_stay_themselves(generate, labels, name):
    signature = replace(bundles.SIGNATURE, labels=labels, positive=labels[1], outputs=BOTH)
    schema = Schema(columns={key: Constraint(categories=each) for key, each in CHOICES.items()})
    api = document("churn", "1.2.0", signature, schema)
    made = generate(api, f"labels_{name}")
    assert made.warnings == cannot("churn")
    assert complete(made, api)
    keys = [label_key(label) for label in labels]
    for label in labels:
        shares = {key: place / 8 for place, key in enumerate(keys)}
        answer = {"label": label, "probabilities": shares}
        prediction = made.models.Prediction.from_dict(answer)
        assert getattr(prediction.label, "value", prediction.label) == label
        assert [prediction.probabilities[key] for key in keys] == list(shares.values())
        assert prediction.to_dict() == answer
    for row in ROWS:
        assert made.models.Row.from_dict(row).to_dict() == row
