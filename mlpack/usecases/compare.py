"""``mlpack compare``: a candidate against what is in production, on the same rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlpack import files
from mlpack.delivery.environment import Environments
from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import CheckFailedError, InputError
from mlpack.gate import calibration, changes, contract, drift, judge, metrics, packages, speed
from mlpack.gate.answers import Answers, ask
from mlpack.gate.limits import Limits
from mlpack.gate.page import page
from mlpack.gate.rows import Rows
from mlpack.gate.values import Drift, Finding, Metric, Report, Side
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.runtime.contract import SCHEMA_FILE, SIGNATURE_FILE, ContractError, Signature
from mlpack.runtime.contract import read as read_contract
from mlpack.runtime.schema import Schema


@dataclass(frozen=True)
class Version:
    """One of the two.

    Attributes:
        model: its files.
        source: where it came from, for people.
        signature: what it learned.
        schema: what its author demands.
        reference: the digest of the reference rows of its training; empty where nobody knows.
    """

    model: Unpacked
    source: str
    signature: Signature
    schema: Schema
    reference: str = ""


@dataclass(frozen=True)
class Outside:
    """What a comparison asks of the outside.

    Attributes:
        environments: makes what each version runs in.
        runner: runs processes.
        measure: whether both servers are started and timed.
    """

    environments: Environments
    runner: Runner
    measure: bool = True


def version(model: Unpacked, source: str) -> Version:
    """One of the two, read from its files.

    Raises:
        InputError: a file of it is damaged.
    """
    try:
        signature = read_contract(model.data, SIGNATURE_FILE, Signature)
        schema = read_contract(model.data, SCHEMA_FILE, Schema)
    except ContractError as error:
        raise InputError(str(error), where=source) from error
    return Version(model, source, signature, schema)


def compare(
    before: Version,
    after: Version,
    rows: Rows | None,
    reference: Rows | None,
    limits: Limits,
    *,
    outside: Outside,
    reporter: Reporter,
) -> Report:
    """Compare two versions of a model.

    Args:
        before: what is in production.
        after: the candidate.
        rows: what both are asked; None where there are none.
        reference: the candidate's held-out rows, against which those of `rows` have drifted, if
            they are others.
        limits: what may pass.
        outside: environments and processes.
        reporter: hears what happens.

    Raises:
        InputError: the two are no versions of one model, or a file of them is damaged.
        OutsideError: an environment cannot be made, or a process failed.
    """
    old, new = before.model.manifest, after.model.manifest
    if old.name != new.name:
        raise InputError(f"they are of two projects: {old.name} and {new.name}")
    promised = contract.changes(before.signature, before.schema, after.signature, after.schema)
    found = [
        *judge.of_contract(promised, old, new),
        *judge.of_training((old, before.signature), (new, after.signature), limits),
    ]
    report = msgspec.structs.replace(
        outline(before, after, rows),
        contract=promised,
        packages=packages.differences(before.model.requirements, after.model.requirements),
    )
    found += [_told_packages(report)] if report.packages else []
    if rows is None:
        told = "there are no rows to ask both: mlpack train writes some, --data takes others"
        found.append(Finding(check="predictions", verdict="warn", what=told))
        return _judged(report, found)
    report, more = _inputs(report, before, rows, reference, limits)
    found += more
    if missing := _missing(before, rows):
        told = f"the version before asks for {', '.join(missing[:8])}, which the rows have not"
        found.append(Finding(check="predictions", verdict="warn", what=told))
        return _judged(report, found)
    report, more = _answers(report, before, after, rows, limits, outside, reporter)
    return _judged(report, [*found, *more])


def outline(before: Version, after: Version, rows: Rows | None) -> Report:
    """A report in which nothing was found yet."""
    return Report(
        before=_side(before),
        after=_side(after),
        data=rows.source if rows else "",
        rows=len(rows.rows) if rows else 0,
        labelled=rows is not None and rows.target is not None,
        findings=(),
    )


def write(report: Report, folder: Path, name: str) -> Path:
    """Write a report beside what was built, as JSON and as a page; the page's path."""
    files.write(folder / f"{name}.json", msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    target = folder / f"{name}.html"
    files.write(target, page(report))
    return target


def write_page(report: Report, target: Path) -> Path:
    """Write a report as a page alone, where somebody wants it; its path."""
    files.write(target, page(report))
    return target


def refuse(report: Report, where: str, next_command: str) -> None:
    """Stop where the report says so.

    Raises:
        CheckFailedError: it must not go on.
    """
    stops = report.stops
    if not stops:
        return
    told = "; ".join(
        f"{each.where}: {each.what}" if each.where else each.what for each in stops[:3]
    )
    more = f" (and {len(stops) - 3} more)" if len(stops) > 3 else ""
    raise CheckFailedError(f"the gate stopped it: {told}{more}", where=where, hint=next_command)


def _judged(report: Report, found: Sequence[Finding]) -> Report:
    return msgspec.structs.replace(report, findings=judge.ordered(found))


def _side(of: Version) -> Side:
    manifest = of.model.manifest
    return Side(
        name=manifest.name,
        version=manifest.version,
        form=manifest.form,
        model=manifest.model.sha256,
        rows=of.signature.rows,
        source=of.source,
    )


def _told_packages(report: Report) -> Finding:
    told = [
        f"{each.name} {each.before or 'not there'} → {each.after or 'not there'}"
        for each in report.packages
    ]
    more = f" and {len(told) - 5} more" if len(told) > 5 else ""
    return Finding(check="packages", verdict="told", what=", ".join(told[:5]) + more)


def _missing(before: Version, rows: Rows) -> list[str]:
    """Columns that the earlier version cannot do without, and that no row has."""
    there = {name for row in rows.rows for name in row}
    return [
        each.name
        for each in before.signature.columns
        if each.name not in there and (not each.nullable or _required(before.schema, each.name))
    ]


def _required(schema: Schema, name: str) -> bool:
    return name in schema.columns and schema.columns[name].required


def _inputs(
    report: Report, before: Version, rows: Rows, reference: Rows | None, limits: Limits
) -> tuple[Report, list[Finding]]:
    """Whether the rows are spread as what the earlier one was trained on, or as the reference."""
    found: list[Drift] = []
    there = {name for row in rows.rows for name in row}
    for column in before.signature.columns:
        if column.name not in there:
            continue
        values = rows.column(column.name)
        one = drift.of_column(column, values)
        if one is None and reference is not None and reference.source != rows.source:
            one = drift.of_samples(column.name, reference.column(column.name), values)
        if one is not None:
            found.append(one)
    report = msgspec.structs.replace(report, inputs=tuple(found))
    own = reference is not None and reference.source == rows.source
    return report, list(judge.of_inputs(found, limits, gravest="stop" if own else "warn"))


def _answers(
    report: Report,
    before: Version,
    after: Version,
    rows: Rows,
    limits: Limits,
    outside: Outside,
    reporter: Reporter,
) -> tuple[Report, list[Finding]]:
    """What both answer, and how fast."""
    found: list[Finding] = []
    pythons = [outside.environments.python(each.model, reporter) for each in (before, after)]
    said: list[Answers] = []
    with tempfile.TemporaryDirectory(prefix="mlpack-gate-") as scratch:
        for each, python in zip((before, after), pythons, strict=True):
            manifest = each.model.manifest
            title = f"Asking {manifest.version} for {len(rows.rows):,} rows"
            with reporter.stage(title) as stage:
                answers = ask(each.model, python, rows.rows, Path(scratch), outside.runner)
                stage.result(f"{int(answers.refused.sum()):,} refused")
            said.append(answers)
    one, two = said
    if before.signature.task == after.signature.task:
        recorded = before.model.manifest.metrics
        report, found = _differences(report, rows, one, two, recorded, limits, reporter)
    both = (~one.refused & ~two.refused).nonzero()[0]
    if outside.measure and len(both):
        with reporter.stage("Timing both servers in turns") as stage:
            models = ((before.model, pythons[0]), (after.model, pythons[1]))
            row = rows.rows[int(both[0])]
            times = speed.measure(models, (_known(before, row), _known(after, row)), stage)
            stage.result(f"{times[0].p50_ms:.2f} and {times[1].p50_ms:.2f} ms a row")
        report = msgspec.structs.replace(report, speed=times)
        found += judge.of_speed(times, limits)
    return report, found


def _known(of: Version, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what a version does not know."""
    return {each.name: row[each.name] for each in of.signature.columns if each.name in row}


def _differences(
    report: Report,
    rows: Rows,
    one: Answers,
    two: Answers,
    recorded: Mapping[str, float],
    limits: Limits,
    reporter: Reporter,
) -> tuple[Report, list[Finding]]:
    """Where the answers differ, and which are the better ones."""
    with reporter.stage("Comparing the answers") as stage:
        changed = changes.compare(rows, one, two)
        found = list(judge.of_predictions(changed, limits))
        outputs = drift.of_answers(one, two)
        if outputs is not None:
            found += judge.of_outputs(outputs, limits)
        measured: tuple[Metric, ...] = ()
        calibrated = None
        if rows.target is not None:
            measured = metrics.compare(rows.target, one, two)
            calibrated = calibration.compare(rows.target, one, two)
            found += judge.of_metrics(measured, recorded, limits)
        if calibrated is not None:
            found += judge.of_calibration(calibrated, limits)
        stage.result(f"{changed.share:.1%} are others")
    return (
        msgspec.structs.replace(
            report,
            changed=changed,
            outputs=outputs,
            metrics=measured,
            calibration=calibrated,
        ),
        found,
    )
