"""``POST /predict``: rows as JSON, JSON lines, CSV or Arrow; predictions in any of them."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .. import csv_bulk, tables
from ..malformed import MalformedError
from ..model import Model
from ..predictions import Predictions, Refusal, shown
from ..problems import ProblemError, invalid
from ..routes import JSON, Exchange, Headers, Reply, Route
from ..values import Clean

CSV = b"text/csv"
NDJSON = b"application/x-ndjson"
ARROW = b"application/vnd.apache.arrow.stream"
_MANY = 12_000
"""A CSV of fewer bytes is read row by row."""
_ALIASES = {
    b"application/jsonlines": NDJSON,
    b"application/jsonl": NDJSON,
    b"application/ndjson": NDJSON,
}

Read = Callable[[bytes], "tuple[Any, ...] | Clean"]
Write = Callable[[Predictions], Reply]


class Formats:
    """The formats that rows come in and predictions go out in.

    Args:
        model: whose rows and predictions they are.
        max_rows: no more rows are read than this and one, where reading can stop.
    """

    def __init__(self, model: Model, max_rows: int) -> None:
        self._model = model
        self._max_rows = max_rows
        self._encode = msgspec.json.Encoder().encode
        about = msgspec.json.encode({"name": model.name, "version": model.version})
        self._tail = b',"model":' + about + b"}"
        readers: dict[bytes, Read] = {
            JSON: model.validator.decode,
            CSV: self._read_csv,
            NDJSON: model.validator.lines,
            ARROW: self._read_arrow,
        }
        writers: dict[bytes, Write] = {
            JSON: self._write_json,
            CSV: self._write_csv,
            NDJSON: self._write_lines,
            ARROW: self._write_arrow,
        }
        self._kinds = tuple(readers)
        self._exchanges = {
            (given, wanted): _Exchange(read, write)
            for given, read in readers.items()
            for wanted, write in writers.items()
        }
        self._json = self._exchanges[JSON, JSON]

    def choose(self, headers: Headers) -> Exchange:
        """How to read a request and write its answer, by its Content-Type and Accept.

        Raises:
            ProblemError: 415, it has a type that nobody reads, or is not in UTF-8.
        """
        header = headers.get(b"content-type", b"")
        accept = headers.get(b"accept")
        if header == JSON and (accept is None or accept == b"*/*"):
            return self._json
        given = self._given(header)
        return self._exchanges[given, self._wanted(accept, given)]

    def _given(self, header: bytes) -> bytes:
        kind, _, parameters = header.lower().partition(b";")
        kind = kind.strip()
        kind = _ALIASES.get(kind, kind)
        charset = parameters.strip().strip(b'"')
        plain = not charset.startswith(b"charset=") or charset.endswith(
            (b"utf-8", b'utf-8"', b"utf8")
        )
        if kind in self._kinds and plain:
            return kind
        raise ProblemError(
            415,
            "unsupported-content-type",
            "send application/json, text/csv or application/x-ndjson, in UTF-8, "
            "or application/vnd.apache.arrow.stream",
            headers=((b"accept", b", ".join(self._kinds)),),
        )

    def _wanted(self, header: bytes | None, given: bytes) -> bytes:
        """What Accept names, else the format of the request."""
        if header is None or header == b"*/*":
            return given
        for part in header.lower().split(b","):
            kind = part.partition(b";")[0].strip()
            kind = _ALIASES.get(kind, kind)
            if kind in self._kinds:
                return kind
        return given

    def _write_json(self, predictions: Predictions) -> Reply:
        return Reply(b'{"predictions":' + self._model.answers.json(predictions) + self._tail)

    def _write_lines(self, predictions: Predictions) -> Reply:
        objects = self._model.answers.objects(predictions)
        return Reply(b"".join(self._encode(item) + b"\n" for item in objects), NDJSON)

    def _write_csv(self, predictions: Predictions) -> Reply:
        return Reply(tables.written(self._model.answers, predictions), CSV)

    def _read_csv(self, body: bytes) -> Clean:
        model = self._model
        if len(body) >= _MANY:
            found = csv_bulk.read(body, model.signature, self._max_rows, model.vocabulary)
            if found is not None:
                return model.validator.columns(found)
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MalformedError(f"not UTF-8 at byte {error.start}") from error
        reader = tables.CsvReader(io.StringIO(text, newline=""), self._model.signature)
        names = {column.name for column in self._model.signature.columns}
        if not names.intersection(reader.header):
            raise MalformedError("the CSV's first line names none of the model's columns")
        # One row more than is allowed is enough to know.
        batch = next(reader.batches(self._max_rows + 1), None)
        if batch is None:
            refusal = Refusal(0, None, "at least one row", "only a header")
            return Clean([], 0, (refusal,))
        return self._model.validator.columns(batch.columns)

    def _read_arrow(self, body: bytes) -> Clean:
        arrow = _arrow("arrow_read")
        known = {column.name for column in self._model.signature.columns}

        def check(names: Sequence[str]) -> None:
            ignores = self._model.validator.ignores
            unknown = [] if ignores else [name for name in names if name not in known]
            if unknown or not known.intersection(names):
                raise invalid(
                    [
                        Refusal(0, shown(name)[1:-1], "a column of the model", "an unknown one")
                        for name in unknown
                    ]
                    or [Refusal(0, None, "a column of the model", "none")]
                )

        columns = arrow.read(body, self._max_rows, check, self._model.vocabulary)
        if not any(map(len, columns.values())):
            return Clean([], 0, (Refusal(0, None, "at least one row", "none"),))
        return self._model.validator.columns(columns)

    def _write_arrow(self, predictions: Predictions) -> Reply:
        arrow = _arrow("arrow_write")
        columns = tables.arrays(self._model.answers, predictions)
        return Reply(arrow.written(columns, predictions.rows), ARROW)


class _Exchange:
    __slots__ = ("read", "write")

    def __init__(self, read: Read, write: Write) -> None:
        self.read = read
        self.write = write


def _arrow(module: str) -> Any:  # noqa: ANN401 - a module
    """A module for Arrow, which is loaded when it is first asked for."""
    return importlib.import_module(f".{module}", __package__)


def routes(formats: Formats) -> dict[str, Route]:
    """The path of mlpack's own protocol."""
    return {"/predict": Route(method="POST", open=formats.choose)}
