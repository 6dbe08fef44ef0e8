"""Checks requests: a compiled way for what is right, a precise one that names all that is wrong.

The compiled way only ever says yes: what it does not accept goes through the precise one, which
decides. So both accept the same, and every refusal names its row and column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from .contract import Signature
from .lenient import Lenient
from .malformed import MalformedError, loads
from .predictions import Refusal, shown
from .rowtypes import NONE, expressed, row_type
from .rowwise import Rows
from .rules import Rules
from .schema import Schema, strict
from .session import beyond_doubt
from .values import Clean, Reader, Values

RESERVED = "instances"
"""The key that holds the rows of a batch, which therefore cannot be a column."""

_BATCH = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"instances"')


def check_columns(names: Sequence[str]) -> None:
    """Check that columns can be served under these names.

    Raises:
        ValueError: a name is ``instances``, empty, or there twice.
    """
    if RESERVED in names:
        raise ValueError(f"a column cannot be named {RESERVED!r}: requests hold rows under it")
    if "" in names:
        raise ValueError("a column has no name")
    if len(set(names)) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ValueError(f"two columns are named {twice!r}")


class Validator:
    """A signature and the author's constraints, compiled.

    Attributes:
        lenient: the constraints that refuse nothing, and how many values failed them.
        ignores: columns that the model does not have are passed over.

    Raises:
        ValueError: a pattern of the schema is not a regular expression.
    """

    def __init__(self, signature: Signature, schema: Schema) -> None:
        self._reader = Reader(signature)
        self._json_reader = Reader(signature, finite=True)
        self.lenient = Lenient(signature, schema)
        self.ignores = schema.unknown_columns == "ignore"
        schema = strict(schema)
        self._rules = Rules(signature, schema)
        self._rest = Rules(
            signature,
            schema,
            frozenset(
                column.name
                for column in signature.columns
                if expressed(column, schema.columns.get(column.name, NONE))
            ),
        )
        self._by_row = Rows(signature)
        self._kinds = [column.type for column in signature.columns]
        self._row = row_type(signature, schema, forbid_unknown=not self.ignores)
        self._decode_row: msgspec.json.Decoder[Any] | None = None
        self._decode_batch: msgspec.json.Decoder[Any] | None = None
        if self._row is not None:
            self._decode_row = msgspec.json.Decoder(self._row)
            row: Any = self._row
            batch = msgspec.defstruct(
                "Batch", [(RESERVED, list[row])], forbid_unknown_fields=True, gc=False
            )
            self._decode_batch = msgspec.json.Decoder(batch)

    def decode(self, body: bytes) -> tuple[Any, ...] | Clean:
        """Read a JSON body: a tuple of clean values for one row, else clean columns.

        Problems stand in the refusals; a tuple has none.

        Raises:
            MalformedError: the body is not JSON.
        """
        try:
            if _BATCH.match(body) and self._decode_batch is not None:
                rows = self._decode_batch.decode(body).instances
                if rows:
                    return self._checked(rows)
            elif self._decode_row is not None:
                values = msgspec.structs.astuple(self._decode_row.decode(body))
                if not self._rest or not self._rest.one(values):
                    return self.lenient.one(values) if self.lenient else values
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the precise way says what is wrong
        return self._precise(loads(body, _constant))

    def lines(self, body: bytes) -> Clean:
        """Read a body of JSON lines, one row each; empty lines do not count.

        Raises:
            MalformedError: a line is not JSON.
        """
        if self._decode_row is not None:
            try:
                rows = self._decode_row.decode_lines(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the precise way says what is wrong
            else:
                if rows:
                    return self._checked(rows)
        lines = [loads(line, _constant) for line in body.split(b"\n") if line.strip()]
        if not lines:
            raise MalformedError("there is no row")
        return self._rows(self._json_reader, lines)

    def one(self, row: Mapping[str, Any]) -> tuple[Any, ...] | Clean:
        """Check one row of Python values: a tuple of clean values, or what is wrong with it."""
        if self._row is not None:
            try:
                values = msgspec.structs.astuple(msgspec.convert(row, self._row))
            except ValueError:
                pass  # not a value of msgspec's, nor one of Python's, as a signalling NaN
            else:
                if beyond_doubt(values) and not (self._rest and self._rest.one(values)):
                    return self.lenient.one(values) if self.lenient else values
        return self.rows([row])

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Clean:
        """Check rows of Python values; problems stand in the refusals."""
        return self._rows(self._reader, rows)

    def columns(self, columns: Mapping[str, Any]) -> Clean:
        """Check columns of Python values; problems stand in the refusals.

        Raises:
            ValueError: the columns have different lengths, or none of them is known.
        """
        clean = self._reader.columns(columns)
        return self._ruled(clean, self._unknown(self._reader, list(columns)))

    def _unknown(self, reader: Reader, names: Sequence[str], row: int = 0) -> list[Refusal]:
        return [] if self.ignores else reader.unknown(names, row)

    def _checked(self, rows: Sequence[Any]) -> Clean:
        """Rows of the compiled type, as columns; only the rules that are not compiled are left."""
        columns = self._by_row.columns(rows)
        if columns is None:
            found = zip(*map(msgspec.structs.astuple, rows), strict=True)
            columns = [self._array(values, place) for place, values in enumerate(found)]
        refusals = self._rest.many(columns) if self._rest else []
        return self._eased(Clean(columns, len(rows), tuple(sorted(refusals, key=_row_of))))

    def _eased(self, clean: Clean) -> Clean:
        """The rows as they are answered; of some that are refused the others may still be."""
        if not self.lenient:
            return clean
        columns = self.lenient.many(clean.columns, answered=not clean.refusals)
        return msgspec.structs.replace(clean, columns=columns)

    def _array(self, values: tuple[Any, ...], place: int) -> Values:
        """Numbers as an array: so they are converted once, and not by each who looks at them."""
        kind = self._kinds[place]
        if kind == "number":
            return np.fromiter(values, np.float64, len(values))
        if kind == "integer" and None not in values:
            return np.fromiter(values, np.int64, len(values))
        return values

    def _precise(self, data: Any) -> Clean:  # noqa: ANN401 - any JSON value
        if not isinstance(data, dict):
            return _refused(0, 'one row, or {"instances": [...]}', data)
        if RESERVED not in data:
            return self._rows(self._json_reader, [data])
        rows = data[RESERVED]
        if not isinstance(rows, list) or not rows:
            return _refused(0, "a list of at least one row", rows, RESERVED)
        if len(data) > 1:
            other = next(key for key in data if key != RESERVED)
            return _refused(0, "nothing beside instances", other, shown(other)[1:-1])
        return self._rows(self._json_reader, rows)

    def _rows(self, reader: Reader, rows: Sequence[Any]) -> Clean:
        unknown: list[Refusal] = []
        usable: list[Mapping[str, Any]] = []
        for index, row in enumerate(rows):
            if isinstance(row, Mapping):
                unknown += self._unknown(reader, list(row), index)
                usable.append(row)
            else:
                return _refused(index, "an object with the columns", row)
        return self._ruled(reader.rows(usable), unknown)

    def _ruled(self, clean: Clean, unknown: list[Refusal]) -> Clean:
        refusals = [*unknown, *clean.refusals, *self._rules.many(clean.columns, clean.refusals)]
        ruled = Clean(clean.columns, clean.rows, tuple(sorted(refusals, key=_row_of)))
        return self._eased(ruled)


def _row_of(refusal: Refusal) -> int:
    return refusal.row


def _refused(row: int, expected: str, got: object, column: str | None = None) -> Clean:
    said = shown(got)
    if isinstance(got, list):
        said = "a list" if got else "an empty list"
    elif isinstance(got, dict):
        said = "an object"
    return Clean([], 0, (Refusal(row, column, expected, said),))


def _constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise MalformedError(f"not JSON: {name} is no number there, leave it out or send null")
