"""Mechanical mutants of a graph that is right: each has one small, plausible fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SWAPPED = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "Greater": "GreaterOrEqual",
    "GreaterOrEqual": "Greater",
    "Less": "LessOrEqual",
    "LessOrEqual": "Less",
    "And": "Or",
    "Or": "And",
    "Min": "Max",
    "Max": "Min",
    "ReduceSum": "ReduceMean",
    "ReduceMax": "ReduceMin",
    "ReduceMin": "ReduceMax",
    "ArgMax": "ArgMin",
    "ArgMin": "ArgMax",
    "Sigmoid": "Tanh",
    "Tanh": "Sigmoid",
    "Floor": "Ceil",
}
"""An operator and one that is easily taken for it."""

DATA = {"Where": 2, "Clip": 0, "Min": 0, "Max": 0, "Exp": 0, "Log": 0, "Abs": 0, "Not": 0}
"""What a node hands on when it is left out."""

EACH = 5
"""So many mutants of each kind are made of one graph, if it has as many places."""


@dataclass(frozen=True)
class Mutant:
    """A graph with one fault.

    Attributes:
        kind: the fault, in the words of the report.
        where: the node or constant.
        model: the graph.
    """

    kind: str
    where: str
    model: bytes


Edit = Callable[[ModelProto], str]


def mutants(model: bytes, seed: int = 0) -> Iterator[Mutant]:
    """Every kind of fault at a few places of the graph."""
    original = onnx.load_from_string(model)
    chance = random.Random(seed)
    for kind, edits in _kinds(original, chance).items():
        for edit in edits if len(edits) <= EACH else chance.sample(edits, EACH):
            changed = ModelProto()
            changed.CopyFrom(original)
            where = edit(changed)
            yield Mutant(kind, where, changed.SerializeToString())


def _kinds(model: ModelProto, chance: random.Random) -> dict[str, list[Edit]]:
    kinds: dict[str, list[Edit]] = {}
    floats = _float32_inputs(model)
    for index, node in enumerate(_nodes(model.graph)):
        for kind, edits in _of_node(
            index, node, rounded=bool(floats.intersection(node.input[:1]))
        ).items():
            kinds.setdefault(kind, []).extend(edits)
    tables = {
        node.input[0]
        for node in _nodes(model.graph)
        if node.op_type == "Gather" and not any(a.name == "axis" and a.i for a in node.attribute)
    }
    for index, tensor in enumerate(model.graph.initializer):
        for kind, edits in _of_constant(index, tensor, tables, chance).items():
            kinds.setdefault(kind, []).extend(edits)
    if any(output.name == "refused" for output in model.graph.output):
        kinds["refusals lost"] = [_accept_all]
    return kinds


def _of_node(index: int, node: NodeProto, *, rounded: bool) -> dict[str, list[Edit]]:
    kinds: dict[str, list[Edit]] = {}
    if node.op_type == "TreeEnsemble":
        kinds |= _tree(index, node, rounded=rounded)
    if node.op_type in SWAPPED:
        kinds["an operator swapped"] = [_swap(index)]
    if node.op_type in DATA:
        kinds["an operator left out"] = [_leave_out(index)]
    if node.op_type in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        kinds["a bound moved by a last place"] = [_move_bound(index)]
    return kinds


def _of_constant(
    index: int, tensor: TensorProto, tables: set[str], chance: random.Random
) -> dict[str, list[Edit]]:
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind != "f" or not array.size:
        return {}
    places = np.flatnonzero(np.nan_to_num(array.ravel())).tolist()
    some = chance.sample(places, min(3, len(places)))
    kinds: dict[str, list[Edit]] = {
        "a constant lost": [_zero(index, place) for place in some],
        "a constant off by a thousandth": [_nudge(index, place) for place in some],
    }
    if tensor.name in tables and array.ndim == 2 and len(array) > 2:
        unknown = array[-2]
        known = [row for row in range(len(array) - 2) if (array[row] != unknown).any()]
        kinds["a category dropped"] = [_drop(index, row) for row in known]
        if (array[-1] != unknown).any():
            kinds["missing taken for unknown"] = [_drop(index, -1)]
    return kinds


def _nodes(graph: GraphProto) -> list[NodeProto]:
    """The nodes of a graph and of its branches, to be changed in their places."""
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            found += _nodes(attribute.g)
    return found


def _float32_inputs(model: ModelProto) -> set[str]:
    """The tensors that were rounded to float32, be they held in double or not."""
    rounded: set[str] = set()
    for node in _nodes(model.graph):
        if node.op_type == "Cast" and (
            node.attribute[0].i == TensorProto.FLOAT or node.input[0] in rounded
        ):
            rounded.add(node.output[0])
    return rounded


def _attribute(node: NodeProto, name: str) -> onnx.AttributeProto:
    return next(each for each in node.attribute if each.name == name)


def _tree(index: int, node: NodeProto, *, rounded: bool) -> dict[str, list[Edit]]:
    count = len(_attribute(node, "nodes_featureids").ints)
    leaves = numpy_helper.to_array(_attribute(node, "leaf_weights").t).size
    has_missing = any(each.name == "nodes_missing_value_tracks_true" for each in node.attribute)
    return {
        "a threshold moved by a last place": [
            _move_threshold(index, place, up=up, rounded=rounded)
            for place in range(count)
            for up in (True, False)
        ],
        "<= taken for <": [_strict(index, place) for place in range(count)],
        "branches swapped": [_cross(index, place) for place in range(count)],
        "a missing branch flipped": [
            _flip(index, place) for place in range(count if has_missing else 0)
        ],
        "a leaf lost": [_leaf(index, place) for place in range(leaves)],
    }


def _put(attribute: onnx.AttributeProto, array: np.ndarray) -> None:
    attribute.t.CopyFrom(numpy_helper.from_array(array, attribute.t.name))


def _move_threshold(index: int, place: int, *, up: bool, rounded: bool) -> Edit:
    def edit(model: ModelProto) -> str:
        attribute = _attribute(_nodes(model.graph)[index], "nodes_splits")
        array = numpy_helper.to_array(attribute.t).copy()
        kind = np.float32 if rounded else array.dtype.type
        value = kind(array[place])
        array[place] = np.nextafter(value, kind(np.inf if up else -np.inf))
        if rounded and not up:
            # The largest float32 at or below the threshold moves below itself.
            below = value if float(value) <= attribute_value(attribute, place) else array[place]
            array[place] = np.nextafter(np.float32(below), np.float32(-np.inf))
        _put(attribute, array)
        return f"node {place} of {_nodes(model.graph)[index].name}"

    return edit


def attribute_value(attribute: onnx.AttributeProto, place: int) -> float:
    """One threshold as it was."""
    return float(numpy_helper.to_array(attribute.t)[place])


def _strict(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        attribute = _attribute(_nodes(model.graph)[index], "nodes_modes")
        array = numpy_helper.to_array(attribute.t).copy()
        array[place] = {0: 1, 1: 0, 2: 3, 3: 2}.get(int(array[place]), 0)
        _put(attribute, array)
        return f"node {place} of {_nodes(model.graph)[index].name}"

    return edit


def _cross(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        node = _nodes(model.graph)[index]
        for kind in ("nodeids", "leafs"):
            yes, no = (_attribute(node, f"nodes_{side}{kind}") for side in ("true", "false"))
            yes.ints[place], no.ints[place] = no.ints[place], yes.ints[place]
        return f"node {place} of {node.name}"

    return edit


def _flip(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        node = _nodes(model.graph)[index]
        attribute = _attribute(node, "nodes_missing_value_tracks_true")
        attribute.ints[place] = 1 - attribute.ints[place]
        return f"node {place} of {node.name}"

    return edit


def _leaf(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        attribute = _attribute(_nodes(model.graph)[index], "leaf_weights")
        array = numpy_helper.to_array(attribute.t).copy()
        array[place] = 0 if array[place] else 1
        _put(attribute, array)
        return f"leaf {place} of {_nodes(model.graph)[index].name}"

    return edit


def _swap(index: int) -> Edit:
    def edit(model: ModelProto) -> str:
        node = _nodes(model.graph)[index]
        told = f"{node.op_type} {node.name}"
        node.op_type = SWAPPED[node.op_type]
        return told

    return edit


def _leave_out(index: int) -> Edit:
    def edit(model: ModelProto) -> str:
        node = _nodes(model.graph)[index]
        told = f"{node.op_type} {node.name}"
        identity = helper.make_node("Identity", [node.input[DATA[node.op_type]]], node.output)
        _nodes(model.graph)[index].CopyFrom(identity)
        return told

    return edit


def _move_bound(index: int) -> Edit:
    def edit(model: ModelProto) -> str:
        node = _nodes(model.graph)[index]
        for name in node.input:
            for tensor in model.graph.initializer:
                if tensor.name == name:
                    array = numpy_helper.to_array(tensor).copy()
                    moved = array + 1 if array.dtype.kind == "i" else np.nextafter(array, np.inf)
                    # Others may share the constant: this node gets one of its own.
                    own = numpy_helper.from_array(moved, name + "_moved")
                    model.graph.initializer.append(own)
                    node.input[list(node.input).index(name)] = own.name
                    return f"{node.op_type} {node.name}"
        return f"{node.op_type} {node.name} (compares no constant)"

    return edit


def _zero(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        tensor = model.graph.initializer[index]
        array = numpy_helper.to_array(tensor).copy()
        array.ravel()[place] = 0
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return f"{tensor.name}[{place}]"

    return edit


def _nudge(index: int, place: int) -> Edit:
    def edit(model: ModelProto) -> str:
        tensor = model.graph.initializer[index]
        array = numpy_helper.to_array(tensor).copy()
        array.ravel()[place] *= 1 + 1e-3
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return f"{tensor.name}[{place}]"

    return edit


def _drop(index: int, row: int) -> Edit:
    def edit(model: ModelProto) -> str:
        tensor = model.graph.initializer[index]
        array = numpy_helper.to_array(tensor).copy()
        array[row] = array[-2]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return f"{tensor.name}[{row}]"

    return edit


def _accept_all(model: ModelProto) -> str:
    """Nothing is refused any more; the output keeps its shape."""
    name = next(output.name for output in model.graph.output if output.name == "refused")
    for node in model.graph.node:
        if name in node.output:
            source = node.input[0]
            model.graph.node.append(helper.make_node("Not", [source], ["not_refused"]))
            model.graph.node.append(helper.make_node("And", [source, "not_refused"], [name]))
            node.output[0] = "unused"
            break
    return name
