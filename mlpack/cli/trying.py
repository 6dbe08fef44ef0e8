"""Puts together what ``shadow`` and the watching of a canary need."""

from __future__ import annotations

import os
from pathlib import Path

from mlpack import config, records
from mlpack.cli import comparing, wiring
from mlpack.cli.console import Console
from mlpack.delivery.clock import Clock
from mlpack.files import scratch
from mlpack.gate import limits as gate_limits
from mlpack.gate.trial import Trial
from mlpack.gate.values import Report
from mlpack.project import Project
from mlpack.usecases import compare as compare_use_case
from mlpack.usecases import operate
from mlpack.usecases.trial import Watch, shadowed


def canary(project: Project, console: Console, *, environment: str, minutes: float) -> Trial:
    """See the command ``promote``."""
    with scratch(project.cache_dir, "trial") as folder:
        return _watch(project, environment, folder).canary(minutes * 60, console)


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
    with scratch(project.cache_dir, "shadow") as folder:
        watch = _watch(project, environment, folder / "before")
        operate.running(watch.target, "samples")
        after = comparing.built_version(built, folder / "after")
        before = comparing.running_version(watch.target, environment, watch.scratch, console)
        copies = watch.shadow(after.model, minutes * 60, console)
        report = shadowed(before, after, copies, watch.limits)
    place, name = (html.parent, html.stem) if html else (project.dist_dir, "shadow")
    return report, compare_use_case.write(report, place, name)


def _watch(project: Project, environment: str, folder: Path) -> Watch:
    return Watch(
        target=wiring.target(wiring.deploy_settings(project, environment)),
        limits=gate_limits.read(config.load(project.config_dir, environment)),
        clock=Clock(),
        environ=os.environ,
        scratch=folder,
        environments=comparing.environments(),
    )
