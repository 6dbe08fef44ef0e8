"""Puts together what ``lock`` and ``install`` need."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from mlpack import lock as locks
from mlpack.cli import wiring
from mlpack.cli.console import Console
from mlpack.errors import CheckFailedError
from mlpack.process import run
from mlpack.project import Project
from mlpack.usecases import install as install_use_case
from mlpack.usecases import lock as lock_use_case


def lock(
    project: Project,
    console: Console,
    *,
    check: bool,
    upgrade: bool,
    upgrade_packages: tuple[str, ...],
    upgrade_base: bool,
    resolver: str | None,
    platforms: tuple[str, ...],
) -> lock_use_case.LockResult:
    """See the command ``lock``."""
    present = locks.read(project.lock_file)
    platforms = wiring.read_platforms(platforms) or project.settings.platforms
    targets = platforms or (present.platforms if present else (wiring.linux_platform(),))
    if resolver is not None:
        project = replace(project, settings=replace(project.settings, resolver=resolver))
    own = wiring.own_requirements()
    if check:
        current = lock_use_case.check(
            project,
            mlpack_requirements=own,
            python=wiring.python_minor(),
            platforms=platforms or None,
        )
        console.say("The lock is up to date.")
        return lock_use_case.LockResult(current, 0, 0, (), resolved=False)
    result = lock_use_case.lock(
        project,
        resolver=wiring.resolver(project.settings.resolver),
        reporter=console,
        python=wiring.python_minor(),
        platforms=targets,
        mlpack_requirements=own,
        upgrade=upgrade,
        upgrade_packages=upgrade_packages,
    )
    if upgrade_base and result.lock.base is not None:
        without = locks.with_base(result.lock, None)
        locks.write(project.lock_file, without)
        result = replace(result, lock=without)
    return result


def install(
    project: Project, console: Console, *, prod: bool, allow_system: bool
) -> install_use_case.InstallResult:
    """See the command ``install``."""
    if not project.dev_lock.is_file():
        raise CheckFailedError(
            "there is no lock yet", where=project.dev_lock.name, hint="Run: mlpack lock"
        )
    return install_use_case.install(
        project,
        python_executable=sys.executable,
        runner=run,
        reporter=console,
        environ=os.environ,
        prod=prod,
        allow_system=allow_system,
    )
