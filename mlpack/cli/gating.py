"""The gate before a deployment: what was built beside what runs."""

from __future__ import annotations

import msgspec

from mlpack import config
from mlpack.cli import versions
from mlpack.cli.console import Console
from mlpack.delivery.unpacked import found
from mlpack.errors import MlpackError
from mlpack.files import scratch
from mlpack.gate import limits as gate_limits
from mlpack.gate.values import Report
from mlpack.ports import Built, Target
from mlpack.project import Project
from mlpack.usecases import compare as compare_use_case
from mlpack.usecases import operate


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
        one = compare_use_case.version(found(there.folder), versions.told(target, there))
        two = versions.of_build(built, folder / "after")
        if one.model.manifest == two.model.manifest:
            return None
        reference = versions.reference(project, two)
        return compare_use_case.compare(
            one, two, reference, reference, limits, outside=versions.outside(), reporter=console
        )


def _answers(target: Target, built: Built) -> bool:
    """Whether the very artifact that was built is what answers: then nothing is fetched."""
    image = built.artifacts.get("image")
    if image is None or "status" not in target.verbs:
        return False
    live = [each for each in operate.status(target).releases if each.state == "live"]
    return any(each.digest == image.digest for each in live)
