"""Runs the core graph, and before it those steps of the pipeline as Python that have no graph."""

from __future__ import annotations

import io
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd

from .contract import ENCODING_FILE, PARTS_FILE, Encoding, Part, Signature, read
from .encode import Encoder, Inputs
from .faults import ModelError
from .frames import frame
from .halves import in_halves
from .onnx_session import OnnxEngine
from .predictions import Refusal
from .values import Values

Parts = Mapping[str, Sequence[Any]]
"""By the name of a part its fitted steps, each with scikit-learn's ``transform``, in order."""


class HybridEngine(OnnxEngine):
    """The core graph, its encoding, and the parts that stay Python.

    Args:
        model: the graph's bytes.
        encoding: how rows become its inputs.
        signature: what the pipeline learned.
        parts: the fitted steps of every part that the encoding names.

    Raises:
        ModelError: a part is missing.
    """

    blocking = True

    def __init__(
        self, model: bytes, encoding: Encoding, signature: Signature, parts: Parts
    ) -> None:
        super().__init__(model, encoding, signature)
        absent = [part.name for part in encoding.parts if part.name not in parts]
        if absent:
            raise ModelError(f"{PARTS_FILE} lacks {', '.join(absent)}: install the artifact again")
        fed = frozenset(value.name for value in self.graph.get_inputs())
        self.encoder = HybridEncoder(signature, encoding, parts, fed)


class HybridEncoder(Encoder):
    """Further inputs: what the parts answer. A row for which one of them raises is refused.

    Args:
        signature: what the pipeline learned.
        encoding: how rows become the graph's inputs.
        parts: the fitted steps of every part that the encoding names.
        fed: the names of the graph's inputs; the other parts are asked, and their answers dropped.
    """

    def __init__(
        self, signature: Signature, encoding: Encoding, parts: Parts, fed: Container[str]
    ) -> None:
        super().__init__(signature, encoding)
        self._parts = tuple(_Part(part, parts[part.name], signature) for part in encoding.parts)
        self._fed = fed

    def one(self, values: Sequence[Any]) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for one row of clean values, in the signature's order."""
        inputs, refusals = super().one(values)
        return inputs, self._ask(inputs, refusals, [[value] for value in values], 1)

    def few(self, rows: Sequence[Sequence[Any]]) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for a few rows of clean values."""
        inputs, refusals = super().few(rows)
        columns = [list(column) for column in zip(*rows, strict=True)]
        return inputs, self._ask(inputs, refusals, columns, len(rows))

    def many(self, columns: Sequence[Values], rows: int) -> tuple[Inputs, tuple[Refusal, ...]]:
        """The inputs for clean columns, in the signature's order."""
        inputs, refusals = super().many(columns, rows)
        return inputs, self._ask(inputs, refusals, columns, rows)

    def _ask(
        self,
        inputs: Inputs,
        refusals: tuple[Refusal, ...],
        columns: Sequence[Values],
        rows: int,
    ) -> tuple[Refusal, ...]:
        """Add the parts' answers to `inputs`, and their refusals to `refusals`: one a row."""
        told = {refusal.row for refusal in refusals}
        further: dict[int, Refusal] = {}
        for part in self._parts:
            answers, raised = part.ask(columns, rows)
            if part.name in self._fed:
                inputs[part.name] = answers
            for refusal in raised:
                if refusal.row not in told:
                    further.setdefault(refusal.row, refusal)
        if not further:
            return refusals
        merged = (*refusals, *further.values())
        return tuple(sorted(merged, key=lambda refusal: refusal.row))


class _Part:
    """A part and the columns that it takes."""

    def __init__(self, part: Part, steps: Sequence[Any], signature: Signature) -> None:
        place = {column.name: index for index, column in enumerate(signature.columns)}
        self.name = part.name
        self._part = part
        self._steps = tuple(steps)
        self._indices = tuple(place[name] for name in part.columns)
        # The frame has the part's columns only: in its order, in the dtypes of training.
        self._signature = narrowed(signature, part.columns)

    def ask(self, columns: Sequence[Values], rows: int) -> tuple[np.ndarray, list[Refusal]]:
        """Its answers, float64 [rows, width], and the rows for which it raises.

        The answers for refused rows are zeros.
        """
        chosen = {
            name: columns[index]
            for name, index in zip(self._part.columns, self._indices, strict=True)
        }
        answers = np.zeros((rows, self._part.width))

        def fill(start: int, stop: int) -> None:
            piece = {name: values[start:stop] for name, values in chosen.items()}
            answers[start:stop] = self._checked(frame(self._signature, piece), stop - start)

        return answers, in_halves(fill, rows)

    def _checked(self, rows: pd.DataFrame, count: int) -> np.ndarray:
        found = answer(self._steps, given(rows, series=self._part.series))
        if found.shape != (count, self._part.width):
            # Where it were part of the pipeline, the step behind it would say so.
            raise ValueError(
                f"{type(self._steps[-1]).__name__} answered {found.shape} for {count} rows, "
                f"not ({count}, {self._part.width})"
            )
        return found


def narrowed(signature: Signature, columns: Sequence[str]) -> Signature:
    """The signature of some of the columns, in the given order."""
    return msgspec.structs.replace(
        signature, columns=tuple(signature.column(name) for name in columns)
    )


def given(rows: pd.DataFrame, *, series: bool) -> pd.DataFrame | pd.Series[Any]:
    """The rows as the first step of a part takes them."""
    return rows.iloc[:, 0] if series else rows


def answer(steps: Sequence[Any], rows: Any) -> np.ndarray:  # noqa: ANN401 - what steps hand on
    """What fitted steps make of rows, one after the other: float64, of any shape.

    Raises:
        TypeError: they answer something that the graph could not calculate with as they would:
            texts, dates, or numbers of less than double precision.
        Exception: whatever the steps raise.
    """
    for step in steps:
        rows = step.transform(rows)
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if isinstance(rows, (pd.DataFrame, pd.Series)):
        dtypes = [rows.dtype] if isinstance(rows, pd.Series) else list(rows.dtypes)
        _refuse_strange(dtypes)
        return rows.to_numpy(dtype=np.float64, na_value=np.nan)
    array = np.asarray(rows)
    _refuse_strange([array.dtype])
    return array.astype(np.float64)


def _refuse_strange(dtypes: Sequence[Any]) -> None:
    """Numbers of mixed types become doubles on the way, unless all of them are too short."""
    odd = [dtype for dtype in dtypes if dtype.kind not in "biufO"]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if not odd and floats and max(getattr(dtype, "itemsize", 8) for dtype in dtypes) != 8:
        odd = floats
    if odd:
        raise TypeError(f"a part answers {odd[0]}, and the graph calculates with float64")


def load(folder: Path, model: bytes, signature: Signature, parts: bytes) -> HybridEngine:
    """The engine for a data folder, its model's and its parts' bytes, which somebody verified.

    Never call it with others: the parts are a pickle.

    Raises:
        ContractError: the encoding is missing or damaged.
        ModelError: the parts cannot be loaded here.
    """
    encoding = read(folder, ENCODING_FILE, Encoding)
    return HybridEngine(model, encoding, signature, load_parts(parts))


def load_parts(data: bytes) -> Parts:
    """The fitted steps in a pickle that somebody verified.

    Raises:
        ModelError: a package is not the one that it was made with, or is not there.
    """
    try:
        found = joblib.load(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(
            f"{PARTS_FILE} cannot be loaded: {type(error).__name__}: {error}: install exactly what "
            "the lock has"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{PARTS_FILE} is damaged: install the artifact again")
    return found
