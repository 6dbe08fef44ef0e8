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
from .program import Program
from .values import Values

RAISES = "values for which it raises"

ROUNDING = ("MatMulScaleFusion",)
"""Optimizers that lose digits: this one turns a factor beside a product of matrices to float32."""

FAILURES = (
    *(state.InvalidGraph, state.InvalidArgument, state.Fail),
    *(state.RuntimeException, state.NotImplemented),
)
"""What ONNX Runtime raises for a graph that it cannot load, or cannot run for some row."""

LEAVES = 8
"""A program that walks through trees takes as long for so many rows as one run of the graph."""

_CELLS, _LEAST = 2**18, 256
"""Larger batches are taken in parts: one-hot columns of so many cells (2 MB) stay in the cache, and
ONNX Runtime keeps no more memory than they need."""


_ENCODED = 4096
"""So many rows are encoded at once: the more, the less each costs, and the more memory is taken."""


class OnnxEngine:
    """The core graph and its encoding. ONNX Runtime sessions are safe across threads.

    Args:
        model: the graph's bytes.
        encoding: how rows become its inputs.
        signature: what the pipeline learned.

    Attributes:
        encoder: makes the graph's inputs.
        graph: the session; asked for its outputs by `names`.
        words: the texts that it has codes for, by column.
        at_once: how many rows it is given at once.
    """

    blocking = False
    together: int

    def __init__(self, model: bytes, encoding: Encoding, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.graph = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=ROUNDING
        )
        self.encoder = Encoder(signature, encoding)
        self._row = None if encoding.program is None else self.encoder.row(encoding.program)
        self.together = _together(encoding.program)
        width = len(encoding.numbers) + sum(len(codes.categories) for codes in encoding.codes)
        self.at_once = encoding.at_once or max(_LEAST, _CELLS // (width or 1))
        self.words = {
            codes.column: [each for each in codes.categories if isinstance(each, str)]
            for codes in encoding.codes
        }
        self.names = [output.name for output in self.graph.get_outputs()]
        place = {name: index for index, name in enumerate(self.names)}
        self._refused = place.get("refused")
        self._label = place.get("label")
        self._probabilities = place.get("probabilities")
        self._value = place.get("value", place.get("score"))

    def one(self, values: Sequence[Any]) -> Predictions:
        """The prediction for one row of clean values, in the signature's order."""
        if self._row is not None:
            try:
                found = self._row(values)
            except (ArithmeticError, LookupError, TypeError):
                # Where the graph has an infinity, Python raises; a damaged program does too.
                found = None
            if found is not None:
                label, probabilities, numbers = found
                return Predictions(
                    1,
                    None if label is None else np.array([label]),
                    None if probabilities is None else np.array([probabilities]),
                    None if numbers is None else np.array([numbers]),
                )
        inputs, refusals = self.encoder.one(values)
        return self._run(inputs, 1, refusals)

    def few(self, rows: Sequence[Sequence[Any]]) -> Predictions:
        """The predictions for a few rows of clean values that are asked for together."""
        step = self.at_once
        if len(rows) <= step:
            inputs, refusals = self.encoder.few(rows)
            return self._run(inputs, len(rows), refusals)
        starts = range(0, len(rows), step)
        return joined([self.few(rows[start : start + step]) for start in starts], starts)

    def many(self, columns: Sequence[Values], rows: int) -> Predictions:
        """The predictions for clean columns, in the signature's order."""
        step = self.at_once
        if rows <= step:
            inputs, refusals = self.encoder.many(columns, rows)
            return self._run(inputs, rows, refusals)
        if self.encoder.by_row:
            if rows <= _ENCODED:
                return self._parts(*self.encoder.many(columns, rows), rows)
            step = max(step, _ENCODED)
        starts = range(0, rows, step)
        return joined(
            [
                self.many(
                    [column[start : start + step] for column in columns], min(step, rows - start)
                )
                for start in starts
            ],
            starts,
        )

    def _parts(self, inputs: Inputs, refusals: tuple[Refusal, ...], rows: int) -> Predictions:
        """Run the graph on some rows at a time of what is encoded already."""
        starts = range(0, rows, self.at_once)
        parts = []
        for start in starts:
            stop = min(start + self.at_once, rows)
            own = tuple(
                msgspec.structs.replace(refusal, row=refusal.row - start)
                for refusal in refusals
                if start <= refusal.row < stop
            )
            some = {name: array[start:stop] for name, array in inputs.items()}
            parts.append(self._run(some, stop - start, own))
        return joined(parts, starts)

    def _run(self, inputs: Inputs, rows: int, refusals: tuple[Refusal, ...]) -> Predictions:
        outputs = self.graph.run(self.names, inputs)
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


def _together(program: Program | None) -> int:
    """From how many rows on one run of the graph is faster than a program for each of them."""
    if program is None:
        return 2
    return LEAVES if program.trees else 0


def joined(parts: Sequence[Predictions], starts: Sequence[int]) -> Predictions:
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
