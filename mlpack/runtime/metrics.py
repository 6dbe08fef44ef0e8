"""What the server counts. Plain numbers, added up on the event loop's thread only.

They become a `Snapshot`, and that Prometheus' text in ``exposition``, when somebody asks; counting
costs no lock.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .contract import Signature
from .snapshot import Snapshot, pieces
from .watch import Counter, Watch

BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histogram, in seconds."""

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Upper bounds of the histogram of batches, in rows."""

_STARTED = time.time()
_STATM = Path("/proc/self/statm")


class Latency:
    """A histogram of seconds: how many fell into each bucket, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds


class Metrics:
    """Everything since the process started.

    Args:
        signature: the model's columns and what its training predicted.
        counter: looks at rows.

    Attributes:
        requests: by route and status.
        latency: by route.
        rows: rows that were answered.
        problems: by kind.
        refused: values that were refused, by column; the empty name stands for whole rows.
        active: requests in work.
        watch: what values and predictions look like.
        waiting: tells how long the line is.
        violated: tells how many values of each column failed a demand that refuses nothing.
        samples: tells how many requests were sampled, and how many could not be.
    """

    def __init__(self, signature: Signature, counter: Counter) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.latency: dict[str, Latency] = {}
        self.rows = 0
        self.problems: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.active = 0
        self.watch = Watch(counter, len(signature.columns))
        self.waiting: Callable[[], int] = lambda: 0
        self.violated: Callable[[], Mapping[str, int]] = dict
        self.samples: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._known = frozenset(column.name for column in signature.columns)
        self._batches = [0] * (len(BATCHES) + 1)
        self._batched = 0

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        latency = self.latency.get(route)
        if latency is None:
            latency = self.latency[route] = Latency()
        latency.add(seconds)

    def refuse(self, kind: str, columns: Iterable[str | None] = ()) -> None:
        """Count a problem, and the values at fault by column.

        Clients choose the names of columns that are none: those count as none.
        """
        self.problems[kind] = self.problems.get(kind, 0) + 1
        for column in columns:
            name = column if column in self._known else ""
            self.refused[name or ""] = self.refused.get(name or "", 0) + 1

    def batch(self, rows: int) -> None:
        """Count rows that went to the model together."""
        self._batches[bisect_left(BATCHES, rows)] += 1
        self._batched += rows

    def snapshot(self) -> Snapshot:
        """All figures of this moment."""
        watch = self.watch
        watch.count()
        sampled, dropped = self.samples()
        return Snapshot(
            requests=dict(self.requests),
            latency={route: (list(each.counts), each.sum) for route, each in self.latency.items()},
            problems=dict(self.problems),
            refused=dict(self.refused),
            violated=dict(self.violated()),
            rows=self.rows,
            seen=watch.rows,
            batches=list(self._batches),
            batched=self._batched,
            missing=watch.missing.tolist(),
            outside=watch.outside.tolist(),
            predicted=watch.predicted.tolist(),
            total=watch.total,
            sampled=sampled,
            dropped=dropped,
            cpu=time.process_time(),
            active=self.active,
            waiting=self.waiting(),
            recent=watch.recent().tolist(),
            numbers=pieces(watch.numbers()),
            memory=resident(),
            started=_STARTED,
            workers=1,
        )


def resident() -> int:
    """How many bytes of memory this process has; 0 where the system does not tell."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
