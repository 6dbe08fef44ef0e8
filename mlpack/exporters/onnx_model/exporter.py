"""Puts the author's graph, unchanged, between the frozen encoding and the outputs that serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
    version_converter,
)

from mlpack.export import Exported, Step
from mlpack.exporters.onnx_model.known import LookedAtError, texts
from mlpack.exporters.onnx_model.layout import LIMITS, Input
from mlpack.exporters.onnx_model.original import OnnxModel
from mlpack.exporters.onnx_model.source import first_line, versions
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category, Codes, Encoding, Signature

LOWEST = 11
"""The first opset in which everything around the author's graph means what is meant here."""

ML_LOWEST = 2
"""The same of ai.onnx.ml, whose first LabelEncoder has other attributes."""

IR_LOWEST = 4
"""The first IR version in which a constant is no input."""

OWN, CORE = "mlpack/", "model/"
UNKNOWN = "\x1aunknown"

_CAST = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(int64)": TensorProto.INT64,
    "tensor(int32)": TensorProto.INT32,
    "tensor(bool)": TensorProto.BOOL,
}
_NUMBERS = ("number", "integer", "boolean")


class OnnxExporter:
    """Exports models that are ONNX already; see `mlpack.ports.Exporter`."""

    name = "onnx"

    def accepts(self, pipeline: Any) -> bool:
        """Whether `pipeline` came from an ONNX file."""
        return isinstance(pipeline, OnnxModel)

    def export(self, pipeline: Any, signature: Signature, *, hybrid: bool = False) -> Exported:
        """The author's graph behind the encoding; see `mlpack.ports.Exporter.export`."""
        del hybrid  # there is nothing in it that could stay Python
        original: OnnxModel = pipeline
        _check(original, signature)
        source = _converted(original.model)
        core = _Core(original)
        fed = {each.name: core.feed(each) for each in original.layout.inputs}
        model = core.around(source, fed)
        onnx.checker.check_model(model)
        return Exported(
            form="onnx",
            model=model.SerializeToString(deterministic=True),
            encoding=Encoding(numbers=tuple(core.numbers), codes=tuple(core.codes)),
            steps=tuple(_steps(original)),
        )


def _check(original: OnnxModel, signature: Signature) -> None:
    """See that the graph takes what the columns hold, and answers every row by itself."""
    for each in original.layout.inputs:
        wanted = ("string",) if each.text else _NUMBERS
        for name in each.columns:
            if (kind := signature.column(name).type) not in wanted:
                raise NotExportableError(
                    each.name, f"the column {name} is a {kind}, and the input is {each.type}"
                )
    if (said := original.raises()) is not None:
        raise NotExportableError(
            original.where,
            f"ONNX Runtime raises for some numbers, and other rows would go with them ({said}); "
            "with a Clip before what raises it would be exportable",
        )


def _steps(original: OnnxModel) -> list[Step]:
    steps = []
    for each in original.layout.inputs:
        rounded = ", rounded from float64" if each.type == "tensor(float)" else ""
        kind = each.type.removeprefix("tensor(").removesuffix(")")
        steps.append(Step(path=f"{each.name}: {kind}{rounded}", form="graph", how="mlpack"))
    if original.layout.zipmap is not None:
        steps.append(Step(path="ZipMap: a matrix instead", form="graph", how="mlpack"))
    if original.layout.dropped is not None:
        reason = "its numbers are no probabilities: the label says what they mean"
        steps.append(Step(path=original.layout.dropped, form="dropped", reason=reason))
    made_by = f"{original.model.producer_name} {original.model.producer_version}".strip()
    path = f"the graph of {made_by or 'its author'} ({versions(original.model)})"
    return [*steps, Step(path=path, form="graph", how="unchanged")]


def _converted(model: ModelProto) -> ModelProto:
    """The author's graph in an opset that can stand here: its own, unless it is a very old one."""
    copy = ModelProto()
    copy.CopyFrom(model)
    opset = {each.domain: each.version for each in copy.opset_import}.get("", LOWEST)
    if opset >= LOWEST:
        return copy
    try:
        return version_converter.convert_version(copy, LOWEST)
    except (RuntimeError, ValueError) as error:
        raise NotExportableError(
            "", f"it has opset {opset}, and cannot be brought to {LOWEST}: {first_line(error)}"
        ) from error


