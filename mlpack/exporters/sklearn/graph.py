"""A small builder of ONNX graphs in float64.

The operators are those of the ONNX specification (https://onnx.ai/onnx/operators/), opset 21 and
ai.onnx.ml 5, whose TreeEnsemble compares and sums in double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10

DOUBLE = TensorProto.DOUBLE
FLOAT = TensorProto.FLOAT
INT32 = TensorProto.INT32
UINT32 = TensorProto.UINT32
INT64 = TensorProto.INT64
BOOL = TensorProto.BOOL
STRING = TensorProto.STRING


class Graph:
    """A graph under construction. Tensors are known by name; every method returns a name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: dict[str, onnx.ValueInfoProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._domains: dict[str, int] = {"": OPSET}
        self._count = 0
        self._singles: set[str] = set()
        self._widened: dict[str, str] = {}

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{hint}_{self._count}"

    def input(self, name: str, element: int, width: int) -> str:
        """An input of the graph, [rows, width]; the same one when it is asked for again."""
        if name not in self._inputs:
            self._inputs[name] = helper.make_tensor_value_info(name, element, ["rows", width])
        return name

    def constant(self, value: NDArray[Any] | np.generic | Sequence[Any] | float) -> str:
        """A constant tensor; equal constants are stored once."""
        array = np.asarray(value)
        if array.dtype.kind in "UO":
            payload = "\0".join(map(str, array.ravel())).encode()
        else:
            payload = np.ascontiguousarray(array).tobytes()
        key = (str(array.dtype.kind) + str(array.dtype.itemsize), array.shape, payload)
        if key not in self._constants:
            name = self.fresh("c")
            self._initializers[name] = numpy_helper.from_array(
                array.astype(object) if array.dtype.kind == "U" else array, name
            )
            self._constants[key] = name
        return self._constants[key]

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        outputs: int = 1,
        **attributes: Any,
    ) -> str:
        """Add a node; the name of its first output."""
        return self.nodes(operator, inputs, domain=domain, outputs=outputs, **attributes)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        outputs: int = 1,
        **attributes: Any,
    ) -> list[str]:
        """Add a node; the names of all its outputs."""
        if domain and domain not in self._domains:
            self._domains[domain] = ML_OPSET if domain == "ai.onnx.ml" else 1
        names = [self.fresh(operator.lower()) for _ in range(outputs)]
        self._nodes.append(
            helper.make_node(operator, list(inputs), names, domain=domain, **attributes)
        )
        return names

    def add(self, a: str, b: str) -> str:
        """a + b."""
        return self.node("Add", [a, b])

    def subtract(self, a: str, b: str) -> str:
        """a - b."""
        return self.node("Sub", [a, b])

    def multiply(self, a: str, b: str) -> str:
        """a * b, element by element."""
        return self.node("Mul", [a, b])

    def divide(self, a: str, b: str) -> str:
        """a / b."""
        return self.node("Div", [a, b])

    def matmul(self, a: str, b: str) -> str:
        """The matrix product."""
        return self.node("MatMul", [a, b])

    def where(self, condition: str, a: str, b: str) -> str:
        """a where the condition holds, else b."""
        return self.node("Where", [condition, a, b])

    def cast(self, a: str, element: int) -> str:
        """`a` with other elements. What was of float32 before is so again without a node."""
        if element == FLOAT and a in self._widened:
            return self._widened[a]
        made = self.node("Cast", [a], to=element)
        if element == FLOAT:
            self._singles.add(made)
        elif element == DOUBLE and a in self._singles:
            self._widened[made] = a
        return made

    def concat(self, parts: Sequence[str]) -> str:
        """Matrices side by side."""
        return parts[0] if len(parts) == 1 else self.node("Concat", list(parts), axis=1)

    def columns(self, a: str, indices: Sequence[int]) -> str:
        """Some columns of a matrix, in the given order: [rows, len(indices)]."""
        return self.node("Gather", [a, self.constant(np.array(indices, np.int64))], axis=1)

    def reshape(self, a: str, shape: Sequence[int]) -> str:
        """`a` in another shape; 0 keeps a dimension, -1 takes the rest."""
        return self.node("Reshape", [a, self.constant(np.array(shape, np.int64))])

    def argmax(self, a: str) -> str:
        """Per row the first index of the largest element: int64 [rows]."""
        return self.node("ArgMax", [a], axis=1, keepdims=0, select_last_index=0)

    def not_finite(self, a: str, *, allow_nan: bool = False, width: int | None = None) -> str:
        """Whether a row has an infinity, or a NaN unless allowed: bool [rows].

        It is found faster where it is told how many columns there are.
        """
        axis = self.constant(np.array([1], np.int64))
        if allow_nan:
            return self.node("ReduceMax", [self.node("IsInf", [a]), axis], keepdims=0)
        # 0 * inf and 0 * NaN are NaN, and NaN survives a sum: three nodes, no branch.
        if width is not None:
            zeros = self.constant(np.zeros((width, 1)))
            return self.node("IsNaN", [self.reshape(self.node("MatMul", [a, zeros]), [-1])])
        zero = self.multiply(a, self.constant(np.float64(0)))
        return self.node("IsNaN", [self.node("ReduceSum", [zero, axis], keepdims=0)])

    def embed(self, model: onnx.ModelProto, inputs: dict[str, str]) -> dict[str, str]:
        """Copy another graph in; its outputs' names here, by their names there."""
        names = dict(inputs)

        def local(name: str) -> str:
            if name and name not in names:
                names[name] = self.fresh("s")
            return names.get(name, "")

        def renamed(node: onnx.NodeProto) -> onnx.NodeProto:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = ""
            del copy.input[:], copy.output[:]
            copy.input.extend(local(name) for name in node.input)
            copy.output.extend(local(name) for name in node.output)
            for graph in _inner(copy):  # it reads names of the graphs around it
                for value in (*graph.input, *graph.initializer):
                    value.name = local(value.name)
                inside = [renamed(each) for each in graph.node]
                del graph.node[:], graph.value_info[:]
                graph.node.extend(inside)
                for value in graph.output:
                    value.name = local(value.name)
            return copy

        for tensor in model.graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = local(tensor.name)
            self._initializers[copy.name] = copy
        self._nodes.extend(renamed(node) for node in model.graph.node)
        for used in model.opset_import:
            if used.domain and used.domain not in self._domains:
                self._domains[used.domain] = (
                    ML_OPSET if used.domain == "ai.onnx.ml" else used.version
                )
        return {output.name: names[output.name] for output in model.graph.output}

    def loop(
        self,
        count: str,
        states: Sequence[str],
        body: Callable[
            [Graph, str, Sequence[str]], tuple[str | None, Sequence[str], Sequence[str]]
        ],
        *,
        going: str | None = None,
    ) -> list[str]:
        """A graph that is run again and again; see ONNX's Loop.

        Args:
            count: int64 scalar, the most often that it is run.
            states: what the first run is given.
            body: adds one run's nodes to the graph that it gets, from the number of the run (an
                int64 scalar) and the states, all named there; what this graph holds can be read
                there too. It says whether to go on (a bool scalar, or None: always), the next
                states, and what to collect.
            going: bool scalar, whether to run it at all.

        Returns:
            The last states, and each collected tensor with one more dimension, the runs, in front.
        """
        inner = Graph()
        # Constants are kept once; a name is never used twice, whichever graph it stands in.
        inner._constants, inner._initializers = self._constants, self._initializers
        inner._domains, inner._count = self._domains, self._count
        run, before = inner.fresh("run"), inner.fresh("going")
        given = [inner.fresh("state") for _ in states]
        after, carried, collected = body(inner, run, given)
        named = [
            inner.node("Identity", [name])
            for name in (before if after is None else after, *carried, *collected)
        ]
        self._count = inner._count
        graph = helper.make_graph(
            inner._nodes,
            self.fresh("body"),
            [
                helper.make_tensor_value_info(run, INT64, []),
                helper.make_tensor_value_info(before, BOOL, []),
                *(onnx.ValueInfoProto(name=name) for name in given),
            ],
            [onnx.ValueInfoProto(name=name) for name in named],
        )
        start = self.constant(np.bool_(True)) if going is None else going
        return self.nodes(
            "Loop", [count, start, *states], outputs=len(carried) + len(collected), body=graph
        )

    def either(
        self,
        condition: str,
        one: Callable[[Graph], str],
        other: Callable[[Graph], str],
    ) -> str:
        """What one graph answers where the condition (bool, one element) holds, else another.

        Only the one that is chosen runs. Each is added to the graph that it gets, where what this
        graph holds can be read too.
        """
        branches = []
        for make in (one, other):
            inner = Graph()
            # As in `loop`: constants are kept once, and no name is used twice.
            inner._constants, inner._initializers = self._constants, self._initializers
            inner._domains, inner._count = self._domains, self._count
            answer = make(inner)
            self._count = inner._count
            branches.append(
                helper.make_graph(
                    inner._nodes, self.fresh("branch"), [], [onnx.ValueInfoProto(name=answer)]
                )
            )
        return self.node("If", [condition], then_branch=branches[0], else_branch=branches[1])

    def build(
        self, outputs: Sequence[tuple[str, str, int, Sequence[str | int]]]
    ) -> onnx.ModelProto:
        """The finished model. Nodes and constants that no output needs are left out.

        Args:
            outputs: name to give, tensor, element type, shape.
        """
        nodes = list(self._nodes)
        nodes += [helper.make_node("Identity", [tensor], [name]) for name, tensor, _, _ in outputs]
        needed = {name for name, _, _, _ in outputs}
        kept: list[onnx.NodeProto] = []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(_read(node))
        kept.reverse()
        for index, node in enumerate(kept):
            node.name = f"{node.op_type}_{index}"
        graph = helper.make_graph(
            kept,
            "pipeline",
            [value for name, value in self._inputs.items() if name in needed],
            [helper.make_tensor_value_info(name, kind, shape) for name, _, kind, shape in outputs],
            [tensor for name, tensor in self._initializers.items() if name in needed],
        )
        domains = {node.domain for node in _every(kept)} | {""}
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid(domain, version)
                for domain, version in sorted(self._domains.items())
                if domain in domains
            ],
            ir_version=IR_VERSION,
            producer_name="mlpack",
        )
        onnx.checker.check_model(model)
        return model


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds."""
    return (attribute.g for attribute in node.attribute if attribute.HasField("g"))


def _every(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those inside them."""
    for node in nodes:
        yield node
        for graph in _inner(node):
            yield from _every(graph.node)


def _read(node: onnx.NodeProto) -> set[str]:
    """What a node reads, itself or in the graphs that it holds."""
    return set(node.input).union(
        *(name for graph in _inner(node) for name in map(_read, graph.node))
    )
