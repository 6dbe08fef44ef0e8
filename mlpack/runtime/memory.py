"""Keeps memory that a large request needed for the next one, instead of asking the system again."""

from __future__ import annotations

import numpy as np

_KEPT = 2**22


def keep() -> None:
    """Make the C library keep some megabytes of what is freed.

    glibc gives memory back at once in pieces larger than any that was freed before, and every page
    of it costs an interrupt when it is needed again: together as much as to read a CSV. To free one
    large piece, which is never touched and so takes no memory, teaches it better; others ignore it.
    """
    piece = np.empty(_KEPT, dtype=np.uint8)
    del piece