def _prefixed(graph: GraphProto) -> None:
    """Give every name of the author's a prefix, in the graphs inside its nodes too."""
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = f"{CORE}{name}" if name else ""
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                _prefixed(inner)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = f"{CORE}{value.name}"
    for sparse in graph.sparse_initializer:
        sparse.values.name = f"{CORE}{sparse.values.name}"
    del graph.quantization_annotation[:]


class _Core:
    """What stands around the author's graph.

    Attributes:
        numbers, codes: the encoding's.
    """

    def __init__(self, original: OnnxModel) -> None:
        self.original = original
        self.numbers: list[str] = []
        self.codes: list[Codes] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._refused: list[str] = []
        self._count = 0
        domains = {each.domain: each.version for each in original.model.opset_import}
        self._ml = domains.get("ai.onnx.ml", ML_LOWEST)
        self._places = {
            name: place
            for place, name in enumerate(
                name for each in original.layout.inputs if not each.text for name in each.columns
            )
        }

    def feed(self, given: Input) -> str:
        """What one input of the author's graph is given."""
        return self._texts(given) if given.text else self._numbers(given)

    def _numbers(self, given: Input) -> str:
        places = [self._places[name] for name in given.columns]
        self.numbers += given.columns
        matrix = "numbers"
        if places != list(range(len(self._places))):
            matrix = self._node("Gather", [matrix, self._constant(np.array(places))], axis=1)
        if given.type in LIMITS or given.type == "tensor(bool)":
            matrix = self._fitting(matrix, given)
        if given.type in _CAST:
            matrix = self._node("Cast", [matrix], to=_CAST[given.type])
        return self._flat(matrix) if given.flat else matrix

    def _fitting(self, matrix: str, given: Input) -> str:
        """Numbers that the input's type has; 0 for others, whose rows are refused."""
        if given.type == "tensor(bool)":
            ends = [
                self._node("Equal", [matrix, self._constant(np.float64(end))]) for end in (0, 1)
            ]
            fits = self._node("Or", ends)
        else:
            low, high = (self._constant(np.float64(end)) for end in LIMITS[given.type])
            whole = self._node("Equal", [matrix, self._node("Floor", [matrix])])
            inside = self._node(
                "And", [self._node("Greater", [matrix, low]), self._node("Less", [matrix, high])]
            )
            fits = self._node("And", [whole, inside])
        # A product instead of ReduceMax, whose axes moved in opset 18.
        wrong = self._node("Cast", [self._node("Not", [fits])], to=TensorProto.FLOAT)
        ones = self._constant(np.ones((len(given.columns), 1), np.float32))
        counted = self._node("MatMul", [wrong, ones])
        self._refused.append(self._flat(self._node("Cast", [counted], to=TensorProto.BOOL)))
        return self._node("Where", [fits, matrix, self._constant(np.float64(0))])

    def _texts(self, given: Input) -> str:
        """Texts are looked up by the runtime; here they become those that the graph compares."""
        layout = self.original.layout
        try:
            known = texts(self.original.model.graph, given.name)
        except LookedAtError as error:
            raise NotExportableError(
                given.name,
                f"it takes texts, which go into {error}: no list of texts says what it makes of "
                "them; texts that are only looked up (LabelEncoder, OneHotEncoder, Equal) would be "
                "exportable",
            ) from error
        categories = tuple(text for text in known if text != layout.missing)
        unknown = UNKNOWN
        while unknown in known:
            unknown += "?"
        table = np.array([*categories, unknown, layout.missing or unknown], object)
        places = []
        for name in given.columns:
            places.append(len(self.codes))
            self.codes.append(Codes(column=name, categories=categories))
        codes = self._node("Gather", ["codes", self._constant(np.array(places))], axis=1)
        if given.flat:
            codes = self._flat(codes)
        return self._node("Gather", [self._constant(table), codes], axis=0)

    def around(self, source: ModelProto, fed: dict[str, str]) -> ModelProto:
        """The finished graph."""
        _prefixed(source.graph)
        model, graph = source, source.graph
        before = [helper.make_node("Identity", [name], [CORE + i]) for i, name in fed.items()]
        before = [*self._nodes, *before]
        self._nodes = []
        made = self._outputs()
        outputs = [
            helper.make_tensor_value_info(name, kind, shape) for name, _, kind, shape in made
        ]
        behind = self._nodes + [
            helper.make_node("Identity", [tensor], [name]) for name, tensor, _, _ in made
        ]
        kept = [node for node in graph.node if not self._maps(node)]
        columns = {"numbers": (len(self.numbers), TensorProto.DOUBLE)}
        columns["codes"] = (len(self.codes), TensorProto.INT64)
        inputs = [
            helper.make_tensor_value_info(name, kind, ["rows", width])
            for name, (width, kind) in columns.items()
            if width
        ]
        nodes = [*before, *kept, *behind]
        for index, node in enumerate(nodes):
            # ONNX Runtime 1.21 makes the same name twice of nodes that have none.
            node.name = f"{node.op_type}_{index}"
        del graph.node[:], graph.input[:], graph.output[:]
        graph.node.extend(nodes)
        graph.input.extend(inputs)
        graph.output.extend(outputs)
        graph.initializer.extend(self._constants)
        graph.name = "pipeline"
        model.ir_version = max(model.ir_version, IR_LOWEST)
        model.producer_name, model.producer_version = "mlpack", ""
        domains = {each.domain for each in model.opset_import}
        if "" not in domains:
            model.opset_import.append(helper.make_opsetid("", LOWEST))
        if "ai.onnx.ml" not in domains and any(n.domain == "ai.onnx.ml" for n in behind):
            model.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_LOWEST))
        del model.metadata_props[:]
        return model

    def _maps(self, node: NodeProto) -> bool:
        zipmap = self.original.layout.zipmap
        return node.op_type == "ZipMap" and zipmap is not None and node.input[0] == CORE + zipmap

    def _outputs(self) -> list[tuple[str, str, int, list[str | int]]]:
        """Name, tensor, type and shape of each output."""
        layout = self.original.layout
        made: list[tuple[str, str, int, list[str | int]]] = []
        refused = self._refused
        if layout.refused is not None:
            refused = [*refused, self._flat(CORE + layout.refused)]
        if refused:
            together = refused[0]
            for other in refused[1:]:
                together = self._node("Or", [together, other])
            made.append(("refused", together, TensorProto.BOOL, ["rows"]))
        if layout.value is not None:
            value = self._doubles(CORE + layout.value, layout.size)
            made.append(("value", value, TensorProto.DOUBLE, ["rows", layout.size]))
            return made
        width = len(layout.labels)
        shares = layout.zipmap or layout.probabilities
        matrix = "" if shares is None else self._doubles(CORE + shares, width)
        if layout.label is None:
            label = self._node("ArgMax", [matrix], axis=1, keepdims=0)
        else:
            label = self._index(CORE + layout.label, layout.labels)
        made.append(("label", label, TensorProto.INT64, ["rows"]))
        if matrix:
            made.append(("probabilities", matrix, TensorProto.DOUBLE, ["rows", width]))
        if layout.score is not None:
            score = self._doubles(CORE + layout.score, 1)
            made.append(("score", score, TensorProto.DOUBLE, ["rows", 1]))
        return made

    def _index(self, label: str, labels: Sequence[Category]) -> str:
        """Labels as their places among the classes."""
        label = self._flat(label)
        if isinstance(labels[0], str):
            keys: dict[str, Any] = {"keys_strings": labels, "values_int64s": range(len(labels))}
            if self._ml < ML_LOWEST:
                keys = {"classes_strings": labels}
            return self._node(
                "LabelEncoder", [label], domain="ai.onnx.ml", default_int64=-1, **keys
            )
        if isinstance(labels[0], bool):
            # To numbers first: booleans have few operators.
            label = self._node("Cast", [label], to=TensorProto.INT64)
            labels = [int(each) for each in labels]
        if list(labels) == list(range(len(labels))):
            return self._node("Cast", [label], to=TensorProto.INT64)
        column = self._shaped(label, (-1, 1))
        same = self._node("Equal", [column, self._constant(np.array([labels]))])
        found = self._node("Cast", [same], to=TensorProto.FLOAT)
        return self._node("ArgMax", [found], axis=1, keepdims=0)

    def _doubles(self, name: str, width: int) -> str:
        doubles = self._node("Cast", [name], to=TensorProto.DOUBLE)
        return self._shaped(doubles, (-1, width))

    def _flat(self, name: str) -> str:
        return self._shaped(name, (-1,))

    def _shaped(self, name: str, shape: tuple[int, ...]) -> str:
        return self._node("Reshape", [name, self._constant(np.array(shape, np.int64))])

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        self._count += 1
        name = f"{OWN}{operator}_{self._count}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def _constant(self, value: Any) -> str:
        name = f"{OWN}constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
