"""What the OpenAPI document says of the protocols beside ``/predict``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Signature
from .openapi_choices import one_of
from .openapi_problems import HEADERS, problem, responses

_ROW = {"$ref": "#/components/schemas/Row"}
_TEXT = {"type": "string"}
_TRUE = {"type": "boolean"}
_LIST = {"type": "array", "items": {}}
"""A list of anything. It says so, since some generators of clients give up without ``items``."""
_DATATYPES = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BYTES",
]  # fmt: skip
_OF_COLUMN = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
_BINARY = "application/octet-stream"
_LENGTH = {
    "description": "How many bytes are JSON; binary tensors follow.",
    "schema": {"type": "integer", "minimum": 0},
}


def paths(
    name: str, version: str, example: Mapping[str, Any], signature: Signature
) -> dict[str, Any]:
    """The paths of the Open Inference Protocol v2, of v1, and of SageMaker's contract.

    Args:
        name: the model's name.
        version: its version.
        example: a row.
        signature: what the pipeline learned.
    """
    found: dict[str, Any] = {
        "/v2": {"get": _told("inferServer", "The server.", ["name", "version", "extensions"])},
        "/v2/health/live": {"get": _told("inferLive", "The process answers.", ["live"], _TRUE)},
        "/v2/health/ready": {"get": _probe("inferReady", "The model is ready.", ["ready"], _TRUE)},
        "/v2/repository/index": {"post": _index()},
        "/v1/models": {"get": _told("v1Models", "The names of the models.", ["models"])},
        "/ping": {"get": _probe("sagemakerPing", "The model is ready.", ["status"])},
        "/invocations": {"post": _invocations()},
    }
    for path, at in _versions(f"/v2/models/{name}", version):
        about = ["name", "versions", "platform", "inputs", "outputs"]
        found |= {
            path: {"get": _told(f"inferModel{at}", "Columns and outputs.", about)},
            f"{path}/ready": {
                "get": _probe(f"inferModelReady{at}", "The model is ready.", ["name", "ready"])
            },
            f"{path}/infer": {"post": _infer(f"infer{at}", example, signature)},
        }
    for path, at in _versions(f"/v1/models/{name}", version):
        members = ["name", "ready", "model_version_status"]
        found |= {
            path: {"get": _probe(f"v1Status{at}", "The model is ready.", members)},
            f"{path}:predict": {"post": _v1(f"v1Predict{at}", example)},
        }
    return found


def schemas(name: str, version: str, signature: Signature) -> dict[str, Any]:
    """The components that `paths` refers to."""
    columns = [column.name for column in signature.columns]
    one = {"type": "string", **one_of(columns)}
    if len(columns) > 1 and all(column.type in _OF_COLUMN for column in signature.columns):
        one = {
            "type": "string",
            "description": "a column; any other name for a matrix of all of them: "
            + ", ".join(columns),
        }
    outputs = [output.name for output in signature.outputs]
    parameters = {"type": ["object", "null"]}
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    asked = _object({"name": {"enum": outputs}, "parameters": parameters}, ["name"])
    told = {
        "name": {"enum": outputs},
        "datatype": {"enum": _DATATYPES},
        "shape": shape,
        "data": _LIST,
        "parameters": {"type": "object"},
    }
    return {
        "InferInput": _object(
            {
                "name": one,
                "shape": {**shape, "minItems": 1, "maxItems": 2},
                "datatype": {"enum": _DATATYPES},
                "data": {**_LIST, "type": ["array", "null"]},
                "parameters": parameters,
            },
            ["name", "shape", "datatype"],
        ),
        "InferRequest": _object(
            {
                "id": {"type": ["string", "null"]},
                "inputs": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"$ref": "#/components/schemas/InferInput"},
                },
                "outputs": {"type": ["array", "null"], "items": asked},
                "parameters": parameters,
            },
            ["inputs"],
        ),
        "InferResponse": _object(
            {
                "model_name": {"const": name},
                "model_version": {"const": version},
                "id": _TEXT,
                "outputs": {
                    "type": "array",
                    "items": _object(told, ["name", "datatype", "shape"]),
                },
            },
            ["model_name", "model_version", "outputs"],
        ),
    }


def _versions(path: str, version: str) -> list[tuple[str, str]]:
    """A model's path and that of its version, and what tells their operations apart."""
    return [(path, ""), (f"{path}/versions/{version}", "Version")]


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _told(
    operation: str, description: str, members: list[str], member: dict[str, Any] | None = None
) -> dict[str, Any]:
    content = _json(_object({each: member or {} for each in members}, members))
    good = {"description": description, "headers": HEADERS, "content": content}
    return {
        "operationId": operation,
        "summary": description,
        "responses": {"200": good, "401": problem("401")},
    }


