"""What comes out of a model: predictions as arrays, refusals by row, and their JSON form."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from .contract import Category, Signature, label_key

_encode = msgspec.json.Encoder().encode

_MANY = 16
"""For fewer rows it is faster to fill in forms."""

ACCEPTED = "a row that the original pipeline accepts"
"""What was expected, where the original raises for the row as a whole."""


class Refusal(msgspec.Struct, frozen=True):
    """One reason why a row gets no prediction.

    Attributes:
        row: the row's place in the request, from 0.
        column: the column at fault; None where it is the row as a whole.
        expected: what would have been accepted, in words.
        got: what came, shortened.
    """

    row: int
    column: str | None
    expected: str
    got: str


class Predictions(msgspec.Struct, frozen=True):
    """The answers for a batch of rows. The entries of refused rows are undefined.

    Attributes:
        rows: how many rows were asked for.
        labels: int64 [rows], indices into the signature's labels, or [rows, groups] where it has
            groups; None for a regression.
        probabilities: float64 [rows, labels], or None where the model has none.
        values: float64 [rows, outputs] of a regression; float64 [rows, 1], the scores, where
            outliers are told from others; or None.
        refusals: the rows that the original pipeline would refuse, and why.
    """

    rows: int
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def refused(self) -> np.ndarray:
        """Bool [rows]: true where a row was refused."""
        mask = np.zeros(self.rows, dtype=np.bool_)
        for refusal in self.refusals:
            mask[refusal.row] = True
        return mask


def shown(value: object) -> str:
    """A value for a message, at most 60 characters of it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return label_key(value)
    text = value if isinstance(value, str) else repr(value)
    if len(text) > 57:
        text = text[:57] + "..."
    if isinstance(value, str):
        # Control characters and lone surrogates must not reach a log or a JSON encoder.
        return '"' + text.encode("unicode_escape").decode("ascii") + '"'
    return text


def label_names(signature: Signature) -> tuple[str, ...]:
    """A name for each label that no other has: of several groups with the group's number."""
    keys = map(label_key, signature.labels)
    if not signature.groups:
        return tuple(keys)
    numbers = [number for number, size in enumerate(signature.groups) for _ in range(size)]
    return tuple(f"{number}_{key}" for number, key in zip(numbers, keys, strict=True))


def _cell(label: Category) -> bytes:
    """A label as a cell of CSV."""
    stream = io.StringIO()
    # What is quoted depends on the end of lines.
    csv.writer(stream, lineterminator="\n").writerow(
        [label_key(label) if isinstance(label, bool) else label]
    )
    return stream.getvalue()[:-1].encode()


