"""Several processes on one socket: started, replaced when one dies, drained together."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from .gathering import Gathering
from .settings import Settings

Run = Callable[[Settings, socket.socket, Path | None, Connection | None], int]

_PAUSE = 1.0
"""Seconds to wait before a dead worker is replaced, so that a broken one does not spin."""

logger = logging.getLogger(__name__)


def is_worker() -> bool:
    """Whether this process was started by `supervise`."""
    return multiprocessing.parent_process() is not None


def supervise(run: Run, settings: Settings, listener: socket.socket, folder: Path | None) -> int:
    """Run workers until SIGTERM or SIGINT; the process's exit code.

    Args:
        run: what each worker does, a function of a module; its last argument is a pipe, through
            which it tells and asks for figures.
        settings: given to it, and how many workers and how long they may take to end.
        listener: given to it.
        folder: given to it.
    """
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    gathering = Gathering()

    def start() -> SpawnProcess:
        return _start(run, settings, listener, folder, gathering)

    started = [start() for _ in range(settings.workers)]
    while not stopping.wait(0.2):
        for place, process in enumerate(started):
            if process.is_alive():
                continue
            logger.error("worker %d ended with code %s", process.pid, process.exitcode)
            if not stopping.wait(_PAUSE):
                started[place] = start()
    # Who connects from now on is refused as soon as the last worker has stopped listening.
    listener.close()
    for process in started:
        process.terminate()
    deadline = time.monotonic() + settings.linger_seconds + settings.drain_seconds + 5
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
    return 0


def _start(
    run: Run,
    settings: Settings,
    listener: socket.socket,
    folder: Path | None,
    gathering: Gathering,
) -> SpawnProcess:
    # Spawned, not forked: ONNX Runtime and numpy have threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with gathering.join() as pipe:
        process = context.Process(target=_work, args=(run, settings, listener, folder, pipe))
        process.start()
    return process


def _work(
    run: Run, settings: Settings, listener: socket.socket, folder: Path | None, pipe: Connection
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    raise SystemExit(run(settings, listener, folder, pipe))


def _end_with_parent() -> None:
    """Stop this worker when its supervisor is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
