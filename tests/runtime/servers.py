"""A server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx


class Server:
    """A server process; its log is collected."""

    def __init__(self, root, *arguments, **environ) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "churn", "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=root,
        )
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.ready.wait(30), self.lines
        found = re.search(r"(https?)://[^ \"]+:(\d+)", "\n".join(self.lines))
        assert found, self.lines
        self.port = int(found[2])
        self.url = f"{found[1]}://127.0.0.1:{self.port}"
        for _ in range(200):
            try:
                httpx.get(self.url + "/readyz", timeout=5, verify=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "serving churn" in line:
                self.ready.set()
        self.ready.set()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.reader.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
