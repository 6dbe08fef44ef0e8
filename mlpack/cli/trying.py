"""Puts together what ``shadow`` and the watching of a canary need."""

from __future__ import annotations

import os
from pathlib import Path

from mlpack import config, records
from mlpack.cli import versions
from mlpack.cli.console import Console
from mlpack.cli.targets import target as target_of
from mlpack.delivery.clock import Clock
from mlpack.files import scratch
from mlpack.gate import limits as gate_limits
from mlpack.gate.limits import Limits
from mlpack.gate.trial import Trial
from mlpack.gate.values import Report
from mlpack.project import Project
from mlpack.usecases import operate
from mlpack.usecases.shadow import shadow as shadow_use_case
from mlpack.usecases.trial import Watch


def canary(project: Project, console: Console, *, environment: str, minutes: float) -> Trial:
    """See the command ``promote``."""
    with scratch(project.cache_dir, "trial") as folder:
        watch = Watch(
            target=target_of(project, environment),
            limits=_limits(project, environment),
            clock=Clock(),
            environ=os.environ,
            scratch=folder,
            environments=versions.environments(),
        )
        return watch.canary(minutes * 60, console)


def shadow(
    project: Project,
    console: Console,
    *,
    environment: str,
    minutes: float,
    html: Path | None,
) -> tuple[Report, Path]:
    """See the command ``shadow``."""
    built = records.read_build(project.dist_dir)
    limits = _limits(project, environment)
    versions.check_page(html)
    target = target_of(project, environment, looking=True)
    operate.running(target, "samples")
    with scratch(project.cache_dir, "shadow") as folder:
        report = shadow_use_case(
            target,
            versions.running(target, environment, folder / "before", console),
            versions.of_build(built, folder / "after"),
            minutes * 60,
            limits,
            clock=Clock(),
            environ=os.environ,
            environments=versions.environments(),
            reporter=console,
        )
    return report, versions.written(project, report, "shadow", html)


def _limits(project: Project, environment: str) -> Limits:
    return gate_limits.read(config.load(project.config_dir, environment))
