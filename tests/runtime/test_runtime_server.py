"""The real server in a process of its own, from a package that looks as an artifact does."""

from __future__ import annotations

import json
import pty
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import bundles
import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from servers import Server

from mlpack.oci.pruning import PRUNED

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


@pytest.fixture(scope="module")
def server(root):
    with Server(root, MLPACK_MAX_BODY="20000") as running:
        yield running


def test_predict(server):
    answer = httpx.post(server.url + "/predict", json=ROW, headers={"x-request-id": "r-1"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "r-1"
    assert "uvicorn" not in answer.headers.get("server", "")
    assert answer.json()["predictions"][0]["label"] == "yes"
    assert answer.json()["model"] == {"name": "churn", "version": "1.2.0"}


def test_probes_metrics_and_documents(server):
    assert httpx.get(server.url + "/livez").status_code == 200
    assert httpx.get(server.url + "/readyz").json()["version"] == "1.2.0"
    OpenAPIV31SpecValidator(httpx.get(server.url + "/openapi.json").json()).validate()
    assert "mlpack_requests_total" in httpx.get(server.url + "/metrics").text
    assert 'src="static/page.js"' in httpx.get(server.url + "/").text
    assert httpx.get(server.url + "/model.json").json()["version"] == "1.2.0"


def test_what_is_refused(server):
    answer = httpx.post(server.url + "/predict", json={"visits": "x"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["column"] for error in answer.json()["errors"]] == ["visits", "plan"]
    large = httpx.post(
        server.url + "/predict", content=b" " * 30_000, headers={"content-type": "application/json"}
    )
    assert large.status_code == 413
    chunks = httpx.post(
        server.url + "/predict",
        content=iter([b" " * 15_000] * 2),
        headers={"content-type": "application/json"},
    )
    assert chunks.status_code == 413
    assert httpx.post(server.url + "/predict", content=b"x").status_code == 415
    assert httpx.get(server.url + "/predict").status_code == 405
    assert httpx.get(server.url + "/no").json()["type"] == "urn:mlpack:problem:not-found"


def test_half_a_request_and_noise_do_not_stop_it(server):
    for data in (
        b"POST /predict HTTP/1.1\r\nContent-Length: 50\r\n\r\n{",
        b"\x00\xff\r\n\r\n",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(data)
    assert httpx.post(server.url + "/predict", json=ROW).status_code == 200


def test_health_command(root, server):
    def health(port: int) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "churn", "health", "--port", str(port)],
            env={"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert health(server.port).returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = health(free.getsockname()[1])
    assert dead.returncode == 1
    assert dead.stderr.startswith("ERROR no answer on port")
    assert "MLPACK_TLS_CERT" not in dead.stderr


def test_port_in_use(root, server):
    second = subprocess.run(
        [sys.executable, "-m", "churn", "serve", "--port", str(server.port)],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 4
    (line,) = map(json.loads, second.stderr.splitlines())
    assert (line["level"], line["event"]) == (
        "error",
        f"port {server.port} is in use: stop what runs there, or choose another with --port",
    )


def test_keys_and_the_log(root):
    with Server(root, MLPACK_API_KEYS="hush") as server:
        assert httpx.post(server.url + "/predict", json=ROW).status_code == 401
        headers = {"authorization": "Bearer hush", "x-request-id": "mine"}
        url = server.url + "/predict?token=private"
        assert httpx.post(url, json=ROW, headers=headers).status_code == 200
        assert httpx.get(server.url + "/livez").status_code == 200
        assert httpx.get(server.url + "/metrics").status_code == 401
        assert server.stop() == 0
        log = [json.loads(line) for line in server.lines]
    requests = [line for line in log if line["event"] == "request"]
    assert {"mine"} == {
        line["request_id"] for line in requests if line["status"] == 200 and line["rows"]
    }
    assert "hush" not in json.dumps(log)
    assert "private" not in json.dumps(log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(root, number):
    with Server(root) as server, ThreadPoolExecutor() as pool:
        body = json.dumps(ROW).encode()
        head = (
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(head + body[:10])
            time.sleep(0.3)  # the request is in work now
            stopped = pool.submit(server.stop, number)
            time.sleep(0.3)
            assert not stopped.done()
            connection.sendall(body[10:])
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200")
        assert stopped.result() == 0
        assert not [line for line in server.lines if "Traceback" in line]


def test_several_workers(root):
    with Server(root, "--workers", "2") as server:
        for _ in range(5):
            assert httpx.post(server.url + "/predict", json=ROW).status_code == 200
        assert server.stop() == 0
    with socket.socket() as again:
        again.bind(("127.0.0.1", server.port))


def test_warning_when_open_to_all(root):
    with Server(root, "--host", "0.0.0.0") as server:
        assert any("MLPACK_API_KEYS" in line for line in server.lines) or server.stop() == 0
        server.stop()
        assert any("MLPACK_API_KEYS" in line for line in server.lines)


def test_a_damaged_model_is_refused_at_start(tmp_path):
    data = bundles.package(tmp_path)
    with (data / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    for workers in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-m", "churn", "serve", "--port", "0", "--workers", workers],
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert result.returncode == 3
        *before, line = map(json.loads, result.stderr.splitlines())
        assert line["level"] == "error"
        assert line["event"].startswith("model.onnx is damaged: its SHA-256 is ")
        assert not [each for each in before if each["level"] != "info"]


def test_at_a_terminal_the_reason_is_for_a_person(root, server):
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as told, open(theirs, "wb") as terminal:  # noqa: PTH123
        result = subprocess.run(
            [sys.executable, "-m", "churn", "serve", "--port", str(server.port)],
            env={"PYTHONPATH": str(root)},
            stderr=terminal,
            timeout=30,
            check=False,
        )
        assert result.returncode == 4
        assert told.read(6) == b"ERROR "


def test_predict_and_info_commands(root, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "churn", *arguments],
            env={"PYTHONPATH": str(root)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    (tmp_path / "in.csv").write_text("visits,plan,vip\n5,pro,true\n")
    assert run("predict", "in.csv", "out.csv").returncode == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("5,pro,true,yes,")
    assert run("predict", "in.csv", "-").stdout == (tmp_path / "out.csv").read_text()
    (tmp_path / "in.csv").write_text("visits,plan\nx,pro\n")
    wrong = run("predict", "in.csv", "-")
    assert wrong.returncode == 3
    assert wrong.stderr.startswith("ERROR row 0, visits: expected a whole number of 64 bits")
    assert run("predict", "no.csv", "-").returncode == 3
    assert run("nonsense").returncode == 2
    info = run("info")
    assert info.stdout.startswith("churn 1.2.0\nform      onnx\ntask      classification\n")
    assert "labels    no, yes" in info.stdout


def test_what_images_have_no_bytecode_of_is_imported_by_no_server(root):
    with Server(root, PYTHONPROFILEIMPORTTIME="1") as server:
        for path in ("/", "/docs", "/openapi.json", "/model.json", "/metrics", "/nowhere"):
            httpx.get(server.url + path)
        for kind in ("application/json", "text/csv", "application/xml"):
            httpx.post(server.url + "/predict", content=b"{", headers={"content-type": kind})
        assert server.stop() == 0
    rows = [line.rpartition("|")[2].strip() for line in server.lines if "import time:" in line]
    imported = {row.partition(".")[0] for row in rows}
    assert {"uvicorn", "fastapi", "onnxruntime"} <= imported
    # Where email_validator is installed, as here and not in production, FastAPI imports it, and it
    # imports idna.
    unused = set(PRUNED.unused) - ({"idna"} if "email_validator" in imported else set())
    assert not imported & unused


def test_two_models_in_one_process_and_nothing_of_the_builder(tmp_path):
    bundles.package(tmp_path, "one")
    bundles.package(
        tmp_path,
        "two",
        signature=bundles.REGRESSION,
        model=bundles.regression_graph(),
        encoding=bundles.REGRESSION_ENCODING,
    )
    code = (
        "import sys, one, two\n"
        "print(one.Model().predict({'visits': 9}), two.Model().predict({'size': 2, 'rooms': 1}))\n"
        "heavy = {'mlpack', 'pandas', 'sklearn', 'joblib', 'fastapi', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "yes 4.0\n[]\n"
