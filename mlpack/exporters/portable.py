"""The portable graph: one input per raw column, for runtimes that know nothing of mlpack.

It is the core graph with its frozen encoding before it, as nodes, and the labels behind it. Both
graphs come from the same `Encoding`, so what holds for one holds for the other.

The inputs have the raw columns' names, each [rows, 1]:

- a number, or anything but a string that may be missing: float64, missing is NaN;
- an integer that may not be missing: int64; a boolean that may not be missing: bool;
- a string: missing is `MISSING`, which no category may be;
- a date or a time: int64, as numpy and pandas hold it; see `mlpack.exporters.portable_dates`.

What is read as a text comes in as its terms: see `mlpack.exporters.portable_texts`.

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

from mlpack.exporters import portable_texts
from mlpack.exporters.portable_dates import NAT, parts
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Codes, Column, Encoding, Moment, Signature, Text
from mlpack.runtime.kinds import single, unit

MISSING = "\x1amissing"
"""Stands for a missing string. It begins with the control character SUBSTITUTE, which is made for
this and which no category of a real column begins with; one that is the same is refused."""

CORE, RAW = "core/", "raw/"
LOWEST = {"": 19, "ai.onnx.ml": 2}
"""The first opsets that have the nodes around the core: Equal of strings, LabelEncoder of keys."""

OUTPUTS = ("label", "probabilities", "value", "score", "refused")

UNITS = {
    "D": "days",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}

_TYPES: dict[str, int] = {
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
    "ticks": TensorProto.INT64,
}


def kind(column: Column) -> str:
    """What a column's input holds: ``double``, ``int64``, ``bool``, ``string`` or ``ticks``."""
    if column.type in ("date", "datetime"):
        return "ticks"
    if column.type == "string":
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
        NotExportableError: a part of the pipeline stays Python, or a name or a category is taken.
    """
    if encoding.parts:
        told = ", ".join(dict.fromkeys(name for part in encoding.parts for name in part.columns))
        raise NotExportableError("", f"what becomes of {told} stays Python: there is no graph")
    texts = portable_texts.inputs(encoding.texts)
    coded = {codes.column for codes in encoding.codes}
    read = {text.column for text in encoding.texts} - coded
    raw = [column for column in signature.columns if column.name not in read]
    names = [column.name for column in raw]
    kept = (*OUTPUTS, *texts)
    taken = [name for name in names if name in kept or name.startswith((CORE, RAW))]
    if taken:
        raise NotExportableError("", f"a column is called {taken[0]!r}, as something in the graph")
    model = onnx.load_from_string(core)
    _check_opsets(model, coded=bool(encoding.codes))
    _rename(model.graph)
    made = _Nodes()
    columns = {column.name: made.raw(column) for column in raw}
    numbers = [made.number(columns[name], signature.column(name)) for name in encoding.numbers]
    if numbers:
        made.node("Concat", numbers, f"{CORE}numbers", axis=1)
    codes = [made.code(columns[each.column], each, signature) for each in encoding.codes]
    if codes:
        made.node("Concat", codes, f"{CORE}codes", axis=1)
    if encoding.moments:
        made.node("Concat", made.moments(encoding, signature), f"{CORE}moments", axis=1)
    for name, text in texts.items():
        made.text(name, text)
    if encoding.rows:
        made.node("Shape", [made.inputs[0].name], f"{CORE}rows", start=0, end=1)
    refused = [made.refusals(columns[column.name], column) for column in raw]
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
        self._append(operator, inputs, [name], attributes)
        return name

    def several(
        self, operator: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> Sequence[str]:
        self._count += 1
        names = [f"{RAW}{self._count}/{place}" for place in range(count)]
        self._append(operator, inputs, names, attributes)
        return names

    def _append(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: dict[str, Any],
    ) -> None:
        domain = "ai.onnx.ml" if operator == "LabelEncoder" else ""
        self.nodes.append(
            helper.make_node(operator, list(inputs), list(outputs), domain=domain, **attributes)
        )

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
        held = kind(column)
        missing = {"double": "NaN", "string": json.dumps(MISSING), "ticks": str(NAT)}
        told = f"; {UNITS[unit(column)]} since 1970" if held == "ticks" else ""
        told += " in UTC" if column.zone is not None else ""
        self.inputs.append(
            helper.make_tensor_value_info(
                column.name,
                _TYPES[held],
                ["rows", 1],
                doc_string=f"{column.type}{told}; missing: {missing.get(held, 'not possible')}",
            )
        )
        return column.name

    def text(self, name: str, text: Text) -> None:
        """The input of a text's terms or of their hashes, and what the core takes of them."""
        element = TensorProto.INT64 if text.hashed else TensorProto.STRING
        fill = str(portable_texts.FILL) if text.hashed else json.dumps(MISSING)
        told = f"{portable_texts.told(text)}; filled up with {fill}"
        self.inputs.append(
            helper.make_tensor_value_info(name, element, ["rows", name], doc_string=told)
        )
        portable_texts.entries(self, name, text, MISSING, f"{CORE}{text.name}")

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
        if kind(column) == "ticks":
            return self.node("Equal", [name, self.constant(np.array([[NAT]]))])
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
        count = len(codes.categories)
        if count and kind(column) == "ticks":
            raise NotExportableError("", f"categories of {codes.column} are dates or times")
        value = self.number(name, column)
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

    def moments(self, encoding: Encoding, signature: Signature) -> list[str]:
        """The parts of dates and times in the encoding's order: float64 [rows, 1] each."""
        clocks = {clock.column: clock for clock in encoding.clocks}
        taken: dict[str, list[Moment]] = {}
        for moment in encoding.moments:
            taken.setdefault(moment.column, []).append(moment)
        found: dict[tuple[str, str], str] = {}
        for name, moments in taken.items():
            made = parts(self, name, signature.column(name), moments, clocks.get(name))
            found.update(zip(((name, each.part) for each in moments), made, strict=True))
        return [found[moment.column, moment.part] for moment in encoding.moments]

    def refusals(self, name: str, column: Column) -> list[str]:
        """Where a value may not be what it is: bool [rows] each."""
        found = []
        if not column.nullable and kind(column) in ("double", "string", "ticks"):
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
        several = [len(signature.groups)] if signature.groups else []
        outputs.insert(0, helper.make_tensor_value_info("label", element, ["rows", *several]))
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
    nodes = [*made.nodes, *model.graph.node, *made.late, *behind]
    for node in nodes:
        # ONNX Runtime 1.21 makes the same name twice of nodes that have none.
        node.name = node.name or node.output[0]
    graph = helper.make_graph(
        nodes,
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
