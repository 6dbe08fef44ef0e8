"""Constants of one number beside a matrix of one column, which ONNX Runtime takes one by one.

Where the number has fewer dimensions than the matrix, ONNX Runtime (1.21 to 1.31 at least) starts
its loop again for every row, which is fifteen times slower than for a number of as many dimensions.
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper, shape_inference

PAIRWISE = frozenset(
    ("Add", "Sub", "Mul", "Div", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
)
"""Operators that go through two tensors element by element."""


def widen_scalars(model: onnx.ModelProto) -> None:
    """Give single numbers as many dimensions as the columns that they meet; the graph is changed.

    Nothing that it answers changes by it.
    """
    graph = model.graph
    numbers = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) < _MATRIX and all(size == 1 for size in tensor.dims)
    }
    pairs = [node for node in graph.node if node.op_type in PAIRWISE and _meets(node, numbers)]
    if not pairs:
        return
    columns = _columns(model)
    made: dict[str, str] = {}
    for node in pairs:
        for place, name in enumerate(node.input):
            if name not in numbers or node.input[1 - place] not in columns:
                continue
            if name not in made:
                made[name] = f"{name}_wide"
                array = numpy_helper.to_array(numbers[name]).reshape(1, 1)
                graph.initializer.append(numpy_helper.from_array(array, made[name]))
            node.input[place] = made[name]
    used = {name for node in graph.node for name in _read(node)}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


_MATRIX = 2


def _meets(node: onnx.NodeProto, numbers: dict[str, onnx.TensorProto]) -> bool:
    return sum(name in numbers for name in node.input) == 1


def _columns(model: onnx.ModelProto) -> set[str]:
    """The tensors that are known to be matrices of one column."""
    found = set()
    graph = shape_inference.infer_shapes(model).graph
    for value in (*graph.input, *graph.value_info):
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) == _MATRIX and sizes[1].dim_value == 1:
            found.add(value.name)
    return found


def _read(node: onnx.NodeProto) -> list[str]:
    """What a node reads, itself or in the graphs that it holds."""
    inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [*node.input, *(name for graph in inner for each in graph.node for name in _read(each))]
