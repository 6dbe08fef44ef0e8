"""Asks the portable graph, as a runtime would that knows nothing of mlpack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlpack.runtime.asked import Labels
from mlpack.runtime.contract import Signature, Text
from mlpack.runtime.dateparts import ticks_of
from mlpack.runtime.kinds import unit
from mlpack.runtime.onnx_session import RAISES
from mlpack.runtime.predictions import ACCEPTED, Predictions, Refusal
from mlpack.runtime.session import Session
from mlpack.runtime.text import Split, murmur3, splitter
from mlpack.runtime.values import Clean, Values, cells

Array = NDArray[Any]

NUMPY = {"tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class PortableEngine:
    """The portable graph behind the interface of an engine; see `mlpack.exporters.portable`.

    Args:
        model: the graph's bytes.
        missing: what stands for a missing string.
        signature: the raw columns, and the labels that the answers are told in.
        texts: the inputs that take a text's terms, or their hashes.
        fill: what fills up rows of hashes.
    """

    blocking = False
    together = 0

    def __init__(
        self,
        model: bytes,
        missing: str,
        signature: Signature,
        texts: Mapping[str, Text] | None = None,
        fill: int = 0,
    ) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._types = {value.name: value.type for value in self._session.get_inputs()}
        self._moments = {
            column.name: unit(column)
            for column in signature.columns
            if column.type in ("date", "datetime")
        }
        self._names = [output.name for output in self._session.get_outputs()]
        self._missing = missing
        self._columns = [column.name for column in signature.columns]
        self._labels = Labels(signature)
        self._fill = fill
        self._texts = [(name, text, splitter(text)) for name, text in (texts or {}).items()]

    def one(self, values: Any) -> Predictions:
        """One row."""
        return self.many([[value] for value in values], 1)

    def few(self, rows: Any) -> Predictions:
        """A few rows."""
        return self.many(list(zip(*rows, strict=True)), len(rows))

    def many(self, columns: Any, rows: int) -> Predictions:
        """Columns. A row that cannot be told in the inputs' types is refused."""
        untold = np.zeros(rows, bool)
        feeds: dict[str, Array] = {}
        given = dict(zip(self._columns, columns, strict=True))
        for name, text, split in self._texts:
            untold |= [cell is None for cell in cells(given[text.column])]
            feeds[name] = self._terms(text, split, cells(given[text.column]))
        for name, values in given.items():
            if name not in self._types:
                continue
            if name in self._moments:
                ticks = ticks_of(values, self._moments[name])
                feeds[name] = ticks.view(np.int64).reshape(-1, 1)
                continue
            feeds[name], gone = self._told(self._types[name], values)
            untold |= gone
        answers = dict(zip(self._names, self._session.run(self._names, feeds), strict=True))
        refused = answers.get("refused", np.zeros(rows, bool)) | untold
        labels = answers.get("label")
        return Predictions(
            rows,
            None if labels is None else self._labels.places(labels),
            answers.get("probabilities"),
            answers.get("value", answers.get("score")),
            tuple(Refusal(row, None, ACCEPTED, RAISES) for row in np.flatnonzero(refused).tolist()),
        )

    def _terms(self, text: Text, split: Split, values: Sequence[str | None]) -> Array:
        """The terms of each text or their hashes, filled up to one length."""
        rows: list[list[Any]] = [list(split(value or "")) for value in values]
        if text.hashed:
            rows = [[murmur3(term.encode()) for term in terms] for terms in rows]
        longest = max(map(len, rows), default=0)
        fill = self._fill if text.hashed else self._missing
        full = [[*terms, *[fill] * (longest - len(terms))] for terms in rows]
        kind = np.int64 if text.hashed else object
        return np.array(full, kind).reshape(len(rows), longest)

    def _told(self, kind: str, values: Values) -> tuple[Array, Array]:
        """Clean values as a tensor [rows, 1], and where they cannot be told."""
        bare = cells(values)
        gone = np.array([cell is None or cell != cell for cell in bare], bool)
        if kind == "tensor(string)":
            told = np.array([self._missing if cell is None else cell for cell in bare], object)
            return told.reshape(-1, 1), np.zeros(len(bare), bool)
        if kind == "tensor(double)":
            numbers = np.array([np.nan if cell is None else cell for cell in bare], np.float64)
            return numbers.reshape(-1, 1), np.zeros(len(bare), bool)
        plain = np.array([0 if cell is None or cell != cell else cell for cell in bare])
        return plain.astype(NUMPY[kind]).reshape(-1, 1), gone


class PortableSession(Session):
    """A session that leaves it to the portable graph to refuse."""

    def __init__(self, signature: Signature, engine: PortableEngine) -> None:
        free = tuple(
            msgspec.structs.replace(column, nullable=True, finite=False)
            for column in signature.columns
        )
        super().__init__(msgspec.structs.replace(signature, columns=free), engine)

    def clean(self, clean: Clean) -> Predictions:
        """Predict what a reader made."""
        return self.engine.many(clean.columns, clean.rows)
