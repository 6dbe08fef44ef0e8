"""Reads what ``[deploy]`` says of a service at a Docker host: every value has a grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlpack.config import refuse_unknown
from mlpack.delivery import sampled
from mlpack.delivery.settings import SECRET, VARIABLE, Reader
from mlpack.engines.ssh import ADDRESS
from mlpack.errors import InputError
from mlpack.rollout.values import Service
from mlpack.sizes import megabytes

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
_EXAMPLE = '[deploy]\ntarget = "docker"\nhost = "ssh://deploy@server.example"\nport = 8080'


def read(config: Mapping[str, Any]) -> tuple[Service, str]:
    """The service, and the address of its host; ``""`` where none is told.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, _KEYS, "docker")
    given = Reader(config, example=_EXAMPLE)
    env = given.table("env", VARIABLE)
    for name in env:
        if name in OURS:
            raise InputError(
                "the proxy reaches the containers at the port that they have, without TLS",
                where=f"[deploy.env] {name}",
                hint="Put what speaks TLS before the proxy.",
            )
    service = Service(
        name=given.text("service", _NAME),
        port=given.number("port", 8080, 1, 65_535),
        address=given.address(),
        replicas=given.number("replicas", 2, 1, 100),
        proxy=given.text("proxy", _IMAGE, PROXY),
        memory=given.memory(),
        cpus=given.cpus(),
        env=env,
        secrets=given.table("secrets", SECRET),
        ready_seconds=given.number("ready_seconds", 60, 1, 3600),
        drain_seconds=given.number("drain_seconds", 30, 1, 3600),
        keep=given.number("keep", 5, 1, 50),
    )
    if not service.name:
        raise InputError("[deploy] has no service", hint='service = "churn-production"')
    sampled.check(env)
    samples = sampled.space(env)
    if samples and service.memory is not None and service.memory <= service.scratch:
        raise InputError(
            f"samples of {megabytes(samples)} may fill the memory that a container has",
            where="[deploy] memory",
            hint="Leave it out, or make it larger; "
            f'or for fewer samples: [deploy.env] {sampled.SIZE} = "10000000"',
        )
    return service, given.text("host", _HOST)
