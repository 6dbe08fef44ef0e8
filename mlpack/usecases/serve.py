"""``mlpack serve`` and ``mlpack predict``: the very code that ships, run on this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.bundle import BundleTools, make_bundle, unpacked
from mlpack.usecases.work import work
from mlpack.user_code import RUNTIME


@dataclass(frozen=True)
class Command:
    """A process to start: the artifact's own command, in this environment.

    Attributes:
        argv: the program and its arguments.
        env: its whole environment.
    """

    argv: tuple[str, ...]
    env: dict[str, str]


def command(
    project: Project,
    arguments: tuple[str, ...],
    *,
    tools: BundleTools,
    runner: Runner,
    reporter: Reporter,
) -> Command:
    """``python -m PACKAGE ARGUMENTS`` on the unpacked bundle, made or found."""
    lock = tools.check_lock(project)
    made = make_bundle(project, lock, tools=tools, runner=runner, reporter=reporter)
    return on_folder(unpacked(project, made.bundle), project.package, arguments)


def predict_parquet(
    project: Project,
    source: Path,
    target: Path,
    *,
    tools: BundleTools,
    runner: Runner,
    reporter: Reporter,
) -> int:
    """Predict the rows of a Parquet file with the bundle; how many there were."""
    lock = tools.check_lock(project)
    made = make_bundle(project, lock, tools=tools, runner=runner, reporter=reporter)
    folder = unpacked(project, made.bundle)
    request = {
        "folder": str(folder),
        "data": str(folder / project.package / RUNTIME / "data"),
        "source": str(source.resolve()),
        "target": str(target.resolve()),
    }
    with reporter.stage("Predicting") as stage:
        answer = work("predict", request, runner=runner, reporter=reporter, stage=stage)
        stage.result(f"{answer['rows']:,} rows")
    return int(answer["rows"])


# As ``python -m`` does it, but the bundle's folder comes before the present one, in which a project
# with a flat layout has a package of the same name.
_RUN = (
    "import runpy, sys; folder, package = sys.argv[1:3]; del sys.argv[1:3]; "
    "sys.path.insert(0, folder); runpy.run_module(package, run_name='__main__', alter_sys=True)"
)


def on_folder(folder: Path, package: str, arguments: tuple[str, ...]) -> Command:
    """``python -m PACKAGE ARGUMENTS`` with `folder` first on the path."""
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(folder), *([before] if before else [])])
    return Command(
        argv=(sys.executable, "-c", _RUN, str(folder), package, *arguments),
        env={**os.environ, "PYTHONPATH": path},
    )
