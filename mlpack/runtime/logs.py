"""Structured logs: one JSON object per line, on stderr."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from asyncio import AbstractEventLoop
from collections.abc import Callable

import msgspec

from .traceparent import caller

_FLUSH_SECONDS = 0.1
_MOST_LINES = 500


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    time: str
    level: str
    event: str
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    rows: int
    trace_id: str | None = None
    span_id: str | None = None


def stamp(seconds: float) -> str:
    """Seconds since 1970 as UTC, to the millisecond: ``2026-01-31T12:00:00.000Z``."""
    whole = int(seconds)
    parts = time.gmtime(whole)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', parts)}.{int((seconds - whole) * 1000):03d}Z"


class AccessLog:
    """A line per request, written together a tenth of a second later: one system call for many.

    Holds no query strings, headers or bodies: nothing secret.

    Args:
        write: takes the bytes of some lines.
        loop: calls back when it is time to write.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        loop: Callable[[], AbstractEventLoop],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._loop = loop
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._second = 0
        self._prefix = ""

    def add(
        self,
        request_id: str,
        method: str,
        path: str,
        status: int,
        seconds: float,
        rows: int,
        traceparent: bytes | None = None,
    ) -> None:
        """Note one request, and the span of its caller if a header names one."""
        now = self._clock()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = stamp(second)[:-4]
        if not self._lines:
            self._loop().call_later(_FLUSH_SECONDS, self.flush)
        when = f"{self._prefix}{int((now - second) * 1000):03d}Z"
        level = "error" if status >= 500 else "info"
        ms = round(seconds * 1000, 3)
        path = path[:200]
        line = _Line(when, level, "request", request_id, method, path, status, ms, rows)
        if traceparent is not None and (known := caller(traceparent)) is not None:
            trace_id, span_id = known
            line = msgspec.structs.replace(line, trace_id=trace_id, span_id=span_id)
        self._lines.append(self._encode(line))
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._write(b"\n".join(lines) + b"\n")


class JsonFormatter(logging.Formatter):
    """A log record as one JSON object; ``request_id`` if the record has one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        entry = {
            "time": stamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            entry["request_id"] = request_id
        if record.exc_info:
            entry["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return msgspec.json.encode(entry).decode()


def configure() -> None:
    """Send this process's log to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def fatal(message: str) -> None:
    """Log why this process ends before it served."""
    record = logging.makeLogRecord({"levelname": "ERROR", "levelno": logging.ERROR, "msg": message})
    sys.stderr.write(JsonFormatter().format(record) + "\n")


def to_stderr(data: bytes) -> None:
    """Write bytes to stderr at once."""
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()
