"""Runs the application with uvicorn: one process, or several on one socket."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import ssl
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import FrameType

import uvicorn

from . import calls, logs, machine, operating, samples, workers
from .app import App
from .connections import PATIENCE, Connection, Sweeper
from .faults import ServerError
from .gathering import Link
from .model import Model
from .settings import Settings, SettingsError

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
        ServerError: an address cannot be had.
        SettingsError: the file of API keys cannot be read, or what gRPC needs is not installed.
        FileError: the file of samples cannot be written.
    """
    logs.configure()
    if settings.sample_file is not None:
        samples.check(settings.sample_file)
    _check_certificate(settings)
    here = machine.read()
    listener = bind(settings.host, settings.port)
    with listener, calls.reserved(settings.grpc_port, listener):
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


def _check_certificate(settings: Settings) -> None:
    """End here, and not in every worker, where the files cannot be used."""
    key = settings.tls_key
    if settings.tls_cert is None or key is None:
        return
    files = (("TLS_CERT", settings.tls_cert, "CERTIFICATE"), ("TLS_KEY", key, "PRIVATE KEY"))
    for name, path, part in files:
        try:
            content = path.read_text(encoding="latin-1")
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            raise SettingsError(f"MLPACK_{name} is {path}, which {why}") from error
        if f"{part}-----" not in content:
            raise SettingsError(f"MLPACK_{name} is {path}, which has no {part.lower()} in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password would be asked for on a terminal that nobody looks at.
        context.load_cert_chain(settings.tls_cert, key, password=lambda: "")
    except ssl.SSLError as error:
        matching = error.reason == "KEY_VALUES_MISMATCH"
        why = "it is another one's key" if matching else "give it in PEM and without a password"
        raise SettingsError(
            f"MLPACK_TLS_KEY is {key}, which cannot be used with the certificate "
            f"{settings.tls_cert}: {why}"
        ) from error


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
    called = calls.made(served, settings, listener)
    server = _Server(
        app,
        settings,
        link,
        called,
        uvicorn.Config(
            served,
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
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
        self,
        app: App,
        settings: Settings,
        link: Link | None,
        called: calls.Calls | None,
        config: uvicorn.Config,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._link = link
        self._called = called
        self._linger_seconds = settings.linger_seconds
        self._drain_seconds = settings.drain_seconds
        self._sweeper = Sweeper(self.server_state.connections, settings.stall_seconds)
        self._sweeping: asyncio.Task[None] | None = None
        self._terminated = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, at once if it is asked for from the keyboard."""
        self._terminated = sig == signal.SIGTERM
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; to calls first, so that who is told to be ready is ready for them."""
        if self._called is not None:
            await self._called.start()
        await super().startup(sockets)
        if self._called is not None and self.should_exit:  # told to stop before it was ready
            await self._called.stop(0)
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
        hanging_up = asyncio.create_task(self._hang_up())
        ending = asyncio.create_task(self._end_silent())
        await asyncio.sleep(0)  # it has stopped listening
        for listener in waiting:
            await self._last(listener)
        await closing
        ending.cancel()
        await hanging_up

    async def _hang_up(self) -> None:
        """Take no more calls over gRPC, and wait for those in work."""
        if self._called is None:
            return
        stopping = asyncio.create_task(self._called.stop(self._drain_seconds))
        while not (await asyncio.wait((stopping,), timeout=_TICK))[0]:
            if self.force_exit:
                await self._called.stop(0)
        await stopping

    async def _end_silent(self) -> None:
        """End connections that are closed but for the client's farewell.

        With TLS a client should say that it has heard; many that idle never do.
        """
        while self.config.is_ssl:
            await asyncio.sleep(PATIENCE)
            for connection in tuple(self.server_state.connections):
                transport = connection.transport
                if transport.is_closing() and not transport.get_write_buffer_size():
                    transport.abort()

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
    scheme = "http" if settings.tls_cert is None else "https"
    told = (model.name, model.version, form, scheme, shown, port)
    logger.info("serving %s %s (%s) on %s://%s:%d", *told)
    if settings.grpc_port:
        logger.info("the Open Inference Protocol over gRPC is on %s:%d", shown, settings.grpc_port)
    if not settings.loopback and not settings.guarded:
        logger.warning(
            "anybody who reaches %s can ask for predictions: set MLPACK_API_KEYS to demand a key",
            host,
        )
