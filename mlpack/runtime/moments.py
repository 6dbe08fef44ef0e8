"""Dates and times: ISO 8601 from outside, ticks of the column's own unit inside.

A clean date or time is a ``numpy.datetime64`` in the unit that the column had in training (days,
seconds ... nanoseconds), in UTC where the column has a zone. Digits beyond the unit are cut off, as
numpy and pandas do. RFC 3339 is what is read, but for three liberties: seconds may be left out, a
space may stand for the T, and of a column without a zone a date alone is its midnight.
"""

from __future__ import annotations

import datetime as dt
import re

import numpy as np

from .contract import Column
from .kinds import TICKS, unit

_TEXT = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<digits>[0-9]{1,9}))?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)?"
)
_DAY = 86_400
_FIRST = int(np.datetime64("0001-01-01", "s").astype(np.int64))
_LAST = int(np.datetime64("9999-12-31T23:59:59", "s").astype(np.int64))
_NANOSECONDS = 2**63 // 10**9 - 1


def moment(value: object, column: Column) -> np.datetime64:
    """A text, or a date or time of Python, numpy or pandas, as a clean value.

    Raises:
        ValueError: it is no such thing, lacks an offset or has one unlike the column, or lies
            outside of the years that the column can hold.
    """
    if isinstance(value, np.datetime64) and column.zone is None:
        day = value.astype("datetime64[D]")
        value = str(day if column.type == "date" and day == value else value)
    elif isinstance(value, dt.date):
        if column.type == "date" and isinstance(value, dt.datetime):
            value = _midnight(value)
        value = value.isoformat()
    if not isinstance(value, str) or (found := _TEXT.fullmatch(value)) is None:
        raise ValueError("not a date or time")
    date, time, digits, offset = found.group("date", "time", "digits", "offset")
    if column.type == "date":
        if time is not None:
            raise ValueError("a time, not a date")
        _bounded(int(np.datetime64(date, "s").astype(np.int64)), 0, nanoseconds=False)
        return np.datetime64(date, "D")
    if (offset is None) != (column.zone is None):
        raise ValueError("with an offset, or without one, unlike the column")
    seconds = int(np.datetime64(date if time is None else f"{date}T{time}", "s").astype(np.int64))
    seconds -= _seconds(offset)
    held = unit(column)
    _bounded(seconds, _DAY if column.zone is not None else 0, nanoseconds=held == "ns")
    fraction = int((digits or "").ljust(9, "0"))
    ticks = seconds * TICKS[held] + fraction // (10**9 // TICKS[held])
    made: np.datetime64 = np.int64(ticks).view(f"datetime64[{held}]")
    return made


def _midnight(value: dt.datetime) -> dt.date:
    """The date of a time that is one: pandas has no other way to hold it in an array."""
    if value.tzinfo is not None or value.time() != dt.time():
        raise ValueError("a time, not a date")
    return value.date()


def _seconds(offset: str | None) -> int:
    if offset is None or offset in "Zz":
        return 0
    hours, minutes, seconds = (int(part) for part in f"{offset[1:]}:00".split(":")[:3])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("no such offset")
    total = hours * 3600 + minutes * 60 + seconds
    return -total if offset[0] == "-" else total


def _bounded(seconds: int, margin: int, *, nanoseconds: bool) -> None:
    """A margin keeps the local time within the calendar too."""
    low, high = _FIRST, _LAST
    if nanoseconds:
        low, high, margin = -_NANOSECONDS, _NANOSECONDS, _DAY
    if not low + margin <= seconds <= high - margin:
        raise ValueError("outside of the years that the column can hold")
