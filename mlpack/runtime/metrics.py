"""What the server counts. Plain numbers, added up on the event loop's thread only.

They become Prometheus' text in ``exposition``, when somebody asks; counting costs no lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histogram, in seconds."""


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
        columns: how many columns the model has.

    Attributes:
        requests: by route and status.
        latency: by route.
        rows: rows that were answered.
        refused: values that were refused, by column; the key None stands for whole rows.
        outside: values that training never saw, by the column's place in the signature.
        active: requests in work.
    """

    def __init__(self, columns: int) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.latency: dict[str, Latency] = {}
        self.rows = 0
        self.refused: dict[str | None, int] = {}
        self.outside = [0] * columns
        self.active = 0

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        latency = self.latency.get(route)
        if latency is None:
            latency = self.latency[route] = Latency()
        latency.add(seconds)

    def refuse(self, columns: Iterable[str | None]) -> None:
        """Count refused values."""
        for column in columns:
            self.refused[column] = self.refused.get(column, 0) + 1

    def drift(self, found: Iterable[tuple[int, int]]) -> None:
        """Count values that training never saw, as ``drift`` found them."""
        for index, count in found:
            self.outside[index] += count
