"""Notes where the graph has what each step makes, so that the proof can look into it.

Nothing is added to the graph: what no later step reads is not in it, and is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

import onnx

from mlpack.export import Block, Probe, Step
from mlpack.exporters.sklearn.features import UNKNOWN, Feature
from mlpack.exporters.sklearn.rounding import INPUT, ROUNDED
from mlpack.exporters.sklearn.sparse import SparseGraph
from mlpack.exporters.sklearn.steps import Outputs
from mlpack.runtime.contract import Encoding


@dataclass
class Noted:
    """What the steps made, by the step's entry in the report."""

    _probes: dict[int, tuple[Step, Probe]] = field(default_factory=dict)
    _outputs: dict[int, Outputs] = field(default_factory=dict)

    def transformer(
        self, told: Step, step: Any, made: tuple[Feature, ...], refusals: Sequence[str]
    ) -> None:
        """The columns that a transformer made, and where it refuses a row."""
        probe = Probe(step=step, blocks=_blocks(made), refusals=tuple(refusals))
        # The entry is kept too: its place in memory is its name here.
        self._probes[id(told)] = (told, probe)

    def model(self, told: Step, step: Any, outputs: Outputs, refusals: Sequence[str]) -> None:
        """What a model answers, and where it refuses a row."""
        answers = {
            "label": outputs.label,
            "probabilities": outputs.probabilities,
            "value": outputs.value,
            "scores": outputs.scores,
        }
        there = {kind: tensor for kind, tensor in answers.items() if tensor is not None}
        self._probes[id(told)] = (
            told,
            Probe(step=step, answers=there, refusals=tuple(refusals)),
        )
        self._outputs[id(told)] = outputs

    def probes(
        self,
        steps: Sequence[Step],
        outputs: Outputs,
        graph: SparseGraph,
        model: onnx.ModelProto,
        encoding: Encoding,
    ) -> tuple[Probe | None, ...]:
        """Where the finished model has what each of the steps made.

        Args:
            steps: what became of each step.
            outputs: the whole pipeline's answer.
            graph: of which the model was built.
            model: finished.
            encoding: that feeds it.
        """
        there = {name for node in model.graph.node for name in node.output}
        there.update(value.name for value in model.graph.input)
        coded = tuple(codes.column for codes in encoding.codes)
        found: list[Probe | None] = []
        for told in steps:
            probe = self._probes[id(told)][1] if id(told) in self._probes else None
            if probe is not None:
                probe = replace(
                    probe,
                    blocks=tuple(_found(block, graph, there, coded) for block in probe.blocks),
                    answers={k: each for k, each in probe.answers.items() if each in there},
                    refusals=tuple(each for each in probe.refusals if each in there),
                    whole=self._outputs.get(id(told)) is outputs,
                )
            found.append(probe)
        return tuple(found)


def _blocks(made: tuple[Feature, ...]) -> tuple[Block, ...]:
    """Runs of columns of one matrix; those that have no number each for itself."""
    blocks: list[Block] = []
    for tensor, group in groupby(made, key=attrgetter("tensor")):
        members = list(group)
        if tensor is None or any(each.values is not None for each in members):
            blocks += [
                Block(
                    width=1,
                    tensor=tensor,
                    indices=(each.index,),
                    raw=None if each.values is None else each.raw,
                    values=each.values or (),
                    unknown=UNKNOWN,
                )
                for each in members
            ]
        else:
            indices: Sequence[int] = [each.index for each in members]
            if indices == list(range(indices[0], indices[0] + len(indices))):
                indices = range(indices[0], indices[0] + len(indices))  # texts have very many
            blocks.append(Block(width=len(members), tensor=tensor, indices=indices))
    return tuple(blocks)


def _found(block: Block, graph: SparseGraph, there: set[str], coded: Sequence[str]) -> Block:
    """The block in the one way in which the finished model has it, or in none.

    What was looked up in a table may be there in a table made of that one only.
    """
    tensor = ROUNDED if block.tensor == INPUT and ROUNDED in there else block.tensor
    if tensor in there:
        return Block(width=block.width, tensor=tensor, indices=block.indices)
    sparse = None if tensor is None else graph.behind(tensor)
    if sparse is not None and {sparse.row, sparse.column, sparse.values} <= there:
        names = (sparse.row, sparse.column, sparse.values)
        return Block(width=block.width, entries=names, indices=block.indices)
    if block.raw in coded:
        return replace(block, tensor=None, indices=())
    lookup = None if tensor is None else graph.lookups.get(tensor)
    if lookup is not None and coded:
        raw, table = coded[lookup.place], lookup.table
        return Block(width=block.width, raw=raw, table=table, indices=block.indices)
    return Block(width=block.width)
