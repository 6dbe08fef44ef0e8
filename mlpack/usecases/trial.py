"""A canary is watched, then it gets all requests or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from mlpack.delivery.clock import Clock
from mlpack.delivery.environment import Environments
from mlpack.delivery.served import Served
from mlpack.delivery.unpacked import found
from mlpack.errors import CheckFailedError, InputError
from mlpack.gate import judge, traffic, trial
from mlpack.gate.answers import clean
from mlpack.gate.limits import Limits
from mlpack.gate.traffic import Ask, Copies
from mlpack.gate.trial import Trial
from mlpack.operating import Counted, Counting, Sampling, Standing
from mlpack.ports import Reporter, Target
from mlpack.usecases import operate

TICK = 5.0
"""Seconds between two looks."""

ROWS, SOON = 50, 500
"""Of fewer rows answers are not judged: in the end, and before it."""

LAST = 4_000_000
"""So many bytes of what was sampled are looked at each time."""


@dataclass(frozen=True)
class Watch:
    """Watches a canary.

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
        """Watch it for so long, then promote it; end it at once where it does badly.

        Where too few requests came to say anything, it stays a canary.

        Raises:
            CheckFailedError: somebody else has moved the requests meanwhile.
            InputError: there is no canary, or the target cannot tell how it does.
            OutsideError: the target does not answer.
        """
        for verb in ("promote", "counted"):
            operate.running(self.target, verb)
        live, canary = both(self.target)
        there = None
        if "samples" in self.target.verbs:
            there = operate.fetch(self.target, canary.release, self.scratch, reporter)
        if there is None:
            result = self._watched(live, canary, seconds, reporter, None)
        else:
            model = found(there.folder)
            python = self.environments.python(model, reporter)
            with Served(model, python, clean(self.environ)) as server:
                result = self._watched(live, canary, seconds, reporter, server.post)
        return self._followed(result, live, reporter)

    def _watched(
        self, live: Standing, canary: Standing, seconds: float, reporter: Reporter, ask: Ask | None
    ) -> Trial:
        copies = Copies()
        first = self._counted(live, canary)
        looks = max(1, math.ceil(seconds / TICK))
        result = self._look(canary, first, first, copies, 0.0, looks, over=False)
        title = f"Watching release {canary.release} ({canary.version}) with {canary.share}%"
        with reporter.stage(title) as stage:
            for passed in self.clock.ticks(seconds, TICK):
                if ask is not None:
                    sampling = cast("Sampling", self.target)
                    copies.take(sampling.samples(live.release, LAST), ask)
                now, over = self._counted(live, canary), passed >= seconds
                result = self._look(canary, first, now, copies, passed, looks, over=over)
                stage.advance(min(round(passed), round(seconds)), round(seconds))
                if any(each.verdict == "stop" for each in result.findings):
                    break
            stage.result(f"{result.canary.requests:,} requests, {result.copied:,} rows compared")
        return result

    def _counted(
        self, live: Standing, canary: Standing
    ) -> tuple[Mapping[str, Counted], Mapping[str, Counted]]:
        counting = cast("Counting", self.target)
        return counting.counted(live.release), counting.counted(canary.release)

    def _look(
        self,
        canary: Standing,
        first: tuple[Mapping[str, Counted], Mapping[str, Counted]],
        now: tuple[Mapping[str, Counted], Mapping[str, Counted]],
        copies: Copies,
        seconds: float,
        looks: int,
        *,
        over: bool,
    ) -> Trial:
        """What is known so far; time is judged in the end, when a cold start weighs least."""
        live, mine = (trial.since(*pair) for pair in zip(first, now, strict=True))
        findings = [*trial.errors(live, mine, looks)]
        if over:
            findings += trial.latency(live, mine, self.limits)
        if len(copies.rows) >= (ROWS if over else SOON):
            findings += traffic.findings(copies, self.limits)
        return Trial(
            release=canary.release,
            version=canary.version,
            seconds=seconds,
            live=live,
            canary=mine,
            copied=len(copies.rows),
            findings=judge.ordered(findings),
        )

    def _followed(self, result: Trial, live: Standing, reporter: Reporter) -> Trial:
        """What follows: it is promoted, ended, or neither."""
        stops = any(each.verdict == "stop" for each in result.findings)
        if not stops and result.canary.requests < trial.FEWEST:
            reporter.warn(
                f"{result.canary.requests} requests are too few to judge it by: it stays a canary"
            )
            return result
        # Without this canary a way back would lead from the live release to the one before.
        standing = {each.state: each.release for each in operate.status(self.target).releases}
        if (standing.get("live"), standing.get("canary")) != (live.release, result.release):
            raise CheckFailedError(
                "somebody else has moved the requests while the canary was watched",
                hint="mlpack history ENVIRONMENT",
            )
        if stops:
            operate.rollback(self.target, None, reporter)
            return msgspec.structs.replace(result, ended=True)
        operate.promote(self.target, reporter)
        return msgspec.structs.replace(result, promoted=True)


def both(target: Target) -> tuple[Standing, Standing]:
    """The live release and the canary.

    Raises:
        InputError: there is none.
        OutsideError: the target does not answer.
    """
    releases = operate.status(target).releases
    canary = next((each for each in releases if each.state == "canary"), None)
    if canary is None:
        raise InputError("there is no canary", hint="mlpack deploy ENVIRONMENT --canary 10")
    live = next((each for each in releases if each.state == "live"), None)
    if live is None:
        raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
    return live, canary
