"""Puts together what ``deploy`` needs, and what is asked of a target later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpack import config, records
from mlpack.cli import gating
from mlpack.cli.console import Console
from mlpack.cli.targets import target as target_of
from mlpack.gate import limits as gate_limits
from mlpack.operating import Happened, Status
from mlpack.ports import Deployment
from mlpack.project import Project
from mlpack.usecases import deploy as deploy_use_case
from mlpack.usecases import operate


def deploy(
    project: Project,
    console: Console,
    *,
    environment: str,
    plan: bool,
    share: int = 0,
    force: str = "",
) -> Deployment | deploy_use_case.Plan:
    """See the command ``deploy``."""
    target = target_of(project, environment)
    built = records.read_build(project.dist_dir)
    if share:
        operate.running(target, "canary")
    gate_limits.read(config.load(project.config_dir, environment))  # a plan says it too
    if plan:
        return deploy_use_case.plan(built, target, share)
    why = gating.gate(project, console, target, built, environment=environment, force=force)
    return deploy_use_case.deploy(built, target, environment, console, share=share, why=why)


def render(project: Project, environment: str, into: Path) -> Sequence[Path]:
    """See the option ``--render`` of ``deploy``."""
    target = target_of(project, environment)
    return operate.render(records.read_build(project.dist_dir), target, into)


def policy(project: Project, environment: str) -> Mapping[str, Any]:
    """See the option ``--iam`` of the command ``deploy``; nothing is asked of the target."""
    return operate.policy(target_of(project, environment))


def status(project: Project, environment: str) -> Status:
    """See the command ``status``."""
    return operate.status(target_of(project, environment, looking=True))


def history(project: Project, environment: str) -> Sequence[Happened]:
    """See the command ``history``."""
    return operate.history(target_of(project, environment, looking=True))


def logs(project: Project, environment: str, lines: int, *, follow: bool) -> Iterator[str]:
    """See the command ``logs``."""
    return operate.logs(target_of(project, environment, looking=True), lines, follow=follow)


def rollback(project: Project, console: Console, *, environment: str, to: int | None) -> Status:
    """See the command ``rollback``."""
    return operate.rollback(target_of(project, environment), to, console)


def promote(project: Project, console: Console, *, environment: str) -> Status:
    """See the command ``promote``."""
    return operate.promote(target_of(project, environment), console)


def remove(project: Project, console: Console, *, environment: str) -> None:
    """See the command ``remove``."""
    operate.remove(target_of(project, environment, looking=True), console)
