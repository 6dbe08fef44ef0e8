"""Runs the application with uvicorn: one process, or several on one socket."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from . import logs, workers
from .app import App
from .faults import ServerError
from .model import Model
from .settings import Settings

logger = logging.getLogger(__name__)


def serve(settings: Settings, folder: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code.

    Args:
        settings: how.
        folder: the data folder of a bundle; the artifact's own by default.

    Raises:
        ContractError, ModelError: the model cannot be loaded.
        ServerError: the address cannot be had.
        SettingsError: the file of API keys cannot be read.
    """
    logs.configure()
    listener = bind(settings.host, settings.port)
    with listener:
        if settings.workers == 1:
            return run(settings, listener, folder)
        model = Model(folder)  # refuses a damaged model here, and not in every worker again
        _announce(model, settings, listener)
        return workers.supervise(run, settings, listener, folder)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address.

    Raises:
        ServerError: it cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServerError(f"{host!r} is no address of this machine: {error.strerror}") from error
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"port {port} is in use: stop what runs there, or choose another with --port"
            ) from error
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def run(settings: Settings, listener: socket.socket, folder: Path | None) -> int:
    """Load the model and serve it on a bound socket; the process's exit code."""
    logs.configure()
    model = Model(folder)
    model.warm()
    log = None
    if settings.access_log:
        log = logs.AccessLog(logs.to_stderr, asyncio.get_running_loop)
    app = App(model, settings, log, lambda: server.should_exit)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Longer than the idle time of the common load balancers, which then close first.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.drain_seconds),
        )
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Reached before uvicorn listens to signals, and again when it passes on the one that
        # stopped it: a drained server has done what it was asked, so it ends with 0.
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # What is loaded stays: the collector need not look at it again in the middle of a request.
    gc.collect()
    gc.freeze()
    if not workers.is_worker():
        _announce(model, settings, listener)
    server.run(sockets=[listener])
    if log is not None:
        log.flush()
    return 0


def _announce(model: Model, settings: Settings, listener: socket.socket) -> None:
    """Say where the model is, and warn if anybody may ask it."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    form = model.manifest.form
    logger.info("serving %s %s (%s) on http://%s:%d", model.name, model.version, form, shown, port)
    if not settings.loopback and not settings.guarded:
        logger.warning(
            "anybody who reaches %s can ask for predictions: set MLPACK_API_KEYS to demand a key",
            host,
        )
