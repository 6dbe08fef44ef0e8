"""Rounds in the graph what the original's columns round: numbers of single precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Signature
from mlpack.runtime.kinds import single

INPUT, ROUNDED = "numbers", "numbers/rounded"

_HALF = ("float16", "halffloat[pyarrow]")


def round_inputs(model: ModelProto, numbers: Sequence[str], signature: Signature) -> None:
    """Let every node read the raw numbers as the original's data frame has them.

    A request brings float64. What stood in a column of float32 is rounded first, to the nearest
    number of single precision, as numpy does.

    Args:
        model: the finished graph, which is changed.
        numbers: the raw columns of its input ``numbers``, in order.
        signature: tells their dtypes.

    Raises:
        NotExportableError: a column has half precision, to which ONNX Runtime rounds in two steps.
    """
    if all(value.name != INPUT for value in model.graph.input):
        return
    columns = [signature.column(name) for name in numbers]
    if halves := [column.name for column in columns if column.dtype in _HALF]:
        raise NotExportableError(
            "", f"the column {halves[0]!r} is float16: make it float32 or float64 in data.load"
        )
    mask = np.array([[single(column) for column in columns]])
    if not mask.any():
        return
    _read(model.graph, ROUNDED)
    nodes: list[Any] = [
        helper.make_node("Cast", [INPUT], [f"{INPUT}/single"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{INPUT}/single"], [f"{INPUT}/double"], to=TensorProto.DOUBLE),
        helper.make_node("Where", [f"{INPUT}/mask", f"{INPUT}/double", INPUT], [ROUNDED]),
    ]
    if mask.all():
        nodes = nodes[:2]
        nodes[1].output[0] = ROUNDED
    else:
        model.graph.initializer.append(numpy_helper.from_array(mask, f"{INPUT}/mask"))
    made = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(made)


def _read(graph: GraphProto, name: str) -> None:
    """Let the nodes read `name` in the place of the input, in the graphs inside it too."""
    for node in graph.node:
        for place, each in enumerate(node.input):
            if each == INPUT:
                node.input[place] = name
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _read(attribute.g, name)
