"""Deploy what was built to an environment's target, or say what that would do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from mlpack import files
from mlpack.errors import InputError
from mlpack.ports import Action, Built, Deployment, Reporter, Target
from mlpack.runtime.contract import FORMAT
from mlpack.usecases.operate import canary, running


@dataclass(frozen=True)
class Plan:
    """What a deployment would do.

    Attributes:
        target: the target's kind.
        actions: in order; those that are done already are not `needed`.
    """

    target: str
    actions: tuple[Action, ...]

    @property
    def changes(self) -> bool:
        """Whether anything would change."""
        return any(action.needed for action in self.actions)


def plan(built: Built, target: Target, share: int = 0) -> Plan:
    """What `deploy`, or with a share a canary, would do. Changes nothing.

    Raises:
        InputError: the target holds this version with other content.
        OutsideError: the target does not answer, or refuses.
    """
    if share:
        return Plan(target.kind, tuple(running(target, "canary").plan(built, share)))
    return Plan(target.kind, tuple(target.plan(built)))


def deploy(
    built: Built,
    target: Target,
    environment: str,
    reporter: Reporter,
    *,
    share: int = 0,
    why: str = "",
) -> Deployment:
    """Deploy, and write what was deployed to ``dist/deployment-ENVIRONMENT.json``.

    Args:
        built: what ``build.json`` says, digests checked (`records.read_build`).
        target: where it goes.
        environment: its name, such as ``production``.
        reporter: is told what happens.
        share: so many of a hundred requests, beside what runs; 0 for all of them.
        why: why the gate was overruled.

    Raises:
        InputError: the target holds this version with other content, or `environment` is no name.
        OutsideError: the target does not answer, or refuses.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", environment):
        raise InputError(f"{environment!r} is not an environment's name")
    if share:
        return canary(built, target, share, reporter, why)
    deployment = target.apply(built, reporter, why=why)
    record: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment,
        "name": built.name,
        "version": built.version,
        "target": deployment.target,
        "reference": deployment.reference,
        "digest": deployment.digest,
        "bundle": built.bundle,
        "applied": not deployment.left,
        **({"forced": why} if why else {}),
    }
    if deployment.left:
        record["command"] = list(deployment.left)
    content = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    files.write(built.dist / f"deployment-{environment}.json", content)
    return deployment
