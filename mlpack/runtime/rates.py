"""How often each client may ask: a bucket of tokens for each, filled at a constant rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST = 10_000
"""Clients that are remembered. Of more, those with a full bucket are forgotten first."""


class Rates:
    """Counts what each client asks for. Used on one event loop.

    A client that was quiet may ask for a second's worth at once.

    Args:
        rate: requests a second.
        clock: seconds that only grow.
    """

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._clock = clock
        self._buckets: dict[Any, tuple[float, float]] = {}

    def wait(self, client: object) -> float:
        """Seconds until `client` may ask again; 0 if it may now, which is counted."""
        now = self._clock()
        tokens, when = self._buckets.get(client, (self._most, now))
        tokens = min(self._most, tokens + (now - when) * self._rate)
        if tokens < 1:
            return (1 - tokens) / self._rate
        if client not in self._buckets and len(self._buckets) >= MOST:
            self._forget(now)
        self._buckets[client] = (tokens - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Those who may ask for a whole second's worth again, or all if that is nobody."""
        kept = {
            client: (tokens, when)
            for client, (tokens, when) in self._buckets.items()
            if tokens + (now - when) * self._rate < self._most
        }
        self._buckets = kept if len(kept) < MOST else {}
