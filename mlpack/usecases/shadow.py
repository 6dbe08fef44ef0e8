"""``mlpack shadow``: a candidate is asked what production is asked, and nobody gets its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from mlpack.delivery.clock import Clock
from mlpack.delivery.environment import Environments
from mlpack.delivery.served import Served
from mlpack.errors import InputError
from mlpack.gate import changes, drift, judge, traffic
from mlpack.gate.answers import clean
from mlpack.gate.limits import Limits
from mlpack.gate.traffic import Copies
from mlpack.gate.values import Report
from mlpack.operating import Sampling
from mlpack.ports import Reporter, Target
from mlpack.usecases import operate
from mlpack.usecases.compare import Version, outline
from mlpack.usecases.trial import LAST, TICK


def shadow(
    target: Target,
    before: Version,
    after: Version,
    seconds: float,
    limits: Limits,
    *,
    clock: Clock,
    environ: Mapping[str, str],
    environments: Environments,
    reporter: Reporter,
) -> Report:
    """Ask a candidate the requests that production samples, for so long, and compare.

    Args:
        target: where production runs.
        before: what runs there.
        after: the candidate, which answers on this machine.
        seconds: how long.
        limits: what may pass.
        clock: tells the time.
        environ: of this process, for the one that answers.
        environments: makes what it runs in.
        reporter: hears what happens.

    Raises:
        InputError: nothing is deployed, or the target's servers keep no samples.
        OutsideError: the target does not answer, or the candidate does not start.
    """
    operate.running(target, "samples")
    python = environments.python(after.model, reporter)
    copies = Copies()
    with (
        Served(after.model, python, clean(environ)) as server,
        reporter.stage("Asking again what production is asked") as stage,
    ):
        # What was sampled before is asked too: it is production's.
        for passed in clock.ticks(seconds, TICK):
            copies.take(cast("Sampling", target).samples(None, LAST), server.post)
            stage.advance(min(round(passed), round(seconds)), round(seconds))
        stage.result(f"{len(copies.rows):,} rows")
    if not copies.rows:
        raise InputError(
            "no request was sampled",
            where=target.kind,
            hint='[deploy.env]\nMLPACK_SAMPLE_FILE = "/tmp/samples.jsonl"\n'
            'MLPACK_SAMPLE_RATE = "0.1"',
        )
    return _report(before, after, copies, limits)


def _report(before: Version, after: Version, copies: Copies, limits: Limits) -> Report:
    rows, one, two = copies.sides()
    spread = [
        drift.of_column(column, rows.column(column.name)) for column in before.signature.columns
    ]
    inputs = tuple(each for each in spread if each is not None)
    findings = [
        *traffic.findings(copies, limits),
        *judge.of_inputs(inputs, limits, gravest="warn"),
    ]
    return msgspec.structs.replace(
        outline(before, after, rows),
        changed=changes.compare(rows, one, two),
        outputs=drift.of_answers(one, two),
        inputs=inputs,
        findings=judge.ordered(findings),
    )
