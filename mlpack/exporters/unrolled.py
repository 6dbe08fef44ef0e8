"""Unrolls a small graph for one row: what is done with each number, operator by operator.

The operators are those of the ONNX specification (https://onnx.ai/onnx/operators/). Their shapes
are followed with arrays of the results' places; where all inputs are known, the answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from mlpack.exporters.unrolled_steps import Place, Steps
from mlpack.exporters.unrolled_trees import Told, Total, Trees, UnknownError
from mlpack.runtime.contract import Encoding
from mlpack.runtime.program import Program

Array = NDArray[Any]

_BINARY = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Greater": "greater",
    "Less": "less",
    "Equal": "equal",
    "And": "and",
    "Or": "or",
}
_UNARY = {
    "Neg": "neg",
    "Abs": "abs",
    "Exp": "exp",
    "IsNaN": "isnan",
    "IsInf": "isinf",
    "Not": "not",
}
_SAME_TYPE = frozenset(("Concat", "Gather", "Identity", "Neg", "Reshape", "Transpose"))
_OF_FLOATS = _SAME_TYPE | {"Cast", "Equal", "Greater", "IsInf", "IsNaN", "Less", "TreeEnsemble"}
"""What may be done with float32: it is the same in double."""

_OUTPUTS = ("refused", "label", "probabilities", "value", "score")


def unrolled(model: onnx.ModelProto, encoding: Encoding) -> Program | None:
    """The program of a graph; None where it is too large, or does what no step says.

    Args:
        model: a core graph.
        encoding: what feeds it.
    """
    if encoding.texts or encoding.parts or encoding.moments or encoding.rows:
        return None
    try:
        return _Unrolling(model, encoding).program()
    except (UnknownError, ValueError, LookupError, TypeError):
        # Others than its own: shapes that only fit several rows, inputs that nothing is known of.
        return None


class _Unrolling:
    """Goes through the nodes of one graph."""

    def __init__(self, model: onnx.ModelProto, encoding: Encoding) -> None:
        self._graph = model.graph
        self._steps = Steps()
        # Tensors of float32, in which Python has no arithmetic.
        self._floats: set[str] = set()
        self._trees = Trees()
        # A place or a constant for each cell; the rows are one.
        self._tensors: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        for name, kind, count in (
            ("numbers", "number", len(encoding.numbers)),
            ("codes", "code", len(encoding.codes)),
        ):
            if any(value.name == name for value in model.graph.input):
                places = [self._steps.add(kind, index) for index in range(count)]
                self._tensors[name] = _cells(places).reshape(1, -1)

    def program(self) -> Program:
        """All of it.

        Raises:
            UnknownError: it has no program.
        """
        for node in self._graph.node:
            self._tensors[node.output[0]] = self._node(node)
        found = {value.name: self._tensors[value.name] for value in self._graph.output}
        if not found.keys() <= set(_OUTPUTS):
            raise UnknownError
        refused, label = found.get("refused"), found.get("label")
        if label is not None and label.size != 1:
            raise UnknownError  # several labels a row
        values = found.get("value", found.get("score"))
        outputs = (refused, label, found.get("probabilities"), values)
        places = [self._places(each) for each in outputs]
        return Program(
            steps=tuple(self._steps.written),
            tables=tuple(self._steps.tables),
            trees=tuple(self._trees.trees),
            lists=tuple(self._steps.lists),
            refused=None if refused is None else places[0][0],
            label=None if label is None else places[1][0],
            probabilities=places[2],
            values=places[3],
        )

    def _places(self, tensor: Array | None) -> tuple[int, ...]:
        if tensor is None:
            return ()
        cells = [self._steps.told(each) for each in tensor.ravel().tolist()]
        if not all(isinstance(each, Place) for each in cells):
            raise UnknownError  # an answer that is the same for every row
        return tuple(map(int, cells))

    def _node(self, node: onnx.NodeProto) -> Array:
        domain = "ai.onnx.ml" if node.op_type == "TreeEnsemble" else ""
        if node.domain != domain or len([name for name in node.output if name]) != 1:
            raise UnknownError
        if any(name in self._floats for name in node.input):
            if node.op_type not in _OF_FLOATS:
                raise UnknownError
            if node.op_type in _SAME_TYPE:
                self._floats.add(node.output[0])
        inputs = [self._tensors[name] for name in node.input if name]
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        kind = node.op_type
        if attributes.get("to") == onnx.TensorProto.FLOAT:
            self._floats.add(node.output[0])
        if kind in _BINARY:
            return self._each(_BINARY[kind], *inputs)
        if kind in _UNARY and not (kind == "IsInf" and attributes):
            return self._each(_UNARY[kind], *inputs)
        if kind == "Where":
            return self._each("where", *inputs)
        method: Callable[[list[Array], dict[str, Any]], Array] | None
        method = getattr(self, f"_{kind.lower()}", None)
        if method is None or kind not in _SHAPED:
            raise UnknownError
        made: Array = method(inputs, attributes)
        return made

    def _each(self, operation: str, *inputs: Array) -> Array:
        """A step for each cell."""
        if all(tensor.dtype != object for tensor in inputs):
            if operation != "greater":
                raise UnknownError  # nothing that a finished graph would have
            return np.asarray(np.greater(*inputs))  # how many rows there are
        spread = np.broadcast_arrays(*inputs)
        whole = operation == "add" and any(tensor.dtype.kind in "iu" for tensor in inputs)
        cells = zip(*(tensor.ravel().tolist() for tensor in spread), strict=True)
        made = [
            self._place_of(*each) if whole else self._steps.add(operation, *each) for each in cells
        ]
        return _cells(made).reshape(spread[0].shape)

    def _place_of(self, one: Any, other: Any) -> Any:
        """A code and where its table begins."""
        place, start = (other, one) if type(one) is int else (one, other)
        if type(start) is not int or start < 0:
            raise UnknownError
        place = _alone(place)
        if isinstance(place, Told):
            return place.mapped(lambda values: values + start)
        if type(place) is int:
            return place + start
        if not isinstance(place, Place):
            raise UnknownError
        return self._steps.add("place", place, int(start))

    def _identity(self, inputs: list[Array], _: dict[str, Any]) -> Array:
        return inputs[0]

    def _reshape(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        if attributes.get("allowzero") or inputs[1].dtype == object:
            raise UnknownError
        old = inputs[0].shape
        wanted = [old[at] if size == 0 else size for at, size in enumerate(inputs[1].tolist())]
        return inputs[0].reshape(wanted)

    def _concat(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        return np.concatenate([each.astype(object) for each in inputs], axis=attributes["axis"])

    def _cast(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        cells = _whole(inputs[0]).ravel().tolist()
        to = attributes["to"]
        if all(isinstance(each, Told | Total) or type(each) is int for each in cells):
            if to != onnx.TensorProto.DOUBLE and not all(map(_is_whole, cells)):
                raise UnknownError
            return inputs[0]
        if to == onnx.TensorProto.INT64 and all(map(self._steps.is_truth, cells)):
            return self._each("int", inputs[0])
        if to == onnx.TensorProto.DOUBLE and all(map(self._steps.is_single, cells)):
            return inputs[0]
        if to == onnx.TensorProto.FLOAT:
            return _cells(self._steps.rounded(cells)).reshape(inputs[0].shape)
        raise UnknownError

    def _transpose(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        return np.transpose(_whole(inputs[0]), attributes.get("perm"))

    def _reducemax(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        """Whether any of some is true."""
        cells = _only_row(inputs[0], _axis(inputs, attributes))
        if attributes.get("keepdims", 1) or not all(map(self._steps.is_truth, cells)):
            raise UnknownError
        found = cells[0]
        for each in cells[1:]:
            found = self._steps.add("or", found, each)
        return _cells([found])

    def _shape(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        shape = inputs[0].shape[attributes.get("start", 0) : attributes.get("end")]
        return np.array(shape, np.int64)

    def _if(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        """The branch that one row takes."""
        if inputs[0].dtype == object or inputs[0].size != 1:
            raise UnknownError
        branch = attributes["then_branch" if inputs[0].item() else "else_branch"]
        for tensor in branch.initializer:
            self._tensors[tensor.name] = numpy_helper.to_array(tensor)
        for node in branch.node:
            self._tensors[node.output[0]] = self._node(node)
        return self._tensors[branch.output[0].name]

    def _treeensemble(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        cells = _only_row(inputs[0], 1)

        def leaf(tree: int, asked: Sequence[Any]) -> int:
            return self._steps.add("leaf", Place(tree), *asked)

        single = attributes["leaf_weights"].data_type != onnx.TensorProto.DOUBLE
        return _cells(self._trees.totals(attributes, cells, leaf, single=single)).reshape(1, -1)

    def _bitshift(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        if attributes["direction"] != b"RIGHT" or inputs[1].dtype == object:
            raise UnknownError
        totals, shifts = np.broadcast_arrays(_whole(inputs[0]), inputs[1])
        pairs = zip(totals.ravel().tolist(), shifts.ravel().tolist(), strict=True)
        made = [Total(_total(total).parts, shift) for total, shift in pairs]
        return _cells(made).reshape(totals.shape)

    def _bitwiseand(self, inputs: list[Array], _: dict[str, Any]) -> Array:
        if inputs[1].dtype == object or inputs[1].size != 1:
            raise UnknownError
        cells = _whole(inputs[0]).ravel().tolist()
        if not all(isinstance(each, Total) for each in cells):
            raise UnknownError
        made = [each.masked(int(inputs[1].item())) for each in cells]
        return _cells(made).reshape(inputs[0].shape)

    def _gatherelements(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        data, index = inputs
        if data.dtype != np.float64 or data.ndim != 1 or attributes.get("axis", 0):
            raise UnknownError
        return _cells([_looked_up(data, each) for each in _whole(index).ravel().tolist()])

    def _gather(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        data, index = inputs
        axis = attributes.get("axis", 0)
        if index.dtype != object:
            return np.take(data, index, axis=axis)
        # By what only the row tells: a table's row.
        if data.dtype != np.float64 or data.ndim != _MATRIX or axis != 0:
            raise UnknownError
        if not np.isfinite(data).all():
            raise UnknownError
        if any(not isinstance(each, Place) for each in index.ravel()):
            columns = [[_looked_up(column, each) for column in data.T] for each in index.ravel()]
            flat = [cell for row in columns for cell in row]
            return _cells(flat).reshape((*index.shape, data.shape[1]))
        rows = [self._steps.row(data, each) for each in index.ravel().tolist()]
        cells = [cell for row in rows for cell in row]
        return _cells(cells).reshape((*index.shape, data.shape[1]))

    def _matmul(self, inputs: list[Array], _: dict[str, Any]) -> Array:
        rows, weights = inputs
        if rows.dtype != object or weights.dtype != np.float64 or weights.ndim != _MATRIX:
            raise UnknownError
        if rows.ndim != _MATRIX or len(rows) != 1:
            raise UnknownError
        cells = rows[0].tolist()
        made = [self._steps.add("dot", *cells, *column) for column in weights.T.tolist()]
        return _cells(made).reshape(1, -1)

    def _reducesum(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        axis = _axis(inputs, attributes)
        found = np.apply_along_axis(
            lambda each: self._steps.add("sum", *each), axis, _whole(inputs[0])
        )
        made = _cells([Place(each) for each in found.ravel().tolist()]).reshape(found.shape)
        return np.expand_dims(made, axis) if attributes.get("keepdims", 1) else made

    def _softmax(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        cells = _only_row(inputs[0], attributes.get("axis", -1))
        first = self._steps.add("softmax", *cells, results=len(cells))
        return _cells([Place(first + index) for index in range(len(cells))]).reshape(1, -1)

    def _argmax(self, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        if attributes.get("select_last_index") or attributes.get("keepdims", 1):
            raise UnknownError
        cells = _only_row(inputs[0], attributes.get("axis", 0))
        return _cells([self._steps.add("argmax", *cells)])


_SHAPED = frozenset(
    (
        *("Identity", "Reshape", "Concat", "Cast", "Gather", "MatMul", "ReduceSum", "Softmax"),
        *("ArgMax", "Transpose", "ReduceMax", "Shape", "If", "TreeEnsemble", "BitShift"),
        *("BitwiseAnd", "GatherElements"),
    )
)
_MATRIX = 2


def _alone(cell: Any) -> Any:
    """The number itself where a sum has no other; others as they are."""
    if isinstance(cell, Total) and len(cell.parts) == 1 and not cell.shift:
        return cell.parts[0]
    return cell


def _total(cell: Any) -> Total:
    """A sum that leaves tell."""
    if isinstance(cell, Total) and not cell.shift:
        return cell
    raise UnknownError


def _is_whole(cell: Any) -> bool:
    parts = Total((cell,)) if isinstance(cell, Told) else cell
    return not isinstance(parts, Total) or parts.whole()


def _looked_up(values: Array, place: Any) -> Any:
    """What stands at a place that a leaf tells."""
    place = _alone(place)
    if isinstance(place, Told):
        return place.mapped(lambda places: values[places.astype(np.int64)])
    if type(place) is not int:
        raise UnknownError
    return float(values[place])


def _cells(places: Sequence[Any]) -> Array:
    made = np.empty(len(places), object)
    made[:] = places
    return made


def _whole(tensor: Array) -> Array:
    if tensor.dtype != object:
        raise UnknownError
    return tensor


def _axis(inputs: list[Array], attributes: dict[str, Any]) -> int:
    """The only axis that is summed over."""
    if len(inputs) != _MATRIX or inputs[1].size != 1 or attributes.get("noop_with_empty_axes"):
        raise UnknownError
    return int(inputs[1].ravel()[0])


def _only_row(tensor: Array, axis: int) -> list[Any]:
    if tensor.ndim != _MATRIX or len(tensor) != 1 or axis not in (1, -1):
        raise UnknownError
    return list(_whole(tensor)[0])
