"""The Open Inference Protocol v2, which KServe, Triton and MLServer speak: ``/v2``.

One input per column, of the shape [rows] or [rows, 1]; an input that is absent is missing in every
row, if it may be. Missing values within an input are null, NaN in a floating point number, or the
text that the parameter ``missing`` of the request or of the input names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..contract import Category, Column, Signature, label_key
from ..malformed import MalformedError
from ..model import Model
from ..predictions import Predictions, Refusal, label_names, shown
from ..problems import ProblemError
from ..routes import Exchange, Headers, Reply, Route
from ..values import Clean
from .tensors import Parameters, Request, Tensor, elements, packed, parse

LENGTH = b"inference-header-content-length"
_BINARY = b"application/octet-stream"
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
_FORMATS = {"date": "date", "datetime": "date-time"}
EXTENSIONS = ("binary_tensor_data",)
_UNSUPPORTED = ("classification", "shared_memory_region")


class Output(msgspec.Struct, frozen=True):
    """One output of the model, as the protocol has it.

    Attributes:
        name: ``label``, ``probabilities``, ``value`` or ``score``.
        datatype: of its elements.
        width: how many a row has; 0 where it has one and the shape has one dimension.
        get: its elements, in order.
    """

    name: str
    datatype: str
    width: int
    get: Callable[[Predictions], np.ndarray | list[str]]

    def shape(self, rows: int) -> list[int]:
        """The shape for so many rows; -1 for any number."""
        return [rows, self.width] if self.width else [rows]


class Inference:
    """Reads and writes the protocol's requests for one model.

    Args:
        model: whose columns and outputs they are.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._columns = {column.name: column for column in model.signature.columns}
        self._numeric = len(self._columns) > 1 and all(
            column.type in _DATATYPES for column in model.signature.columns
        )
        self.outputs = {output.name: output for output in _outputs(model.signature)}

    def open(self, headers: Headers) -> Exchange:
        """How one request is read and answered; its content type does not matter."""
        return _Exchange(self, headers.get(LENGTH))

    def rows(self, request: Request) -> tuple[Any, ...] | Clean:
        """The rows of a request.

        Raises:
            MalformedError: an input has not the elements that it should have.
        """
        if not request.inputs:
            raise MalformedError("there is no input")
        columns = self._matrix(request)
        if columns is None:
            columns = {}
            for tensor in request.inputs:
                if tensor.name in columns:
                    raise MalformedError(f"there are two inputs {shown(tensor.name)}")
                columns[tensor.name] = self._column(tensor, request)
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            told = ", ".join(f"{shown(name)} {len(values)}" for name, values in columns.items())
            raise MalformedError(f"the inputs have different numbers of rows: {told[:500]}")
        (count,) = lengths
        if count == 0:
            return Clean([], 0, (Refusal(0, None, "at least one row", "none"),))
        if count == 1:
            return self._model.validator.one(
                {
                    name: values.item() if isinstance(values, np.ndarray) else values[0]
                    for name, values in columns.items()
                }
            )
        if not columns.keys() & self._columns.keys():
            return Clean(
                [],
                0,
                tuple(
                    Refusal(0, shown(name)[1:-1], "a column of the model", "an unknown one")
                    for name in columns
                ),
            )
        return self._model.validator.columns(columns)

    def _column(self, tensor: Tensor, request: Request) -> Sequence[Any] | np.ndarray:
        if len(tensor.shape) > 2 or tensor.shape[1:] not in ([], [1]):
            raise MalformedError(
                f"input {shown(tensor.name)}: its shape is {shown(tensor.shape)}, not [rows] "
                "or [rows, 1]"
            )
        missing = (tensor.parameters or {}).get("missing", _parameter(request, "missing"))
        values = elements(tensor, missing if isinstance(missing, str) else None)
        column = self._columns.get(tensor.name)
        if column is None or column.type != "boolean" or tensor.datatype in ("BOOL", "BYTES"):
            return values
        return [_truth(value) for value in values]

    def _matrix(self, request: Request) -> dict[str, Any] | None:
        """The columns of one matrix of numbers, in the signature's order; None if it is none."""
        tensor = request.inputs[0]
        width = len(self._columns)
        if (
            len(request.inputs) > 1
            or not self._numeric
            or tensor.name in self._columns
            or tensor.datatype == "BYTES"
            or len(tensor.shape) != 2
            or tensor.shape[1] != width
        ):
            return None
        values = elements(tensor, None)
        columns: dict[str, Any] = {}
        for place, column in enumerate(self._columns.values()):
            of_one = values[place::width]
            if column.type == "boolean" and tensor.datatype != "BOOL":
                of_one = [_truth(value) for value in of_one]
            columns[column.name] = of_one
        return columns

    def answer(self, predictions: Predictions, request: Request) -> Reply:
        """The answer to a request whose outputs were checked."""
        binary = _parameter(request, "binary_data_output") is True
        told: list[dict[str, Any]] = []
        pieces: list[bytes] = []
        for output, parameters in self.wanted(request):
            values = output.get(predictions)
            one: dict[str, Any] = {
                "name": output.name,
                "datatype": output.datatype,
                "shape": output.shape(predictions.rows),
            }
            said: dict[str, Any] = {"content_type": "str"} if output.datatype == "BYTES" else {}
            if parameters.get("binary_data", binary) is True:
                pieces.append(packed(values))
                said["binary_data_size"] = len(pieces[-1])
            else:
                one["data"] = values.ravel().tolist() if isinstance(values, np.ndarray) else values
            if said:
                one["parameters"] = said
            told.append(one)
        model = self._model
        answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
        if request.id:
            answer["id"] = request.id
        head = msgspec.json.encode({**answer, "outputs": told})
        if not pieces:
            return Reply(head)
        length = (LENGTH, b"%d" % len(head))
        return Reply(b"".join((head, *pieces)), _BINARY, (length,))

    def wanted(self, request: Request) -> list[tuple[Output, Parameters]]:
        """The outputs that a request asks for, each with what it says of them."""
        if not request.outputs:
            return [(output, {}) for output in self.outputs.values()]
        asked = {each.name: each.parameters or {} for each in request.outputs}
        return [(self.outputs[name], parameters) for name, parameters in asked.items()]

    def check(self, request: Request) -> None:
        """Check what a request wants.

        Raises:
            ProblemError: 400, the model has no such output, or it cannot be had in that way.
        """
        for asked in request.outputs or ():
            if asked.name not in self.outputs:
                have = ", ".join(self.outputs)
                detail = f"there is no output {shown(asked.name)}, but {have}"
                raise ProblemError(400, "unknown-output", detail)
        for part in (*request.inputs, *(request.outputs or ())):
            for name in _UNSUPPORTED:
                if name in (part.parameters or {}):
                    raise ProblemError(
                        400, "unsupported-parameter", f"{name} of {shown(part.name)} is unsupported"
                    )


