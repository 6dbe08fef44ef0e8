"""A model's own server as a process of this machine, and how fast it answers."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import OutsideError

_WHERE = re.compile(r"http://127\.0\.0\.1:(\d+)")
_SECONDS = 60.0
_TICK = 0.002


@dataclass(frozen=True)
class Reply:
    """What a server answered, and in how many seconds."""

    status: int
    body: bytes
    seconds: float


class Served:
    """A server that runs while this is open.

    Args:
        model: its files.
        python: of its environment.
        env: of its process.

    Attributes:
        start_seconds: from the start of its process until it answered that it is ready.

    Raises:
        OutsideError: it cannot be started, or does not get ready.
    """

    def __init__(self, model: Unpacked, python: Path, env: Mapping[str, str]) -> None:
        self._where = f"{model.manifest.name} {model.manifest.version}"
        # A file and no pipe, which a long log would fill while nobody reads it.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        began = time.perf_counter()
        words = ("serve", "--host", "127.0.0.1", "--port", "0")
        try:
            self._process = subprocess.Popen(
                [str(python), "-m", model.manifest.package, *words],
                cwd=model.library,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise OutsideError(
                f"its server cannot be started: {error.strerror}", where=self._where
            ) from error
        try:
            self._port = self._told(began)
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
            while not self._ready():
                if time.perf_counter() - began > _SECONDS or self._process.poll() is not None:
                    raise OutsideError("its server did not get ready", where=self._where)
                time.sleep(_TICK)
        except BaseException:
            self._end()
            raise
        self.start_seconds = time.perf_counter() - began

    def __enter__(self) -> Served:  # noqa: PYI034 - nobody derives from it
        """The server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._end()

    def ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """One request, on the same connection as the ones before.

        Raises:
            OutsideError: it does not answer.
        """
        try:
            try:
                return self._once(method, path, body)
            except (http.client.RemoteDisconnected, BrokenPipeError):
                self._connection.close()  # it was idle for too long
                return self._once(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # what is left of this answer belongs to no other
            raise OutsideError(f"its server does not answer: {error}", where=self._where) from error

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a body of JSON; errors as in `ask`."""
        reply = self.ask("POST", path, body)
        return reply.status, reply.body

    def _once(self, method: str, path: str, body: bytes | None) -> Reply:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        began = time.perf_counter()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        return Reply(response.status, content, time.perf_counter() - began)

    def _ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == http.HTTPStatus.OK
        except OutsideError:
            self._connection.close()
            return False

    def megabytes(self) -> float:
        """What its process holds in memory, in units of 1,000,000 bytes; 0 where nobody tells."""
        program = shutil.which("ps")
        if program is None:
            return 0.0
        argv = [program, "-o", "rss=", "-p", str(self._process.pid)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return sum(map(int, done.stdout.split())) * 1024 / 1e6

    def _told(self, began: float) -> int:
        """The port, as its log tells it."""
        while True:
            ended = self._process.poll() is not None
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")
            found = _WHERE.search(said)
            if found:
                return int(found[1])
            if ended or time.perf_counter() - began > _SECONDS:
                last = " ".join(said.split())[-400:]
                raise OutsideError(f"its server did not start: {last}", where=self._where)
            time.sleep(_TICK)

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()
