"""Runs the fitted pipeline itself, for what has no exact graph."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd

from .asked import Labels, for_each, shares
from .contract import Category, Signature
from .frames import frame
from .halves import in_halves
from .predictions import Predictions
from .values import Values


class PythonEngine:
    """A fitted estimator with scikit-learn's interface.

    Args:
        estimator: anything with ``predict`` and perhaps ``predict_proba`` or
            ``decision_function``.
        signature: what it learned.
    """

    blocking = True
    together = 0

    def __init__(self, estimator: Any, signature: Signature) -> None:  # noqa: ANN401
        self._estimator = estimator
        self._signature = signature
        self._names = tuple(column.name for column in signature.columns)
        self._labels = Labels(signature)
        self._probabilities = signature.has("probabilities") and hasattr(estimator, "predict_proba")
        self._order = self._reorder() if self._probabilities else None

    def one(self, values: Sequence[Any]) -> Predictions:
        """The prediction for one row of clean values, in the signature's order."""
        return self.many([[value] for value in values], 1)

    def few(self, rows: Sequence[Sequence[Any]]) -> Predictions:
        """The predictions for a few rows of clean values that are asked for together."""
        return self.many([list(column) for column in zip(*rows, strict=True)], len(rows))

    def many(self, columns: Sequence[Values], rows: int) -> Predictions:
        """The predictions for clean columns; rows for which the pipeline raises are refused."""
        data = dict(zip(self._names, columns, strict=True))
        result = _empty(self._signature, probabilities=self._probabilities, rows=rows)

        def fill(start: int, stop: int) -> None:
            part = {name: values[start:stop] for name, values in data.items()}
            self._predict(result, frame(self._signature, part), start, stop)

        return msgspec.structs.replace(result, refusals=tuple(in_halves(fill, rows)))

    def _predict(self, result: Predictions, rows: pd.DataFrame, start: int, stop: int) -> None:
        answer = self._estimator.predict(rows)
        if result.labels is not None:
            result.labels[start:stop] = self._labels.places(answer)
            if result.values is not None:
                answer = np.asarray(self._estimator.decision_function(rows), dtype=np.float64)
        if result.values is not None:
            result.values[start:stop] = np.asarray(answer).reshape(stop - start, -1)
        if result.probabilities is not None:
            found = shares(self._estimator.predict_proba(rows), self._signature)
            result.probabilities[start:stop] = (
                found if self._order is None else found[:, self._order]
            )

    def _reorder(self) -> list[int] | None:
        """Where each of the signature's labels stands in the estimator's; None if in order."""
        told = getattr(self._estimator, "classes_", self._signature.labels)
        if self._signature.groups or for_each(told, 1):
            return None  # they are put in the signature's order as they are read
        classes: list[Category] = np.asarray(told).tolist()
        if tuple(classes) == self._signature.labels:
            return None
        return [classes.index(label) for label in self._signature.labels]


def load(_folder: Path, model: bytes, signature: Signature) -> PythonEngine:
    """The engine for a pickle's bytes, which somebody verified: never call it with others."""
    return PythonEngine(joblib.load(io.BytesIO(model)), signature)


def _empty(signature: Signature, *, probabilities: bool, rows: int) -> Predictions:
    """Predictions of which nothing is known yet: zeros."""
    if signature.task == "regression":
        size = next((output.size for output in signature.outputs if output.name == "value"), 1)
        return Predictions(rows, values=np.zeros((rows, size)))
    return Predictions(
        rows,
        labels=np.zeros((rows, *filter(None, (len(signature.groups),))), dtype=np.int64),
        probabilities=np.zeros((rows, len(signature.labels))) if probabilities else None,
        values=np.zeros((rows, 1)) if signature.has("score") else None,
    )
