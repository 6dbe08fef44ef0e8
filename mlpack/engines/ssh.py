"""An engine behind ssh: its socket, brought here by the user's own ``ssh``.

One connection carries everything, with the user's keys, agent, jump hosts and known hosts. The far
end runs ``cat``, which ends when this process does, however that happens, and the tunnel with it.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from mlpack.errors import InputError, OutsideError

ADDRESS = re.compile(
    r"ssh://(?P<login>(?:[A-Za-z_][A-Za-z0-9_.-]*@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>\d{1,5}))?(?P<socket>/[A-Za-z0-9._/-]+)?/?"
)
"""As Docker has it: ``ssh://user@host:port``, with the socket's path where it is another."""

SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 15


def to_try(found: re.Match[str]) -> str:
    """What a person types to see how an engine there is, of what `ADDRESS` has matched."""
    port = f"-p {found['port']} " if found["port"] else ""
    return f"ssh {port}{found['login']} docker version"


class Tunnel:
    """A socket on this machine that leads to the one there.

    Args:
        address: see `ADDRESS`.
        env: the environment in which ssh runs.

    Attributes:
        path: of the socket here.

    Raises:
        InputError: it is no address.
        OutsideError: ssh is not there, or does not get through.
    """

    def __init__(self, address: str, env: Mapping[str, str]) -> None:
        found = ADDRESS.fullmatch(address)
        if found is None:
            raise InputError(
                f"{address[:80]!r} is no address", hint='Such as: "ssh://deploy@server.example"'
            )
        program = shutil.which("ssh", path=env.get("PATH"))
        if program is None:
            raise OutsideError(
                "there is no ssh program", hint="Install it: apt-get install openssh-client"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="mlpack-ssh-"))
        self.path = self._folder / "docker.sock"
        options = ["BatchMode=yes", "ExitOnForwardFailure=yes", f"ConnectTimeout={CONNECT_SECONDS}"]
        options += ["ServerAliveInterval=15", "ControlMaster=no", "ControlPath=none"]
        argv = [program, "-T", *(word for option in options for word in ("-o", option))]
        argv += ["-L", f"{self.path}:{found['socket'] or SOCKET}"]
        argv += ["-p", found["port"]] if found["port"] else []
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*argv, "--", found["login"], "cat"],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            # Ctrl-C is for mlpack, which has something left to say to the engine then.
            start_new_session=True,
        )
        atexit.register(self.close)
        self._wait(found["login"], to_try(found))

    def _wait(self, login: str, tried: str) -> None:
        deadline = time.monotonic() + 2 * CONNECT_SECONDS
        while not self.path.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(errors="replace").strip()
                self.close()
                raise OutsideError(
                    f"ssh does not get through: {said.splitlines()[-1] if said else 'no answer'}",
                    where=login,
                    hint=f"Try: {tried}",
                )
            time.sleep(0.02)

    def close(self) -> None:
        """End the connection."""
        atexit.unregister(self.close)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
