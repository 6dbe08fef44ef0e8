"""What an exporter makes of a fitted pipeline, and what the proof says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mlpack.runtime.contract import FORMAT, Encoding, Form

StepForm = Literal["graph", "python", "dropped"]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How a step's own answer in the graph compares with what it answers in the original.

    Attributes:
        rows: how many rows were compared: the first of the held-out ones, and such as differ.
        columns: how many columns of its answer; a label is one.
        largest: the largest difference, relative where a number is larger than 1.
        beyond: values that differ by more than the tolerance, that are missing on one side only, or
            that are another label or text.
        outcomes_wrong: rows that one side refuses at this very step and the other does not.
    """

    rows: int
    columns: int
    largest: float
    beyond: int
    outcomes_wrong: int = 0

    @property
    def equal(self) -> bool:
        """Whether both sides agree on every row."""
        return not (self.beyond or self.outcomes_wrong)


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the pipeline and what became of it.

    Attributes:
        path: where it stands, such as ``columns → text → TfidfVectorizer``.
        form: whether it is in the graph, stays Python, or contributes nothing.
        how: who converted it: ``mlpack`` or ``skl2onnx``; ``traced`` for the user's own code;
            ``unchanged`` for a graph that the author made.
        reason: why it is not in the graph, and what would make it exportable.
        compared: what the proof found in its own answer; None where it was not compared.
        uncompared: why not, where the proof looked; None in the reports of older releases.
    """

    path: str
    form: StepForm
    how: str = ""
    reason: str | None = None
    compared: Figures | None = None
    uncompared: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring columns of what a step makes, and where a graph has them. One of:

    Attributes:
        width: how many columns.
        tensor, indices: these columns of a matrix.
        entries, indices: these columns of a matrix of which only the entries are there: tensors of
            their rows [entries, 1], columns [entries] and values [entries].
        raw, values: one column, by the codes of a raw column as the encoding has them.
        raw, table, indices: these columns of what a table has for those codes, all numbers.
        unknown: what stands in `values` for anything that is no known category.
    """

    width: int
    tensor: str | None = None
    indices: Sequence[int] = ()
    entries: tuple[str, str, str] | None = None
    raw: str | None = None
    values: tuple[Any, ...] = ()
    table: Any = None
    unknown: Any = None

    @property
    def there(self) -> bool:
        """Whether the graph has it at all."""
        return self.tensor is not None or self.entries is not None or self.raw is not None


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a step's own answer is read: in the original of the fitted step, in the graph here.

    Attributes:
        step: the fitted step itself, of which the original is made.
        blocks: what a transformer makes, column by column.
        answers: what a model makes, as tensors: ``label`` (int64 [rows], an index into its
            classes), ``probabilities``, ``value``, ``scores`` (float64 [rows, n]).
        refusals: tensors, bool [rows], true where it refuses a row.
        whole: what it answers is the whole pipeline's answer.
    """

    step: Any
    blocks: tuple[Block, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    whole: bool = False


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
        probes: where each of the steps can be looked into, for the proof; it never ships. Empty, or
            one a step: None for one that cannot.
    """

    form: Form
    model: bytes
    encoding: Encoding | None
    steps: tuple[Step, ...]
    tolerance: float = 1e-6
    parts: bytes = b""
    reason: str | None = None
    probes: tuple[Probe | None, ...] = ()


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
        steps: what became of each step of the pipeline, and what was found in it.
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

    @property
    def first_differing(self) -> Step | None:
        """The first step whose own answer differs: those before it answer alike."""
        found = (step for step in self.steps if step.compared and not step.compared.equal)
        return next(found, None)


class WorstRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row on which both sides differ, for the author's eyes only: it never enters a bundle."""

    check: str
    row: dict[str, Any]
    original: str
    served: str
