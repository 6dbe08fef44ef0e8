"""gRPC beside HTTP, in the same event loop: calls become requests to the same application.

Limits, keys, request ids, metrics and the log are therefore those of HTTP. The package ``grpcio``
is no part of what an artifact installs; it is imported where a setting asks for it, and else never.
"""

from __future__ import annotations

import importlib
import importlib.util
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .faults import ServerError
from .settings import Settings, SettingsError

_MISSING = (
    "MLPACK_GRPC_PORT is set, but the package grpcio is not installed: "
    "pip install grpcio, or unset MLPACK_GRPC_PORT"
)


class Calls(Protocol):
    """A server of gRPC."""

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ServerError: the address cannot be had.
        """
        ...

    async def stop(self, seconds: float) -> None:
        """Take no more calls, and wait so long for those in work."""
        ...


def made(served: Any, settings: Settings, listener: socket.socket) -> Calls | None:  # noqa: ANN401
    """The server of gRPC; None where none is asked for.

    Args:
        served: the ASGI application that answers.
        settings: the port and the limits.
        listener: where HTTP is spoken; gRPC is on the same address.

    Raises:
        SettingsError: ``grpcio`` is not installed.
    """
    if not settings.grpc_port:
        return None
    try:
        module = importlib.import_module(".grpc_server", __package__)
    except ImportError as error:
        raise SettingsError(_MISSING) from error
    host = listener.getsockname()[0]
    shown = f"[{host}]" if ":" in host else host
    found: Calls = module.Server(served, f"{shown}:{settings.grpc_port}", settings)
    return found


@contextmanager
def reserved(
    port: int,
    listener: socket.socket,
    find: Callable[[str], object] = importlib.util.find_spec,
) -> Iterator[None]:
    """Keep a port for the processes of this server: each of them listens on it.

    Args:
        port: 0 for none.
        listener: of the same address.
        find: finds a package, or returns None.

    Raises:
        SettingsError: ``grpcio`` is not installed.
        ServerError: somebody else has the port.
    """
    if not port:
        yield
        return
    if find("grpc") is None:
        raise SettingsError(_MISSING)
    with _held((listener.getsockname()[0], port), listener.family):
        yield


def _held(address: tuple[str, int], family: int) -> socket.socket:
    """A socket that has the address, and does not listen.

    Raises:
        ServerError: somebody else has it.
    """
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Who listens with SO_REUSEPORT, as gRPC does, shares with others of the same user: another
        # server's port must be refused here.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
        if hasattr(socket, "SO_REUSEPORT"):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(address)
    except OSError as error:
        held.close()
        raise ServerError(
            f"cannot listen on {address[0]} port {address[1]}, which MLPACK_GRPC_PORT names: "
            f"{error.strerror}"
        ) from error
    return held
