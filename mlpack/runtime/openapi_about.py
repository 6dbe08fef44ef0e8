"""What the OpenAPI document says of ``/model.json``, which ``about`` answers."""

from __future__ import annotations

from typing import Any, get_args

from .contract import ColumnType, Form, Task
from .openapi_problems import HEADERS, problem

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_TEXTS = {"type": ["array", "null"], "items": _TEXT}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}
_MAYBE_NUMBER = {"type": ["number", "null"]}


def path() -> dict[str, Any]:
    """The path's one operation."""
    good = {
        "description": "Figures and names, never a row of the training data.",
        "headers": HEADERS,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Model"}}},
    }
    return {
        "get": {
            "operationId": "model",
            "summary": "What the model is: its columns, its proof, the metrics of its training.",
            "responses": {"200": good, "401": problem("401")},
        }
    }


def schemas() -> dict[str, Any]:
    """The components that `path` refers to; categories and examples in them are texts."""
    seen = {
        "range": {"type": ["array", "null"], "items": {"type": "number"}},
        "categories": _MAYBE_TEXTS,
        "missing": {"type": "number", "description": "the share of training's rows"},
    }
    column = {
        "name": _TEXT,
        "type": _one_of(*get_args(ColumnType)),
        "required": _FLAG,
        "minimum": _MAYBE_NUMBER,
        "maximum": _MAYBE_NUMBER,
        "categories": _MAYBE_TEXTS,
        "pattern": _MAYBE_TEXT,
        "description": _MAYBE_TEXT,
        "expected": _TEXT,
        "zone": _MAYBE_TEXT,
        "observed": _object(seen),
        "example": _MAYBE_TEXT,
    }
    check = {
        "name": _TEXT,
        "rows": _COUNT,
        "different": _COUNT,
        "largest": _MAYBE_NUMBER,
        "refused": _COUNT,
    }
    parity = {
        "equal": _FLAG,
        "tolerance": _MAYBE_NUMBER,
        "rows": _COUNT,
        "checks": {"type": "array", "items": {"$ref": "#/components/schemas/ModelCheck"}},
    }
    model = {
        "name": _TEXT,
        "version": _TEXT,
        "task": _one_of(*get_args(Task)),
        "target": _MAYBE_TEXT,
        "labels": _TEXTS,
        "rows": _COUNT,
        "form": _one_of(*get_args(Form)),
        "reason": _MAYBE_TEXT,
        "columns": {"type": "array", "items": {"$ref": "#/components/schemas/ModelColumn"}},
        "parity": {"anyOf": [{"$ref": "#/components/schemas/ModelParity"}, {"type": "null"}]},
        "metrics": {"type": "object", "additionalProperties": _MAYBE_NUMBER},
        "digests": _object({"model": _TEXT, "lock": _TEXT, "runtime": _TEXT}),
        "versions": {"type": "object", "additionalProperties": _TEXT},
    }
    return {
        "Model": _object(model),
        "ModelColumn": _object(column),
        "ModelParity": _object(parity),
        "ModelCheck": _object(check),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """An object of which nothing is left out."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _one_of(*texts: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(texts)}
