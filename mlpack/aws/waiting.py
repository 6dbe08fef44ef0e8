"""Waiting for what AWS does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """Tells the time, in seconds since 1970, and lets it pass."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def until(
    look: Callable[[], T | None], clock: Clock, seconds: float, pause: float = 5.0
) -> T | None:
    """What `look` finds, asked again and again; None where it found nothing in time.

    Args:
        look: answers None while there is nothing.
        clock: waits.
        seconds: how long at most.
        pause: seconds between looks; the first ones come sooner.
    """
    end = clock.now() + seconds
    wait = min(0.5, pause)
    while True:
        found = look()
        if found is not None:
            return found
        left = end - clock.now()
        if left <= 0:
            return None
        clock.sleep(min(wait, left))
        wait = min(pause, wait * 1.5)
