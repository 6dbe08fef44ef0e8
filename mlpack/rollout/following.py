"""The lines of several containers as they come, in one stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping

import docker
from urllib3.exceptions import HTTPError


def followed(client: docker.DockerClient, names: Mapping[str, str], lines: int) -> Iterator[str]:
    """Lines with a container's short name before them, until all containers have ended.

    Args:
        client: of the engine.
        names: the containers' names, by the short ones.
        lines: so many of those that were written before.
    """
    found: queue.Queue[str | None] = queue.Queue(maxsize=1000)

    def read(short: str, name: str) -> None:
        try:
            rest = b""
            for piece in client.api.logs(name, stream=True, follow=True, tail=lines):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    found.put(f"{short} {line.decode(errors='replace')}")
            if rest:
                found.put(f"{short} {rest.decode(errors='replace')}")
        except (docker.errors.DockerException, HTTPError, OSError) as error:
            found.put(f"{short} (the engine says no more: {error})")
        finally:
            found.put(None)

    for short, name in names.items():
        threading.Thread(target=read, args=(short, name), daemon=True).start()
    left = len(names)
    while left:
        line = found.get()
        if line is None:
            left -= 1
        else:
            yield line
