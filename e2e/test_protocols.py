"""Every protocol of a built artifact, asked by clients that others wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tritonclient.http as triton
from environments import EXAMPLES, Environment, free_port, running, wait_ready, with_mlpack
from tritonclient.utils import InferenceServerException

NAME = "penguins"
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
TEXTS = ["island", "sex"]
PREDICT = "/v1/endpoints/7/deployedModels/8:predict"
HEALTH = "/v1/endpoints/7/deployedModels/8"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A trained and locked project, and the environment that made it."""
    folder = tmp_path_factory.mktemp("protocols")
    environment = with_mlpack(folder / "environment")
    root = folder / NAME
    shutil.copytree(EXAMPLES / NAME, root, ignore=shutil.ignore_patterns("models"))
    for command in ("lock", "install", "train"):
        environment.mlpack(command, cwd=root)
    return root, environment


@pytest.fixture(scope="module")
def url(project, tmp_path_factory):
    """The wheel, installed and served on a port that the environment names, as Vertex AI does."""
    root, environment = project
    environment.mlpack("build", "--only", "wheel", cwd=root)
    folder = tmp_path_factory.mktemp("served")
    clean = Environment(folder / "clean")
    clean.install(next((root / "dist").glob("*.whl")))
    port = free_port()
    variables = {
        "AIP_HTTP_PORT": str(port),
        "AIP_PREDICT_ROUTE": PREDICT,
        "AIP_HEALTH_ROUTE": HEALTH,
    }
    server = subprocess.Popen(
        [clean.python, "-m", NAME, "serve"], cwd=folder, env={**os.environ, **variables}
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_ready(address)
        yield address
    finally:
        server.terminate()
        assert server.wait(30) == 0


@pytest.fixture(scope="module")
def http(url):
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(url):
    with triton.InferenceServerClient(url.removeprefix("http://")) as found:
        yield found


@pytest.fixture(scope="module")
def frame():
    """The sample: two of its rows miss values."""
    frame = pd.read_csv(EXAMPLES / NAME / "data" / "sample.csv").drop(columns="species")
    assert frame.isna().sum().sum() == 6
    return frame


@pytest.fixture(scope="module")
def rows(frame):
    return [
        {name: value for name, value in row.items() if value == value}
        for row in frame.to_dict("records")
    ]


@pytest.fixture(scope="module")
def expected(http, rows):
    answer = http.post("/predict", json={"instances": rows})
    return answer.json()["predictions"]


def labels(expected):
    return [each["label"] for each in expected]


def probabilities(expected):
    return np.array([list(each["probabilities"].values()) for each in expected])


# The Open Inference Protocol, by Triton's client


def tensors(frame, *, binary):
    made = []
    for name in NUMBERS:
        made.append(triton.InferInput(name, [len(frame), 1], "FP64"))
        made[-1].set_data_from_numpy(frame[[name]].to_numpy(), binary_data=binary)
    for name in TEXTS:
        made.append(triton.InferInput(name, [len(frame)], "BYTES"))
        # The client writes what is missing as "nan": there is no other way to say it in bytes.
        made[-1].set_data_from_numpy(frame[name].to_numpy(dtype=object), binary_data=binary)
    return made


def test_triton_asks_how_the_server_is(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "0.1.0")
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_repository_index()[0]["name"] == NAME


def test_triton_reads_the_metadata(client):
    told = client.get_model_metadata(NAME, "0.1.0")
    datatypes = {each["name"]: each["datatype"] for each in told["inputs"]}
    assert datatypes == {**dict.fromkeys(NUMBERS, "FP64"), **dict.fromkeys(TEXTS, "BYTES")}
    label, probability = told["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [-1]}
    assert probability["shape"] == [-1, 3]
    assert probability["parameters"]["labels"] == ["Adelie", "Chinstrap", "Gentoo"]


@pytest.mark.parametrize("into", [False, True])
@pytest.mark.parametrize("out", [False, True])
def test_triton_predicts(client, frame, expected, into, out):
    names = ("probabilities", "label")
    wanted = [triton.InferRequestedOutput(name, binary_data=out) for name in names]
    result = client.infer(
        NAME,
        tensors(frame, binary=into),
        model_version="0.1.0",
        outputs=wanted,
        request_id="a-1",
        parameters={"missing": "nan"},
    )
    response = result.get_response()
    assert response["id"] == "a-1"
    assert [each["name"] for each in response["outputs"]] == list(names)
    found = [each.decode() if out else each for each in result.as_numpy("label")]
    assert found == labels(expected)
    assert result.as_numpy("probabilities") == pytest.approx(probabilities(expected), abs=1e-12)


def test_triton_asks_for_everything_in_single_precision(client, frame, expected):
    made = tensors(frame, binary=True)[len(NUMBERS) :]
    for name in NUMBERS:
        made.append(triton.InferInput(name, [len(frame)], "FP32"))
        made[-1].set_data_from_numpy(frame[name].to_numpy(dtype=np.float32))
    result = client.infer(NAME, made, parameters={"missing": "nan"})
    assert [each.decode() for each in result.as_numpy("label")] == labels(expected)


def test_triton_leaves_columns_out(client, http):
    island = triton.InferInput("island", [1], "BYTES")
    island.set_data_from_numpy(np.array(["Biscoe"], dtype=object))
    result = client.infer(NAME, [island])
    (told,) = http.post("/predict", json={"island": "Biscoe"}).json()["predictions"]
    assert result.as_numpy("label").tolist() == [told["label"].encode()]


def test_triton_tells_what_is_wrong(client):
    wrong = triton.InferInput("wingspan", [1], "FP64")
    wrong.set_data_from_numpy(np.array([1.0]))
    with pytest.raises(InferenceServerException, match="one value cannot be accepted"):
        client.infer(NAME, [wrong])
    with pytest.raises(InferenceServerException, match="there is nothing here"):
        client.infer("other", [wrong])


# TensorFlow Serving, KServe v1, Vertex AI


def test_rows_and_columns_of_v1(http, frame, rows, expected):
    answer = http.post(f"/v1/models/{NAME}:predict", json={"instances": rows})
    assert answer.json() == {"predictions": expected}
    columns = json.loads(frame.to_json(orient="split", index=False))
    columns = dict(zip(columns["columns"], zip(*columns["data"], strict=True), strict=True))
    answer = http.post(f"/v1/models/{NAME}:predict", json={"inputs": columns})
    assert answer.json()["outputs"]["label"] == labels(expected)
    status = http.get(f"/v1/models/{NAME}").json()
    assert status["ready"] is True
    assert status["model_version_status"][0]["state"] == "AVAILABLE"


def test_vertex_ais_paths(http, rows, expected):
    assert http.get(HEALTH).status_code == 200
    answer = http.post(PREDICT, json={"instances": rows, "parameters": {"a": 1}})
    assert answer.json() == {"predictions": expected}


# Arrow, by Arrow's own library


@pytest.mark.parametrize("text", ["string", "large_string", "string_view", "dictionary"])
def test_arrow(http, frame, expected, text):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in TEXTS:
        column = table[name].cast(pa.string())
        column = (
            column.dictionary_encode() if text == "dictionary" else column.cast(getattr(pa, text)())
        )
        table = table.set_column(table.column_names.index(name), name, column)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"content-type": "application/vnd.apache.arrow.stream"}
    answer = http.post("/predict", content=sink.getvalue().to_pybytes(), headers=kind)
    assert answer.headers["content-type"] == kind["content-type"]
    told = pa.ipc.open_stream(answer.content).read_pandas()
    assert told["prediction"].tolist() == labels(expected)
    assert told.iloc[:, 1:].to_numpy() == pytest.approx(probabilities(expected), abs=1e-12)


# SageMaker


def test_invocations(http, frame, rows, expected):
    speaks_sagemakers_contract(http, frame, rows, expected)


def speaks_sagemakers_contract(http, frame, rows, expected):
    assert http.get("/ping").status_code == 200
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "a=b"}
    answer = http.post("/invocations", json={"instances": rows}, headers=headers)
    assert answer.json()["predictions"] == expected
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    kind = {"content-type": "application/jsonlines", "accept": "application/jsonlines"}
    answer = http.post("/invocations", content=lines, headers=kind)
    assert [json.loads(line) for line in answer.text.splitlines()] == expected
    for header in (True, False):
        text = frame.to_csv(index=False, header=header)
        answer = http.post("/invocations", content=text, headers={"content-type": "text/csv"})
        told = answer.text.splitlines()
        assert len(told) == len(rows) + header
        assert [line.split(",")[0] for line in told[header:]] == labels(expected)


def test_sagemaker_runs_the_image_with_serve(project, base, engine, frame, rows, http, expected):
    """`docker run IMAGE serve`, on port 8080 of every interface."""
    root, environment = project
    environment.mlpack("build", "--base", f"archive:{base}", cwd=root)
    build = json.loads((root / "dist" / "build.json").read_text())
    with (
        running(
            engine,
            build["artifacts"]["image"]["config"],
            command="serve",
            environment={"SAGEMAKER_SAFE_PORT_RANGE": "21000-21999"},
        ) as address,
        httpx.Client(base_url=address, trust_env=False) as inside,
    ):
        speaks_sagemakers_contract(inside, frame, rows, expected)
