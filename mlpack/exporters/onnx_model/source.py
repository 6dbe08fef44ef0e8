"""An ONNX file, checked: nothing of it is trusted before, and nothing outside of it is read."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import uses_external_data
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mlpack.errors import InputError
from mlpack.runtime.onnx_session import ROUNDING

RUNTIME_ERRORS = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
    *(state.NotImplemented, state.RuntimeException, state.NoModel, state.EPFail),
    UnicodeDecodeError,
)
"""What ONNX Runtime raises for a graph that it cannot load or run; the last where a name or a text
is not UTF-8."""

ALIAS = "ai.onnx"
"""What the default domain may also be called."""

_DOMAINS = frozenset(["", ALIAS, "ai.onnx.ml", "com.microsoft"])
"""The domains whose operators ONNX Runtime has in every build."""

_IR = "Save it with an older version: model.ir_version = 10; onnx.save(model, 'models/model.onnx')."


def parsed(data: bytes, where: str) -> ModelProto:
    """The model in the bytes of a file.

    Raises:
        InputError: it is no ONNX model or a damaged one, is too new, keeps a part of its weights
            in other files, or needs operators that ONNX Runtime does not have.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise InputError("it is damaged, or no ONNX model at all", where=where) from error
    if not model.graph.node:
        raise InputError("it is no ONNX model: there is no graph in it", where=where)
    if model.ir_version > onnx.IR_VERSION:
        raise InputError(
            f"it has the IR version {model.ir_version}, and onnx {onnx.__version__} reads up to "
            f"{onnx.IR_VERSION}",
            where=where,
            hint=_IR,
        )
    if outside := sorted({t.name for t in _tensors(model.graph) if uses_external_data(t)}):
        raise InputError(
            f"it keeps {_some(outside)} in another file: a model is served from one file",
            where=where,
            hint="onnx.save(onnx.load(path), 'models/model.onnx', save_as_external_data=False)",
        )
    own = {function.domain for function in model.functions}
    strange = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for node in every_node(model.graph)
            if node.domain not in _DOMAINS | own
        }
    )
    if strange:
        raise InputError(
            f"it needs operators that ONNX Runtime does not have: {_some(strange)}",
            where=where,
            hint="Export it with the operators of ONNX and ai.onnx.ml alone.",
        )
    for each in model.opset_import:
        # Its other name, of which the checker of older releases has not heard.
        each.domain = "" if each.domain == ALIAS else each.domain
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"it is no valid ONNX model ({versions(model)}): {first_line(error)}", where=where
        ) from error
    return model


def session(data: bytes, model: ModelProto, where: str) -> onnxruntime.InferenceSession:
    """The author's own file in ONNX Runtime, on one thread: sums then have one order.

    Raises:
        InputError: it cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], disabled_optimizers=ROUNDING
        )
    except RUNTIME_ERRORS as error:
        raise InputError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load it ({versions(model)}): "
            f"{first_line(error)}",
            where=where,
            hint="Export it again with an older opset, such as 21.",
        ) from error


def versions(model: ModelProto) -> str:
    """The versions that the file asks for."""
    opsets = ", ".join(
        f"{opset.domain or 'opset'} {opset.version}"
        for opset in sorted(model.opset_import, key=lambda opset: str(opset.domain))
    )
    return f"IR version {model.ir_version}, {opsets}"


def every_node(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of a graph, and those of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from every_node(inner)


def first_line(error: Exception) -> str:
    """The beginning of what a library says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _tensors(inner)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
