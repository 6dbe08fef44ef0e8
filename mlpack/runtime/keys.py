"""API keys: several at once, compared in constant time, read again when their file changes."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from pathlib import Path

from .settings import SettingsError

_SECONDS = 1.0
"""How often the file is looked at, at most."""


class Keys:
    """Who may ask.

    Args:
        keys: keys that never change.
        file: a file with one key per line; empty lines and lines with ``#`` first do not count.
        clock: seconds that only grow.

    Raises:
        SettingsError: the file cannot be read or holds no key.
    """

    def __init__(
        self, keys: tuple[str, ...], file: Path | None, clock: Callable[[], float]
    ) -> None:
        self._fixed = tuple(key.encode() for key in keys)
        self._file = file
        self._clock = clock
        self._stamp = (0, 0)
        self._looked = clock()
        self._keys = self._fixed
        if file is not None:
            self._stamp = _stamp(file)
            self._keys = self._fixed + _read(file)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def allow(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request with these headers (names in lower case) has one of the keys."""
        if not self._keys:
            return True
        self._refresh()
        given = self.given(headers)
        if given is None:
            return False
        # Every key is compared, so that the time does not tell which one was close.
        matches = [hmac.compare_digest(given, key) for key in self._keys]
        return any(matches)

    @staticmethod
    def given(headers: Mapping[bytes, bytes]) -> bytes | None:
        """The key that a request has, be it right or wrong."""
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                return None
        return given.strip()

    def _refresh(self) -> None:
        now = self._clock()
        if self._file is None or now - self._looked < _SECONDS:
            return
        self._looked = now
        try:
            stamp = _stamp(self._file)
            if stamp != self._stamp:
                self._keys = self._fixed + _read(self._file)
                self._stamp = stamp
        except SettingsError:
            # Half-way through a rotation: the old keys hold until the new ones can be read.
            return


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise SettingsError(f"the file of API keys cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        lines = [line.strip() for line in file.read_bytes().splitlines()]
    except OSError as error:
        raise SettingsError(f"the file of API keys cannot be read: {error.strerror}") from error
    keys = tuple(line for line in lines if line and not line.startswith(b"#"))
    if not keys:
        raise SettingsError("the file of API keys holds no key")
    return keys
