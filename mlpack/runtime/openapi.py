"""The OpenAPI 3.1 document of a model, made at build time from its signature and schema.

What the author demands is a constraint; what training observed is only described. Examples are
made up from the signature: no real row ever enters a document.
"""

from __future__ import annotations

import math
import re
from typing import Any

from . import openapi_about, openapi_choices, openapi_problems, openapi_protocols
from .contract import Category, Column, Signature, label_key
from .kinds import INT64_MAX, INT64_MIN, expected, limits
from .schema import Constraint, Schema, strict

_NONE = Constraint()
_KINDS = {
    "classification": "Classification",
    "regression": "Regression",
    "outliers": "Detection of outliers",
    "clusters": "Clustering",
}


def document(name: str, version: str, signature: Signature, schema: Schema) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        name: the model's name.
        version: its version.
        signature: what the pipeline learned.
        schema: what the author demands.
    """
    schema = strict(schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": version,
            "description": _about(signature),
        },
        "paths": {
            "/predict": {"post": _predict(signature, schema)},
            "/livez": {"get": _probe("live", "The process answers.")},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics()},
            "/model.json": openapi_about.path(),
            **openapi_protocols.paths(name, version, example(signature, schema), signature),
        },
        # Keys are optional: the server may have been started without any.
        "security": [{}, {"bearer": []}, {"key": []}],
        "components": {
            "schemas": {
                **_schemas(signature, schema),
                **openapi_protocols.schemas(name, version, signature),
                **openapi_about.schemas(),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "headers": {
                "RequestId": {
                    "description": "The request's X-Request-Id, or one made up for it.",
                    "schema": {"type": "string"},
                }
            },
        },
    }


def example(signature: Signature, schema: Schema) -> dict[str, Any]:
    """One row made up from the signature: the middle of what was observed, the first category."""
    row = {}
    for column in signature.columns:
        constraint = schema.columns.get(column.name, _NONE)
        value = _made_up(column, constraint)
        if value is not None or not _nullable(column, constraint):
            row[column.name] = value
    return row


def _about(signature: Signature) -> str:
    what = f" of {signature.target}" if signature.target else ""
    kind = _KINDS[signature.task]
    labels = ", ".join(dict.fromkeys(label_key(label) for label in signature.labels))
    return f"{kind}{what}." + (f" Labels: {labels}." if labels else "")


def _schemas(signature: Signature, schema: Schema) -> dict[str, Any]:
    constraints = {
        column.name: schema.columns.get(column.name, _NONE) for column in signature.columns
    }
    return {
        "Row": {
            "type": "object",
            "properties": {
                column.name: _column(column, constraints[column.name])
                for column in signature.columns
            },
            "required": [
                column.name
                for column in signature.columns
                if not _nullable(column, constraints[column.name])
            ],
            "additionalProperties": schema.unknown_columns == "ignore",
            "examples": [example(signature, schema)],
        },
        "Rows": {
            "type": "object",
            "properties": {
                "instances": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"$ref": "#/components/schemas/Row"},
                }
            },
            "required": ["instances"],
            "additionalProperties": False,
        },
        "Prediction": _prediction(signature),
        "Predictions": {
            "type": "object",
            "properties": {
                "predictions": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Prediction"},
                },
                "model": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
                    "required": ["name", "version"],
                },
            },
            "required": ["predictions", "model"],
        },
        "Problem": openapi_problems.schema(),
    }


def _nullable(column: Column, constraint: Constraint) -> bool:
    return column.nullable and not constraint.required


def _column(column: Column, constraint: Constraint) -> dict[str, Any]:
    nullable = _nullable(column, constraint)
    moment = column.type in ("date", "datetime")
    kind = "string" if moment else column.type
    result: dict[str, Any] = {"type": [kind, "null"] if nullable else kind}
    if column.type == "integer":
        result["format"] = "int64"
        low, high = limits(column)
        if (low, high) != (INT64_MIN, INT64_MAX):
            result |= {"minimum": low, "maximum": high}
    if column.type == "date":
        result["format"] = "date"
    if column.zone is not None:
        result["format"] = "date-time"  # which has an offset; a time without one is no format
    if column.type in ("number", "integer"):
        if constraint.minimum is not None:
            result["minimum"] = max(constraint.minimum, result.get("minimum", -math.inf))
        if constraint.maximum is not None:
            result["maximum"] = min(constraint.maximum, result.get("maximum", math.inf))
    if constraint.categories is not None:
        result |= openapi_choices.one_of([*constraint.categories, *([None] if nullable else [])])
    if constraint.pattern is not None:
        result["pattern"] = f"^(?:{constraint.pattern})$"
    description = ". ".join(filter(None, (constraint.description, _observed(column))))
    if description:
        result["description"] = description
    return result


def _observed(column: Column) -> str:
    """What training saw, in a sentence; it constrains nothing."""
    if column.type in ("date", "datetime"):
        sentence = expected(column)
        return sentence[0].upper() + sentence[1:]
    if column.type in ("number", "integer") and None not in (column.minimum, column.maximum):
        return f"Observed {column.minimum} to {column.maximum}"
    if column.categories:
        some = ", ".join(label_key(category) for category in column.categories[:20])
        return f"Observed: {some}{' ...' if len(column.categories) > 20 else ''}"
    return ""


def _made_up(column: Column, constraint: Constraint) -> Category | None:
    choices = constraint.categories or column.categories or ()
    for choice in choices:
        if _allowed(choice, constraint):
            return choice
    if column.type == "boolean":
        return True
    if column.type == "date":
        return "2026-01-31"
    if column.type == "datetime":
        return "2026-01-31T12:30:00" + ("" if column.zone is None else "Z")
    if column.type == "string":
        return "text" if _allowed("text", constraint) else None
    bounds = [b for b in (column.minimum, column.maximum) if b is not None]
    middle = float(f"{sum(bounds) / len(bounds):.4g}") if bounds else 1.0
    if constraint.minimum is not None:
        middle = max(middle, constraint.minimum)
    if constraint.maximum is not None:
        middle = min(middle, constraint.maximum)
    return math.ceil(middle) if column.type == "integer" else middle


def _allowed(value: Category, constraint: Constraint) -> bool:
    if isinstance(value, str):
        return constraint.pattern is None or bool(re.fullmatch(constraint.pattern, value))
    low, high = constraint.minimum, constraint.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _prediction(signature: Signature) -> dict[str, Any]:
    if signature.task == "regression":
        size = next((output.size for output in signature.outputs if output.name == "value"), 1)
        number = {"type": ["number", "null"], "description": "null where it is not finite"}
        value = (
            number
            if size == 1
            else {
                "type": "array",
                "items": number,
                "minItems": size,
                "maxItems": size,
            }
        )
        return {"type": "object", "properties": {"value": value}, "required": ["value"]}
    if signature.groups:
        return _several(signature)
    label = openapi_choices.labels(signature.labels)
    if signature.task == "outliers":
        label["description"] = "-1 for an outlier, 1 for others"
    if signature.task == "clusters":
        label["description"] = "the number of the cluster"
    properties: dict[str, Any] = {"label": label}
    required = ["label"]
    if signature.has("score"):
        properties["score"] = {
            "type": ["number", "null"],
            "description": "the less the more of an outlier; null where it is not finite",
        }
        required.append("score")
    if signature.has("probabilities"):
        keys = [label_key(label) for label in signature.labels]
        # Labels are values, not names: as properties, what is made from the document would have to
        # find names for -1 and 1, or for "a b" and "a-b".
        properties["probabilities"] = {
            "type": "object",
            "description": "by label",
            "propertyNames": {"enum": keys},
            "required": keys,
            "additionalProperties": {"type": ["number", "null"]},
        }
        required.append("probabilities")
    return {"type": "object", "properties": properties, "required": required}


def _several(signature: Signature) -> dict[str, Any]:
    """Of a model that answers several labels a row: lists with an element for each."""
    count = {"minItems": len(signature.groups), "maxItems": len(signature.groups)}
    some = list(dict.fromkeys((type(label), label) for label in signature.labels))
    label = openapi_choices.labels([label for _, label in some])
    properties: dict[str, Any] = {"label": {"type": "array", "items": label, **count}}
    if signature.has("probabilities"):
        number = {"type": ["number", "null"]}
        shares = {"type": "object", "description": "by label", "additionalProperties": number}
        properties["probabilities"] = {"type": "array", "items": shares, **count}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _predict(signature: Signature, schema: Schema) -> dict[str, Any]:
    row = example(signature, schema)
    text = {"schema": {"type": "string"}}
    others = {
        "text/csv": text,
        "application/x-ndjson": text,
        "application/vnd.apache.arrow.stream": {},
    }
    predictions = {"schema": {"$ref": "#/components/schemas/Predictions"}}
    responses = openapi_problems.responses(
        "One prediction per row, in order.", {"application/json": predictions, **others}
    )
    return {
        "operationId": "predict",
        "summary": "Predict one row, or the rows in `instances`.",
        "description": "An absent key and null both mean a missing value.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/Row"},
                            {"$ref": "#/components/schemas/Rows"},
                        ]
                    },
                    "examples": {
                        "one row": {"value": row},
                        "several rows": {"value": {"instances": [row, row]}},
                    },
                },
                **others,
            },
        },
        "responses": responses,
    }


def _probe(name: str, description: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": description,
        "security": [{}],
        "responses": {
            "200": {
                "description": description,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {"status": {"type": "string"}},
                            "required": ["status"],
                        }
                    }
                },
            }
        },
    }


def _ready() -> dict[str, Any]:
    told = _probe("ready", "The model is loaded, verified and warm.")
    return {**told, "responses": {**told["responses"], "503": openapi_problems.problem("503")}}


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "metrics",
        "summary": "Figures for Prometheus.",
        "responses": {
            "200": {
                "description": "The text exposition format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            "401": openapi_problems.problem("401"),
            "503": openapi_problems.problem("503"),
        },
    }
