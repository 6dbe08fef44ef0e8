"""Who takes part: how each is started, and what it is sent and answers."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import environments
from .projects import Pipeline, run

APPS = Path(__file__).resolve().parent / "apps"
Row = dict[str, Any]
Rows = list[Row]


def encoded(value: Any) -> bytes:
    """JSON as a client would write it."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Format:
    """One way to send many rows.

    Attributes:
        content_type: its header.
        write: the body.
        read: the labels of an answer.
        path: where it is sent; None where single rows are.
    """

    content_type: str
    write: Callable[[Rows], bytes]
    read: Callable[[bytes], list[str]]
    path: str | None = None


@dataclass(frozen=True)
class Contender:
    """A server.

    Attributes:
        name: in the table.
        command: its argument list and further environment variables.
        path: where predictions are.
        one: the body for a row.
        formats: ways to send many rows, by name; the first also reads the answer for one.
    """

    name: str
    command: Callable[[int], tuple[list[str], dict[str, str]]]
    path: str
    one: Callable[[Row], bytes]
    formats: Mapping[str, Format] = field(default_factory=dict)


def _predictions(answer: bytes) -> list[str]:
    return [each["label"] for each in json.loads(answer)["predictions"]]


def _csv(rows: Rows) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def _arrow(pipeline: Pipeline) -> Callable[[Rows], bytes]:
    def write(rows: Rows) -> bytes:
        import pyarrow as pa

        kinds = {"f": pa.float64(), "i": pa.int64(), "s": pa.string(), "o": pa.string()}
        schema = pa.schema([(name, kinds[kind[0]]) for name, kind in pipeline.dtypes.items()])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        return sink.getvalue().to_pybytes()

    return write


def _arrow_labels(answer: bytes) -> list[str]:
    import pyarrow as pa

    table = pa.ipc.open_stream(answer).read_all()
    return table.column(0).to_pylist()


def mlpack(pipeline: Pipeline) -> Contender:
    """The wheel, as its README says to serve it."""
    python = pipeline.environment / "bin" / "python"

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        return [str(python), "-m", pipeline.package, "serve", "--port", str(port)], {}

    def first_column(answer: bytes) -> list[str]:
        return [row[0] for row in csv.reader(io.StringIO(answer.decode()))][1:]

    return Contender(
        "mlpack",
        command,
        "/predict",
        encoded,
        {
            "JSON": Format(
                "application/json", lambda rows: encoded({"instances": rows}), _predictions
            ),
            "CSV": Format("text/csv", _csv, first_column),
            "Arrow": Format("application/vnd.apache.arrow.stream", _arrow(pipeline), _arrow_labels),
        },
    )


def constant(pipeline: Pipeline, answer: Path) -> Contender:
    """The bare uvicorn application, in the very environment of the artifact."""
    python = pipeline.environment / "bin" / "python"

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        return [str(python), str(APPS / "constant.py"), str(port), str(answer)], {}

    return Contender("constant", command, "/predict", encoded)


def _variables(pipeline: Pipeline) -> dict[str, str]:
    return {"BENCH_MODEL": str(pipeline.model), "BENCH_FACTS": str(pipeline.facts)}


def _environment(name: str, cache: Path, pipeline: Pipeline) -> tuple[Path, dict[str, str]]:
    """The folder of a peer's programs, and the variables that its application reads."""
    found = environments.peer(name, cache) / "bin"
    path = f"{found}{os.pathsep}{os.environ['PATH']}"
    return found, {**_variables(pipeline), "PATH": path, "PYTHONPATH": str(APPS)}


def by_hand(pipeline: Pipeline, cache: Path, _scratch: Path) -> Contender:
    """FastAPI, pydantic and the pickle."""
    programs, variables = _environment("fastapi", cache, pipeline)

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        argv = [str(programs / "python"), str(APPS / "by_hand.py")]
        return argv, {**variables, "BENCH_PORT": str(port)}

    many = Format(
        "application/json", lambda rows: encoded({"instances": rows}), _predictions, "/predict-many"
    )
    return Contender("FastAPI by hand", command, "/predict", encoded, {"JSON": many})


