"""Whether a canary may have all requests: its errors, its time and its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from scipy import stats

from mlpack.gate.judge import figure
from mlpack.gate.limits import Limits
from mlpack.gate.values import Finding
from mlpack.operating import Counted

FEWEST = 50
"""Of fewer requests nothing is judged."""

SURE = 0.01
_ERRORS = 0.01
_LITTLE = 0.0005


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What one release did since the trial began.

    Attributes:
        requests: for predictions, answered.
        failed: those that were refused or failed.
        mean_ms: how long one took in the server; None without any.
    """

    requests: int
    failed: int
    mean_ms: float | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How it went.

    Attributes:
        release, version: of the canary.
        seconds: how long it was watched.
        live, canary: what both did meanwhile.
        copied: how many rows of the live release's sampled requests the canary was asked too.
        findings: what was judged.
        promoted: whether it has all requests now; else it has none any more, or still its share.
        ended: whether it has none any more.
    """

    release: int
    version: str
    seconds: float
    live: Tally
    canary: Tally
    copied: int
    findings: tuple[Finding, ...]
    promoted: bool = False
    ended: bool = False


def since(before: Mapping[str, Counted], now: Mapping[str, Counted]) -> Tally:
    """What servers did between two looks; one that started anew counts from nothing."""
    requests = failed = 0
    seconds = 0.0
    for name, after in now.items():
        was = before.get(name, Counted())
        if after.requests < was.requests:
            was = Counted()
        requests += after.requests - was.requests
        failed += after.failed - was.failed
        seconds += after.seconds - was.seconds
    mean = seconds / requests * 1e3 if requests else None
    return Tally(requests=requests, failed=failed, mean_ms=mean)


def errors(live: Tally, canary: Tally, looks: int) -> Iterator[Finding]:
    """More refusals and failures than the live release has, by more than chance.

    Both get the same kind of requests; whether chance explains it is Fisher's exact test.

    Args:
        live: what the live release did.
        canary: what the canary did.
        looks: how often it is judged in all: who looks often sees something unlikely sooner or
            later, so each look must be the surer (Bonferroni's correction).
    """
    if canary.requests < FEWEST:
        return
    share = canary.failed / canary.requests
    usual = live.failed / live.requests if live.requests else 0.0
    table = [
        [canary.failed, canary.requests - canary.failed],
        [live.failed, live.requests - live.failed],
    ]
    p = float(stats.fisher_exact(table, alternative="greater").pvalue)
    worse = share > usual + _ERRORS and p * looks < SURE
    yield Finding(
        check="speed",
        verdict="stop" if worse else "fine",
        where="errors",
        what=(
            f"{canary.failed:,} of {canary.requests:,} requests were refused or failed, "
            f"of the live ones {live.failed:,} of {live.requests:,}"
        ),
        value=share,
        limit=usual + _ERRORS,
    )


def latency(live: Tally, canary: Tally, limits: Limits) -> Iterator[Finding]:
    """Slower than the live release, by more than it may."""
    if min(live.requests, canary.requests) < FEWEST or live.mean_ms is None:
        return
    took = canary.mean_ms or 0.0
    slower = took > live.mean_ms * limits.latency and took - live.mean_ms > _LITTLE * 1e3
    yield Finding(
        check="speed",
        verdict="stop" if slower else "fine",
        where="latency",
        what=f"a request took {figure(took)} ms, of the live ones {figure(live.mean_ms)} ms",
        value=took / live.mean_ms if live.mean_ms else None,
        limit=limits.latency,
    )
