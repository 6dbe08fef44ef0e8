"""Time, as an argument of whatever waits."""

from __future__ import annotations

import time
from collections.abc import Callable
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