class Answers:
    """Turns predictions into the plain values that JSON, CSV and Python get.

    Attributes:
        labels: the signature's.
        names: a name for each that no other has.
        keys: as keys of JSON.
        cells: as cells of CSV.
    """

    def __init__(self, signature: Signature) -> None:
        self.labels = signature.labels
        self.names = label_names(signature)
        self.keys = tuple(label_key(label) for label in signature.labels)
        self.cells = tuple(map(_cell, signature.labels))
        ends = list(itertools.accumulate(signature.groups))
        self._groups = [
            slice(end - size, end) for end, size in zip(ends, signature.groups, strict=True)
        ]
        distinct = len(set(self.keys)) == len(self.keys)
        self._forms = self._open() if distinct and not self._groups else ()
        self._answer = self._struct() if self._forms else None

    def _open(self) -> tuple[bytes, ...]:
        """An answer for each label, in which the places of the probabilities are open."""
        keys = [_encode(key).replace(b"%", b"%%") for key in self.keys]
        probabilities = b"{" + b",".join([key + b":%b" for key in keys]) + b"}"
        return tuple(
            b'{"label":'
            + _encode(label).replace(b"%", b"%%")
            + b',"probabilities":'
            + probabilities
            + b"}"
            for label in self.labels
        )

    def _struct(self) -> Callable[..., Any] | None:
        """Makes an answer of a label and its probabilities; None where a name cannot be a field."""
        fields = [f"p{place}" for place in range(len(self.keys))]
        try:
            shares = msgspec.defstruct(
                "Shares", fields, rename=dict(zip(fields, self.keys, strict=True)), gc=False
            )
        except ValueError:
            return None
        answer = msgspec.defstruct("Answer", ["label", "probabilities"], gc=False)
        return lambda labels, columns: list(map(answer, labels, map(shares, *columns)))

    def objects(self, predictions: Predictions) -> list[dict[str, Any]]:
        """One object per row.

        ``{"label": ..., "probabilities": {...}}``, ``{"label": ..., "score": ...}``,
        ``{"label": ...}`` or ``{"value": ...}``; with several labels a row, lists of both.
        """
        if self._groups:
            labels = self.plain(predictions)
            shares = self._shares(predictions, self.keys)
            if shares is None:
                return [{"label": label} for label in labels]
            return [
                {"label": label, "probabilities": share}
                for label, share in zip(labels, shares, strict=True)
            ]
        if predictions.labels is not None:
            names = self.labels
            labels = predictions.labels.tolist()
            scores = self.scores(predictions)
            if scores is not None:
                return [
                    {"label": names[index], "score": score}
                    for index, score in zip(labels, scores, strict=True)
                ]
            if predictions.probabilities is None:
                return [{"label": names[index]} for index in labels]
            keys = self.keys
            return [
                {"label": names[index], "probabilities": dict(zip(keys, row, strict=True))}
                for index, row in zip(labels, predictions.probabilities.tolist(), strict=True)
            ]
        return [{"value": value} for value in self.plain(predictions)]

    def json(self, predictions: Predictions) -> bytes:
        """The same as a JSON list.

        Only the numbers are encoded, all at once; what stands between them is known beforehand.
        """
        labels, probabilities = predictions.labels, predictions.probabilities
        if (
            labels is None
            or probabilities is None
            or predictions.values is not None
            or not self._forms
            or not predictions.rows
        ):
            return _encode(self.objects(predictions))
        if self._answer is not None and predictions.rows >= _MANY:
            names = map(self.labels.__getitem__, labels.tolist())
            return _encode(self._answer(names, probabilities.T.tolist()))
        forms = b",".join(map(self._forms.__getitem__, labels.tolist()))
        numbers = _encode(probabilities.ravel().tolist())[1:-1].split(b",")
        return b"[" + forms % tuple(numbers) + b"]"

    def plain(self, predictions: Predictions) -> list[Any]:
        """One label or number per row; a list of them where there are several outputs."""
        if predictions.labels is not None and self._groups:
            return [[self.labels[index] for index in row] for row in predictions.labels.tolist()]
        if predictions.labels is not None:
            return [self.labels[index] for index in predictions.labels.tolist()]
        if predictions.values is None:
            return []
        if predictions.values.shape[1] == 1:
            flat: list[Any] = predictions.values[:, 0].tolist()
            return flat
        rows: list[Any] = predictions.values.tolist()
        return rows

    def scores(self, predictions: Predictions) -> list[float] | None:
        """One number per row, the less the more of an outlier; None where the model has none."""
        if predictions.labels is None or predictions.values is None:
            return None
        found: list[float] = predictions.values[:, 0].tolist()
        return found

    def probabilities(self, predictions: Predictions) -> list[Any] | None:
        """One dict from label to probability per row; None where the model has none.

        A list of dicts per row where it gets several labels.
        """
        return self._shares(predictions, self.labels)

    def _shares(self, predictions: Predictions, keys: Sequence[Any]) -> list[Any] | None:
        if predictions.probabilities is None:
            return None
        rows: Sequence[Sequence[float]] = predictions.probabilities.tolist()
        if not self._groups:
            return [dict(zip(keys, row, strict=True)) for row in rows]
        return [
            [dict(zip(keys[part], row[part], strict=True)) for part in self._groups] for row in rows
        ]
