"""Puts together what the command ``pull`` needs."""

from __future__ import annotations

from pathlib import Path

from mlpack.cli import versions
from mlpack.cli.console import Console
from mlpack.cli.targets import target as target_of
from mlpack.project import Project
from mlpack.usecases import pull as pull_use_case


def pull(
    project: Project,
    console: Console,
    *,
    environment: str,
    release: int | None,
    output: Path | None,
) -> pull_use_case.Pulled:
    """See the command ``pull``."""
    return pull_use_case.pull(
        target_of(project, environment, looking=True),
        release,
        output or project.cache_dir / "pulled" / environment,
        environments=versions.environments(),
        reporter=console,
    )
