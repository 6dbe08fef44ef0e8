"""How the server runs: from the environment, and from the command line over it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


class SettingsError(ValueError):
    """A setting has a value that cannot be; the message names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with what it is without one.

    Attributes:
        host: the address to listen on. ``MLPACK_HOST``, or ``HOST`` if it is an address (build
            tools set HOST to something else).
        port: 0 for any free one. ``MLPACK_PORT``, ``AIP_HTTP_PORT`` (Vertex AI), ``PORT``.
        workers: processes. ``MLPACK_WORKERS``, ``WORKERS``.
        max_body: the largest body in bytes. ``MLPACK_MAX_BODY``.
        max_rows: the most rows of one request. ``MLPACK_MAX_ROWS``.
        max_concurrency: predictions in work or waiting at once. ``MLPACK_MAX_CONCURRENCY``.
        body_seconds: how long a body may take to arrive. ``MLPACK_BODY_SECONDS``.
        wait_seconds: nobody may join the line of a slow model, or of large requests, while the
            first in it has waited longer. ``MLPACK_WAIT_SECONDS``.
        request_seconds: how long a request may wait and work. ``MLPACK_REQUEST_SECONDS``.
        max_batch: so many waiting rows go to a slow model together at most.
            ``MLPACK_MAX_BATCH``.
        drain_seconds: how long requests may take to end after SIGTERM. ``MLPACK_DRAIN_SECONDS``.
        access_log: write a line per request to stderr. ``MLPACK_ACCESS_LOG`` (``off``).
        keys: the API keys; none for an open server. ``MLPACK_API_KEYS``, separated by commas.
        keys_file: a file with one API key per line, read again when it changes.
            ``MLPACK_API_KEYS_FILE``.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    max_body: int = 10_000_000
    max_rows: int = 100_000
    max_concurrency: int = 1000
    body_seconds: float = 30.0
    wait_seconds: float = 1.0
    request_seconds: float = 60.0
    max_batch: int = 64
    drain_seconds: float = 30.0
    access_log: bool = True
    keys: tuple[str, ...] = ()
    keys_file: Path | None = None

    @property
    def guarded(self) -> bool:
        """Whether a key is needed."""
        return bool(self.keys or self.keys_file)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


_NUMBERS: dict[str, tuple[tuple[str, ...], int]] = {
    "port": (("MLPACK_PORT", "AIP_HTTP_PORT", "PORT"), 0),
    "workers": (("MLPACK_WORKERS", "WORKERS"), 1),
    "max_body": (("MLPACK_MAX_BODY",), 1),
    "max_rows": (("MLPACK_MAX_ROWS",), 1),
    "max_concurrency": (("MLPACK_MAX_CONCURRENCY",), 1),
    "body_seconds": (("MLPACK_BODY_SECONDS",), 1),
    "max_batch": (("MLPACK_MAX_BATCH",), 1),
    "wait_seconds": (("MLPACK_WAIT_SECONDS",), 0),
    "request_seconds": (("MLPACK_REQUEST_SECONDS",), 0),
    "drain_seconds": (("MLPACK_DRAIN_SECONDS",), 0),
}
_SWITCHES = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


def from_environment(environ: Mapping[str, str], **overrides: Any) -> Settings:  # noqa: ANN401
    """The settings of a process.

    Args:
        environ: its environment; an empty variable counts as absent.
        overrides: settings from the command line; those that are None do not count.

    Raises:
        SettingsError: a variable has a value that cannot be.
    """
    values: dict[str, Any] = {}
    for field, (names, least) in _NUMBERS.items():
        for name in names:
            if environ.get(name):
                values[field] = _number(name, environ[name], least)
                break
    host = environ.get("MLPACK_HOST") or _address(environ.get("HOST", ""))
    if host:
        values["host"] = host
    switch = environ.get("MLPACK_ACCESS_LOG", "").lower()
    if switch:
        if switch not in _SWITCHES:
            raise SettingsError(f"MLPACK_ACCESS_LOG is {switch!r}: it is on or off")
        values["access_log"] = _SWITCHES[switch]
    if environ.get("MLPACK_API_KEYS"):
        keys = tuple(filter(None, map(str.strip, environ["MLPACK_API_KEYS"].split(","))))
        if not keys:
            raise SettingsError("MLPACK_API_KEYS holds no key")
        values["keys"] = keys
    if environ.get("MLPACK_API_KEYS_FILE"):
        values["keys_file"] = Path(environ["MLPACK_API_KEYS_FILE"])
    values.update({name: value for name, value in overrides.items() if value is not None})
    port = values.get("port", 0)
    if not 0 <= port <= 65535:
        raise SettingsError(f"the port is {port}: it is at most 65535")
    return Settings(**values)


def _number(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise SettingsError(f"{name} is {text!r}: it is a whole number, at least {least}")
    return int(text)


def _address(host: str) -> str | None:
    """`host`, if it is an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if host == "localhost" else None
    return host
