"""Other programs, run as processes from argument lists: there is no shell anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpack.errors import OutsideError

GRACE = 1.0
"""Seconds that a process which has ended gets at least until its output is read."""


_INTERRUPTIONS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@dataclass(frozen=True)
class Completed:
    """How a process ended: its exit code and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs a program to its end. Takes the place of `run` where a test wants another."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `argv`; see `run`."""
        ...


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program to its end and return its exit code and output, whatever the code.

    Args:
        argv: the program and its arguments.
        cwd: the folder to run it in.
        env: the whole environment; the present one if None.
        stdin: text for its standard input; empty if None.
        timeout: seconds after which it is killed, with its children.
        on_line: called with each line of standard error as it comes.

    Raises:
        OutsideError: the program is not there, or took longer than `timeout`.
    """
    process = _known(argv, cwd, env)
    lines: list[str] = []
    out: list[str] = []

    def feed() -> None:
        # It may end without reading its input; its exit code tells.
        with contextlib.suppress(BrokenPipeError):
            if process.stdin:
                process.stdin.write(stdin or "")
                process.stdin.close()

    def read_stderr() -> None:
        for line in process.stderr or ():
            lines.append(line)
            if on_line:
                on_line(line.rstrip("\n"))

    def read_stdout() -> None:
        out.extend(process.stdout or ())

    pipes = [
        threading.Thread(target=serve, daemon=True) for serve in (feed, read_stderr, read_stdout)
    ]
    start = time.monotonic()
    try:
        for pipe in pipes:
            pipe.start()
        code = process.wait(timeout)
        for pipe in pipes:
            # A child that it left behind may hold the pipes open.
            pipe.join(None if timeout is None else max(start + timeout - time.monotonic(), GRACE))
            if pipe.is_alive():
                raise subprocess.TimeoutExpired(list(argv), timeout or 0)
    except subprocess.TimeoutExpired as error:
        kill(process)
        raise OutsideError(f"{Path(argv[0]).name} did not end within {timeout:g} s") from error
    except BaseException:
        kill(process)
        raise
    return Completed(tuple(argv), code, "".join(out), "".join(lines))


def _start(
    argv: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        if cwd is not None and not cwd.is_dir():
            raise OutsideError(f"there is no folder {str(cwd)!r} to run {argv[0]!r} in") from error
        raise OutsideError(f"the program {argv[0]!r} is not there") from error
    except PermissionError as error:
        raise OutsideError(f"may not run the program {argv[0]!r}") from error


def _known(
    argv: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    """A started process. An interruption waits until it is known, and can be ended again."""
    if threading.current_thread() is not threading.main_thread():
        return _start(argv, cwd, env)
    waiting: list[int] = []
    before = {}
    for number in _INTERRUPTIONS:
        if signal.getsignal(number) is not None:
            before[number] = signal.signal(number, lambda number, _: waiting.append(number))
    try:
        process = _start(argv, cwd, env)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        kill(process)
        signal.raise_signal(waiting[0])
    return process


def become(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Go on as another program, with this one's terminal; where that cannot be, wait for it."""
    if os.name == "posix":
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 - an argument list, no shell
    return subprocess.call(list(argv), env=dict(env))


def kill(process: subprocess.Popen[str]) -> None:
    """End a process, and its children where the system knows process groups."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):  # it is gone already
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
