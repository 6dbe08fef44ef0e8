"""CSV and JSON lines: read in batches into raw columns, and predictions written beside them.

An empty CSV cell is missing; so an empty string cannot be said in CSV. Booleans are ``true`` and
``false``. A cell that cannot be read stays a string, and the validator names its row and column.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .contract import Signature, label_key
from .malformed import MalformedError
from .predictions import Answers, Predictions
from .values import Texts

_lines = msgspec.json.Encoder().encode_lines
_EXACT = (((bool,), np.bool_), ((int,), np.int64), ((int, float), np.float64))
_SMALL, _LARGE = 1e-4, 1e16
"""Below and from there on Python writes an exponent; in between everybody writes the same."""
_BOOLEANS = {"true": True, "false": False}


class Batch(NamedTuple):
    """Some rows of a CSV file.

    Attributes:
        start: the place of the first row in the file, from 0.
        cells: the rows as they stand there.
        columns: raw values by column, for a validator or reader, which may change them.
    """

    start: int
    cells: list[list[str]]
    columns: dict[str, list[Any] | np.ndarray]


class Coded(NamedTuple):
    """Texts of which there are few different ones.

    Attributes:
        words: the different ones.
        places: for each row, where its text stands among them.
    """

    words: Sequence[str]
    places: np.ndarray


class CsvReader:
    """A CSV file whose first line names the columns.

    Args:
        lines: its lines, with their line ends.
        signature: gives the columns their types; other columns stay strings.

    Raises:
        MalformedError: it has no header, or the header names a column twice.
    """

    def __init__(self, lines: Iterable[str], signature: Signature) -> None:
        self._rows = csv.reader(lines, strict=True)
        self._types = {column.name: column.type for column in signature.columns}
        self.header = self._next() or []
        if not self.header:
            raise MalformedError("the CSV is empty: its first line names the columns")
        if len(set(self.header)) < len(self.header):
            twice = next(name for name in self.header if self.header.count(name) > 1)
            raise MalformedError(f"the CSV's header names {twice!r} twice")

    def batches(self, size: int) -> Iterator[Batch]:
        """The rows, at most `size` at once.

        Raises:
            MalformedError: a row has other than the header's number of cells, or bad quotes.
        """
        start = 0
        cells: list[list[str]] = []
        while (row := self._next()) is not None:
            if not row:
                continue  # an empty line
            if len(row) != len(self.header):
                raise MalformedError(
                    f"row {start + len(cells)} (line {self._rows.line_num}) has {len(row)} cells, "
                    f"the header {len(self.header)}"
                )
            cells.append(row)
            if len(cells) == size:
                yield self._batch(start, cells)
                start += len(cells)
                cells = []
        if cells:
            yield self._batch(start, cells)

    def _batch(self, start: int, cells: list[list[str]]) -> Batch:
        columns = {
            name: typed(values, self._types.get(name, "string"))
            for name, values in zip(self.header, zip(*cells, strict=True), strict=True)
        }
        return Batch(start, cells, columns)

    def _next(self) -> list[str] | None:
        try:
            return next(self._rows, None)
        except csv.Error as error:
            raise MalformedError(f"line {self._rows.line_num} is not CSV: {error}") from error


def typed(values: Sequence[str], kind: str) -> list[Any] | np.ndarray:
    """The cells of a column as values of its type, as far as they are; None for an empty one."""
    if kind in ("string", "date", "datetime"):
        return Texts([value or None for value in values])
    if kind == "boolean":
        return [_BOOLEANS.get(value.lower(), value or None) for value in values]
    found = _numbers(values, kind)
    if found is not None:
        return found
    return [_integer(value) if kind == "integer" else _number(value) for value in values]


def _numbers(values: Sequence[str], kind: str) -> np.ndarray | None:
    """All of a column at once, NaN where one is missing; None where cells need a closer look."""
    if "_" in "".join(values):
        return None  # Python takes it within a number, nobody else does
    try:
        if kind == "integer":
            return np.array(list(map(int, values)), dtype=np.int64)
        return np.array([float(value) if value else math.nan for value in values])
    except (ValueError, OverflowError):
        return None


def _number(value: str) -> Any:  # noqa: ANN401 - a number, None, or the string itself
    if not value:
        return None
    try:
        return value if "_" in value else float(value)
    except ValueError:
        return value


def _integer(value: str) -> Any:  # noqa: ANN401 - a number, None, or the string itself
    if not value:
        return None
    try:
        return value if "_" in value else int(value)
    except ValueError:
        return _number(value)


def header(answers: Answers, predictions: Predictions) -> list[str]:
    """The names of the columns that `cells` fills."""
    if answers.scores(predictions) is not None:
        return ["prediction", "score"]
    if predictions.values is not None and predictions.values.shape[1] > 1:
        return [f"prediction_{index}" for index in range(predictions.values.shape[1])]
    labels = predictions.labels
    names = ["prediction"]
    if labels is not None and labels.ndim > 1:
        names = [f"prediction_{index}" for index in range(labels.shape[1])]
    if predictions.probabilities is None:
        return names
    return [*names, *(f"probability_{name}" for name in answers.names)]


def cells(answers: Answers, predictions: Predictions) -> Iterator[list[Any]]:
    """One list per row: the label or value, then the score or the probabilities."""
    plain = answers.plain(predictions)
    scores = answers.scores(predictions)
    if scores is not None:
        yield from ([label, score] for label, score in zip(plain, scores, strict=True))
        return
    if predictions.values is not None:
        for value in plain:
            yield value if isinstance(value, list) else [value]
        return
    rows = [each if isinstance(each, list) else [each] for each in plain]
    keys = [[label_key(one) if isinstance(one, bool) else one for one in row] for row in rows]
    if predictions.probabilities is None:
        yield from keys
        return
    for row, shares in zip(keys, predictions.probabilities.tolist(), strict=True):
        yield [*row, *shares]


def written(answers: Answers, predictions: Predictions) -> bytes:
    """A CSV of the predictions, with its header."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header(answers, predictions))
    labels, probabilities = predictions.labels, predictions.probabilities
    words = answers.cells
    if (
        labels is None
        or probabilities is None
        or labels.ndim > 1
        or not predictions.rows
        or not np.isfinite(probabilities).all()
    ):
        writer.writerows(cells(answers, predictions))
        return stream.getvalue().encode()
    if any(b"[" in word or b"]" in word for word in words):
        cut = [
            (words[label], row) for label, row in zip(labels, probabilities.tolist(), strict=True)
        ]
        rest = b"".join(b"%b,%b\n" % (word, ",".join(map(repr, row)).encode()) for word, row in cut)
        return stream.getvalue().encode() + rest
    # All rows at once: each is a list of JSON, in which a label stands as it is, without brackets.
    columns = probabilities.T.tolist()
    for row, place in _unlike(probabilities):
        columns[place][row] = msgspec.Raw(repr(columns[place][row]).encode())
    raw = [msgspec.Raw(word) for word in words]
    rows = zip(map(raw.__getitem__, labels.tolist()), *columns, strict=True)
    return stream.getvalue().encode() + _lines(rows).translate(None, b"[]")


