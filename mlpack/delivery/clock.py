"""Time, as an argument of whatever waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Tells the time and lets it pass; a test has one of its own.

    Attributes:
        now: seconds since 1970.
        sleep: wait so many seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def ticks(self, seconds: float, every: float) -> Iterator[float]:
        """Wait again and again; each time so many seconds have passed, in the end all of them.

        Args:
            seconds: how long in all.
            every: how long each time.
        """
        began = self.now()
        passed = 0.0
        while passed < seconds:
            self.sleep(min(every, seconds - passed))
            passed = self.now() - began
            yield passed
