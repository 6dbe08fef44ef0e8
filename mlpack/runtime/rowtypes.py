"""Compiles a signature and the author's constraints into a msgspec struct: a row in a microsecond.

What msgspec cannot express (patterns, categories that are numbers with a fraction or booleans) is
left to ``rules``. Columns whose names msgspec cannot take have no compiled type at all, nor have
rows with dates, which are read in one place only.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Union

import msgspec

from .contract import Column, Signature
from .kinds import FLOAT32_EDGE, limits, single
from .schema import Constraint, Schema

NONE = Constraint()


def row_type(
    signature: Signature, schema: Schema | None, *, forbid_unknown: bool
) -> type[msgspec.Struct] | None:
    """A struct with one field per column, in the signature's order; missing is None.

    None where a column is a date or a time, and where its name cannot be a field: quotes, back
    slashes, control characters.
    """
    if any(column.type in ("date", "datetime") for column in signature.columns):
        return None
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for index, column in enumerate(signature.columns):
        constraint = NONE if schema is None else schema.columns.get(column.name, NONE)
        field = f"c{index}"
        rename[field] = column.name
        kind = _value_type(column, constraint)
        if constraint.required or not column.nullable:
            fields.append((field, kind))
        else:
            fields.append((field, Union[kind, None], None))  # noqa: UP007 - built at run time
    try:
        return msgspec.defstruct(
            "Row",
            fields,
            rename=rename,
            kw_only=True,
            forbid_unknown_fields=forbid_unknown,
            gc=False,
        )
    except ValueError:
        return None


def expressed(column: Column, constraint: Constraint) -> bool:
    """Whether the compiled type checks the whole of `constraint`."""
    if constraint.pattern is not None:
        return False
    return constraint.categories is None or _literal(column, constraint)


def _literal(column: Column, constraint: Constraint) -> bool:
    """Whether the categories are of the one type that a msgspec literal can have here."""
    wanted = {"string": str, "integer": int}.get(column.type)
    return bool(constraint.categories) and all(
        type(category) is wanted for category in constraint.categories or ()
    )


def _value_type(column: Column, constraint: Constraint) -> Any:  # noqa: ANN401 - a type form
    low, high = constraint.minimum, constraint.maximum
    if column.type in ("string", "integer") and _literal(column, constraint):
        if low is None and high is None:
            return Literal[constraint.categories]
        kept = [c for c in constraint.categories or () if _within(c, low, high)]
        if kept:
            return Literal[tuple(kept)]
    if column.type == "string":
        return str
    if column.type == "boolean":
        return bool
    if column.type == "integer":
        least, largest = limits(column)
        return Annotated[
            int,
            msgspec.Meta(
                ge=least if low is None else max(least, math.ceil(low)),
                le=largest if high is None else min(largest, math.floor(high)),
            ),
        ]
    if single(column) and column.finite:
        # The next doubles within what rounds to an infinity.
        edge = math.nextafter(FLOAT32_EDGE, 0)
        low = -edge if low is None else max(-edge, float(low))
        high = edge if high is None else min(edge, float(high))
    if low is None and high is None:
        return float
    return Annotated[
        float,
        msgspec.Meta(
            ge=None if low is None else float(low), le=None if high is None else float(high)
        ),
    ]


def _within(value: Any, low: float | None, high: float | None) -> bool:  # noqa: ANN401
    if isinstance(value, str):
        return True
    return (low is None or value >= low) and (high is None or value <= high)
