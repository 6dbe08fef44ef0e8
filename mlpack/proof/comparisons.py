"""What a graph compares: the nodes of its trees, and its other comparisons with constants.

The operators are those of https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html and of
the default domain. Only what is needed to reach a node of a tree is evaluated here, with numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

Array = NDArray[Any]

COMPARE = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
ROUNDED = frozenset(
    [
        *("Acos", "Asin", "Atan", "Cos", "Cosh", "Erf", "Exp", "Log", "Pow", "Sigmoid", "Sin"),
        *("Sinh", "Softmax", "Softplus", "Tan", "Tanh", "Gemm", "MatMul", "ReduceMean"),
        *("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "Einsum"),
        *("CumSum", "TreeEnsemble", "Mod", "Loop", "Scan", "If"),
    ]
)
"""Operators of which two libraries may differ in the last place, for another library of functions
or another order of summing. All others round as IEEE 754 says, everywhere alike."""

_ANSWERS = frozenset({"Cast", "Reshape", "Not", "Identity", "Squeeze", "Concat", "Flatten"})
_MEMBER = 6


@dataclass(frozen=True)
class Comparison:
    """One comparison, and a row that reaches it.

    Attributes:
        probe: which of the graph's tensors it looks at, an index into `Compared.tensors`.
        feature: which column of that tensor.
        threshold: what it compares with.
        mode: the tree's mode: 0 for <=, 1 for <, 2 for >=, 3 for >; others compare for equality.
        row: the index of a row that reaches it.
    """

    probe: int
    feature: int
    threshold: float
    mode: int
    row: int


@dataclass(frozen=True)
class Compared:
    """The tensors that a graph compares, and which of them are exact everywhere.

    Attributes:
        model: the same graph, whose outputs are `tensors`; None if it compares nothing.
        tensors: their names.
        exact: for each whether its arithmetic is the same in every library.
        trees: for each the tree ensembles that look at it; none for another comparison, whose
            tensor is what it found.
    """

    model: ModelProto | None
    tensors: tuple[str, ...]
    exact: tuple[bool, ...]
    trees: tuple[tuple[Trees, ...], ...]


@dataclass(frozen=True)
class Trees:
    """The nodes of an ensemble as arrays. A child below zero is a leaf."""

    feature: Array
    threshold: Array
    mode: Array
    missing: Array
    true: Array
    false: Array
    members: tuple[Array, ...]
    roots: Array

    def passes(self, nodes: Array, values: Array) -> Array:
        """Whether each value goes to the true side of its node: bool, as `nodes`."""
        threshold, mode = self.threshold[nodes], self.mode[nodes]
        with np.errstate(invalid="ignore"):
            sides = (
                values <= threshold,
                values < threshold,
                values >= threshold,
                values > threshold,
                values == threshold,
                values != threshold,
            )
        passed = np.select([mode == number for number in range(6)], sides, default=False)
        for place in np.flatnonzero(mode == _MEMBER):
            passed[place] = values[place] in self.members[nodes[place]]
        return np.where(np.isnan(values), self.missing[nodes].astype(bool), passed)

    def reached(self, matrix: Array) -> Array:
        """For each node a row of the matrix that reaches it, -1 if none does: int64 [nodes]."""
        found = np.full(len(self.feature), -1, np.int64)
        rows = np.repeat(np.arange(len(matrix)), len(self.roots))
        nodes = np.tile(self.roots, len(matrix))
        while len(nodes):
            found[nodes] = rows
            passed = self.passes(nodes, matrix[rows, self.feature[nodes]].astype(np.float64))
            nodes = np.where(passed, self.true[nodes], self.false[nodes])
            rows, nodes = rows[nodes >= 0], nodes[nodes >= 0]
        return found


def compared(model_bytes: bytes) -> Compared:
    """The tensors that a graph compares with constants of its own."""
    model = onnx.load_from_string(model_bytes)
    makers = {name: node for node in model.graph.node for name in node.output}
    looked: dict[str, list[Trees]] = {}
    inputs = {value.name for value in model.graph.input}
    for node in _either(model.graph.node):
        if node.op_type == "TreeEnsemble" and (node.input[0] in makers or node.input[0] in inputs):
            looked.setdefault(node.input[0], []).append(_trees(node))
    answers = _answering(model, makers)
    for node in model.graph.node:
        if node.op_type in COMPARE and node.output[0] not in answers:
            looked.setdefault(node.output[0], [])
    tensors = tuple(looked)
    probe = None
    if tensors:
        probe = ModelProto()
        probe.CopyFrom(model)
        del probe.graph.output[:]
        probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    return Compared(
        model=probe,
        tensors=tensors,
        exact=tuple(_exact(name, makers) for name in tensors),
        trees=tuple(tuple(looked[name]) for name in tensors),
    )


def _either(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes, and those of both branches of an If: what they read may stand outside."""
    for node in nodes:
        yield node
        if node.op_type == "If":
            for attribute in node.attribute:
                yield from _either(attribute.g.node)


def _answering(model: ModelProto, makers: dict[str, NodeProto]) -> set[str]:
    """The comparisons that make the label: on the very edge of a score, nobody is right."""
    found: set[str] = set()
    waiting = [output.name for output in model.graph.output if output.name in ("label", "refused")]
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if node is None:
            continue
        if node.op_type in COMPARE:
            found.add(name)
        elif node.op_type in _ANSWERS:
            waiting.extend(node.input)
    return found


def _exact(name: str, makers: dict[str, NodeProto]) -> bool:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in makers:
            continue
        seen.add(current)
        if makers[current].op_type in ROUNDED:
            return False
        waiting.extend(makers[current].input)
    return True


def _trees(node: NodeProto) -> Trees:
    values: dict[str, Any] = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    count = len(values["nodes_featureids"])
    missing = values.get("nodes_missing_value_tracks_true") or [0] * count

    def child(ids: Sequence[int], leaf: Sequence[int]) -> Array:
        return np.where(np.array(leaf, bool), -1, np.array(ids, np.int64))

    mode = numpy_helper.to_array(values["nodes_modes"]).astype(np.int64)
    return Trees(
        feature=np.array(values["nodes_featureids"], np.int64),
        threshold=numpy_helper.to_array(values["nodes_splits"]).astype(np.float64),
        mode=mode,
        missing=np.array(missing, np.int64),
        true=child(values["nodes_truenodeids"], values["nodes_trueleafs"]),
        false=child(values["nodes_falsenodeids"], values["nodes_falseleafs"]),
        members=_members(values, mode),
        roots=np.array(values["tree_roots"], np.int64),
    )


def _members(values: dict[str, Any], mode: Array) -> tuple[Array, ...]:
    """Per node the set that it asks for; the attribute has them one after another, NaN between."""
    if "membership_values" not in values:
        return ()
    flat = numpy_helper.to_array(values["membership_values"]).astype(np.float64)
    ends = np.flatnonzero(np.isnan(flat))
    sets = iter(np.split(flat, ends + 1)) if len(ends) else iter([flat])
    empty = np.zeros(0)
    members = (next(sets, empty) if each == _MEMBER else empty for each in mode.tolist())
    return tuple(found[~np.isnan(found)] for found in members)
