"""The Open Inference Protocol v2 over gRPC: what its six methods answer, as routes of the server.

The methods, their messages and what they mean are those of `grpc_messages`; tensors are read and
answered as over HTTP, in the binary form. Nothing here is about the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..malformed import MalformedError
from ..model import Model
from ..predictions import Predictions, shown
from ..problems import ProblemError
from ..routes import Exchange, Headers, Reply, Route
from ..values import Clean
from . import grpc_messages as messages
from .inference import EXTENSIONS, Inference, metadata
from .tensors import Request, packed

SERVICE = "inference.GRPCInferenceService"
_KIND = b"application/grpc+proto"


def route_of(method: str) -> str:
    """Under what name a method of the service is among the routes, in metrics and in the log.

    It has no slash in front, so that it is no path of HTTP.
    """
    return f"grpc {method}"


METHODS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
)
"""What the service has."""


class _Exchange:
    """One ``ModelInfer``."""

    def __init__(self, inference: Inference, model: Model) -> None:
        self._inference = inference
        self._model = model
        self._request = Request([])

    def read(self, body: bytes) -> tuple[Any, ...] | Clean:
        asked = messages.infer_request(body)
        _check(self._model, asked.name, asked.version)
        self._request = asked.request
        self._inference.check(asked.request)
        return self._inference.rows(asked.request)

    def write(self, predictions: Predictions) -> Reply:
        outputs = [
            (
                output.name,
                output.datatype,
                output.shape(predictions.rows),
                packed(output.get(predictions)),
            )
            for output, _ in self._inference.wanted(self._request)
        ]
        model = self._model
        told = messages.infer_response(model.name, model.version, self._request.id, outputs)
        return Reply(told, _KIND)


def _check(model: Model, name: str, version: str) -> None:
    """Check that it is this model that is asked for.

    Raises:
        ProblemError: 404, it is another one.
    """
    if name != model.name or version not in ("", model.version):
        asked = shown(f"{name} {version}" if version else name)
        detail = f"there is no model {asked}, but {shown(f'{model.name} {model.version}')}"
        raise ProblemError(404, "not-found", detail)


def routes(model: Model, ready: Callable[[], object]) -> Mapping[str, Route]:
    """The methods of the service, each under its `route_of`.

    Args:
        model: the one that is served.
        ready: raises a ProblemError where the server is not.
    """
    inference = Inference(model)

    def infer(_headers: Headers) -> Exchange:
        return _Exchange(inference, model)

    def is_ready() -> Reply:
        try:
            ready()
        except ProblemError:
            return Reply(messages.truth(False), _KIND)
        return Reply(messages.truth(True), _KIND)

    def of_model(answer: Callable[[], Reply]) -> Callable[[bytes], Reply]:
        def told(body: bytes) -> Reply:
            try:
                _check(model, *messages.model_request(body))
            except MalformedError as error:
                raise ProblemError(400, "malformed-body", str(error)) from error
            return answer()

        return told

    live = Reply(messages.truth(True), _KIND)
    server = Reply(messages.server_metadata(model.name, model.version, EXTENSIONS), _KIND)
    about = Reply(messages.model_metadata(metadata(model)), _KIND)
    found = {
        "ServerLive": Route(method="POST", tell=lambda: live, guarded=False),
        "ServerReady": Route(method="POST", tell=is_ready, guarded=False),
        "ModelReady": Route(method="POST", told=of_model(is_ready), guarded=False),
        "ServerMetadata": Route(method="POST", tell=lambda: server),
        "ModelMetadata": Route(method="POST", told=of_model(lambda: about)),
        "ModelInfer": Route(method="POST", open=infer),
    }
    return {route_of(method): found[method] for method in METHODS}
