"""Runs the core graph with ONNX Runtime, on one thread of its own: for one row, more are slower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from .contract import ENCODING_FILE, Encoding, Signature, read
from .encode import Encoder, Inputs
from .predictions import ACCEPTED, Predictions, Refusal
from .values import Values

RAISES = "values for which it raises"

ROUNDING = ("MatMulScaleFusion",)
"""Optimizers that lose digits: this one turns a factor beside a product of matrices to float32."""

FAILURES = (
    *(state.InvalidGraph, state.InvalidArgument, state.Fail),
    *(state.RuntimeException, state.NotImplemented),
)
"""What ONNX Runtime raises for a graph that it cannot load, or cannot run for some row."""

_CELLS, _LEAST = 2**18, 256
"""Larger batches are taken in parts: one-hot columns of so many cells (2 MB) stay in the cache, and
ONNX Runtime keeps no more memory than they need."""


class OnnxEngine:
    """The core graph and its encoding. ONNX Runtime sessions are safe across threads.

    Args:
        model: the graph's bytes.
        encoding: how rows become its inputs.
        signature: what the pipeline learned.
    """

    blocking = False

    def __init__(self, model: bytes, encoding: Encoding, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._graph = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=ROUNDING
        )
        self._encoder = Encoder(signature, encoding)
        width = len(encoding.numbers) + sum(len(codes.categories) for codes in encoding.codes)
        self._at_once = encoding.at_once or max(_LEAST, _CELLS // (width or 1))
        self._names = [output.name for output in self._graph.get_outputs()]
        place = {name: index for index, name in enumerate(self._names)}
        self._refused = place.get("refused")
        self._label = place.get("label")
        self._probabilities = place.get("probabilities")
        self._value = place.get("value", place.get("score"))

    def one(self, values: Sequence[Any]) -> Predictions:
        """The prediction for one row of clean values, in the signature's order."""
        inputs, refusals = self._encoder.one(values)
        return self._run(inputs, 1, refusals)

    def many(self, columns: Sequence[Values], rows: int) -> Predictions:
        """The predictions for clean columns, in the signature's order."""
        step = self._at_once or rows
        if rows <= step:
            inputs, refusals = self._encoder.many(columns, rows)
            return self._run(inputs, rows, refusals)
        starts = range(0, rows, step)
        return _joined(
            [
                self.many(
                    [column[start : start + step] for column in columns], min(step, rows - start)
                )
                for start in starts
            ],
            starts,
        )

    def _run(self, inputs: Inputs, rows: int, refusals: tuple[Refusal, ...]) -> Predictions:
        outputs = self._graph.run(self._names, inputs)
        # To look at one flag is faster than to ask an array of one.
        if self._refused is not None and (
            outputs[self._refused][0] if rows == 1 else outputs[self._refused].any()
        ):
            told = {refusal.row for refusal in refusals}
            own = [
                Refusal(row, None, ACCEPTED, RAISES)
                for row in np.flatnonzero(outputs[self._refused]).tolist()
                if row not in told
            ]
            refusals = tuple(sorted((*refusals, *own), key=lambda refusal: refusal.row))
        return Predictions(
            rows,
            None if self._label is None else outputs[self._label],
            None if self._probabilities is None else outputs[self._probabilities],
            None if self._value is None else outputs[self._value],
            refusals,
        )


def _joined(parts: Sequence[Predictions], starts: Sequence[int]) -> Predictions:
    """The answers for parts of a batch, each of which starts at its row, as those for the whole."""
    return Predictions(
        sum(part.rows for part in parts),
        _stacked([part.labels for part in parts]),
        _stacked([part.probabilities for part in parts]),
        _stacked([part.values for part in parts]),
        tuple(
            msgspec.structs.replace(refusal, row=refusal.row + start)
            for part, start in zip(parts, starts, strict=True)
            for refusal in part.refusals
        ),
    )


def _stacked(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else None


def load(folder: Path, model: bytes, signature: Signature) -> OnnxEngine:
    """The engine for a data folder and its model's bytes, which somebody verified.

    Raises:
        ContractError: the encoding is missing or damaged.
    """
    return OnnxEngine(model, read(folder, ENCODING_FILE, Encoding), signature)
