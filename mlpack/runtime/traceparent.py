"""Who called, as the header ``traceparent`` tells: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re

_PARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


def caller(header: bytes) -> tuple[str, str] | None:
    """The ids of the trace and the span of whoever called; None if the header tells neither.

    A version to come may say more behind what is known.
    """
    found = _PARENT.fullmatch(header)
    if found is None or (found[1] == b"00" and found[4] is not None):
        return None
    return found[2].decode("ascii"), found[3].decode("ascii")
