"""Several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

_AT_ONCE = 4

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def at_once(do: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """What `do` answers for each of the items, four at a time, in the order in which it is done.

    Where one fails, those that were not begun are not, and its error is raised.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        waiting = [pool.submit(do, item) for item in items]
        for each in as_completed(waiting):
            yield each.result()
    finally:
        pool.shutdown(cancel_futures=True)
