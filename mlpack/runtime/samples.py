"""Sampled requests: what one is, and the file of JSON lines that they are written to and read from.

The file is rotated: FILE, then FILE.1 (the one before it) to FILE.3. Several workers write to the
same file, each line with one call; who rotates holds a lock on it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import importlib
import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from .faults import FileError

FILES = 4
"""How many files there are, the current one included; each may have its part of the bytes."""

MOST_WAITING = 16_000_000
"""So many bytes wait to be written at most; what comes then is dropped and counted."""

_PAUSE = 0.5
_FAREWELL = 5.0
"""Seconds that a hanging disk may keep the process from ending."""

logger = logging.getLogger(__name__)


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request and its answer. A body that is no UTF-8 text stands in Base64.

    Attributes:
        time: when it was answered, in UTC.
        request_id: as in the log.
        method, path: what was asked; never a query, which may hold a token.
        headers: those that say how the body is to be read and answered; never keys.
        body, body_base64: the request's.
        status: of the answer.
        answer_type: the answer's content type.
        answer, answer_base64: its body.
        model, version, sha256: which model answered.
    """

    time: str
    request_id: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    body_base64: str | None = None
    status: int
    answer_type: str = ""
    answer: str | None = None
    answer_base64: str | None = None
    model: str
    version: str
    sha256: str

    @property
    def body_bytes(self) -> bytes:
        """The request's body."""
        return _bytes(self.body, self.body_base64)

    @property
    def answer_bytes(self) -> bytes:
        """The answer's body."""
        return _bytes(self.answer, self.answer_base64)


def packed(data: bytes) -> tuple[str | None, str | None]:
    """Bytes as text, or else as Base64."""
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(data).decode("ascii")


def _bytes(text: str | None, packed: str | None) -> bytes:
    return base64.b64decode(packed, validate=True) if packed is not None else (text or "").encode()


def read(path: Path) -> Iterator[Sample]:
    """The samples in a file.

    Raises:
        FileError: it cannot be read, or a line of it is no sample.
    """
    decoder = msgspec.json.Decoder(Sample)
    number = 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                number += 1
                sample = decoder.decode(line)
                _ = sample.body_bytes, sample.answer_bytes
                yield sample
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, binascii.Error) as error:
        raise FileError(f"{path}, line {number}: no sampled request: {error}") from error


def check(path: Path) -> None:
    """Check that samples can be written to a file, which is made if it is not there.

    Raises:
        FileError: they cannot.
    """
    try:
        os.close(_open(path))
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from error


class Writer:
    """Writes samples in a thread of its own, some at once; whoever adds one never waits.

    Args:
        path: the file.
        most: how many bytes all files may have together.

    Attributes:
        written: how many samples were.

    Raises:
        FileError: the file cannot be written.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._each = most // FILES
        self._waiting: deque[tuple[int, Callable[[], Sample]]] = deque()
        # The bytes of what was ever added and ever taken: each is changed by one thread only.
        self._added = 0
        self._taken = 0
        self._encode = msgspec.json.Encoder().encode
        self._failing = False
        self._stop = threading.Event()
        self._refused = 0
        self._lost = 0
        self.written = 0
        try:
            self._file = _open(path)
        except OSError as error:
            raise FileError(f"{path} cannot be written: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many samples could not be written."""
        return self._refused + self._lost

    def add(self, size: int, make: Callable[[], Sample]) -> None:
        """Write a sample soon.

        Args:
            size: about how many bytes it has.
            make: makes it, in the other thread.
        """
        if self._added - self._taken + size > MOST_WAITING:
            self._refused += 1
            return
        self._added += size
        self._waiting.append((size, make))

    def close(self) -> None:
        """Write what waits, and end."""
        self._stop.set()
        self._thread.join(_FAREWELL)
        if not self._thread.is_alive():
            os.close(self._file)

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self._write()
        self._write()

    def _write(self) -> None:
        while self._waiting:
            size, make = self._waiting.popleft()
            self._taken += size
            line = self._encode(make()) + b"\n"
            if len(line) > self._each:
                self._lost += 1
                continue
            try:
                self._append(line)
            except OSError as error:
                self._lost += 1
                if not self._failing:
                    self._failing = True
                    logger.warning("%s cannot be written: %s", self._path, error.strerror or error)
            else:
                self.written += 1
                self._failing = False

    def _append(self, line: bytes) -> None:
        while True:
            with self._locked():
                size = os.fstat(self._file).st_size
                if size and size + len(line) > self._each:
                    self._rotate()
                    continue  # to the file that is there now, which others may have begun
                if os.write(self._file, line) != len(line):
                    # The disk is full. Half a line would spoil what comes after it.
                    os.ftruncate(self._file, size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the current file, which another worker may just have renamed."""
        while True:
            _lock(self._file, hold=True)
            if _is(self._file, self._path):
                break
            self._reopen()
        try:
            yield
        finally:
            _lock(self._file, hold=False)

    def _rotate(self) -> None:
        for number in range(FILES - 1, 0, -1):
            older = _numbered(self._path, number)
            newer = self._path if number == 1 else _numbered(self._path, number - 1)
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)

    def _reopen(self) -> None:
        fresh = _open(self._path)
        os.close(self._file)  # and with it its lock
        self._file = fresh


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _open(path: Path) -> int:
    """A descriptor that appends to a file that only its owner can read."""
    # Not waiting: a pipe would wait for somebody who reads it.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        if hasattr(os, "fchmod"):  # not on Windows before Python 3.13
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, *, hold: bool) -> None:
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX if hold else _fcntl.LOCK_UN)


def _optional(name: str) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl = _optional("fcntl")
"""Windows has none; several workers on one file are then not kept apart while they rotate."""
