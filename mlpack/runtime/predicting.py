"""From the bytes of a request to the bytes of its answer: no network, no waiting, any thread."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import msgspec

from . import tables
from .drift import Drift
from .model import Model
from .predictions import Predictions, Refusal
from .problems import ProblemError, invalid
from .settings import Settings
from .validate import MalformedError
from .values import Clean

JSON = b"application/json"
CSV = b"text/csv"
NDJSON = b"application/x-ndjson"
_ALIASES = {b"application/jsonlines": NDJSON, b"application/ndjson": NDJSON}


class Answer(msgspec.Struct, frozen=True):
    """An answered request.

    Attributes:
        body: the predictions.
        content_type: what the body is.
        rows: how many rows were answered.
        outside: the columns' places and how many of their values training never saw.
    """

    body: bytes
    content_type: bytes
    rows: int
    outside: list[tuple[int, int]]


class Predictor:
    """Answers the bodies of ``POST /predict``. Safe to use from several threads.

    Args:
        model: answers.
        settings: sets the limit on rows.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self._model = model
        self._decode = model.validator.decode
        self._one = model.session.engine.one
        self._drift = Drift(model.signature)
        self._max_rows = settings.max_rows
        self._encode = msgspec.json.Encoder().encode
        about = msgspec.json.encode({"name": model.name, "version": model.version})
        self._tail = b',"model":' + about + b"}"
        self._readers: dict[bytes, Callable[[bytes], tuple[Any, ...] | Clean]] = {
            JSON: self._decode,
            CSV: self._read_csv,
            NDJSON: model.validator.lines,
        }
        self._writers: dict[bytes, Callable[[Predictions], bytes]] = {
            JSON: self._write_json,
            CSV: self._write_csv,
            NDJSON: self._write_lines,
        }

    def content_type(self, header: bytes) -> bytes:
        """Which of the formats that it reads a Content-Type names.

        Raises:
            ProblemError: 415, it names another, or another character set than UTF-8.
        """
        if header == JSON:
            return JSON
        kind, _, parameters = header.lower().partition(b";")
        kind = kind.strip()
        kind = _ALIASES.get(kind, kind)
        charset = parameters.strip().strip(b'"')
        plain = not charset.startswith(b"charset=") or charset.endswith(
            (b"utf-8", b'utf-8"', b"utf8")
        )
        if kind in self._readers and plain:
            return kind
        raise ProblemError(
            415,
            "unsupported-content-type",
            "send application/json, text/csv or application/x-ndjson, in UTF-8",
            headers=((b"accept", b", ".join(self._readers)),),
        )

    def accepted(self, header: bytes | None, given: bytes) -> bytes:
        """The format to answer in: what Accept names, else that of the request."""
        if header is None or header == b"*/*":
            return given
        for part in header.lower().split(b","):
            kind = part.partition(b";")[0].strip()
            kind = _ALIASES.get(kind, kind)
            if kind in self._writers:
                return kind
        return given

    def answer(self, body: bytes, given: bytes, wanted: bytes) -> Answer:
        """Answer a request.

        Args:
            body: its body.
            given: the body's format.
            wanted: the answer's format.

        Raises:
            ProblemError: 400, 413 or 422.
        """
        try:
            clean = self._readers[given](body)
        except MalformedError as error:
            raise ProblemError(400, "malformed-body", str(error)) from error
        if isinstance(clean, tuple):
            rows = 1
            predictions = self._one(clean)
            outside = self._drift.one(clean)
        else:
            rows = clean.rows
            if rows > self._max_rows:
                detail = f"{rows} rows, at most {self._max_rows} are answered at once"
                raise ProblemError(413, "too-many-rows", detail)
            if clean.refusals:
                raise invalid(clean.refusals)
            predictions = self._model.predict_clean(clean)
            outside = self._drift.many(clean.columns)
        if predictions.refusals:
            raise invalid(predictions.refusals)
        return Answer(self._writers[wanted](predictions), wanted, rows, outside)

    def _write_json(self, predictions: Predictions) -> bytes:
        objects = self._model.answers.objects(predictions)
        return b'{"predictions":' + self._encode(objects) + self._tail

    def _write_lines(self, predictions: Predictions) -> bytes:
        objects = self._model.answers.objects(predictions)
        return b"".join(self._encode(item) + b"\n" for item in objects)

    def _write_csv(self, predictions: Predictions) -> bytes:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(tables.header(self._model.answers, predictions))
        writer.writerows(tables.cells(self._model.answers, predictions))
        return stream.getvalue().encode()

    def _read_csv(self, body: bytes) -> Clean:
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
