"""Times as documents write them (RFC 3339, in UTC, whole seconds), and as ``SOURCE_DATE_EPOCH``."""

from __future__ import annotations

from datetime import datetime, timezone

from mlpack.errors import InputError

LATEST = 253_402_300_799
"""9999-12-31T23:59:59, the latest time that a document can tell; the earliest one is 0."""

_DIGITS = len(str(LATEST))


def written(epoch: int) -> str:
    """A time in seconds since 1970, such as ``2023-11-14T22:13:20Z``.

    Raises:
        InputError: it is before 1970, or after the year 9999.
    """
    if not 0 <= epoch <= LATEST:
        raise InputError(f"{epoch} seconds since 1970 is not of the years 1970 to 9999")
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> int | None:
    """What `written` wrote, in seconds since 1970; None where it is no time of those years."""
    try:
        found = int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= LATEST else None


def epoch(text: str) -> int | None:
    """The number in a variable such as ``SOURCE_DATE_EPOCH``; None where it is none, or no time."""
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > _DIGITS:
        return None
    found = int(text.lstrip("0") or "0")
    return found if found <= LATEST else None
