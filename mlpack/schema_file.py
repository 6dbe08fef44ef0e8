"""``schema.toml``: what the author demands of the columns.

::

    format = 1

    [columns.age]
    description = "in years, on the day of the contract"
    required = true
    min = 0
    max = 120

    [columns.plan]
    categories = ["basic", "pro"]

    [columns.zip]
    pattern = "[0-9]{5}"
    on-violation = "count"

Every key is optional; so is every column. With ``on-violation = "count"`` a value that fails is
answered and counted, with ``"clip"`` it is moved to the nearest bound first. And above the columns
``unknown-columns = "ignore"`` lets a request have columns that the model does not know.

mlpack writes the file once, with all of it in comments, and never again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack.config import did_you_mean, parse_toml
from mlpack.errors import InputError
from mlpack.runtime.contract import FORMAT, Category, Column, Signature
from mlpack.runtime.schema import Constraint, Schema, Violation

NAME = "schema.toml"

_LIKE = {
    "required": "true",
    "min": "0",
    "max": "120",
    "categories": '["basic", "pro"]',
    "pattern": '"[0-9]{5}"',
    "description": '"in years"',
    "on-violation": '"count"',
}
_VIOLATIONS: tuple[Violation, ...] = ("refuse", "count", "clip")
_OUTSIDE = ("format", "columns", "unknown-columns")
_KEYS = tuple(_LIKE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 96
_HEAD = f"""\
# What you demand of the columns, beyond what the model accepts: a request that breaks it is
# refused with a message that says which row and column. Written once, with what training saw in
# comments; it is yours now. Take away the "# " before what you demand. Also: pattern (a regular
# expression for the whole string), description (for the API's documents), and on-violation:
# "refuse", or "count" (answer, and count it in the metrics), or "clip" (to min and max, and count).
format = {FORMAT}
# unknown-columns = "ignore"
"""


@dataclass(frozen=True)
class _Text:
    """The text of a schema.toml, and how messages name the file."""

    text: str
    name: str

    def at(self, key: str, table: str | None = None) -> str:
        """The file and, where it is found, the line that `key` stands on."""
        current: str | None = None
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                current = stripped.strip("[] ")
                if table is None and current == key:
                    return f"{self.name}:{number}"
            elif table in (None, current) and re.match(rf'"?{re.escape(key)}"?\s*=', stripped):
                return f"{self.name}:{number}"
        return self.name


def read(path: Path, signature: Signature | None = None, where: str = NAME) -> Schema:
    """The author's demands in the file `path`. Columns of which nothing is demanded are left out.

    Args:
        path: the file.
        signature: what the demands must not contradict (see `check`); not compared if None.
        where: the file, as messages shall name it.

    Raises:
        InputError: it is no TOML, has an unknown key (the hint says which is meant), a value of
            the wrong type, or demands that contradict each other or the signature. The error
            names the line where it can.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=where) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    schema = parse(text, where)
    if signature is not None:
        check(schema, signature, where)
    return schema


def parse(text: str, where: str = NAME) -> Schema:
    """The author's demands in the text of a schema.toml; see `read`."""
    document = parse_toml(text, where)
    file = _Text(text, where)
    _check_format(document.get("format", FORMAT), where)
    for key, value in document.items():
        if key not in _OUTSIDE:
            meant = f"[columns.{_key(key)}]" if isinstance(value, dict) else None
            raise InputError(
                f'there is no key "{key}" outside of the columns',
                where=file.at(key),
                hint=f"Did you mean {meant}?" if meant else did_you_mean(key, _OUTSIDE),
            )
    unknown = document.get("unknown-columns", "refuse")
    if unknown not in ("refuse", "ignore"):
        raise InputError(
            'unknown-columns is "refuse" or "ignore"',
            where=file.at("unknown-columns"),
            hint='Write it like: unknown-columns = "ignore"',
        )
    columns = document.get("columns", {})
    if not isinstance(columns, dict):
        raise InputError("columns is a table with one table for each column", where=where)
    found: dict[str, Constraint] = {}
    for name, table in columns.items():
        constraint = _constraint(name, table, file)
        if constraint != Constraint():
            found[name] = constraint
    return Schema(columns=found, unknown_columns=unknown)


def check(schema: Schema, signature: Signature, file: str = NAME) -> None:
    """Refuse demands that no value of a column can meet, or on columns that are not there.

    Raises:
        InputError: the schema contradicts the signature; the error says where.
    """
    columns = {column.name: column for column in signature.columns}
    for name, constraint in schema.columns.items():
        where = f"{file}, [columns.{_key(name)}]"
        if name not in columns:
            if name == signature.target:
                raise InputError(
                    f'"{name}" is what the model predicts, no column',
                    where=where,
                    hint="Take the table away: demands are made of the columns of a request.",
                )
            raise InputError(
                f'the model has no column "{name}"', where=where, hint=did_you_mean(name, columns)
            )
        _check_column(columns[name], constraint, where)


def scaffold(signature: Signature) -> str:
    """The text of a new schema.toml: what training saw of every column, all of it in comments."""
    parts = [_HEAD]
    for column in signature.columns:
        lines = [f"[columns.{_key(column.name)}]", f"# {_observed(column)}"]
        if column.nullable:
            lines.append("# required = true")
        if column.minimum is not None and column.maximum is not None:
            lines += [f"# min = {_number(column.minimum)}", f"# max = {_number(column.maximum)}"]
        if column.categories and column.type == "string":
            lines.append(f"# categories = [{', '.join(_value(one) for one in column.categories)}]")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _check_format(version: object, where: str) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"format is a number, such as {FORMAT}", where=where)
    if version > FORMAT:
        raise InputError(
            f"it has format {version}, this mlpack reads up to {FORMAT}",
            where=where,
            hint="Use a newer mlpack.",
        )


