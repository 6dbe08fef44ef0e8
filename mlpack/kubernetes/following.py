"""The lines of a service's pods as they come, in one stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from mlpack.errors import OutsideError
from mlpack.kubernetes.cluster import Cluster

_LOOK_SECONDS = 5.0


def followed(
    cluster: Callable[[], Cluster],
    names: Callable[[], Sequence[str]],
    lines: int,
    now: Callable[[], float],
) -> Iterator[str]:
    """Lines with a pod's name before them, of those that come later too, until there are none.

    Args:
        cluster: connects to it; each pod is read through a connection of its own.
        names: the pods that answer now.
        lines: so many of those that were written before.
        now: tells the time in seconds, for looking for new pods now and then.
    """
    found: queue.Queue[tuple[str, str | None]] = queue.Queue(maxsize=1000)

    def read(name: str) -> None:
        try:
            for line in cluster().follow(name, lines):
                found.put((name, line))
        except OutsideError as error:
            found.put((name, f"({error.what})"))
        finally:
            found.put((name, None))

    open_now: set[str] = set()
    ended: set[str] = set()
    looked = float("-inf")
    while True:
        if not open_now or now() - looked >= _LOOK_SECONDS:
            looked = now()
            for name in names():
                if name not in open_now and name not in ended:
                    open_now.add(name)
                    threading.Thread(target=read, args=(name,), daemon=True).start()
        if not open_now:
            return
        try:
            name, line = found.get(timeout=_LOOK_SECONDS)
            while True:
                if line is None:
                    open_now.discard(name)
                    ended.add(name)
                else:
                    yield f"{name} {line}"
                name, line = found.get_nowait()
        except queue.Empty:
            continue
