"""The protocol of TensorFlow Serving and of KServe v1, which Vertex AI's containers speak too.

Rows come as ``{"instances": [...]}``, each an object, or a list with a value for every column; or
as columns, ``{"inputs": {...}}``. What else stands beside them (``parameters``,
``signature_name``) is for other servers and is ignored.

https://www.tensorflow.org/tfx/serving/api_rest,
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol,
https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..malformed import MalformedError
from ..model import Model
from ..predictions import Predictions, Refusal, shown
from ..problems import ProblemError
from ..routes import JSON, Exchange, Headers, Reply, Route
from ..settings import Settings
from ..values import Clean


class _Request(msgspec.Struct):
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Request).decode
_decode_lists = msgspec.json.Decoder(list[list[Any]]).decode
_decode_columns = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class _Exchange:
    """One request; columns are answered as columns."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._columns = False

    def read(self, body: bytes) -> tuple[Any, ...] | Clean:
        try:
            request = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._model.validator.decode(body)  # says what is wrong
        if instances := bytes(request.instances):
            return self._rows(instances)
        if inputs := bytes(request.inputs):
            self._columns = True
            return self._inputs(inputs)
        return _refused("a list of rows under instances, or columns under inputs", body)

    def _rows(self, data: bytes) -> tuple[Any, ...] | Clean:
        validator = self._model.validator
        if data[1:].lstrip(b" \t\r\n")[:1] == b"[":
            try:
                lists = _decode_lists(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the validator says what is wrong
            else:
                return self._lists(lists)
        return validator.decode(b'{"instances":' + data + b"}")

    def _lists(self, lists: list[list[Any]]) -> Clean:
        names = [column.name for column in self._model.signature.columns]
        for place, row in enumerate(lists):
            if len(row) != len(names):
                expected = f"an object with the columns, or a list of {len(names)} values"
                return Clean([], 0, (Refusal(place, None, expected, f"{len(row)} values"),))
        columns = dict(zip(names, map(list, zip(*lists, strict=True)), strict=True))
        return self._model.validator.columns(columns)

    def _inputs(self, data: bytes) -> Clean:
        try:
            columns = _decode_columns(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _refused("an object with a list for each column", data, "inputs")
        names = {column.name for column in self._model.signature.columns}
        for name, values in columns.items():
            if name not in names:
                return _refused("a column of the model", name, name)
            if not isinstance(values, list):
                return _refused("a list with a value for each row", values, name)
            if len(values) != len(next(iter(columns.values()))):
                raise MalformedError(f"the columns have different lengths: {shown(name)}")
            # Each row of a tensor may be a list of one.
            columns[name] = [
                value[0] if isinstance(value, list) and len(value) == 1 else value
                for value in values
            ]
        if not columns or not next(iter(columns.values())):
            return _refused("at least one row", None, "inputs")
        return self._model.validator.columns(columns)

    def write(self, predictions: Predictions) -> Reply:
        answers = self._model.answers
        if not self._columns:
            return Reply(b'{"predictions":' + _encode(answers.objects(predictions)) + b"}")
        objects = answers.objects(predictions)
        outputs: dict[str, Any] = {name: [each[name] for each in objects] for name in objects[0]}
        if predictions.probabilities is not None:
            columns = predictions.probabilities.T.tolist()
            outputs["probabilities"] = dict(zip(answers.names, columns, strict=True))
        return Reply(b'{"outputs":' + _encode(outputs) + b"}")


def _refused(expected: str, got: object, column: str | None = None) -> Clean:
    said = shown(got.decode("utf-8", "replace")) if isinstance(got, bytes) else shown(got)
    named = None if column is None else shown(column)[1:-1]
    return Clean([], 0, (Refusal(0, named, expected, said),))


def _opens(model: Model) -> Callable[[Headers], Exchange]:
    def opens(headers: Headers) -> Exchange:
        # Whoever names a type that is not JSON means another protocol; many clients name none.
        kind = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
        if not (kind.endswith(b"json") or kind == b"application/x-www-form-urlencoded"):
            detail = "send application/json"
            raise ProblemError(
                415, "unsupported-content-type", detail, headers=((b"accept", JSON),)
            )
        return _Exchange(model)

    return opens


def routes(model: Model, settings: Settings, ready: Callable[[], Reply]) -> Mapping[str, Route]:
    """The paths of the protocol, and those that Vertex AI names in the environment.

    Args:
        model: the one that is served.
        settings: has Vertex AI's paths.
        ready: raises a ProblemError where the server is not.
    """
    state = {
        "version": model.version,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    status = Reply(
        _encode({"name": model.name, "ready": True, "model_version_status": [state]}),
    )
    names = Reply(_encode({"models": [model.name]}))

    def tell() -> Reply:
        ready()
        return status

    predict = Route(method="POST", open=_opens(model), says_error=True)
    told = Route(method="GET", tell=tell, guarded=False, says_error=True)
    found = {"/v1/models": Route(method="GET", tell=lambda: names, says_error=True)}
    path = f"/v1/models/{model.name}"
    for start in (path, f"{path}/versions/{model.version}"):
        found |= {start: told, f"{start}:predict": predict}
    if settings.predict_route:
        found[settings.predict_route] = predict
    if settings.health_route:
        found[settings.health_route] = told
    return found