def litserve(pipeline: Pipeline, cache: Path, _scratch: Path) -> Contender:
    """LitServe, one server process and one worker."""
    programs, variables = _environment("litserve", cache, pipeline)

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        argv = [str(programs / "python"), str(APPS / "lit.py")]
        return argv, {**variables, "BENCH_PORT": str(port)}

    def write(rows: Rows) -> bytes:
        return encoded({"instances": rows})

    return Contender(
        "LitServe",
        command,
        "/predict",
        lambda row: write([row]),
        {"JSON": Format("application/json", write, _predictions)},
    )


def bentoml(pipeline: Pipeline, cache: Path, scratch: Path) -> Contender:
    """BentoML, one worker."""
    programs, variables = _environment("bentoml", cache, pipeline)

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        argv = [str(programs / "bentoml"), "serve", "bento:Service", "--working-dir", str(APPS)]
        quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(scratch / "bentoml")}
        argv += ["--host", "127.0.0.1", "--port", str(port)]
        return argv, {**variables, **quiet, "BENCH_PORT": str(port)}

    def write(rows: Rows) -> bytes:
        return encoded({"rows": rows})

    def read(answer: bytes) -> list[str]:
        return [each["label"] for each in json.loads(answer)]

    return Contender(
        "BentoML",
        command,
        "/predict",
        lambda row: write([row]),
        {"JSON": Format("application/json", write, read)},
    )


def mlflow(pipeline: Pipeline, cache: Path, scratch: Path) -> Contender:
    """``mlflow models serve``, one worker."""
    programs, variables = _environment("mlflow", cache, pipeline)
    saved = scratch / f"mlflow-{pipeline.name}"
    variables = {**variables, "BENCH_PORT": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}
    run(programs / "python", APPS / "save_for_mlflow.py", saved, cwd=scratch, env=variables)

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        argv = [str(programs / "mlflow"), "models", "serve", "--model-uri", str(saved)]
        argv += ["--env-manager", "local", "--workers", "1", "--port", str(port)]
        return argv, variables

    def write(rows: Rows) -> bytes:
        data = [list(row.values()) for row in rows]
        return encoded({"dataframe_split": {"columns": list(rows[0]), "data": data}})

    def read(answer: bytes) -> list[str]:
        return json.loads(answer)["predictions"]

    return Contender(
        "MLflow",
        command,
        "/invocations",
        lambda row: write([row]),
        {
            "JSON": Format("application/json", write, read),
            "CSV": Format("text/csv", _csv, read),
        },
    )


def mlserver(pipeline: Pipeline, cache: Path, scratch: Path) -> Contender:
    """MLServer with its scikit-learn runtime, in one process."""
    programs, variables = _environment("mlserver", cache, pipeline)
    folder = scratch / f"mlserver-{pipeline.name}"
    folder.mkdir()
    settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(pipeline.model), "version": "1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        ports = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1}
        further = {"metrics_port": port + 2, "parallel_workers": 0}
        (folder / "settings.json").write_text(json.dumps({**ports, **further}))
        return [str(programs / "mlserver"), "start", str(folder)], variables

    def write(rows: Rows) -> bytes:
        inputs = []
        for name, kind in pipeline.dtypes.items():
            data = [row[name] for row in rows]
            one = {"name": name, "shape": [len(rows), 1], "data": data}
            if kind.startswith("int"):
                inputs.append({**one, "datatype": "INT64"})
            elif kind.startswith("float"):
                inputs.append({**one, "datatype": "FP64"})
            else:
                text = {"datatype": "BYTES", "parameters": {"content_type": "str"}}
                inputs.append({**one, **text})
        return encoded({"parameters": {"content_type": "pd"}, "inputs": inputs})

    def read(answer: bytes) -> list[str]:
        return json.loads(answer)["outputs"][0]["data"]

    return Contender(
        "MLServer",
        command,
        "/v2/models/model/infer",
        lambda row: write([row]),
        {"JSON": Format("application/json", write, read)},
    )


PEERS: dict[str, Callable[[Pipeline, Path, Path], Contender]] = {
    "fastapi": by_hand,
    "mlflow": mlflow,
    "bentoml": bentoml,
    "mlserver": mlserver,
    "litserve": litserve,
}
