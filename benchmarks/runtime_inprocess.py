"""One row without a network, in microseconds: the raw session, ``Model``, the ASGI callable.

Beside them an ASGI application that reads the same body and answers a constant, measured in the
same rounds; the machine's noise then cancels out of the ratios.

    python benchmarks/runtime_inprocess.py [DATA_FOLDER]

Without a data folder it makes a bundle of ten columns (six numbers, four strings).
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "runtime"))

import bundles

from mlpack.runtime.app import App
from mlpack.runtime.contract import Codes, Column, Encoding, Output, Signature
from mlpack.runtime.model import Model
from mlpack.runtime.openapi import example
from mlpack.runtime.predicting import Predictor
from mlpack.runtime.protocols.own import Formats
from mlpack.runtime.settings import Settings

ROUNDS = 9
CALLS = 2000

PLANS = ("a", "b", "c", "d")


def ten_columns(folder: Path) -> Path:
    """A logistic regression over six numbers and four one-hot strings."""
    numbers = [f"n{i}" for i in range(6)]
    strings = [f"s{i}" for i in range(4)]
    signature = Signature(
        task="classification",
        columns=tuple(
            [
                Column(name=n, type="number", dtype="float64", minimum=0.0, maximum=2.0)
                for n in numbers
            ]
            + [Column(name=s, type="string", dtype="str", categories=PLANS) for s in strings]
        ),
        outputs=(
            Output(name="label", type="string"),
            Output(name="probabilities", type="number", size=2),
        ),
        labels=("no", "yes"),
    )
    encoding = Encoding(
        numbers=tuple(numbers), codes=tuple(Codes(column=s, categories=PLANS) for s in strings)
    )
    rng = np.random.default_rng(0)
    constants = {
        "zero": np.zeros(6),
        "weights": rng.normal(size=(6, 1)),
        "offsets": np.arange(4) * 6,
        "table": rng.normal(size=24),
        "axis": np.array([1]),
        "first": np.array([0]),
    }
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["nan"]),
        helper.make_node("Where", ["nan", "zero", "numbers"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["a"]),
        helper.make_node("Add", ["codes", "offsets"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axis"], ["b"], keepdims=1),
        helper.make_node("Add", ["a", "b"], ["score"]),
        helper.make_node("Neg", ["score"], ["minus"]),
        helper.make_node("Concat", ["minus", "score"], ["both"], axis=1),
        helper.make_node("Softmax", ["both"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["both"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "ten",
        [
            helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, 6]),
            helper.make_tensor_value_info("codes", TensorProto.INT64, [None, 4]),
        ],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return bundles.bundle(folder, signature, model=model.SerializeToString(), encoding=encoding)


async def constant(_scope, receive, send):
    """What a server costs that does nothing but read the body."""
    await receive()
    body = b'{"predictions":[{"label":"no"}]}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def asgi(app, body: bytes):
    """A function that sends `body` to an application once."""
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(message)

    def call():
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
        try:
            app(scope, receive, send).send(None)
        except StopIteration:
            return

    return call


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ten_columns(Path(scratch) / "data")
        model = Model(folder)
        model.warm()
        row = example(model.signature, model.schema)
        body = json.dumps(row).encode()
        many = json.dumps({"instances": [row] * 1000}).encode()
        app = App(model, Settings())
        engine = model.session.engine
        clean = model.validator.one(row)
        inputs, _ = engine.encoder.one(clean)
        graph, names = engine.graph, engine.names
        answer = Predictor(model, Settings()).answer
        exchange = Formats(model, 100_000).choose({b"content-type": b"application/json"})
        cases = {
            "constant ASGI answer": (asgi(constant, body), CALLS),
            "decode and validate": (lambda: model.validator.decode(body), CALLS),
            "graph alone (run)": (lambda: graph.run(names, inputs), CALLS),
            "Model.session.rows": (lambda: model.session.rows([row]), CALLS),
            "Model.predict": (lambda: model.predict(row), CALLS),
            "ASGI POST /predict": (asgi(app, body), CALLS),
            "1000 rows: decode": (lambda: model.validator.decode(many), 10),
            "1000 rows: answer": (
                lambda: answer(exchange, many),
                10,
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        gc.collect()
        gc.freeze()  # as the server does
        for _ in range(ROUNDS):
            for name, (call, count) in cases.items():
                start = time.perf_counter()
                for _ in range(count):
                    call()
                times[name].append((time.perf_counter() - start) / count * 1e6)
        print(
            f"{'µs, median and least of ' + str(ROUNDS) + ' rounds':<40}{'median':>10}{'least':>10}"
        )
        for name, values in times.items():
            print(f"{name:<40}{statistics.median(values):>10.1f}{min(values):>10.1f}")
        over = [
            a - g
            for a, g in zip(times["ASGI POST /predict"], times["graph alone (run)"], strict=True)
        ]
        print(
            f"{'ASGI path beyond the graph':<40}{statistics.median(over):>10.1f}{min(over):>10.1f}"
        )


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    main()
