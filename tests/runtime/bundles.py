"""Small real bundles: graphs made by hand with onnx.helper, and a pickled pipeline."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import mlpack.runtime
from mlpack.runtime import contract
from mlpack.runtime.contract import Blob, Codes, Column, Encoding, Manifest, Output, Signature
from mlpack.runtime.openapi import document
from mlpack.runtime.schema import Constraint, Schema

SIGNATURE = Signature(
    task="classification",
    columns=(
        Column(name="age", type="number", dtype="float64", minimum=18.0, maximum=90.0),
        Column(name="visits", type="integer", dtype="int64", nullable=False, minimum=0, maximum=50),
        Column(name="plan", type="string", dtype="str", categories=("basic", "pro")),
        Column(name="vip", type="boolean", dtype="bool", categories=(False, True)),
        Column(name="note", type="string", dtype="str"),
    ),
    outputs=(
        Output(name="label", type="string"),
        Output(name="probabilities", type="number", size=2),
    ),
    labels=("no", "yes"),
    positive="yes",
    target="churned",
    rows=100,
)
"""yes if age/100 + visits + code(plan) + vip > 5; a missing age counts as 40; refuses age = 13."""

ENCODING = Encoding(
    numbers=("age", "visits", "vip"),
    codes=(Codes(column="plan", categories=("basic", "pro")),),
)

NO_SCHEMA = Schema()
SCHEMA = Schema(
    columns={
        "age": Constraint(minimum=0, maximum=120, description="in years"),
        "plan": Constraint(required=True),
        "note": Constraint(pattern="[a-z ]*"),
    }
)


def classifier_graph() -> bytes:
    """A graph over numbers [n, 3] and codes [n, 1] with label, probabilities and refused."""
    constants = {
        "forty": np.array(40.0),
        "first": np.array([0]),
        "weights": np.array([[0.01], [1.0], [1.0]]),
        "five": np.array(5.0),
        "one": np.array(1.0),
        "zero": np.array(0.0),
        "thirteen": np.array(13.0),
        "flat": np.array([-1]),
    }
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["nan"]),
        helper.make_node("Where", ["nan", "forty", "numbers"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["score0"]),
        helper.make_node("Cast", ["codes"], ["codes_f"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["score0", "codes_f"], ["score1"]),
        helper.make_node("Sub", ["score1", "five"], ["score"]),
        helper.make_node("Cast", ["score"], ["score_f"], to=TensorProto.FLOAT),
        helper.make_node("Sigmoid", ["score_f"], ["yes_f"]),
        helper.make_node("Cast", ["yes_f"], ["yes"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("Greater", ["score", "zero"], ["over"]),
        helper.make_node("Cast", ["over"], ["over_i"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["over_i", "flat"], ["label"]),
        helper.make_node("Gather", ["numbers", "first"], ["age"], axis=1),
        helper.make_node("Equal", ["age", "thirteen"], ["is_13"]),
        helper.make_node("Reshape", ["is_13", "flat"], ["refused"]),
    ]
    return made_graph(
        nodes,
        [("numbers", TensorProto.DOUBLE, [None, 3]), ("codes", TensorProto.INT64, [None, 1])],
        [
            ("refused", TensorProto.BOOL, [None]),
            ("label", TensorProto.INT64, [None]),
            ("probabilities", TensorProto.DOUBLE, [None, 2]),
        ],
        constants,
    )


REGRESSION = Signature(
    task="regression",
    columns=(
        Column(name="size", type="number", dtype="float64", nullable=False),
        Column(name="rooms", type="integer", dtype="int64", categories=(1, 2, 3)),
    ),
    outputs=(Output(name="value", type="number"),),
    target="price",
)
"""value = 2 * size + code(rooms); rooms other than 1, 2, 3 are refused."""

REGRESSION_ENCODING = Encoding(
    numbers=("size",),
    codes=(Codes(column="rooms", categories=(1, 2, 3), refuse_unknown=True),),
)


def regression_graph() -> bytes:
    """A graph over numbers [n, 1] and codes [n, 1] with value."""
    nodes = [
        helper.make_node("Mul", ["numbers", "two"], ["twice"]),
        helper.make_node("Cast", ["codes"], ["codes_f"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["twice", "codes_f"], ["value"]),
    ]
    return made_graph(
        nodes,
        [("numbers", TensorProto.DOUBLE, [None, 1]), ("codes", TensorProto.INT64, [None, 1])],
        [("value", TensorProto.DOUBLE, [None, 1])],
        {"two": np.array(2.0)},
    )


OUTLIERS = Signature(
    task="outliers",
    columns=(Column(name="size", type="number", dtype="float64", nullable=False),),
    outputs=(Output(name="label", type="integer"), Output(name="score", type="number")),
    labels=(-1, 1),
)
"""score = 3 - |size|; an outlier if that is below zero; 13 is refused."""

OUTLIERS_ENCODING = Encoding(numbers=("size",))


def outliers_graph() -> bytes:
    """A graph over numbers [n, 1] with label, score and refused."""
    nodes = [
        helper.make_node("Abs", ["numbers"], ["far"]),
        helper.make_node("Sub", ["three", "far"], ["score"]),
        helper.make_node("GreaterOrEqual", ["score", "zero"], ["within"]),
        helper.make_node("Cast", ["within"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "flat"], ["label"]),
        helper.make_node("Equal", ["numbers", "thirteen"], ["is_13"]),
        helper.make_node("Reshape", ["is_13", "flat"], ["refused"]),
    ]
    return made_graph(
        nodes,
        [("numbers", TensorProto.DOUBLE, [None, 1])],
        [
            ("refused", TensorProto.BOOL, [None]),
            ("label", TensorProto.INT64, [None]),
            ("score", TensorProto.DOUBLE, [None, 1]),
        ],
        {
            "three": np.array(3.0),
            "zero": np.array(0.0),
            "thirteen": np.array(13.0),
            "flat": np.array([-1]),
        },
    )


def text_graph() -> bytes:
    """A graph that answers how often text_0 has its terms, and refuses a row that has three."""
    nodes = [
        helper.make_node("ConstantOfShape", ["rows"], ["none"], value=_integer(0)),
        helper.make_node("Gather", ["text_0", "first"], ["at"], axis=1),
        helper.make_node("Gather", ["text_0", "last"], ["counts"], axis=1),
        helper.make_node("ScatterND", ["none", "at", "counts"], ["label"], reduction="add"),
        helper.make_node("Equal", ["label", "three"], ["refused"]),
    ]
    return made_graph(
        nodes,
        [("text_0", TensorProto.INT64, [None, 3]), ("rows", TensorProto.INT64, [1])],
        [("label", TensorProto.INT64, [None]), ("refused", TensorProto.BOOL, [None])],
        {"first": np.array([0]), "last": np.array(2), "three": np.array(3)},
    )


def _integer(value: int):
    return helper.make_tensor("value", TensorProto.INT64, [1], [value])


def made_graph(nodes, inputs, outputs, constants, tensors=()) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()] + list(tensors),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return model.SerializeToString()


def blob(folder: Path, name: str, data: bytes) -> Blob:
    (folder / name).write_bytes(data)
    return Blob(file=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def bundle(
    folder: Path,
    signature: Signature = SIGNATURE,
    *,
    model: bytes | None = None,
    encoding: Encoding | None = ENCODING,
    schema: Schema = NO_SCHEMA,
    form: str = "onnx",
) -> Path:
    """Write a data folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model_file = contract.ONNX_FILE if form == "onnx" else contract.PICKLE_FILE
    model_blob = blob(folder, model_file, classifier_graph() if model is None else model)
    files = [
        blob(folder, contract.SIGNATURE_FILE, contract.encode(signature)),
        blob(folder, contract.SCHEMA_FILE, contract.encode(schema)),
        blob(folder, contract.PARITY_FILE, json.dumps({"equal": True}).encode()),
    ]
    if encoding is not None:
        files.append(blob(folder, contract.ENCODING_FILE, contract.encode(encoding)))
    draft = Manifest(
        name="churn",
        version="1.2.0",
        package="churn",
        form=form,
        python="3.11",
        model=model_blob,
        files=tuple(files),
        runtime="0" * 64,
        lock="0" * 64,
    )
    openapi = contract.encode(document(draft.name, draft.version, signature, schema))
    files.append(blob(folder, contract.OPENAPI_FILE, openapi))
    manifest = Manifest(
        **{**{f: getattr(draft, f) for f in draft.__struct_fields__}, "files": tuple(files)}
    )
    (folder / contract.MANIFEST_FILE).write_bytes(contract.encode(manifest))
    return folder


def package(root: Path, name: str = "churn", **parts) -> Path:
    """A package with its runtime and data, exactly as an artifact has it; its data folder."""
    home = root / name
    shutil.copytree(
        Path(mlpack.runtime.__file__).parent,
        home / "_mlpack",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (home / "__init__.py").write_text(
        'from ._mlpack.model import Model\n\n__all__ = ["Model"]\n', encoding="utf-8"
    )
    (home / "__main__.py").write_text(
        "from ._mlpack.cli import main\n\nraise SystemExit(main())\n", encoding="utf-8"
    )
    return bundle(home / "_mlpack" / "data", **parts)