def _probe(
    operation: str, description: str, members: list[str], member: dict[str, Any] | None = None
) -> dict[str, Any]:
    told = _told(operation, description, members, member)
    answers = {"200": told["responses"]["200"], "503": problem("503")}
    return {**told, "security": [{}], "responses": answers}


def _index() -> dict[str, Any]:
    members = ["name", "version", "state", "reason"]
    told = _told("inferIndex", "The models, of which there is one.", [])
    item = _object(dict.fromkeys(members, _TEXT), members)
    told["responses"]["200"]["content"] = _json({"type": "array", "items": item})
    return told


def _infer(operation: str, example: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    inputs = [
        {
            "name": column.name,
            "shape": [1],
            "datatype": _OF_COLUMN.get(column.type, "BYTES"),
            "data": [example[column.name]],
        }
        for column in signature.columns
        if column.name in example
    ]
    request = {"schema": {"$ref": "#/components/schemas/InferRequest"}}
    answers = responses(
        "The outputs, with one entry per row.",
        {**_json({"$ref": "#/components/schemas/InferResponse"}), _BINARY: {}},
    )
    answers["200"]["headers"] = {**HEADERS, "Inference-Header-Content-Length": _LENGTH}
    return {
        "operationId": operation,
        "summary": "Predict columns, as the Open Inference Protocol v2 has it.",
        "description": "One input per column; an absent one is missing in every row. "
        "Triton's binary tensors are understood.",
        "parameters": [{"name": "Inference-Header-Content-Length", "in": "header", **_LENGTH}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {**request, "example": {"inputs": inputs}},
                _BINARY: {},
            },
        },
        "responses": answers,
    }


def _v1(operation: str, example: Mapping[str, Any]) -> dict[str, Any]:
    # All rows are objects, or all are lists: the server takes no mixture.
    rows, lists = ({"type": "array", "minItems": 1, "items": each} for each in (_ROW, _LIST))
    columns = {"type": "object", "additionalProperties": _LIST}
    predictions = {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}
    return {
        "operationId": operation,
        "summary": "Predict rows or columns, as TensorFlow Serving and KServe v1 have it.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            _object({"instances": rows}, ["instances"]),
                            _object({"instances": lists}, ["instances"]),
                            _object({"inputs": columns}, ["inputs"]),
                        ]
                    },
                    "example": {"instances": [example]},
                }
            },
        },
        "responses": responses(
            "Rows are answered as rows, columns as columns.",
            _json(
                {
                    "anyOf": [
                        _object({"predictions": predictions}, ["predictions"]),
                        _object({"outputs": {"type": "object"}}, ["outputs"]),
                    ]
                }
            ),
        ),
    }


def _invocations() -> dict[str, Any]:
    text = {"schema": _TEXT}
    arrow = "application/vnd.apache.arrow.stream"
    others = {"text/csv": text, "application/x-ndjson": text, arrow: {}}
    rows = {"anyOf": [_ROW, {"$ref": "#/components/schemas/Rows"}]}
    return {
        "operationId": "sagemakerInvocations",
        "summary": "Predict, as SageMaker asks.",
        "description": "As /predict; a CSV may come without the line that names the columns.",
        "requestBody": {"required": True, "content": {**_json(rows), **others}},
        "responses": responses(
            "One prediction per row, in order.",
            {**_json({"$ref": "#/components/schemas/Predictions"}), **others},
        ),
    }