def _constraint(name: str, table: object, file: _Text) -> Constraint:
    column = f"columns.{_key(name)}"
    if not isinstance(table, Mapping):
        raise InputError(f"[{column}] is a table", where=file.at(name))
    for key in table:
        if key not in _KEYS:
            raise InputError(
                f'[{column}] has no key "{key}"; there are {", ".join(_KEYS)}',
                where=file.at(key, column),
                hint=f"{key} stands above the columns, for all of them."
                if key in _OUTSIDE
                else did_you_mean(key, _KEYS),
            )
    for key, value in table.items():
        if (reason := _wrong(key, value)) is not None:
            raise InputError(
                f"{key} in [{column}] {reason}",
                where=file.at(key, column),
                hint=f"Write it like: {key} = {_LIKE[key]}",
            )
    low, high = table.get("min"), table.get("max")
    if low is not None and high is not None and low > high:
        raise InputError(
            f"in [{column}] min = {low} is above max = {high}",
            where=file.at("min", column),
            hint="No value could be both: correct one of the two.",
        )
    categories = table.get("categories")
    return Constraint(
        required=table.get("required", False),
        minimum=low,
        maximum=high,
        categories=None if categories is None else tuple(categories),
        pattern=table.get("pattern"),
        description=table.get("description"),
        violation=table.get("on-violation", "refuse"),
    )


def _wrong(key: str, value: Any) -> str | None:  # noqa: ANN401 - any TOML value
    """What is wrong with a value; None if nothing is."""
    if key == "required":
        return None if isinstance(value, bool) else "is true or false"
    if key in ("min", "max"):
        return None if _is_number(value) else "is a number"
    if key == "categories":
        return _wrong_categories(value)
    if key == "on-violation":
        return None if value in _VIOLATIONS else f"is one of {', '.join(_VIOLATIONS)}"
    if not isinstance(value, str):
        return "is a string"
    if key == "pattern":
        try:
            re.compile(value)
        except re.error as error:
            return f"is no regular expression: {error}"
    return None


def _wrong_categories(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return "is a list of the values that are allowed"
    if not all(isinstance(one, str | bool) or _is_number(one) for one in value):
        return "has strings, numbers, true and false only"
    kinds = [(type(one), one) for one in value]
    return "names a value twice" if len(set(kinds)) < len(kinds) else None


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _check_column(column: Column, constraint: Constraint, where: str) -> None:
    numeric = column.type in ("number", "integer")
    bounded = constraint.minimum is not None or constraint.maximum is not None
    if constraint.violation == "clip" and not (numeric and bounded):
        raise InputError(
            "there is nothing to clip a value to",
            where,
            'Give a number\'s min or max, or make it: on-violation = "count"',
        )
    if constraint.violation != "refuse" and constraint == Constraint(
        description=constraint.description, violation=constraint.violation
    ):
        raise InputError(
            f'there is nothing to {constraint.violation}: nothing is demanded of "{column.name}"',
            where,
            "Demand something: required, min, max, categories or pattern.",
        )
    if bounded and not numeric:
        raise InputError(
            f'min and max are for numbers; "{column.name}" is {column.type}',
            where,
            "Take them away; for strings there are categories and pattern.",
        )
    if constraint.pattern is not None and column.type != "string":
        raise InputError(
            f'pattern is for strings; "{column.name}" is {column.type}',
            where,
            "Take it away; for numbers there are min and max.",
        )
    for category in constraint.categories or ():
        if not _is_of(category, column):
            raise InputError(
                f'the category {_value(category)} is none of the values that "{column.name}", '
                f"which is {column.type}, can have",
                where,
                f"Give categories of the type {column.type}, or take them away.",
            )
        if bounded and not _in_bounds(category, constraint):
            raise InputError(
                f"the category {_value(category)} lies outside of min and max",
                where,
                "Take it away, or widen min and max.",
            )


def _is_of(category: Category, column: Column) -> bool:
    if column.type == "string":
        return isinstance(category, str)
    if column.type == "boolean":
        return isinstance(category, bool)
    if isinstance(category, bool | str) or column.type in ("date", "datetime"):
        return False
    return column.type == "number" or float(category).is_integer()


def _in_bounds(category: Category, constraint: Constraint) -> bool:
    if isinstance(category, str | bool):
        return True
    low = -math.inf if constraint.minimum is None else constraint.minimum
    high = math.inf if constraint.maximum is None else constraint.maximum
    return low <= category <= high


def _observed(column: Column) -> str:
    """One line on what training saw of a column."""
    seen = ""
    if column.minimum is not None and column.maximum is not None:
        seen = f", {_number(column.minimum)} to {_number(column.maximum)}"
    elif column.categories:
        shown = ", ".join(_value(one) for one in column.categories)
        several = f"{len(column.categories)} values, {_value(column.categories[0])} to "
        several += _value(column.categories[-1])
        seen = f": {shown if len(shown) < _WIDTH // 2 else several}"
    missing = f", {column.missing:.1%} missing" if column.missing else ""
    required = "" if column.nullable else "; the model requires it"
    return f"observed: {column.type}{seen}{missing}{required}"


def _key(name: str) -> str:
    """A column's name as a key of TOML: in quotes unless it is plain."""
    return name if _BARE.fullmatch(name) else _value(name)


def _number(value: float) -> str:
    # A plain number even where numpy made it.
    return repr(value if isinstance(value, int) else float(value))


def _value(value: Category) -> str:
    """A category as TOML writes it; its strings are JSON's, DEL excepted."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value)
