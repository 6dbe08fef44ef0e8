"""Puts together what the command ``compare`` needs."""

from __future__ import annotations

from pathlib import Path

from mlpack import config, records
from mlpack.cli import versions
from mlpack.cli.console import Console
from mlpack.errors import InputError
from mlpack.files import scratch
from mlpack.gate import limits as gate_limits
from mlpack.gate import rows as gate_rows
from mlpack.gate.values import Report
from mlpack.project import Project
from mlpack.usecases import compare as compare_use_case


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
    versions.check_page(html)
    if target is not None and data is None:
        raise InputError("--target names a column of --data, and there is none")
    if after is None:
        records.read_build(project.dist_dir)  # says so before anything is fetched
    with scratch(project.cache_dir, "compared") as folder:
        one = versions.named(project, before, folder / "before", console)
        two = versions.named(project, after or str(project.dist_dir), folder / "after", console)
        reference = versions.reference(project, two)
        rows = reference
        if data is not None:
            rows = gate_rows.read(data, two.signature, target)
        report = compare_use_case.compare(
            one,
            two,
            rows,
            reference,
            limits,
            outside=versions.outside(measure=measure),
            reporter=console,
        )
    return report, versions.written(project, report, "compared", html)
