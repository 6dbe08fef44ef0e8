"""How the server runs: from the environment, and from the command line over it."""

from __future__ import annotations

import ipaddress
import re
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
        port: 0 for any free one. ``MLPACK_PORT``, ``SAGEMAKER_BIND_TO_PORT``, ``AIP_HTTP_PORT``
            (Vertex AI), ``PORT``.
        grpc_port: where the Open Inference Protocol is spoken over gRPC; 0 for nowhere.
            ``MLPACK_GRPC_PORT``.
        predict_route, health_route: paths at which Vertex AI asks, besides the server's own.
            ``AIP_PREDICT_ROUTE``, ``AIP_HEALTH_ROUTE``.
        workers: processes; 0 for as many as the CPUs and the memory allow. ``MLPACK_WORKERS``
            (``auto``), ``WORKERS``.
        threads: of each process, for large requests to a graph; 0 for the process's share of the
            CPUs. ``MLPACK_THREADS`` (``auto``).
        max_body: the largest body in bytes. ``MLPACK_MAX_BODY``.
        max_rows: the most rows of one request. ``MLPACK_MAX_ROWS``.
        max_concurrency: predictions in work or waiting at once. ``MLPACK_MAX_CONCURRENCY``.
        body_seconds: how long a body may take to arrive. ``MLPACK_BODY_SECONDS``.
        stall_seconds: a connection is closed when the head of a request takes longer, or when an
            answer is read that slowly. ``MLPACK_STALL_SECONDS``.
        wait_seconds: nobody may join the line of a slow model, or of large requests, who would
            wait longer in it. ``MLPACK_WAIT_SECONDS``.
        request_seconds: how long a request may wait and work. ``MLPACK_REQUEST_SECONDS``.
        max_batch: so many waiting rows go to a slow model together at most.
            ``MLPACK_MAX_BATCH``.
        linger_seconds: how long after SIGTERM requests are still taken, each on its connection's
            last turn: whoever does not know yet is answered. ``MLPACK_LINGER_SECONDS``.
        drain_seconds: how long requests may take to end after SIGTERM. ``MLPACK_DRAIN_SECONDS``.
        access_log: write a line per request to stderr. ``MLPACK_ACCESS_LOG`` (``off``).
        keys: the API keys; none for an open server. ``MLPACK_API_KEYS``, separated by commas.
        keys_file: a file with one API key per line, read again when it changes.
            ``MLPACK_API_KEYS_FILE``.
        tls_cert, tls_key: files with a certificate (and those that signed it) and its key, in PEM;
            with them the server speaks https. ``MLPACK_TLS_CERT``, ``MLPACK_TLS_KEY``.
        cors_origins: the origins of pages that may ask from a browser; ``*`` for any.
            ``MLPACK_CORS_ORIGINS``, separated by commas.
        rate_limit: predictions a second for each API key, or for each address where there are no
            keys; 0 for any number. ``MLPACK_RATE_LIMIT``.
        sample_file: where some requests are written with their answers, which may be personal
            data; None for nowhere. ``MLPACK_SAMPLE_FILE``.
        sample_rate: the share of answered requests that is written. ``MLPACK_SAMPLE_RATE``.
        sample_errors: the share of refused and failed requests that is. ``MLPACK_SAMPLE_ERRORS``.
        sample_max_bytes: how large the file and the three before it may be together.
            ``MLPACK_SAMPLE_MAX_BYTES``.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 0
    predict_route: str = ""
    health_route: str = ""
    workers: int = 1
    threads: int = 0
    max_body: int = 10_000_000
    max_rows: int = 100_000
    max_concurrency: int = 1000
    body_seconds: float = 30.0
    stall_seconds: float = 20.0
    wait_seconds: float = 1.0
    request_seconds: float = 60.0
    max_batch: int = 64
    linger_seconds: float = 1.0
    drain_seconds: float = 30.0
    access_log: bool = True
    keys: tuple[str, ...] = ()
    keys_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    cors_origins: tuple[str, ...] = ()
    rate_limit: int = 0
    sample_file: Path | None = None
    sample_rate: float = 0.01
    sample_errors: float = 0.0
    sample_max_bytes: int = 100_000_000

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
    "port": (("MLPACK_PORT", "SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT"), 0),
    "grpc_port": (("MLPACK_GRPC_PORT",), 0),
    "workers": (("MLPACK_WORKERS", "WORKERS"), 1),
    "threads": (("MLPACK_THREADS",), 1),
    "max_body": (("MLPACK_MAX_BODY",), 1),
    "max_rows": (("MLPACK_MAX_ROWS",), 1),
    "max_concurrency": (("MLPACK_MAX_CONCURRENCY",), 1),
    "body_seconds": (("MLPACK_BODY_SECONDS",), 1),
    "stall_seconds": (("MLPACK_STALL_SECONDS",), 1),
    "max_batch": (("MLPACK_MAX_BATCH",), 1),
    "wait_seconds": (("MLPACK_WAIT_SECONDS",), 0),
    "request_seconds": (("MLPACK_REQUEST_SECONDS",), 0),
    "linger_seconds": (("MLPACK_LINGER_SECONDS",), 0),
    "drain_seconds": (("MLPACK_DRAIN_SECONDS",), 0),
    "rate_limit": (("MLPACK_RATE_LIMIT",), 0),
    "sample_max_bytes": (("MLPACK_SAMPLE_MAX_BYTES",), 100_000),
}
_AUTOMATIC = ("workers", "threads")
_SHARES = {"sample_rate": "MLPACK_SAMPLE_RATE", "sample_errors": "MLPACK_SAMPLE_ERRORS"}
_ROUTES = {"predict_route": "AIP_PREDICT_ROUTE", "health_route": "AIP_HEALTH_ROUTE"}
_TLS = {"tls_cert": "MLPACK_TLS_CERT", "tls_key": "MLPACK_TLS_KEY"}
_ORIGIN = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?"
)
_PATH = re.compile(r"/[A-Za-z0-9._~:@+=/-]{0,500}")
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
            if field in _AUTOMATIC and environ.get(name, "").lower() == "auto":
                # A number in another variable is somebody's own word: images say auto by default.
                values[field] = 0
            elif environ.get(name):
                values[field] = _number(name, environ[name], least)
                break
    values |= _sampling(environ)
    values |= _routes(environ)
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
    values |= _origins(environ)
    values |= _certificate(environ)
    values.update({name: value for name, value in overrides.items() if value is not None})
    settings = Settings(**values)
    _check_ports(settings)
    return settings


