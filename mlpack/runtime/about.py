"""What a model is, for the page at ``/``: one plain value from all that the bundle says of it."""

from __future__ import annotations

from typing import Any

import msgspec

from .contract import Category, Column, label_key
from .kinds import INT64_MAX, INT64_MIN, expected, fits, limits
from .model import Model
from .openapi import example
from .schema import Constraint, Schema, strict

_NONE = Constraint()


def about(model: Model) -> dict[str, Any]:
    """What ``/model.json`` answers: figures and names, never a row of the training data.

    Categories and the example's values are texts, as a form's fields hold them; numbers among them
    have all of their digits.
    """
    signature, manifest = model.signature, model.manifest
    schema = strict(model.schema)
    row = example(signature, schema)
    return {
        "name": model.name,
        "version": model.version,
        "task": signature.task,
        "target": signature.target,
        "labels": [label_key(label) for label in signature.labels],
        "rows": signature.rows,
        "form": manifest.form,
        "reason": manifest.reason,
        "columns": [_column(column, schema, row.get(column.name)) for column in signature.columns],
        "parity": _parity(model.parity),
        "metrics": manifest.metrics,
        "digests": {
            "model": manifest.model.sha256,
            "lock": manifest.lock,
            "runtime": manifest.runtime,
        },
        "versions": manifest.versions,
    }


def _column(column: Column, schema: Schema, value: Category | None) -> dict[str, Any]:
    constraint = schema.columns.get(column.name, _NONE)
    low, high = constraint.minimum, constraint.maximum
    if column.type == "integer" and (held := limits(column)) != (INT64_MIN, INT64_MAX):
        low = held[0] if low is None else max(low, held[0])
        high = held[1] if high is None else min(high, held[1])
    if column.type not in ("number", "integer"):
        low = high = None
    seen = (column.minimum, column.maximum)
    return {
        "name": column.name,
        "type": column.type,
        "required": constraint.required or not column.nullable,
        "minimum": low,
        "maximum": high,
        "categories": _texts(constraint.categories, column),
        "pattern": constraint.pattern,
        "description": constraint.description,
        "expected": expected(column),
        "zone": column.zone,
        "observed": {
            "range": None if None in seen else seen,
            "categories": _texts(column.categories, column),
            "missing": column.missing,
        },
        "example": None if value is None else _text(value),
    }


def _texts(values: tuple[Category, ...] | None, column: Column) -> list[str] | None:
    if values is None:
        return None
    return [_text(value) for value in values if fits(value, column.type)]


def _text(value: Category) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _parity(report: dict[str, Any]) -> dict[str, Any] | None:
    """The proof in short; None where the bundle has none."""
    if not report:
        return None
    checks = report.get("checks", [])
    return {
        "equal": report.get("equal", False),
        "tolerance": report.get("tolerance"),
        "rows": sum(check["rows"] for check in checks),
        "checks": [
            {
                "name": check["name"],
                "rows": check["rows"],
                "different": check["labels_wrong"] + check["outcomes_wrong"] + check["beyond"],
                "largest": check["largest"],
                "refused": check["refused"],
            }
            for check in checks
        ],
    }
