"""Fly.io: a ``fly.toml`` and ``flyctl deploy``.

What Fly takes of it: https://fly.io/docs/reference/configuration/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomlkit

from mlpack.delivery.pushing import pusher
from mlpack.delivery.rendered import PORT, READY, RenderedTarget, given, variables
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError
from mlpack.ports import Built

_KEYS = (
    *("auto_stop", "concurrency", "cpus", "cpu_kind", "drain_seconds", "memory"),
    *("min_machines", "ready_seconds", "region", "strategy"),
)
_EXAMPLE = (
    '[deploy]\ntarget = "fly"\nservice = "churn"\nregion = "ams"\n'
    'repository = "registry.fly.io/churn"'
)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REGION = re.compile(r"[a-z]{3}")
_MIB = 1 << 20
_STEP = 256
_CPUS = {"shared": (1, 2, 4, 6, 8), "performance": (1, 2, 4, 6, 8, 10, 12, 14, 16)}
_LEAST = {"shared": 256, "performance": 2048}
_MOST = {"shared": 2048, "performance": 8192}
"""MiB for each CPU, from and to."""


@dataclass(frozen=True)
class Fly:
    """An app at Fly.

    Attributes:
        service: the app's name.
        region: where its machines are at first.
        cpu: CPUs of a machine.
        cpu_kind: ``shared`` or ``performance``.
        memory: of a machine, in bytes.
        concurrency: so many requests at once go to a machine.
        least: so many machines in `region` never stop.
        auto_stop: what becomes of machines that nobody needs: ``stop``, ``suspend`` or ``off``.
        strategy: how a new version takes the place of the old one.
        ready: seconds that a machine has until it is ready.
        drain: seconds that a machine has to end what it has begun.
        env: variables.
    """

    service: str
    region: str
    cpu: int = 1
    cpu_kind: str = "shared"
    memory: int = 512 * _MIB
    concurrency: int = 50
    least: int = 1
    auto_stop: str = "stop"
    strategy: str = "bluegreen"
    ready: int = 60
    drain: int = 30
    env: Mapping[str, str] = field(default_factory=dict)

    kind = "fly"
    file = "fly.toml"
    programs = ("flyctl", "fly")

    def content(self, built: Built, image: str, why: str) -> bytes:
        """The app, as ``flyctl deploy`` takes it."""
        del built
        # What Fly remembers of a release is its configuration.
        env = {**dict(sorted(self.env.items())), **({"MLPACK_WHY": why} if why else {})}
        document: dict[str, Any] = {
            "app": self.service,
            "primary_region": self.region,
            "kill_signal": "SIGTERM",
            "kill_timeout": f"{self.drain}s",
            "build": {"image": image},
            "deploy": {"strategy": self.strategy, "wait_timeout": f"{self.ready + 60}s"},
            **({"env": env} if env else {}),
            "http_service": {
                "internal_port": PORT,
                "force_https": True,
                "auto_stop_machines": self.auto_stop,
                "auto_start_machines": True,
                "min_machines_running": self.least,
                "concurrency": {
                    "type": "requests",
                    "soft_limit": max(1, self.concurrency * 4 // 5),
                    "hard_limit": self.concurrency,
                },
                "checks": [
                    {
                        "grace_period": f"{self.ready}s",
                        "interval": "10s",
                        "method": "GET",
                        "timeout": "5s",
                        "path": READY,
                    }
                ],
            },
            "vm": [
                {
                    "cpu_kind": self.cpu_kind,
                    "cpus": self.cpu,
                    "memory": f"{self.memory // _MIB}mb",
                }
            ],
        }
        return tomlkit.dumps(document).encode()

    def command(self, program: str, file: str) -> tuple[str, ...]:
        """Waits until the new machines are well."""
        return (program, "deploy", "--app", self.service, "--config", file, "--yes")

    def logs(self, program: str, lines: int) -> tuple[str, ...]:
        """What Fly has at hand; how many lines, Fly decides."""
        del lines
        return (program, "logs", "--app", self.service, "--no-tail")


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RenderedTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/fly.md.
        env: the process's environment.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    reader = given(config, Fly.kind, _KEYS, _EXAMPLE)
    if "secret_env" in config:
        raise InputError(
            "Fly takes no references to secrets: it keeps them itself",
            where="[deploy.secret_env]",
            hint="flyctl secrets set MLPACK_API_KEYS=...",
        )
    kind = reader.choice("cpu_kind", tuple(_CPUS), "shared")
    cpu = reader.number("cpus", 1, 1, 16)
    recipe = Fly(
        service=reader.needed("service", _NAME, 'service = "churn"'),
        region=reader.needed("region", _REGION, _EXAMPLE),
        cpu=cpu,
        cpu_kind=kind,
        memory=_memory(reader, kind, cpu),
        concurrency=reader.number("concurrency", 50, 1, 1000),
        least=reader.number("min_machines", 1, 0, 1000),
        auto_stop=reader.choice("auto_stop", ("stop", "suspend", "off"), "stop"),
        strategy=reader.choice("strategy", ("bluegreen", "rolling", "canary"), "bluegreen"),
        ready=reader.number("ready_seconds", 60, 1, 600),
        drain=reader.number("drain_seconds", 30, 1, 300),
        env=variables(reader),
    )
    return RenderedTarget(recipe, pusher(config, env), apply=reader.switch("apply", default=True))


def _memory(reader: Reader, kind: str, cpu: int) -> int:
    if cpu not in _CPUS[kind]:
        raise InputError(
            f"Fly has no machines with {cpu} {kind} CPUs",
            where="[deploy] cpus",
            hint=f"There are: {', '.join(map(str, _CPUS[kind]))}.",
        )
    least, most = _LEAST[kind] * cpu, _MOST[kind] * cpu
    found = reader.memory() or max(512, least) * _MIB
    if found % (_STEP * _MIB) or not least * _MIB <= found <= most * _MIB:
        raise InputError(
            f"a machine with {cpu} {kind} CPUs has from {least} to {most} MiB, in steps of {_STEP}",
            where="[deploy] memory",
        )
    return found