def _check_ports(settings: Settings) -> None:
    for name, port in (("the port", settings.port), ("MLPACK_GRPC_PORT", settings.grpc_port)):
        if not 0 <= port <= 65535:
            raise SettingsError(f"{name} is {port}: it is at most 65535")
    if settings.grpc_port and settings.grpc_port == settings.port:
        raise SettingsError(f"MLPACK_GRPC_PORT is {settings.port}: HTTP is spoken there")


def _origins(environ: Mapping[str, str]) -> dict[str, Any]:
    """The origins of pages that may ask."""
    text = environ.get("MLPACK_CORS_ORIGINS", "")
    origins = tuple(filter(None, map(str.strip, text.split(","))))
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"MLPACK_CORS_ORIGINS has {origin[:100]!r}: an origin is like https://app.example "
                "or http://localhost:3000, without a path"
            )
    if text and not origins:
        raise SettingsError(f"MLPACK_CORS_ORIGINS is {text[:100]!r}: it names no origin")
    if "*" in origins and len(origins) > 1:
        raise SettingsError("MLPACK_CORS_ORIGINS has * beside others: * alone means any")
    return {"cors_origins": origins} if origins else {}


def _certificate(environ: Mapping[str, str]) -> dict[str, Any]:
    given = {field: environ.get(name) for field, name in _TLS.items()}
    if not any(given.values()):
        return {}
    for field, name in _TLS.items():
        if not given[field]:
            other = next(each for each in _TLS.values() if each != name)
            raise SettingsError(f"{other} is set without {name}: https needs both files")
    return {field: Path(path) for field, path in given.items() if path}


def _routes(environ: Mapping[str, str]) -> dict[str, str]:
    """The paths that the environment names."""
    found = {field: environ[name] for field, name in _ROUTES.items() if environ.get(name)}
    for field, path in found.items():
        if not _PATH.fullmatch(path):
            raise SettingsError(
                f"{_ROUTES[field]} is {path[:100]!r}: it is a path such as /v1/endpoints/1:predict"
            )
    if len(found) > len(set(found.values())):
        raise SettingsError("AIP_PREDICT_ROUTE and AIP_HEALTH_ROUTE are the same path")
    return found


def _number(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise SettingsError(f"{name} is {text!r}: it is a whole number, at least {least}")
    return int(text)


def _sampling(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        field: _share(name, environ[name]) for field, name in _SHARES.items() if environ.get(name)
    }
    if environ.get("MLPACK_SAMPLE_FILE"):
        found["sample_file"] = Path(environ["MLPACK_SAMPLE_FILE"])
    return found


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(f"{name} is {text!r}: it is a number from 0 to 1")
    return share


def _address(host: str) -> str | None:
    """`host`, if it is an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if host == "localhost" else None
    return host
