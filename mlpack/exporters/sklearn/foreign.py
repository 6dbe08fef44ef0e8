"""Graphs that another exporter made, such as PyTorch's: brought to where they can be taken in.

Such a graph is embedded with its names changed (`mlpack.exporters.sklearn.graph.Graph.embed`).
Here it is checked, brought to mlpack's opset, and freed of what only its maker knows: notes with
the maker's files and lines would make other bytes on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, inliner, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import BOOL, FLOAT, OPSET, Graph

KNOWN = frozenset({"", "ai.onnx.ml"})
"""The domains whose operators stand in mlpack's graphs."""

_RUNTIME_ERRORS = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented),
    state.RuntimeException,
)

_TAKERS = frozenset({"GatherElements", "GatherND"})


class ForeignError(ValueError):
    """A graph that cannot be taken in; the text says why."""


@dataclass(frozen=True, eq=False)
class Converted:
    """What another exporter made, prepared.

    Attributes:
        model: one input, [rows, columns]; its first output is the answer, [rows] or [rows, width];
            the others tell the rows for which the original raises, bool [rows].
        given: the name of the input.
        dtype: numpy's name of what it takes.
        answers: numpy's name of what it answers.
        width: how many columns it answers; 0 for a number a row without a second axis.
        limits: for each column the lowest and the highest number for which the original answers
            one, and 1 where it answers none for NaN, else 0: of `dtype`, [3, columns].
    """

    model: ModelProto
    given: str
    dtype: str
    answers: str
    width: int
    limits: NDArray[Any] | None = None


def spliced(made: Converted, tensor: str, context: Context) -> str:
    """Take a prepared graph in, behind a tensor of what it takes: [rows, columns].

    Returns:
        Its answer, of the elements that it answers: [rows, max(width, 1)].
    """
    placed = context.graph.embed(made.model, {made.given: tensor})
    answer, *wrong = (placed[output.name] for output in made.model.graph.output)
    context.refusals.extend(wrong)
    if made.limits is not None:
        context.refusals.append(_outside(made.limits, tensor, context.graph))
    return answer if made.width else context.graph.reshape(answer, [-1, 1])


def _outside(limits: NDArray[Any], tensor: str, graph: Graph) -> str:
    """Rows that have a number outside of the limits: bool [rows]."""
    low, high, none = (graph.constant(each.reshape(1, -1)) for each in limits)
    nothing = graph.node("And", [graph.node("IsNaN", [tensor]), graph.cast(none, BOOL)])
    ends = graph.node(
        "Or", [graph.node("Less", [tensor, low]), graph.node("Greater", [tensor, high])]
    )
    outside = graph.cast(graph.node("Or", [nothing, ends]), FLOAT)
    axis = graph.constant(np.array([1], np.int64))
    return graph.cast(graph.node("ReduceMax", [outside, axis], keepdims=0), BOOL)


def prepared(model: ModelProto) -> ModelProto:
    """A copy of a graph in mlpack's opset, in operators of ONNX alone, without notes.

    Raises:
        ForeignError: it needs other operators, or cannot be brought to the opset.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        copy = inliner.inline_local_functions(copy)
    versions = {each.domain: each.version for each in copy.opset_import}
    strange = {
        f"{node.domain}.{node.op_type}" for node in _every(copy.graph) if node.domain not in KNOWN
    }
    if strange:
        raise ForeignError(f"it needs {', '.join(sorted(strange))}, which ONNX does not have")
    if versions.get("", OPSET) != OPSET:
        try:
            copy = onnx.version_converter.convert_version(copy, OPSET)
        except (RuntimeError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise ForeignError(
                f"it has opset {versions['']}, and cannot be brought to {OPSET}: {first}"
            ) from error
    _plain(copy.graph)
    return copy


def check_runs(model: ModelProto, example: NDArray[Any]) -> None:
    """See that ONNX Runtime has every operator of a prepared graph, for the elements it has.

    Raises:
        ForeignError: it has not: for float64 it lacks some.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        session.run(None, {model.graph.input[0].name: example})
    except _RUNTIME_ERRORS as error:
        said = (str(error).splitlines() or [""])[0].split(" : ")[-1][:160]
        raise ForeignError(f"ONNX Runtime cannot run it in {example.dtype}: {said}") from error