def _unlike(numbers: np.ndarray) -> list[list[int]]:
    """Where numbers are that Python writes otherwise than JSON, as 1e-05, and not 0.00001."""
    size = np.abs(numbers)
    places: list[list[int]] = np.argwhere(
        ((size < _SMALL) & (size > 0)) | (size >= _LARGE)
    ).tolist()
    return places


def arrays(answers: Answers, predictions: Predictions) -> dict[str, np.ndarray | Coded]:
    """The same columns as arrays of int64, float64 or booleans, or as texts."""
    names = header(answers, predictions)
    columns: list[np.ndarray | Coded] = []
    if predictions.labels is not None:
        columns += [_labels(answers, places) for places in _each(predictions.labels)]
    for values in (predictions.values, predictions.probabilities):
        if values is not None:
            columns += list(np.asarray(values, dtype=np.float64).T)
    return dict(zip(names, columns, strict=True))


def _each(places: np.ndarray) -> Sequence[np.ndarray]:
    """The labels of each group on their own."""
    return [places] if places.ndim == 1 else list(np.ascontiguousarray(places.T))


def _labels(answers: Answers, places: np.ndarray) -> np.ndarray | Coded:
    for kinds, dtype in _EXACT:
        if all(type(label) in kinds for label in answers.labels):
            found: np.ndarray = np.array(answers.labels, dtype=dtype)[places]
            return found
    return Coded(answers.keys, places)
