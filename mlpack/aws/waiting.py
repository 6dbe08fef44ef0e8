"""Waiting for what AWS does by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlpack.delivery.clock import Clock

T = TypeVar("T")


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