class _Exchange:
    """One request, which the answer to it depends on."""

    def __init__(self, inference: Inference, length: bytes | None) -> None:
        self._inference = inference
        self._length = length
        self._request = Request([])

    def read(self, body: bytes) -> tuple[Any, ...] | Clean:
        self._request = parse(body, self._length)
        self._inference.check(self._request)
        return self._inference.rows(self._request)

    def write(self, predictions: Predictions) -> Reply:
        return self._inference.answer(predictions, self._request)


def _parameter(request: Request, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return (request.parameters or {}).get(name)


def _truth(value: Any) -> Any:  # noqa: ANN401 - any number
    """A number as a boolean; what is neither 0 nor 1 stays, to be refused."""
    if value is None or value != value:
        return None
    return bool(value) if value in (0, 1) else value


def _outputs(signature: Signature) -> list[Output]:
    found = []
    if signature.labels:
        datatype, labels = _labels(signature.labels)
        found.append(Output("label", datatype, len(signature.groups), _label(labels)))
    if signature.has("probabilities"):
        width = len(signature.labels)
        found.append(
            Output("probabilities", "FP64", width, lambda told: _there(told.probabilities))
        )
    for name in ("value", "score"):
        if signature.has(name):
            size = next(output.size for output in signature.outputs if output.name == name)
            found.append(
                Output(name, "FP64", size if size > 1 else 0, lambda told: _there(told.values))
            )
    return found


def _there(values: np.ndarray | None) -> np.ndarray:
    if values is None:
        raise TypeError("the model does not answer what its signature says")
    return np.ascontiguousarray(values, dtype="<f8")


def _labels(labels: Sequence[Category]) -> tuple[str, np.ndarray | list[str]]:
    kinds = {type(label) for label in labels}
    if kinds == {bool}:
        return "BOOL", np.array(labels, dtype=np.bool_)
    if kinds == {int}:
        return "INT64", np.array(labels, dtype="<i8")
    if kinds <= {int, float}:
        return "FP64", np.array(labels, dtype="<f8")
    return "BYTES", [label_key(label) for label in labels]


def _label(labels: np.ndarray | list[str]) -> Callable[[Predictions], np.ndarray | list[str]]:
    def get(predictions: Predictions) -> np.ndarray | list[str]:
        places = predictions.labels
        if places is None:
            raise TypeError("the model does not answer what its signature says")
        if isinstance(labels, np.ndarray):
            found: np.ndarray = labels[places]
            return found
        return [labels[place] for place in places.ravel().tolist()]

    return get


def metadata(model: Model) -> dict[str, Any]:
    """The columns and outputs of a model, as the protocol tells them."""
    keys = list(label_names(model.signature))
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": f"mlpack_{model.manifest.form}",
        "inputs": [
            {
                "name": column.name,
                "datatype": _DATATYPES.get(column.type, "BYTES"),
                "shape": [-1],
                "parameters": _about(column, model),
            }
            for column in model.signature.columns
        ],
        "outputs": [
            {
                "name": output.name,
                "datatype": output.datatype,
                "shape": output.shape(-1),
                **({"parameters": {"labels": keys}} if output.name == "probabilities" else {}),
            }
            for output in _outputs(model.signature)
        ],
    }


