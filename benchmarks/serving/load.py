"""Starts servers on one core, and asks them from the other."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .contenders import Contender

SCRIPT = Path(__file__).with_name("load.lua")
PATIENCE = 90.0
"""Seconds within which a server must give its first answer."""
_MORE = 30


class FailedError(Exception):
    """A contender did not start, or answered wrongly; says how."""


def cores() -> tuple[int, int]:
    """The core of the servers and that of the load; the same where there is only one."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[-1]


def check() -> None:
    """End the program where a program that is needed is not there."""
    for name in ("wrk", "taskset"):
        _program(name)


def free_port() -> int:
    """A port of loopback with its next two free as well, as MLServer wants them."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = int(listener.getsockname()[1])
        try:
            for further in (port + 1, port + 2):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", further))
        except (OSError, OverflowError):
            continue
        return port


@dataclass(frozen=True)
class Load:
    """What wrk measured.

    Attributes:
        rate: answers a second.
        p50, p99: latencies in milliseconds.
        cpu: processor time of the server for an answer, in microseconds.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


class Server:
    """A contender's running processes; frozen while others are measured.

    Args:
        contender: what to start.
        core: where.
        log: takes what it writes.
        first: the body whose answer tells that it serves.

    Attributes:
        first_ms: from the start of the process to the first prediction.

    Raises:
        FailedError: it ended, or gave no answer in time.
    """

    def __init__(self, contender: Contender, core: int, log: Path, first: bytes) -> None:
        self.contender = contender
        self.port = free_port()
        self._log = log
        argv, variables = contender.command(self.port)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        # As an image has it: bytecode is used, and nothing of this program's environment leaks in.
        for name in ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"):
            environment.pop(name, None)
        if "PYTHONPATH" not in variables:
            environment.pop("PYTHONPATH", None)
        with log.open("wb") as out:
            began = time.perf_counter()
            self.process = self._spawn(argv, environment, core, out)
        try:
            self._await(contender.path, first)
        except FailedError:
            self.stop()
            raise
        self.first_ms = (time.perf_counter() - began) * 1000

    def _spawn(
        self, argv: Sequence[str], environment: dict[str, str], core: int, out: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [_program("taskset"), "--cpu-list", str(core), *argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=self._log.parent,
            start_new_session=True,
        )

    def _await(self, path: str, body: bytes) -> None:
        deadline = time.perf_counter() + PATIENCE
        said = "no connection"
        while time.perf_counter() < deadline:
            if self.process.poll() is not None:
                raise FailedError(f"it ended with {self.process.returncode}: {self.tail()}")
            try:
                status, answer = self.ask(path, "application/json", body)
            except (OSError, http.client.HTTPException):
                time.sleep(0.002)
                continue
            if status == 200:
                return
            said = f"{status} {answer[:300].decode(errors='replace')}"
            if status in (400, 422):
                break
            time.sleep(0.02)
        raise FailedError(f"no prediction: {said}; {self.tail()}")

    def ask(self, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        """One request on a connection of its own: the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wrk(
        self, bodies: Path, seconds: int, connections: int, content_type: str, path: str
    ) -> Load:
        """Load it with the bodies of a folder, in turn.

        Where no answer came in that time, it gets thirty times as much.

        Raises:
            FailedError: there was no answer, one was no 2xx, or a connection broke.
        """
        found = self._wrk(bodies, seconds, connections, content_type, path)
        if not found["requests"]:
            found = self._wrk(bodies, _MORE * seconds, connections, content_type, path)
        if found["bad"] or found["broken"]:
            raise FailedError(
                f"{found['bad']} answers were errors and {found['broken']} connections broke"
            )
        if not found["requests"]:
            raise FailedError(f"no answer in {_MORE * seconds} s")
        count = found["requests"]
        return Load(
            count / found["seconds"], found["p50"], found["p99"], found["cpu"] / count * 1e6
        )

    def _wrk(
        self, bodies: Path, seconds: int, connections: int, content_type: str, path: str
    ) -> dict[str, Any]:
        self.thaw()
        before = self._processor_seconds()
        argv = [_program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
        argv += ["-s", str(SCRIPT), f"http://127.0.0.1:{self.port}{path}", "--"]
        try:
            done = subprocess.run(
                [*argv, content_type, str(bodies)], capture_output=True, text=True, check=False
            )
        finally:
            self.freeze()
        if done.returncode:
            raise FailedError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return {**found, "cpu": self._processor_seconds() - before}

    def _processor_seconds(self) -> float:
        """What its processes used so far, threads that ended included; in steps of a tick."""
        ticks = 0
        for pid in _family(self.process.pid):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def freeze(self) -> None:
        """Take its processes off the core."""
        _signal(_family(self.process.pid), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        _signal(_family(self.process.pid), signal.SIGCONT)

    def megabytes(self) -> float:
        """Resident memory; of several processes, with what they share counted once."""
        found = _family(self.process.pid)
        if len(found) == 1:
            return _kilobytes(found[0], "status", "VmRSS") / 1000 * 1.024
        return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in found) / 1000 * 1.024

    def tail(self) -> str:
        """The end of what it wrote."""
        text = self._log.read_text(errors="replace").strip()
        return " ".join(text[-400:].split())

    def stop(self) -> None:
        """End its processes."""
        self.thaw()
        everybody = _family(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _signal(everybody[1:], signal.SIGKILL)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _family(pid: int) -> list[int]:
    """A process and all that came from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _kilobytes(pid: int, file: str, key: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    return 0


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        sys.exit(f"{name} is not there: apt-get install {'wrk' if name == 'wrk' else 'util-linux'}")
    return path
