"""Puts together what ``compare`` and ``pull`` need, and the gate before a deployment."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from mlpack import config, records
from mlpack.cli import wiring
from mlpack.cli.console import Console
from mlpack.delivery.environment import FOLDER, Environments
from mlpack.delivery.unpacked import found, unpack
from mlpack.errors import InputError, MlpackError
from mlpack.files import scratch
from mlpack.gate import limits as gate_limits
from mlpack.gate import rows as gate_rows
from mlpack.gate.values import Report
from mlpack.oci.cache import default_root
from mlpack.operating import Fetched
from mlpack.ports import Built, Target
from mlpack.process import run
from mlpack.project import Project
from mlpack.records import BUILD_FILE
from mlpack.usecases import compare as compare_use_case
from mlpack.usecases import operate
from mlpack.usecases import pull as pull_use_case
from mlpack.usecases.compare import Outside, Version

_BEST = ("image", "zip", "wheel")
"""Of several artifacts of one bundle the one that says most about what it needs."""


def compare(
    project: Project,
    console: Console,
    *,
    before: str,
    after: str | None,
    data: Path | None,
    target: str | None,
    environment: str | None,
    html: Path | None,
    measure: bool,
) -> tuple[Report, Path]:
    """See the command ``compare``."""
    known = config.environments(project.config_dir)
    whose = environment or (before if before in known else None)
    limits = gate_limits.read(config.load(project.config_dir, whose) if whose else {})
    with scratch(project.cache_dir, "compared") as folder:
        one = _version(project, before, folder / "before", console)
        two = _version(project, after or str(project.dist_dir), folder / "after", console)
        reference = _reference(project, two)
        rows = reference
        if data is not None:
            rows = gate_rows.read(data, two.signature, target)
        report = compare_use_case.compare(
            one, two, rows, reference, limits, outside=_outside(measure=measure), reporter=console
        )
    place, name = (html.parent, html.stem) if html else (project.dist_dir, "compared")
    return report, compare_use_case.write(report, place, name)


def gate(
    project: Project,
    console: Console,
    target: Target,
    built: Built,
    *,
    environment: str,
    force: str,
) -> str:
    """Compare what was built with what runs, before it takes its place.

    Returns:
        Why it goes on though the gate says no; empty where it says yes, or was not asked.

    Raises:
        CheckFailedError: it says no, and nobody forced it.
        InputError, OutsideError: it could not be asked, and nobody forced it.
    """
    limits = gate_limits.read(config.load(project.config_dir, environment))
    if not limits.enabled or "fetch" not in target.verbs:
        return ""
    try:
        if _answers(target, built):
            return ""
        report = _gated(project, console, target, built, limits)
    except MlpackError as error:
        if not force:
            raise
        console.warn(f"the gate could not be asked: {error.what}")
        return force
    if report is None:
        return ""
    if report.stops and force:
        report = msgspec.structs.replace(report, forced=force)
    page = compare_use_case.write(report, built.dist, f"gate-{environment}")
    if not report.stops:
        console.note(f"the gate lets it pass: {page.name}")
        return ""
    if not force:
        compare_use_case.refuse(
            report,
            f"{built.dist.name}/{page.name}",
            f'Look at the page. If it is right: mlpack deploy {environment} --force "why"',
        )
    console.warn(f"the gate says no, and it goes on all the same: {force}")
    return force


def _gated(
    project: Project, console: Console, target: Target, built: Built, limits: gate_limits.Limits
) -> Report | None:
    """The comparison with what runs; None where nothing does, or the very same."""
    with scratch(project.cache_dir, "gate") as folder:
        there = operate.fetch(target, None, folder / "before", console)
        if there is None:
            return None
        one = compare_use_case.version(found(there.folder), _told(target, there))
        two = built_version(built, folder / "after")
        if one.model.manifest == two.model.manifest:
            return None
        reference = _reference(project, two)
        return compare_use_case.compare(
            one, two, reference, reference, limits, outside=_outside(), reporter=console
        )


def _answers(target: Target, built: Built) -> bool:
    """Whether the very artifact that was built is what answers: then nothing is fetched."""
    image = built.artifacts.get("image")
    if image is None or "status" not in target.verbs:
        return False
    live = [each for each in operate.status(target).releases if each.state == "live"]
    return any(each.digest == image.digest for each in live)


def _told(target: Target, there: Fetched) -> str:
    number = f", release {there.release}" if there.release else ""
    return f"{target.kind}{number}"


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
        wiring.target(wiring.deploy_settings(project, environment)),
        release,
        output or project.cache_dir / "pulled" / environment,
        environments=environments(),
        reporter=console,
    )


def _version(project: Project, text: str, folder: Path, console: Console) -> Version:
    """What an argument names: an artifact, a folder with what was built, an environment.

    Raises:
        InputError: it names none of them.
    """
    path = Path(text)
    if path.is_file():
        return compare_use_case.version(unpack(path, folder), path.name)
    if (path / BUILD_FILE).is_file():
        return built_version(records.read_build(path), folder)
    if text in config.environments(project.config_dir):
        target = wiring.target(wiring.deploy_settings(project, text))
        return running_version(target, text, folder, console)
    raise InputError(
        f"{text!r} is no artifact, no folder with {BUILD_FILE} and no environment",
        hint="mlpack compare production, or: mlpack compare old.zip dist",
    )


def running_version(target: Target, environment: str, folder: Path, console: Console) -> Version:
    """What runs in an environment.

    Raises:
        InputError: nothing does.
        OutsideError: its target does not answer.
    """
    there = operate.fetch(target, None, folder, console)
    if there is None:
        raise InputError(
            f"nothing is deployed in {environment}", hint=f"mlpack deploy {environment}"
        )
    return compare_use_case.version(found(there.folder), f"{environment}, {_told(target, there)}")


def built_version(built: Built, folder: Path) -> Version:
    """What was built, unpacked.

    Raises:
        InputError: nothing was.
    """
    kind = next((kind for kind in _BEST if kind in built.artifacts), None)
    if kind is None:
        raise InputError("nothing is built", where=built.dist.name, hint="Run: mlpack build")
    artifact = built.artifacts[kind]
    return compare_use_case.version(unpack(built.dist / artifact.file, folder), artifact.file)


def _reference(project: Project, of: Version) -> gate_rows.Rows | None:
    """The reference rows that training has written, where they are this version's."""
    path = project.reference
    if path is None:
        return None
    return gate_rows.read(path, of.signature)


def _outside(*, measure: bool = True) -> Outside:
    return Outside(environments(), run, measure)


def environments() -> Environments:
    """Environments for models of others, in the user's cache."""
    root = default_root(os.environ, Path.home()) / FOLDER
    return Environments(root, run, os.environ)
