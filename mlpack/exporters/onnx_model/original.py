"""The author's own file as the original that an export is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpack.errors import InputError
from mlpack.exporters.onnx_model.layout import (
    ELEMENTS,
    LIMITS,
    Input,
    made_up,
    read_inputs,
    read_outputs,
)
from mlpack.exporters.onnx_model.source import RUNTIME_ERRORS, first_line, parsed, session
from mlpack.runtime.predictions import shown

Array = NDArray[Any]

EXTREME = (-1.0, 0.0, 1e3, -1e9, 1e9, 1e18, -1e300, 1e300, np.inf, -np.inf, np.nan)

_KINDS = {"outliers": "outlier_detector", "clusters": "clusterer"}


class OnnxModel:
    """A model that is ONNX already, with the methods of an estimator. Nothing is unpickled.

    Args:
        data: the file's bytes.
        told: the columns that the signature or the sample names; empty if nothing does.
        where: what messages call the file.

    Raises:
        InputError: it is no ONNX model, ONNX Runtime cannot run it, or it is not understood.

    Attributes:
        data: the file's bytes.
        model: what they say.
        layout: what its inputs and outputs mean.
        feature_names_in_: the raw columns.
        classes_: the labels of a classifier, in the order of the probabilities.
        text_columns: the columns that are texts.
    """

    def __init__(self, data: bytes, told: Sequence[str], where: str) -> None:
        self.data = data
        self.where = where
        self.model = parsed(data, where)
        self._session = session(data, self.model, where)
        inputs = read_inputs(self._session, told, where)
        self.layout = read_outputs(self._session, self.model, inputs, where)
        columns = [name for each in inputs for name in each.columns]
        self.feature_names_in_ = np.array(columns, dtype=object)
        self.text_columns = frozenset(name for each in inputs if each.text for name in each.columns)
        labels = np.array(self.layout.labels)
        if self.layout.task in _KINDS:
            self._estimator_type = _KINDS[self.layout.task]
            self.labels_ = labels
        elif self.layout.labels:
            self.classes_ = labels
        # What a model cannot answer is no attribute of it: that is how it is asked.
        if self.layout.probabilities is not None:
            self.predict_proba = self._probabilities
        if self.layout.score is not None:
            self.decision_function = self._score

    def __repr__(self) -> str:
        return f"OnnxModel({self.where!r})"

    def blank(self) -> pd.DataFrame:
        """A row of nothing in the types of the inputs, where they are all that is known."""
        values = {"tensor(string)": "", "tensor(bool)": False}
        return pd.DataFrame(
            {
                name: [values.get(each.type, 0 if each.type in LIMITS else 0.0)]
                for each in self.layout.inputs
                for name in each.columns
            }
        )

    def raises(self) -> str | None:
        """What ONNX Runtime says where it does not answer every number; None if it does."""
        try:
            self._session.run(None, made_up(self.layout.inputs, EXTREME))
        except RUNTIME_ERRORS as error:
            return first_line(error)
        return None

    def predict(self, frame: pd.DataFrame) -> Array:
        """The labels or the values.

        Raises:
            InputError: a value is not what the graph takes, or the graph refuses a row.
        """
        layout = self.layout
        if layout.value is not None:
            return np.asarray(self._run(frame, layout.value), np.float64)
        if layout.label is not None:
            return np.asarray(self._run(frame, layout.label)).reshape(-1)
        places = self._probabilities(frame).argmax(axis=1)
        return np.asarray(np.array(layout.labels)[places])

    def _probabilities(self, frame: pd.DataFrame) -> Array:
        """The probabilities of the classes, in their order."""
        answer = self._run(frame, str(self.layout.probabilities))
        if isinstance(answer, list):
            answer = [[row[label] for label in self.layout.labels] for row in answer]
        return np.asarray(answer, np.float64).reshape(len(frame), len(self.layout.labels))

    def _score(self, frame: pd.DataFrame) -> Array:
        return np.asarray(self._run(frame, str(self.layout.score)), np.float64)

    def _run(self, frame: pd.DataFrame, name: str) -> Any:
        feeds = {each.name: self._fed(each, frame) for each in self.layout.inputs}
        if self.layout.refused is None:
            return self._session.run([name], feeds)[0]
        answer, refused = self._session.run([name, self.layout.refused], feeds)
        if refused.any():
            raise InputError("the graph refuses a row", where=self.where)
        return answer

    def _fed(self, given: Input, frame: pd.DataFrame) -> Array:
        read = self._texts if given.text else self._numbers
        matrix = np.stack([read(frame[name], given) for name in given.columns], axis=1)
        return matrix.reshape(-1) if given.flat else matrix

    def _numbers(self, series: pd.Series[Any], given: Input) -> Array:
        """A column of numbers. All of them come as float64, as in what serves."""
        try:
            if pd.api.types.infer_dtype(series, skipna=True) in ("string", "mixed"):
                raise TypeError
            numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise InputError(
                f"the column {series.name!r} holds other things than numbers, and the model's "
                f"input {given.name!r} is {given.type}",
                where=self.where,
                hint="Save the columns that the model takes, in its order, as data/sample.csv.",
            ) from None
        fits = np.ones(len(numbers), bool)
        if given.type in LIMITS:
            low, high = LIMITS[given.type]
            with np.errstate(invalid="ignore"):
                fits = (numbers > low) & (numbers < high) & (np.floor(numbers) == numbers)
        elif given.type == "tensor(bool)":
            fits = (numbers == 0) | (numbers == 1)
        if not fits.all():
            raise InputError(
                f"{numbers[~fits][0]} of the column {series.name!r} is no value of {given.type}",
                where=self.where,
            )
        with np.errstate(over="ignore"):
            return np.asarray(numbers.astype(ELEMENTS[given.type]))

    def _texts(self, series: pd.Series[Any], given: Input) -> Array:
        missing = series.isna().to_numpy()
        if missing.any() and self.layout.missing is None:
            raise InputError(f"the column {series.name!r} has a missing text", where=self.where)
        cells = [
            self.layout.missing if gone else cell
            for cell, gone in zip(series.tolist(), missing, strict=True)
        ]
        for cell in cells:
            if not isinstance(cell, str):
                raise InputError(
                    f"the column {series.name!r} holds {shown(cell)}, and the model's input "
                    f"{given.name!r} takes texts",
                    where=self.where,
                )
        return np.array(cells, object)
