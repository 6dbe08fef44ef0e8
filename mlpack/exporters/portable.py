"""The portable graph: one input per raw column, for runtimes that know nothing of mlpack.

It is the core graph with its frozen encoding before it, as nodes, and the labels behind it. Both
graphs come from the same `Encoding`, so what holds for one holds for the other.

The inputs have the raw columns' names, each [rows, 1]:

- a number, or anything but a string that may be missing: float64, missing is NaN;
- an integer that may not be missing: int64; a boolean that may not be missing: bool;
- a string: missing is `MISSING`, which no category may be;
- a date or a time: a string too, of which the graph looks only at whether it is missing.

The outputs are ``label`` in the labels' own type [rows], ``probabilities`` float64 [rows, labels],
``value`` float64 [rows, outputs], and ``refused`` bool [rows], true where the original raises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Codes, Column, Encoding, Signature
from mlpack.runtime.values import single

MISSING = "\x1amissing"
"""Stands for a missing string. It begins with the control character SUBSTITUTE, which is made for
this and which no category of a real column begins with; one that is the same is refused."""

CORE, RAW = "core/", "raw/"
LOWEST = {"": 19, "ai.onnx.ml": 2}
"""The first opsets that have the nodes around the core: Equal of strings, LabelEncoder of keys."""

OUTPUTS = ("label", "probabilities", "value", "score", "refused")

_TYPES: dict[str, int] = {
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}


def kind(column: Column) -> str:
    """The element type of a column's input: ``double``, ``int64``, ``bool`` or ``string``."""
    if column.type in ("string", "date", "datetime"):
        return "string"
    if column.nullable or column.type == "number":
        return "double"
    return {"integer": "int64", "boolean": "bool"}[column.type]


def compose(core: bytes, encoding: Encoding, signature: Signature) -> bytes:
    """The portable graph.

    Args:
        core: the graph of the bundle.
        encoding: how rows become its inputs.
        signature: the raw columns, and the labels.

    Raises:
        NotExportableError: a text is counted by Python, a part of a date is taken, or a part of the
            pipeline stays Python.
    """
    if encoding.parts:
        told = ", ".join(dict.fromkeys(name for part in encoding.parts for name in part.columns))
        raise NotExportableError("", f"what becomes of {told} stays Python: there is no graph")
    if encoding.texts:
        told = ", ".join(dict.fromkeys(text.column for text in encoding.texts))
        raise NotExportableError(
            "",
            f"the words of {told} are found with Python's own rules, which no graph has; "
            "serve the wheel or the image instead",
        )
    if encoding.moments:
        told = ", ".join(dict.fromkeys(moment.column for moment in encoding.moments))
        raise NotExportableError(
            "",
            f"the parts of {told}, such as the hour, are found before the graph, which has no "
            "dates; serve the wheel or the image instead",
        )
    names = [column.name for column in signature.columns]
    if taken := [name for name in names if name in OUTPUTS or name.startswith((CORE, RAW))]:
        raise NotExportableError("", f"a column is called {taken[0]!r}, as something in the graph")
    model = onnx.load_from_string(core)
    _check_opsets(model, coded=bool(encoding.codes))
    _rename(model.graph)
    made = _Nodes()
    columns = {column.name: made.raw(column) for column in signature.columns}
    numbers = [made.number(columns[name], signature.column(name)) for name in encoding.numbers]
    if numbers:
        made.node("Concat", numbers, f"{CORE}numbers", axis=1)
    codes = [made.code(columns[each.column], each, signature) for each in encoding.codes]
    if codes:
        made.node("Concat", codes, f"{CORE}codes", axis=1)
    refused = [made.refusals(columns[column.name], column) for column in signature.columns]
    refused += [made.unknown]
    return _assembled(model, made, signature, [name for some in refused for name in some])


def _check_opsets(model: ModelProto, *, coded: bool) -> None:
    """A graph that was ONNX before is kept in its own opset, in which these nodes may not exist."""
    for opset in model.opset_import:
        needed = opset.domain in LOWEST and (coded or not opset.domain)
        if needed and opset.version < LOWEST[opset.domain]:
            raise NotExportableError(
                "",
                f"the model is ONNX already, in {opset.domain or 'opset'} {opset.version}; the "
                f"nodes before it need {LOWEST[opset.domain]}: export it again in a newer one, or "
                "use the file as it is",
            )


