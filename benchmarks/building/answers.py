"""Asking an image: two that do not answer alike are not compared."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import running
from running import FailedError

PATIENCE = 60.0
# Whatever proxy there is, the containers are here.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def prediction(docker: str, image: str, row: dict[str, Any]) -> Any:
    """What an image answers to one row; it is started for that, and removed.

    Raises:
        FailedError: it does not answer.
    """
    with _running(docker, image) as url:
        request = urllib.request.Request(
            f"{url}/predict", json.dumps(row).encode(), {"Content-Type": "application/json"}
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with _OPENER.open(request, timeout=10) as answer:
                    return json.loads(answer.read())["predictions"]
            except urllib.error.HTTPError as error:
                raise FailedError(f"{image} answers {error.code}: {error.read()[:500]!r}") from None
            except OSError as error:
                if time.monotonic() > end:
                    raise FailedError(f"{image} does not answer: {error}") from error
                time.sleep(0.1)


@contextlib.contextmanager
def _running(docker: str, image: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = [docker, "run", "--detach", "--publish", f"127.0.0.1:{port}:8080", image]
    container = running.run(start, Path.cwd()).strip()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.run([docker, "rm", "--force", container], Path.cwd())
