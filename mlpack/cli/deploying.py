"""Puts together what ``deploy`` needs."""

from __future__ import annotations

from mlpack import records
from mlpack.cli import wiring
from mlpack.cli.console import Console
from mlpack.ports import Deployment
from mlpack.project import Project
from mlpack.usecases import deploy as deploy_use_case


def deploy(
    project: Project, console: Console, *, environment: str, plan: bool
) -> Deployment | deploy_use_case.Plan:
    """See the command ``deploy``."""
    settings = wiring.deploy_settings(project, environment)
    target = wiring.target(settings)
    built = records.read_build(project.dist_dir)
    if plan:
        return deploy_use_case.plan(built, target)
    return deploy_use_case.deploy(built, target, environment, console)
