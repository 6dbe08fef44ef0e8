"""Reads what ``[deploy]`` says of a service at a Docker host: every value has a grammar."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Any

from mlpack.config import refuse_unknown
from mlpack.engines.ssh import ADDRESS
from mlpack.errors import InputError
from mlpack.rollout.values import Service

PROXY = "docker.io/library/haproxy:3.0"

OURS = ("MLPACK_HOST", "MLPACK_PORT", "MLPACK_TLS_CERT", "MLPACK_TLS_KEY", "PORT")
"""Variables that decide how a container is reached."""

_KEYS = (
    *("address", "cpus", "drain_seconds", "env", "host", "keep", "memory", "port", "proxy"),
    *("ready_seconds", "replicas", "secrets", "service", "target"),
)
_HOST = re.compile(
    ADDRESS.pattern + r"|unix:///[A-Za-z0-9._/-]+"
    r"|tcp://[A-Za-z0-9.-]+:\d{1,5}"
)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
"""With what is put behind it, it must be a label of DNS: 63 characters."""
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_MEMORY = re.compile(r"(\d{1,9})([kmg])", re.IGNORECASE)
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_EXAMPLE = '[deploy]\ntarget = "docker"\nhost = "ssh://deploy@server.example"\nport = 8080'


def read(config: Mapping[str, Any]) -> tuple[Service, str]:
    """The service, and the address of its host; ``""`` where none is told.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, _KEYS, "docker")
    given = _Read(config)
    env = given.table("env", _VARIABLE)
    for name in env:
        if name in OURS:
            raise InputError(
                "the proxy reaches the containers at the port that they have, without TLS",
                where=f"[deploy.env] {name}",
                hint="Put what speaks TLS before the proxy.",
            )
    service = Service(
        name=given.text("service", _NAME, ""),
        port=given.number("port", 8080, 1, 65_535),
        address=given.address(),
        replicas=given.number("replicas", 2, 1, 100),
        proxy=given.text("proxy", _IMAGE, PROXY),
        memory=given.memory(),
        cpus=given.cpus(),
        env=env,
        secrets=given.table("secrets", _SECRET),
        ready_seconds=given.number("ready_seconds", 60, 1, 3600),
        drain_seconds=given.number("drain_seconds", 30, 1, 3600),
        keep=given.number("keep", 5, 1, 50),
    )
    if not service.name:
        raise InputError("[deploy] has no service", hint='service = "churn-production"')
    return service, given.text("host", _HOST, "")


class _Read:
    """Reads ``[deploy]``, value by value."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def text(self, key: str, grammar: re.Pattern[str], default: str) -> str:
        value = self._config.get(key, default)
        if value == default:
            return default
        if not isinstance(value, str) or not grammar.fullmatch(value):
            raise InputError(f"{str(value)[:80]!r} is none", where=f"[deploy] {key}", hint=_EXAMPLE)
        return value

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self._config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(
                f"{str(value)[:40]!r} is no whole number from {least} to {most}",
                where=f"[deploy] {key}",
            )
        return value

    def address(self) -> str:
        value = self._config.get("address", "0.0.0.0")  # noqa: S104
        try:
            return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
        except ValueError as error:
            raise InputError(
                f"{str(value)[:40]!r} is no IP address",
                where="[deploy] address",
                hint='address = "127.0.0.1"',
            ) from error

    def memory(self) -> int | None:
        value = self._config.get("memory")
        if value is None:
            return None
        found = _MEMORY.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise InputError(
                f"{str(value)[:40]!r} is no size", where="[deploy] memory", hint='memory = "512m"'
            )
        return int(found[1]) * _UNITS[found[2].lower()]

    def cpus(self) -> float | None:
        value = self._config.get("cpus")
        if value is None:
            return None
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not 0.01 <= value <= 1024:
            raise InputError(
                f"{str(value)[:40]!r} is no number of CPUs", where="[deploy] cpus", hint="cpus = 1"
            )
        return float(value)

    def table(self, key: str, grammar: re.Pattern[str]) -> dict[str, str]:
        value = self._config.get(key, {})
        if not isinstance(value, Mapping):
            raise InputError("it is no table", where=f"[deploy.{key}]", hint='NAME = "value"')
        for name, text in value.items():
            if not grammar.fullmatch(name):
                raise InputError(f"{name[:80]!r} is no name", where=f"[deploy.{key}]")
            if not isinstance(text, str) or "\0" in text:
                raise InputError("it is not a text", where=f"[deploy.{key}] {name}")
        return dict(value)
