"""Compares what each step answers in the original with what the graph has for it.

The outcomes decide whether a graph ships. This says where in it a difference begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

from mlpack.export import Exported, Figures, Probe, Step
from mlpack.proof.boundaries import feeder
from mlpack.proof.columns import Answer, Difference, coded, entries, labels, numbers
from mlpack.proof.original import Outcomes, once
from mlpack.proof.recorded import Record, recorded
from mlpack.proof.rows import Row
from mlpack.runtime.contract import Encoding, Signature
from mlpack.runtime.onnx_session import ROUNDING

Array = NDArray[Any]

ROWS = 300
"""So many held-out rows are looked at step by step."""

CELLS = 2**22
"""So many numbers of all steps together, at most: fewer rows, where the steps are very wide."""

UNREAD = "nothing in the graph reads what it makes"
UNASKED = "the original does not ask it for every row"
OTHERWISE = "the original has its answer in another form"
SEVERAL = "it stands at several places"

METHODS = {"probabilities": "predict_proba", "value": "predict", "scores": "decision_function"}


@dataclass(frozen=True)
class Seen:
    """Rows with what both sides answer for them in the end."""

    rows: tuple[Row, ...]
    original: Outcomes
    served: Outcomes


@dataclass
class _Total:
    """What was found of one step."""

    rows: int = 0
    columns: int = 0
    largest: float = 0.0
    beyond: int = 0
    outcomes_wrong: int = 0
    why: str = UNASKED

    def add(self, rows: int, found: Sequence[Difference]) -> None:
        self.rows += rows
        self.columns = max(self.columns, sum(each.columns for each in found))
        self.largest = max(self.largest, *(each.largest for each in found))
        self.beyond += sum(each.beyond for each in found)

    def told(self, step: Step) -> Step:
        if not self.rows and not self.outcomes_wrong:
            return msgspec.structs.replace(step, uncompared=self.why)
        figures = Figures(
            rows=self.rows,
            columns=self.columns,
            largest=self.largest,
            beyond=self.beyond,
            outcomes_wrong=self.outcomes_wrong,
        )
        return msgspec.structs.replace(step, compared=figures)


@dataclass
class _Look:
    """One look at some rows: what the graph has, and what the original answered on its way."""

    seen: Seen
    tensors: Mapping[str, Array]
    codes: Mapping[str, Array]
    record: Record
    tolerance: float
    shared: frozenset[int] = field(default_factory=frozenset)

    def compare(self, probe: Probe) -> list[Difference] | str:
        """How one step compares, part by part of its answer; or why it cannot be."""
        if probe.whole:
            return list(self._whole())
        if id(probe.step) in self.shared:
            return SEVERAL
        try:
            return self._transformer(probe) if probe.blocks else self._model(probe)
        except (TypeError, ValueError, IndexError):
            # A step may answer anything: what nobody can read decides nothing here.
            return OTHERWISE

    def _whole(self) -> Iterator[Difference]:
        original, served = self.seen.original, self.seen.served
        both = np.flatnonzero(~original.refused & ~served.refused)
        if not len(both):
            return
        original, served = original.taken(both), served.taken(both)
        if original.labels is not None and served.labels is not None:
            yield labels(original.labels, served.labels)
        if original.numbers is not None and served.numbers is not None:
            yield numbers(original.numbers, served.numbers, self.tolerance)

    def _model(self, probe: Probe) -> list[Difference] | str:
        found: list[Difference] = []
        classes = getattr(probe.step, "classes_", None)
        for kind, tensor in probe.answers.items():
            said = self.record.answer(probe.step, METHODS.get(kind, "predict"))
            if said is None:
                continue
            said, served = np.asarray(said), self.tensors[tensor]
            if kind == "label":
                if classes is not None and said.size == served.size:
                    found.append(labels(said.reshape(-1), np.asarray(classes)[served.reshape(-1)]))
            elif said.size == served.size and said.dtype.kind in "biuf":
                wanted = said.astype(np.float64).reshape(served.shape)
                found.append(numbers(wanted, served, self.tolerance))
        if found:
            return found
        return UNASKED if probe.answers else UNREAD

    def _transformer(self, probe: Probe) -> list[Difference] | str:
        if not any(block.there for block in probe.blocks):
            return UNREAD
        said = self.record.answer(probe.step, "transform")
        if said is None:
            return UNASKED
        answer = Answer(said)
        if answer.width != sum(block.width for block in probe.blocks):
            return OTHERWISE
        found: list[Difference | None] = []
        start = 0
        for block in probe.blocks:
            where = slice(start, start + block.width)
            start += block.width
            if block.table is not None:
                wanted = answer.numbers(where)
                codes = self.codes[str(block.raw)]
                if wanted is not None:
                    served = block.table[:, list(block.indices)][codes]
                    found.append(numbers(wanted, served, self.tolerance))
            elif block.raw is not None:
                column = answer.cells(where.start)
                found.append(coded(column, self.codes[block.raw], block, self.tolerance))
            elif block.entries is not None:
                row, place, value = (self.tensors[name] for name in block.entries)
                found.append(
                    entries(answer.entries(where), (row, place, value), block, self.tolerance)
                )
            elif block.tensor is not None:
                wanted = answer.numbers(where)
                served = self.tensors[block.tensor][:, list(block.indices)]
                if wanted is not None:
                    found.append(numbers(wanted, served, self.tolerance))
        return [each for each in found if each is not None] or OTHERWISE

    def refusal(self, probes: Sequence[Probe | None]) -> int | None:
        """The first step at which one side refuses the only row, and the other does not."""
        if len(self.seen.rows) != 1:
            return None
        original, served = bool(self.seen.original.refused[0]), bool(self.seen.served.refused[0])
        if original == served:
            return None
        for index, probe in enumerate(probes):
            if probe is None:
                continue
            if original and id(probe.step) in self.record.raised[:1]:
                return index
            if served and any(bool(self.tensors[name].any()) for name in probe.refusals):
                return index
        return None


def by_step(
    pipeline: Any, signature: Signature, exported: Exported, seen: Sequence[Seen]
) -> tuple[Step, ...]:
    """The export's steps, each with what was found in its own answer.

    Args:
        pipeline: the original.
        signature: its columns and answers.
        exported: the graph and where its steps can be looked into.
        seen: rows; a row that one side refuses by itself.
    """
    probes = exported.probes
    if exported.encoding is None or not any(probes):
        return exported.steps
    inside = _Inside(exported, signature)
    steps = [probe.step for probe in probes if probe is not None]
    places = [id(step) for step in steps]
    shared = frozenset(place for place in places if places.count(place) > 1)
    totals = [_Total() for _ in probes]
    for some in seen:
        rows = some.rows[: inside.rows]
        if not rows:
            continue
        taken = np.arange(len(rows))
        some = Seen(rows, some.original.taken(taken), some.served.taken(taken))  # noqa: PLW2901
        tensors, codes = inside.run(rows)
        with recorded(steps, len(rows)) as record:
            _ask(pipeline, signature, rows)
        look = _Look(some, tensors, codes, record, exported.tolerance, shared)
        for probe, total in zip(probes, totals, strict=True):
            if probe is None:
                continue
            found = look.compare(probe)
            if isinstance(found, str):
                total.why = found
            elif found:
                total.add(len(rows), found)
        refused = look.refusal(probes)
        if refused is not None:
            totals[refused].outcomes_wrong += 1
    return tuple(
        step if probe is None else total.told(step)
        for step, probe, total in zip(exported.steps, probes, totals, strict=True)
    )


def _ask(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> None:
    try:
        once(pipeline, signature, rows)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what was answered before is recorded
        return


class _Inside:
    """The graph that ships, with the tensors of its steps as its only outputs."""

    def __init__(self, exported: Exported, signature: Signature) -> None:
        encoding = exported.encoding or Encoding()
        self._feed = feeder(signature, encoding, exported.parts)
        self._coded = [codes.column for codes in encoding.codes]
        model = onnx.load_from_string(exported.model)
        self._inputs = {value.name for value in model.graph.input}
        wanted = dict.fromkeys(name for probe in exported.probes for name in _tensors(probe))
        self._names = [name for name in wanted if name not in self._inputs]
        self._given = [name for name in wanted if name in self._inputs]
        self._session: onnxruntime.InferenceSession | None = None
        if self._names:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                _cut(model, self._names).SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=ROUNDING,
            )
        width = sum(
            block.width
            for probe in exported.probes
            if probe is not None
            for block in probe.blocks
            if block.tensor is not None
        )
        self.rows = max(1, min(ROWS, CELLS // max(width, 1), encoding.at_once or ROWS))

    def run(self, rows: Sequence[Row]) -> tuple[dict[str, Array], dict[str, Array]]:
        """The tensors by name, and the codes of each raw column, for these rows."""
        inputs = self._feed(rows)
        found = {name: inputs[name] for name in self._given}
        if self._session is not None:
            fed = {value.name: inputs[value.name] for value in self._session.get_inputs()}
            found |= zip(self._names, self._session.run(self._names, fed), strict=True)
        codes = {name: inputs["codes"][:, place] for place, name in enumerate(self._coded)}
        return found, codes


def _tensors(probe: Probe | None) -> Iterator[str]:
    """What is read of the graph for a step; the whole's answer is known from the comparison."""
    if probe is None:
        return
    yield from probe.refusals
    if not probe.whole:
        yield from probe.answers.values()
    for block in probe.blocks:
        if block.tensor is not None:
            yield block.tensor
        yield from block.entries or ()


def _cut(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """The part of a graph that makes some tensors, which become its outputs. It takes `model`."""
    needed, kept = set(names), []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_read(node))
    cut = ModelProto()
    cut.ir_version = model.ir_version
    cut.opset_import.extend(model.opset_import)
    cut.graph.name = model.graph.name
    cut.graph.node.extend(reversed(kept))
    cut.graph.initializer.extend(t for t in model.graph.initializer if t.name in needed)
    cut.graph.input.extend(value for value in model.graph.input if value.name in needed)
    cut.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return cut


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, itself or in the graphs that it holds."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield from _read(inner)
