"""What values a column takes, by its type and dtype: bounds, units, and how that is said.

Nothing here needs numpy: the API's document is made without it.
"""

from __future__ import annotations

import re

from .contract import Category, Column, ColumnType

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

FLOAT32_EDGE = 2.0**128 * (1 - 2.0**-25)
"""From here on a number rounds to an infinity in float32."""

DATE = "a date such as 2026-01-31"
TIME = "a time without an offset such as 2026-01-31T12:30:00"
ZONED = "a time with an offset such as 2026-01-31T12:30:00+01:00"

_EXPECTED: dict[ColumnType, str] = {
    "number": "a number",
    "integer": "a whole number of 64 bits",
    "boolean": "true or false",
    "string": "a string",
    "date": DATE,
    "datetime": TIME,
}

_SINGLE = ("float32", "Float32", "float[pyarrow]")
_WHOLE = re.compile(r"(u?)int(8|16|32|64)(?:\[pyarrow\])?", re.IGNORECASE)
_UNIT = re.compile(r"(?:datetime64|timestamp)\[(s|ms|us|ns)\b")
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def single(column: Column) -> bool:
    """Whether the original is given the column's numbers rounded to float32."""
    return column.dtype in _SINGLE


def limits(column: Column) -> tuple[int, int]:
    """The least and the largest whole number that the column's dtype holds, within 64 bits."""
    found = _WHOLE.fullmatch(column.dtype)
    if found is None:
        return INT64_MIN, INT64_MAX
    unsigned, bits = bool(found[1]), int(found[2])
    high = 2 ** (bits - (not unsigned)) - 1
    return 0 if unsigned else -high - 1, min(high, INT64_MAX)


def unit(column: Column) -> str:
    """The unit of a column's ticks: ``D`` for dates, ``us`` for Python's own objects."""
    if column.type == "date":
        return "D"
    found = _UNIT.match(column.dtype)
    return "us" if found is None else found[1]


def expected(column: Column) -> str:
    """What a value of the column is, in words."""
    if column.type in ("date", "datetime"):
        return _moment(column)
    if column.type == "integer" and (bounds := limits(column)) != (INT64_MIN, INT64_MAX):
        return f"a whole number from {bounds[0]} to {bounds[1]}"
    return _EXPECTED[column.type]


def _moment(column: Column) -> str:
    """What a date or a time looks like."""
    if column.type == "date":
        return DATE
    if column.zone is not None:
        return ZONED
    if unit(column) == "ns":
        return f"{TIME}, in the years 1678 to 2261"
    return TIME


def is_number(column: Column) -> bool:
    """Whether its values have a range and quantiles, and not categories."""
    return column.type in ("number", "integer")


def fits(category: Category, kind: ColumnType) -> bool:
    """Whether a category can be a value of a column of that type: True and 1 are different."""
    if kind == "boolean":
        return isinstance(category, bool)
    if kind == "string":
        return isinstance(category, str)
    if kind in ("date", "datetime"):
        return False
    return isinstance(category, (int, float)) and not isinstance(category, bool)