def _about(column: Column, model: Model) -> dict[str, Any]:
    constraint = model.schema.columns.get(column.name)
    required = not column.nullable or (constraint is not None and constraint.required)
    about: dict[str, Any] = {"optional": not required}
    if column.type in _FORMATS:
        about["format"] = _FORMATS[column.type]
    return about


def routes(model: Model, ready: Callable[[], Reply]) -> Mapping[str, Route]:
    """The paths of the protocol.

    Args:
        model: the one that is served.
        ready: raises a ProblemError where the server is not.
    """

    def told(value: object, *, guarded: bool = True, probe: bool = False) -> Route:
        reply = Reply(msgspec.json.encode(value))

        def tell() -> Reply:
            if probe:
                ready()
            return reply

        return Route(method="GET", tell=tell, guarded=guarded, says_error=True)

    inference = Inference(model)
    infer = Route(method="POST", open=inference.open, says_error=True)
    about = told(metadata(model))
    probe = told({"name": model.name, "ready": True}, guarded=False, probe=True)
    state = {"name": model.name, "version": model.version, "state": "READY", "reason": ""}
    index = Reply(msgspec.json.encode([state]))
    server = {"name": model.name, "version": model.version, "extensions": EXTENSIONS}
    found = {
        "/v2": told(server),
        "/v2/health/live": told({"live": True}, guarded=False),
        "/v2/health/ready": told({"ready": True}, guarded=False, probe=True),
        "/v2/repository/index": Route(method="POST", tell=lambda: index, says_error=True),
    }
    path = f"/v2/models/{model.name}"
    for start in (path, f"{path}/versions/{model.version}"):
        found |= {start: about, f"{start}/ready": probe, f"{start}/infer": infer}
    return found
