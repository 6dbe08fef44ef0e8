"""What the nodes of a graph tell: the classes that a label has, and the texts that are looked up.

The operators are those of https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from mlpack.exporters.onnx_model.source import every_node
from mlpack.runtime.contract import Category

_SAME = frozenset(["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"])
"""Operators whose answer has the elements of their first input."""

_CARRIED = _SAME | {"Gather", "ArrayFeatureExtractor", "Transpose", "Concat", "Where", "Slice"}
"""Operators that carry texts on without looking at them."""

_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_KEYS = ("keys_strings", "classes_strings", "cats_strings", "keys_tensor")


class LookedAtError(Exception):
    """A text is looked at in a way that no list of texts describes; it says by which node."""


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """The tensors of a graph that never change, by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = attributes(node)
            if "value" in value:
                found[node.output[0]] = value["value"]
            elif "value_strings" in value:
                found[node.output[0]] = numpy_helper.from_array(_texts(value["value_strings"]))
            elif "value_ints" in value:
                found[node.output[0]] = numpy_helper.from_array(np.array(value["value_ints"]))
    return found


def zipped(graph: GraphProto, output: str) -> NodeProto | None:
    """The ZipMap that makes an output of the graph."""
    found = (node for node in graph.node if node.op_type == "ZipMap" and output in node.output)
    return next(found, None)


def class_labels(node: NodeProto) -> tuple[Category, ...] | None:
    """The classes that a classifier or a ZipMap has in its attributes."""
    found = attributes(node)
    for name in _CLASSES:
        if found.get(name):
            return tuple(map(_plain, found[name]))
    return None


def classes(graph: GraphProto, label: str) -> tuple[Category, ...] | None:
    """The classes of a label, in their own order, where the nodes that make it tell them."""
    makers = {name: node for node in graph.node for name in node.output}
    fixed = constants(graph)
    while node := makers.get(label):
        given = class_labels(node)
        if given is not None:
            return given if node.output[0] == label else None
        if node.op_type in ("Gather", "ArrayFeatureExtractor") and node.input[0] in fixed:
            return _unique(numpy_helper.to_array(fixed[node.input[0]]))
        if node.op_type == "LabelEncoder":
            return _encoded(attributes(node))
        if node.op_type not in _SAME:
            return None
        label = node.input[0]
    return None


def texts(graph: GraphProto, name: str) -> tuple[str, ...]:
    """Every text that an input of texts is compared with: any other text is like all the others.

    Raises:
        LookedAtError: something else is done with it.
    """
    fixed = constants(graph)
    found: dict[str, None] = {}
    waiting, seen = [name], {name}
    outputs = {output.name for output in graph.output}
    inside = {
        read
        for node in graph.node
        for attribute in node.attribute
        for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs)
        for deep in every_node(inner)
        for read in deep.input
    }
    while waiting:
        current = waiting.pop()
        if current in outputs:
            raise LookedAtError("an output of the graph")
        if current in inside:
            raise LookedAtError("a graph inside a node")
        for node in graph.node:
            if current not in node.input:
                continue
            looked = _looked_up(node, current, fixed)
            if looked is None:
                made = node.output[0]
                if made not in seen:
                    seen.add(made)
                    waiting.append(made)
            else:
                found.update(dict.fromkeys(looked))
    return tuple(sorted(found))


def _looked_up(node: NodeProto, name: str, fixed: dict[str, TensorProto]) -> tuple[str, ...] | None:
    """The texts that a node compares with; None where it carries the text on."""
    given = attributes(node)
    if node.op_type in ("LabelEncoder", "OneHotEncoder", "CategoryMapper"):
        for key in _KEYS:
            if key in given:
                value = given[key]
                if isinstance(value, TensorProto):
                    value = numpy_helper.to_array(value).ravel().tolist()
                return tuple(str(_plain(each)) for each in value)
    if node.op_type == "Equal":
        other = node.input[1] if node.input[0] == name else node.input[0]
        if other in fixed:
            return tuple(
                str(_plain(each)) for each in numpy_helper.to_array(fixed[other]).ravel().tolist()
            )
    carried = node.op_type in _CARRIED and not (
        node.op_type == "Cast" and given.get("to") != TensorProto.STRING
    )
    if not carried:
        raise LookedAtError(f"the node {node.op_type}")
    return None


def _encoded(given: dict[str, Any]) -> tuple[Category, ...] | None:
    """What a LabelEncoder makes of 0, 1, 2 ..."""
    if "classes_strings" in given:
        return tuple(map(_plain, given["classes_strings"]))
    keys = given.get("keys_int64s")
    values = given.get("values_strings", given.get("values_int64s"))
    if keys is None or values is None or sorted(keys) != list(range(len(keys))):
        return None
    return tuple(_plain(value) for _, value in sorted(zip(keys, values, strict=True)))


def _unique(values: NDArray[Any]) -> tuple[Category, ...] | None:
    flat = [_plain(value) for value in values.ravel().tolist()]
    return tuple(flat) if len(set(flat)) == len(flat) else None


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _texts(values: Any) -> NDArray[Any]:
    return np.array([_plain(value) for value in values], object)
