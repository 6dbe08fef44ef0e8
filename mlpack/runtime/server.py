"""Runs the application with uvicorn: one process, or several on one socket."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import FrameType

import uvicorn

from . import logs, machine, operating, samples, workers
from .app import App
from .connections import PATIENCE, Connection, Sweeper
from .faults import ServerError
from .gathering import Link
from .model import Model
from .settings import Settings

logger = logging.getLogger(__name__)

_TICK = 0.05
"""Seconds between looks at whether a second signal came."""


def serve(settings: Settings, folder: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code.

    Args:
        settings: how.
        folder: the data folder of a bundle; the artifact's own by default.

    Raises:
        ContractError, ModelError: the model cannot be loaded.
        ServerError: the address cannot be had.
        SettingsError: the file of API keys cannot be read.
        FileError: the file of samples cannot be written.
    """
    logs.configure()
    if settings.sample_file is not None:
        samples.check(settings.sample_file)
    here = machine.read()
    listener = bind(settings.host, settings.port)
    with listener:
        if settings.workers == 1 or (not settings.workers and here.whole == 1):
            return run(operating.laid_out(settings, here, loaded=False), listener, folder)
        model = Model(folder)  # refuses a damaged model here, and not in every worker again
        settings = operating.laid_out(settings, here, loaded=True)
        if settings.workers > 1:
            _announce(model, settings, listener)
            del model
            return workers.supervise(run, settings, listener, folder)
        del model
        return run(settings, listener, folder)


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


def run(
    settings: Settings, listener: socket.socket, folder: Path | None, pipe: Pipe | None = None
) -> int:
    """Load the model and serve it on a bound socket; the process's exit code.

    Args:
        settings: how.
        listener: the socket.
        folder: the data folder of a bundle; the artifact's own by default.
        pipe: to the process that started this one, if it started several.
    """
    logs.configure()
    model = Model(folder)
    model.warm()
    log = None
    if settings.access_log:
        log = logs.AccessLog(logs.to_stderr, asyncio.get_running_loop)
    app = App(model, settings, log)
    link = None
    if pipe is not None:
        link = Link(pipe, app.metrics.snapshot)
        app.collect = link.collect
    served, farewells = operating.surrounded(app, model, settings, os.environ)
    server = _Server(
        app,
        settings,
        link,
        uvicorn.Config(
            served,
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Longer than the idle time of the common load balancers, which then close first.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.drain_seconds),
        ),
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
    for farewell in farewells:
        farewell()
    if log is not None:
        log.flush()
    return 0


class _Server(uvicorn.Server):
    """uvicorn's server, with somebody who closes what stands still, and with a slower farewell."""

    def __init__(
        self, app: App, settings: Settings, link: Link | None, config: uvicorn.Config
    ) -> None:
        super().__init__(config)
        self._app = app
        self._link = link
        self._linger_seconds = settings.linger_seconds
        self._sweeper = Sweeper(self.server_state.connections, settings.stall_seconds)
        self._sweeping: asyncio.Task[None] | None = None
        self._terminated = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, at once if it is asked for from the keyboard."""
        self._terminated = sig == signal.SIGTERM
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self._link is not None:
            self._link.start()
        self._sweeping = asyncio.create_task(self._sweeper.run())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let everybody know, answer those who do not know yet, and wait for what is in work."""
        self._app.drain()
        if self._terminated:
            ticks = int(self._linger_seconds / _TICK)
            for _ in range(ticks):
                if self.force_exit:  # a second signal
                    break
                await asyncio.sleep(_TICK)
        if self._sweeping is not None:
            self._sweeping.cancel()
        waiting = [listener.dup() for listener in sockets or ()]
        closing = asyncio.create_task(super().shutdown(sockets))
        await asyncio.sleep(0)  # it has stopped listening
        for listener in waiting:
            await self._last(listener)
        await closing

    async def _last(self, listener: socket.socket) -> None:
        """Take the connections that nobody had taken yet, which closing would reset."""
        loop = asyncio.get_running_loop()
        with listener:
            listener.setblocking(False)
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.setblocking(False)
                _, protocol = await loop.connect_accepted_socket(
                    self._connection, connection, ssl=self.config.ssl
                )
                loop.call_later(PATIENCE, protocol.close_if_silent)

    def _connection(self) -> Connection:
        return Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


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
