"""Limits of time and memory for a conversion: some converters are known never to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.platform != "win32":
    import resource

SECONDS = 300
"""So long a conversion may take. A forest of a gigabyte takes some ten seconds."""

SHARE = 0.8
"""Of the machine's memory."""


@contextmanager
def limited(seconds: float = SECONDS, share: float = SHARE) -> Iterator[None]:
    """Within, the process ends by SIGALRM after some seconds, and a lack of memory is an error.

    The alarm has the system's own handler: it ends even code that never returns to Python. Who
    waits for the process goes on without what was made here.
    """
    if sys.platform == "win32":  # it has neither these limits nor alarms
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * share)
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with suppress(ValueError, OSError):  # macOS knows the limit and does not keep it
        resource.setrlimit(resource.RLIMIT_AS, (memory, before[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, before)
