"""Asks the portable graph, as a runtime would that knows nothing of mlpack."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlpack.runtime.contract import Signature
from mlpack.runtime.onnx_session import RAISES
from mlpack.runtime.predictions import ACCEPTED, Predictions, Refusal
from mlpack.runtime.session import Session
from mlpack.runtime.values import Clean, Values

Array = NDArray[Any]

NUMPY = {"tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class PortableEngine:
    """The portable graph behind the interface of an engine; see `mlpack.exporters.portable`.

    Args:
        model: the graph's bytes.
        missing: what stands for a missing string.
        signature: the raw columns, and the labels that the answers are told in.
    """

    blocking = False

    def __init__(self, model: bytes, missing: str, signature: Signature) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._types = {value.name: value.type for value in self._session.get_inputs()}
        self._names = [output.name for output in self._session.get_outputs()]
        self._missing = missing
        self._columns = [column.name for column in signature.columns]
        self._places = {label: place for place, label in enumerate(signature.labels)}

    def one(self, values: Any) -> Predictions:
        """One row."""
        return self.many([[value] for value in values], 1)

    def many(self, columns: Any, rows: int) -> Predictions:
        """Columns. A row that cannot be told in the inputs' types is refused."""
        untold = np.zeros(rows, bool)
        feeds: dict[str, Array] = {}
        for name, values in zip(self._columns, columns, strict=True):
            feeds[name], gone = self._told(self._types[name], values)
            untold |= gone
        answers = dict(zip(self._names, self._session.run(self._names, feeds), strict=True))
        refused = answers.get("refused", np.zeros(rows, bool)) | untold
        labels = answers.get("label")
        return Predictions(
            rows,
            None if labels is None else np.array([self._places[x] for x in labels.tolist()]),
            answers.get("probabilities"),
            answers.get("value", answers.get("score")),
            tuple(Refusal(row, None, ACCEPTED, RAISES) for row in np.flatnonzero(refused).tolist()),
        )

    def _told(self, kind: str, values: Values) -> tuple[Array, Array]:
        """Clean values as a tensor [rows, 1], and where they cannot be told."""
        cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
        gone = np.array([cell is None or cell != cell for cell in cells], bool)
        if kind == "tensor(string)":
            told = np.array([self._missing if cell is None else cell for cell in cells], object)
            return told.reshape(-1, 1), np.zeros(len(cells), bool)
        if kind == "tensor(double)":
            numbers = np.array([np.nan if cell is None else cell for cell in cells], np.float64)
            return numbers.reshape(-1, 1), np.zeros(len(cells), bool)
        plain = np.array([0 if cell is None or cell != cell else cell for cell in cells])
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
