"""What the author demands of the columns (``schema.toml``).

It is written as JSON into the bundle's data folder, as the values of ``contract`` are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .contract import FORMAT, Category

Violation = Literal["refuse", "count", "clip"]
"""The row is refused; or it is answered as it is, and counted; or the value is moved to the nearest
bound first, and counted."""


class Constraint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the author demands of one column's values. None demands nothing.

    Attributes:
        required: it may not be missing.
        minimum, maximum: bounds that belong to the range; numbers and integers only.
        categories: the only values allowed.
        pattern: a regular expression that a string must match from end to end.
        description: what the column means, for the API's documents.
        violation: what becomes of a value that fails.
    """

    required: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None
    categories: tuple[Category, ...] | None = None
    pattern: str | None = None
    description: str | None = None
    violation: Violation = "refuse"


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """What the author demands of the columns, by column name (``schema.toml``).

    Attributes:
        unknown_columns: what becomes of a request with a column that the model does not have.
    """

    format: int = FORMAT
    columns: dict[str, Constraint] = {}
    unknown_columns: Literal["refuse", "ignore"] = "refuse"


def strict(schema: Schema) -> Schema:
    """The demands for which a request is refused; the others are told in words alone."""
    return msgspec.structs.replace(
        schema, columns={name: _strict(each) for name, each in schema.columns.items()}
    )


def _strict(constraint: Constraint) -> Constraint:
    if constraint.violation == "refuse":
        return constraint
    low, high = constraint.minimum, constraint.maximum
    if constraint.violation == "clip":
        bounds = [f"below {low} counts as {low}"] * (low is not None)
        bounds += [f"above {high} counts as {high}"] * (high is not None)
        said = f"What is {' and what is '.join(bounds)}"
        kept = msgspec.structs.replace(constraint, minimum=None, maximum=None)
    else:
        some = [
            *(["it is there"] * constraint.required),
            *([f"at least {low}"] * (low is not None)),
            *([f"at most {high}"] * (high is not None)),
            *(
                [f"one of {', '.join(map(str, constraint.categories or ()))}"]
                * (constraint.categories is not None)
            ),
            *([f"it matches {constraint.pattern}"] * (constraint.pattern is not None)),
        ]
        said = f"Expected, and answered otherwise too: {', '.join(some)}"
        kept = Constraint()
    description = ". ".join(filter(None, (constraint.description, said)))
    return msgspec.structs.replace(kept, description=description, violation="refuse")
