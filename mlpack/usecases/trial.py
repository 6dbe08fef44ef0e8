"""A canary is watched, then it gets all requests or none; a shadow is asked what production is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from mlpack.delivery.clock import Clock
from mlpack.delivery.environment import Environments
from mlpack.delivery.served import Served
from mlpack.delivery.unpacked import Unpacked, found
from mlpack.errors import InputError
from mlpack.gate import changes, drift, judge, trial
from mlpack.gate.answers import clean
from mlpack.gate.limits import Limits
from mlpack.gate.traffic import Ask, Copies
from mlpack.gate.trial import Tally, Trial
from mlpack.gate.values import Finding, Report
from mlpack.operating import Counted, Counting, Sampling, Standing
from mlpack.ports import Reporter, Stage, Target
from mlpack.usecases import operate
from mlpack.usecases.compare import Version, outline

TICK = 5.0
"""Seconds between two looks."""

_SOON = 50


@dataclass(frozen=True)
class Watch:
    """Looks at a target again and again.

    Attributes:
        target: where both run.
        limits: what may pass.
        clock: tells the time.
        environ: of this process, for the one that answers copies.
        scratch: a folder for the canary's files.
        environments: makes what it runs in here.
    """

    target: Target
    limits: Limits
    clock: Clock
    environ: Mapping[str, str]
    scratch: Path
    environments: Environments

    def canary(self, seconds: float, reporter: Reporter) -> Trial:
        """Watch the canary for so long, then promote it; end it at once where it does badly.

        Where too few requests came to say anything, it stays a canary.

        Raises:
            InputError: there is no canary, or the target cannot tell how it does.
            OutsideError: the target does not answer.
        """
        for verb in ("promote", "counted"):
            operate.running(self.target, verb)
        live, canary = self._both()
        if "samples" in self.target.verbs:
            there = operate.fetch(self.target, canary.release, self.scratch, reporter)
            if there is not None:
                model = found(there.folder)
                python = self.environments.python(model, reporter)
                with Served(model, python, clean(self.environ)) as server:
                    result = self._watched(live, canary, seconds, reporter, _asking(server))
                return self._followed(result, reporter)
        return self._followed(self._watched(live, canary, seconds, reporter, None), reporter)

    def shadow(self, model: Unpacked, seconds: float, reporter: Reporter) -> Copies:
        """Ask another version what production is asked, for so long. Nobody gets its answers.

        Raises:
            InputError: nothing is deployed, or the target's servers keep no samples.
            OutsideError: the target does not answer, or the version does not start.
        """
        operate.running(self.target, "samples")
        live = self._live()
        python = self.environments.python(model, reporter)
        copies = Copies()
        with (
            Served(model, python, clean(self.environ)) as server,
            reporter.stage("Asking again what production is asked") as stage,
        ):
            # What was sampled before is asked too: it is production's.
            for passed in self._ticks(seconds):
                self._copy(copies, live.release, _asking(server))
                _tell(stage, passed, seconds)
            stage.result(f"{len(copies.rows):,} rows")
        if not copies.rows:
            raise InputError(
                "no request was sampled",
                where=self.target.kind,
                hint='[deploy.env]\nMLPACK_SAMPLE_FILE = "/tmp/samples.jsonl"\n'
                'MLPACK_SAMPLE_RATE = "0.1"',
            )
        return copies

    def _watched(
        self, live: Standing, canary: Standing, seconds: float, reporter: Reporter, ask: Ask | None
    ) -> Trial:
        counting = cast("Counting", self.target)
        copies = Copies()
        began = self.clock.now()
        first = counting.counted(live.release), counting.counted(canary.release)
        title = f"Watching release {canary.release} ({canary.version}) with {canary.share}%"
        with reporter.stage(title) as stage:
            result = self._look(canary, first, first, copies, 0.0, over=False)
            for passed in self._ticks(seconds):
                if ask is not None:
                    self._copy(copies, live.release, ask)
                now = counting.counted(live.release), counting.counted(canary.release)
                over = passed >= seconds
                result = self._look(canary, first, now, copies, self.clock.now() - began, over=over)
                _tell(stage, passed, seconds)
                if any(each.verdict == "stop" for each in result.findings):
                    break
            stage.result(f"{result.canary.requests:,} requests, {result.copied:,} rows compared")
        return result

    def _look(
        self,
        canary: Standing,
        first: tuple[Mapping[str, Counted], Mapping[str, Counted]],
        now: tuple[Mapping[str, Counted], Mapping[str, Counted]],
        copies: Copies,
        seconds: float,
        *,
        over: bool,
    ) -> Trial:
        """What is known so far; time is judged in the end, when a cold start weighs least."""
        live, mine = (trial.since(*pair) for pair in zip(first, now, strict=True))
        findings = [*trial.errors(live, mine)]
        if over:
            findings += trial.latency(live, mine, self.limits)
        if len(copies.rows) >= _SOON:
            findings += compared(copies, self.limits)
        return Trial(
            release=canary.release,
            version=canary.version,
            seconds=seconds,
            live=live,
            canary=mine,
            copied=len(copies.rows),
            findings=judge.ordered(findings),
        )

    def _followed(self, result: Trial, reporter: Reporter) -> Trial:
        """What follows: it is promoted, ended, or neither."""
        if any(each.verdict == "stop" for each in result.findings):
            operate.rollback(self.target, None, reporter)
            return msgspec.structs.replace(result, ended=True)
        if enough(result.canary):
            operate.promote(self.target, reporter)
            return msgspec.structs.replace(result, promoted=True)
        reporter.warn(
            f"{result.canary.requests} requests are too few to judge it by: it stays a canary"
        )
        return result

    def _copy(self, copies: Copies, release: int, ask: Ask) -> None:
        copies.take(cast("Sampling", self.target).samples(release), ask)

    def _ticks(self, seconds: float) -> Iterator[float]:
        """Waits, and tells how many seconds have passed; the last ones are all of them."""
        began = self.clock.now()
        passed = 0.0
        while passed < seconds:
            self.clock.sleep(min(TICK, seconds - passed))
            passed = self.clock.now() - began
            yield passed

    def _live(self) -> Standing:
        for each in operate.status(self.target).releases:
            if each.state == "live":
                return each
        raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")

    def _both(self) -> tuple[Standing, Standing]:
        live = self._live()
        for each in operate.status(self.target).releases:
            if each.state == "canary":
                return live, each
        raise InputError("there is no canary", hint="mlpack deploy ENVIRONMENT --canary 10")


def compared(copies: Copies, limits: Limits) -> list[Finding]:
    """What follows from the answers of both to the same requests."""
    rows, before, after = copies.sides()
    findings = list(judge.of_predictions(changes.compare(rows, before, after), limits))
    outputs = drift.of_answers(before, after)
    if outputs is not None:
        findings += judge.of_outputs(outputs, limits)
    return findings


def shadowed(before: Version, after: Version, copies: Copies, limits: Limits) -> Report:
    """What a shadow was asked, as the report of a comparison.

    Args:
        before: what production runs.
        after: the shadow.
        copies: what both answered.
        limits: what may pass.
    """
    rows, one, two = copies.sides()
    report = outline(before, after, rows)
    spread = [
        drift.of_column(column, rows.column(column.name)) for column in before.signature.columns
    ]
    inputs = tuple(each for each in spread if each is not None)
    findings = [*compared(copies, limits), *judge.of_inputs(inputs, limits, gravest="warn")]
    if copies.failed:
        told = f"{copies.failed:,} requests failed"
        findings.append(Finding(check="predictions", verdict="stop", what=told))
    return msgspec.structs.replace(
        report,
        changed=changes.compare(rows, one, two),
        outputs=drift.of_answers(one, two),
        inputs=inputs,
        findings=judge.ordered(findings),
    )


def enough(canary: Tally) -> bool:
    """Whether a canary had requests enough to be judged by them."""
    return canary.requests >= trial.FEWEST


def _asking(server: Served) -> Ask:
    def ask(path: str, body: bytes) -> tuple[int, bytes]:
        reply = server.ask("POST", path, body)
        return reply.status, reply.body

    return ask


def _tell(stage: Stage, passed: float, seconds: float) -> None:
    stage.advance(min(round(passed), round(seconds)), round(seconds))