def _plain(graph: GraphProto) -> None:
    """Take away what does not count: notes, names of nodes, shapes that were inferred."""
    if graph.sparse_initializer:
        raise ForeignError("it has sparse constants")
    graph.doc_string = ""
    del graph.metadata_props[:], graph.quantization_annotation[:]
    for tensor in graph.initializer:
        tensor.doc_string = ""
        if hasattr(tensor, "metadata_props"):
            del tensor.metadata_props[:]
    for node in graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        for inner in _inner(node):
            _plain(inner)


def guarded(model: ModelProto, rows: str, counted: Sequence[str] = ()) -> list[str]:
    """Let no row's index stand outside of the table that it looks into.

    ONNX Runtime raises for a whole batch where one index is too large, and counts a negative one
    from the end. So such an index is 0 instead, and an output tells the row.

    Args:
        model: it is changed, and gets the outputs.
        rows: what the graph calls the number of rows.
        counted: the tables into which a negative index counts from the end for its maker too.

    Returns:
        The names of the new outputs: bool [rows].

    Raises:
        ForeignError: it looks something up for which no row is responsible.
    """
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {value.name: _shape(value) for value in (*graph.value_info, *graph.input)}
    varying = _varying(graph)
    kept: list[NodeProto] = []
    made: list[str] = []
    for node in graph.node:
        if any(
            each.op_type == "Gather" and each.input[0] in tables
            for inner in _inner(node)
            for each in _every(inner)
        ):
            raise ForeignError("it looks something up within a loop or a branch")
        looks = node.op_type == "Gather" and node.input[1] in varying
        if looks or (node.op_type in _TAKERS and node.input[0] in tables):
            table = tables.get(node.input[0])
            shape = shapes.get(node.input[1]) or ()
            if table is None or node.op_type != "Gather" or rows not in shape[:1]:
                raise ForeignError(
                    f"{node.op_type} looks something up by an index that is not one row's own"
                )
            nodes, wrong = _guard(graph, node, table, f"guard_{len(made)}", counted)
            kept += nodes
            made.append(wrong)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.BOOL, [rows]) for name in made
    )
    return made


def _guard(
    graph: GraphProto, node: NodeProto, table: TensorProto, name: str, counted: Sequence[str]
) -> tuple[list[NodeProto], str]:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    size = table.dims[axis]
    index = f"{name}_index"
    ends = {"low": -size if table.name in counted else 0, "high": size, "first": 0}
    constants = {key: np.int64(value) for key, value in ends.items()}
    constants["axis"] = np.array([1], np.int64)  # type: ignore[assignment]
    for key, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"{name}_{key}"))
    nodes: list[NodeProto] = []

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made = f"{name}_{output}"
        nodes.append(helper.make_node(operator, inputs, [made], **attributes))
        return made

    add("Cast", [node.input[1]], "index", to=TensorProto.INT64)
    above = add("GreaterOrEqual", [index, f"{name}_low"], "above")
    below = add("Less", [index, f"{name}_high"], "below")
    inside = add("And", [above, below], "inside")
    node.input[1] = add("Where", [inside, index, f"{name}_first"], "safe")
    outside = add("Cast", [add("Not", [inside], "outside")], "number", to=TensorProto.FLOAT)
    flat = add("Flatten", [outside], "flat", axis=1)
    most = add("ReduceMax", [flat, f"{name}_axis"], "most", keepdims=0)
    return nodes, add("Cast", [most], "wrong", to=TensorProto.BOOL)


def _varying(graph: GraphProto) -> set[str]:
    """What depends on the inputs."""
    found = {value.name for value in graph.input}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and found.intersection(node.input):
            found.update(node.output)
    return found


def _shape(value: onnx.ValueInfoProto) -> tuple[str | int, ...]:
    return tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _inner(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _every(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for inner in _inner(node):
            yield from _every(inner)