class _Nodes:
    """Nodes around the core graph.

    Attributes:
        nodes: those before it.
        late: those behind it.
        constants, inputs: of the whole graph.
        unknown: where a category is refused that the original does not know: bool [rows] each.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.unknown: list[str] = []
        self.late: list[NodeProto] = []
        self._count = 0

    def node(self, operator: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        self._count += 1
        name = name or f"{RAW}{self._count}"
        domain = "ai.onnx.ml" if operator == "LabelEncoder" else ""
        self.nodes.append(
            helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
        )
        return name

    def constant(self, value: Any) -> str:
        self._count += 1
        name = f"{RAW}constant/{self._count}"
        array = np.asarray(value)
        if array.dtype.kind == "U":
            array = array.astype(object)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def raw(self, column: Column) -> str:
        """The input of a column."""
        missing = {"double": "NaN", "string": json.dumps(MISSING)}.get(kind(column), "not possible")
        self.inputs.append(
            helper.make_tensor_value_info(
                column.name,
                _TYPES[kind(column)],
                ["rows", 1],
                doc_string=f"{column.type}; missing: {missing}",
            )
        )
        return column.name

    def number(self, name: str, column: Column) -> str:
        """A column as float64 [rows, 1]."""
        if single(column):
            # What the original is given: a category too is known by its rounded value.
            name = self.node("Cast", [name], to=TensorProto.FLOAT)
            return self.node("Cast", [name], to=TensorProto.DOUBLE)
        if kind(column) == "double":
            return name
        return self.node("Cast", [name], to=TensorProto.DOUBLE)

    def missing(self, name: str, column: Column) -> str:
        """Whether a value is missing: bool [rows, 1]."""
        if kind(column) == "string":
            return self.node("Equal", [name, self.constant(np.array([[MISSING]]))])
        return self.node("IsNaN", [self.number(name, column)])

    def code(self, name: str, codes: Codes, signature: Signature) -> str:
        """A column's codes: int64 [rows, 1]; see `mlpack.runtime.contract.Codes`."""
        column = signature.column(codes.column)
        count = len(codes.categories)
        if kind(column) == "string":
            if MISSING in codes.categories:
                raise NotExportableError("", f"a category of {codes.column} is {MISSING!r}")
            code = self.node(
                "LabelEncoder",
                [name],
                keys_strings=[*map(str, codes.categories), MISSING],
                values_int64s=[*range(count), count + 1],
                default_int64=count,
            )
        else:
            code = self._numeric_code(name, codes, column)
        if codes.refuse_unknown:
            unknown = self.node("Equal", [code, self.constant(np.int64(count))])
            self.unknown.append(self._flat(unknown))
        return code

    def _numeric_code(self, name: str, codes: Codes, column: Column) -> str:
        value = self.number(name, column)
        count = len(codes.categories)
        code = self.constant(np.array([[count]], np.int64))
        if count:
            known = np.array([[float(category) for category in codes.categories]])
            same = self.node("Equal", [value, self.constant(known)])
            same = self.node("Cast", [same], to=TensorProto.INT64)
            first = self.node("ArgMax", [same], axis=1, keepdims=1)
            some = self.node("ReduceMax", [same, self.constant(np.array([1], np.int64))])
            some = self.node("Cast", [some], to=TensorProto.BOOL)
            code = self.node("Where", [some, first, code])
        gone = self.constant(np.array([[count + 1]], np.int64))
        return self.node("Where", [self.missing(name, column), gone, code])

    def refusals(self, name: str, column: Column) -> list[str]:
        """Where a value may not be what it is: bool [rows] each."""
        found = []
        if not column.nullable and kind(column) in ("double", "string"):
            found.append(self._flat(self.missing(name, column)))
        if column.finite and kind(column) == "double":
            found.append(self._flat(self.node("IsInf", [self.number(name, column)])))
        return found

    def column(self, name: str) -> str:
        """A flat tensor that the core may have made as a column: [rows, 1]."""
        self._count += 1
        made = f"{RAW}{self._count}"
        shape = self.constant(np.array([-1, 1], np.int64))
        self.late.append(helper.make_node("Reshape", [name, shape], [made]))
        return made

    def _flat(self, name: str) -> str:
        return self.node("Reshape", [name, self.constant(np.array([-1], np.int64))])


def _rename(graph: GraphProto) -> None:
    """Give every name of the core a prefix, in the graphs inside it too."""
    for node in graph.node:
        node.name = f"{CORE}{node.name}" if node.name else ""
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name:
                    names[place] = f"{CORE}{name}"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = f"{CORE}{value.name}"


def _assembled(
    model: ModelProto, made: _Nodes, signature: Signature, refused: Sequence[str]
) -> bytes:
    core = {output.name.removeprefix(CORE): output for output in model.graph.output}
    outputs: list[onnx.ValueInfoProto] = []
    behind: list[NodeProto] = []
    for name in ("probabilities", "value", "score"):
        if name in core:
            behind.append(helper.make_node("Identity", [f"{CORE}{name}"], [name]))
            core[name].name = name
            outputs.append(core[name])
    if "label" in core:
        labels = np.array(signature.labels)
        behind.append(
            helper.make_node("Gather", [made.constant(labels), f"{CORE}label"], ["label"])
        )
        element = helper.np_dtype_to_tensor_dtype(
            np.dtype(object) if labels.dtype.kind == "U" else labels.dtype
        )
        outputs.insert(0, helper.make_tensor_value_info("label", element, ["rows"]))
    every = [*refused, *([f"{CORE}refused"] if "refused" in core else [])]
    if every:
        behind += [
            helper.make_node(
                "Concat", [made.column(name) for name in every], [f"{RAW}all"], axis=1
            ),
            helper.make_node("Cast", [f"{RAW}all"], [f"{RAW}counts"], to=TensorProto.INT64),
            helper.make_node(
                "ReduceMax",
                [f"{RAW}counts", made.constant(np.array([1], np.int64))],
                [f"{RAW}any"],
                keepdims=0,
            ),
            helper.make_node("Cast", [f"{RAW}any"], ["refused"], to=TensorProto.BOOL),
        ]
        outputs.append(helper.make_tensor_value_info("refused", TensorProto.BOOL, ["rows"]))
    graph = helper.make_graph(
        [*made.nodes, *model.graph.node, *made.late, *behind],
        "portable",
        made.inputs,
        outputs,
        [*made.constants, *model.graph.initializer],
    )
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    opsets.setdefault("ai.onnx.ml", 5)
    result = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*each) for each in sorted(opsets.items())],
        ir_version=model.ir_version,
        producer_name="mlpack",
    )
    helper.set_model_props(result, {"mlpack.missing": MISSING, "mlpack.task": signature.task})
    onnx.checker.check_model(result)
    data: bytes = result.SerializeToString(deterministic=True)
    return data
