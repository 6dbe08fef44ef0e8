"""What an exporter makes of a fitted pipeline, and what the proof says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from mlpack.runtime.contract import FORMAT, Encoding, Form

StepForm = Literal["graph", "python", "dropped"]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the pipeline and what became of it.

    Attributes:
        path: where it stands, such as ``columns → text → TfidfVectorizer``.
        form: whether it is in the graph, stays Python, or contributes nothing.
        how: who converted it: ``mlpack`` or ``skl2onnx``; ``traced`` for the user's own code;
            ``unchanged`` for a graph that the author made.
        reason: why it is not in the graph, and what would make it exportable.
    """

    path: str
    form: StepForm
    how: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class Exported:
    """A pipeline in the form that will serve, not yet proved.

    Attributes:
        form: ``onnx`` for a graph, ``python`` for the pipeline itself, ``hybrid`` for a graph of
            all but some steps.
        model: the bytes of the graph or of the pickle.
        encoding: how rows become the graph's inputs; None for ``python``.
        steps: what became of each step.
        tolerance: the largest difference of a probability or relative difference of a value that
            the arithmetic of the original itself justifies.
        parts: the pickle of a hybrid's steps that stay Python, by the parts' names.
        reason: why it is no graph, or not all of it; None where it is.
    """

    form: Form
    model: bytes
    encoding: Encoding | None
    steps: tuple[Step, ...]
    tolerance: float = 1e-6
    parts: bytes = b""
    reason: str | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of rows of the proof, in aggregate.

    Attributes:
        name: which rows: ``held-out``, ``missing values``, ``around thresholds`` ...
        rows: how many.
        labels_wrong: rows whose label differs; 0 for a regression.
        outcomes_wrong: rows that one side refused and the other did not.
        refused: rows that both sides refused.
        largest: the largest difference of a probability, or relative difference of a value.
        beyond: rows whose difference is beyond the tolerance.
    """

    name: str
    rows: int
    labels_wrong: int
    outcomes_wrong: int
    refused: int
    largest: float
    beyond: int

    @property
    def equal(self) -> bool:
        """Whether both sides agree on every row."""
        return not (self.labels_wrong or self.outcomes_wrong or self.beyond)


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """The proof's report: figures only, never a row.

    Attributes:
        equal: whether every check found both sides equal.
        form: the form that was compared with the original.
        tolerance: what probabilities and values were allowed to differ by.
        checks: one entry per kind of rows.
        steps: what became of each step of the pipeline.
    """

    format: int = FORMAT
    equal: bool
    form: Form
    tolerance: float
    checks: tuple[Check, ...]
    steps: tuple[Step, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows were compared."""
        return sum(check.rows for check in self.checks)


class WorstRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row on which both sides differ, for the author's eyes only: it never enters a bundle."""

    check: str
    row: dict[str, Any]
    original: str
    served: str
