"""What ``[deploy]`` says of a function of AWS Lambda."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpack.aws import releases
from mlpack.aws.calls import Answer
from mlpack.aws.place import ROLE
from mlpack.delivery.settings import VARIABLE, Reader
from mlpack.errors import InputError

_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_MEGABYTE = 1 << 20
_LEAST, _MOST = 128, 10_240
_OWN = ("AWS_", "LAMBDA_", "_")


@dataclass(frozen=True)
class Function:
    """What a function shall be.

    Attributes:
        name: its name.
        role: that it runs as.
        memory: in MB.
        seconds: that an invocation may take.
        env: its variables.
        url: ``iam``, ``public`` or ``none``.
    """

    name: str
    role: str
    memory: int
    seconds: int
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = "iam"

    @property
    def configuration(self) -> Answer:
        """As Lambda takes it."""
        return {
            "Role": self.role,
            "MemorySize": self.memory,
            "Timeout": self.seconds,
            "Environment": {"Variables": dict(self.env)},
        }

    def settings(self, platform: str) -> str:
        """A digest of all that a version has beside its image."""
        return releases.digest_of({**self.configuration, "platform": platform})


def read(config: Mapping[str, Any]) -> Function:
    """The function that ``[deploy]`` describes.

    Raises:
        InputError: a key is missing or wrong.
    """
    given = Reader(config)
    role = given.needed("role", ROLE, 'role = "arn:aws:iam::123456789012:role/churn"')
    memory = given.memory() or 1024 * _MEGABYTE
    if memory % _MEGABYTE or not _LEAST <= memory // _MEGABYTE <= _MOST:
        raise InputError(
            f"Lambda has {_LEAST}m to {_MOST}m", where="[deploy] memory", hint='memory = "1g"'
        )
    variables = given.table("env", VARIABLE)
    own = next((name for name in variables if name.startswith(_OWN)), None)
    if own is not None:
        raise InputError(f"{own} is Lambda's own", where="[deploy.env]")
    return Function(
        name=given.needed("service", _NAME, 'service = "churn"'),
        role=role,
        memory=memory // _MEGABYTE,
        seconds=given.number("timeout_seconds", 30, 1, 900),
        env=variables,
        url=given.choice("url", ("iam", "public", "none"), "iam"),
    )
