"""What follows from what was found: each rule reads one part of it and the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlpack.gate import contract, drift
from mlpack.gate.limits import Limits
from mlpack.gate.values import (
    Calibration,
    Change,
    Changed,
    Drift,
    Finding,
    Measured,
    Metric,
    Verdict,
)
from mlpack.runtime.contract import Manifest, Signature

SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "r2")
"""Metrics of at most 1, of which more is better."""

ERRORS = ("mae", "rmse")
"""Metrics in the target's own unit, of which less is better."""

SURE = 0.001
"""A drift is one where chance explains it less often, over all columns together."""

_ORDER = {"stop": 0, "warn": 1, "told": 2, "fine": 3}
_NOTICED = 0.1
_HELD_OUT = 0.2
_BOTH = 2**0.5
"""So much wider is the interval of the difference of two independent values than that of each."""
_LITTLE_MS, _LITTLE_START_MS, _LITTLE_MB, _LITTLE_BYTES = 0.1, 250, 30, 5_000_000
"""What is worse by less than this is not worse."""


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first."""
    return tuple(sorted(findings, key=lambda each: _ORDER[each.verdict]))


def of_contract(changes: Sequence[Change], before: Manifest, after: Manifest) -> Iterator[Finding]:
    """A breaking change wants a version that says so."""
    breaking = [each for each in changes if each.breaking]
    wrong = contract.version_kept(before.version, after.version, breaking=bool(breaking))
    for each in changes:
        verdict: Verdict = "told"
        if each.breaking:
            verdict = "warn" if wrong is None else "stop"
        told = f" ({wrong})" if each.breaking and wrong else ""
        yield Finding(
            check="contract", verdict=verdict, where=each.where, what=f"{each.what}{told}"
        )
    if not changes:
        yield Finding(check="contract", verdict="fine", what="the same columns and answers")


def of_training(
    before: tuple[Manifest, Signature], after: tuple[Manifest, Signature], limits: Limits
) -> Iterator[Finding]:
    """How much each was trained with, what it knew then, and how good it was when it was."""
    old, new = before[1].rows, after[1].rows
    if old and new:
        share = new / old
        yield Finding(
            check="training",
            verdict="stop" if share < limits.rows else "fine",
            what=f"trained with {new:,} rows, {old:,} before",
            value=share,
            limit=limits.rows,
        )
    later = {each.name: each for each in after[1].columns}
    for column in before[1].columns:
        if column.name not in later:
            continue
        names, share = drift.lost(column, later[column.name])
        if names:
            told = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            yield Finding(
                check="training",
                verdict="stop" if share > limits.lost else "told",
                where=column.name,
                what=f"{told} had {share:.0%} of the rows, and training did not see it any more",
                value=share,
                limit=limits.lost,
            )
    yield from _when_trained(before, after, limits)


def _when_trained(
    before: tuple[Manifest, Signature], after: tuple[Manifest, Signature], limits: Limits
) -> Iterator[Finding]:
    held_out = [each[1].rows * _HELD_OUT for each in (before, after)]
    for name in (*SCORES, *ERRORS):
        old, new = before[0].metrics.get(name), after[0].metrics.get(name)
        if old is None or new is None:
            continue
        if name in SCORES:
            # As of a share of so many rows; other scores vary about as much.
            chance = sum(0.25 / rows for rows in held_out if rows) ** 0.5 * 2
            bad = old - new > max(limits.metric_drop, chance)
        else:
            bad = new > old * (1 + max(0.5, 2 * limits.metric_drop))
        if bad:
            yield Finding(
                check="training",
                verdict="stop",
                where=name,
                what=f"on training's own held-out rows it was {old:.4g}, and is {new:.4g}",
                value=new,
                limit=old,
            )


def of_predictions(found: Changed, limits: Limits) -> Iterator[Finding]:
    """How many answers change, and who is refused."""
    if found.newly_refused:
        share = found.newly_refused / max(1, found.rows + found.newly_refused)
        yield Finding(
            check="predictions",
            verdict="stop" if share > limits.refused else "warn",
            what=f"{found.newly_refused:,} rows ({share:.1%}) are refused that were answered",
            value=share,
            limit=limits.refused,
        )
    if not found.rows:
        yield Finding(check="predictions", verdict="stop", what="no row is answered by both")
        return
    yield Finding(
        check="predictions",
        # Of values it is told: how far they moved is what counts.
        verdict=_graded(found.share, limits.changed) if found.of == "labels" else "told",
        what=f"{found.changed:,} of {found.rows:,} answers ({found.share:.1%}) are others",
        value=found.share,
        limit=limits.changed,
    )
    if found.of == "values" and found.moved is not None:
        yield Finding(
            check="predictions",
            verdict=_graded(found.moved, limits.moved),
            what=f"values moved by {found.moved:.2f} standard deviations (root mean square)",
            value=found.moved,
            limit=limits.moved,
        )
    for each in found.slices[:3]:
        yield Finding(
            check="predictions",
            verdict="told",
            where=f"{each.column} = {each.values}",
            what=f"{each.changed:,} of {each.rows:,} ({each.share:.0%}) are others there",
            value=each.share,
        )


def _graded(value: float, limit: float) -> Verdict:
    if value > limit:
        return "stop"
    return "warn" if value > limit / 2 else "fine"


def of_metrics(
    found: Sequence[Metric], recorded: Mapping[str, float], limits: Limits
) -> Iterator[Finding]:
    """A metric that surely fell, by more than it may.

    The rows are held out from the later version; the earlier one may have learned from them. Where
    it is surely better on them than it was on its own held-out rows, it has, and what it was then
    is what the later one is judged by.

    Args:
        found: the metrics.
        recorded: those that training measured for the earlier version.
        limits: what may pass.
    """
    for each in found:
        judged = each.name in SCORES or each.name in ERRORS
        before = recorded.get(each.name)
        if before is not None and _has_seen(each, before):
            worse = before - each.after if each.more_is_better else each.after - before
            # Both were measured on about as many rows, and not on the same ones: some are harder.
            apart = _BOTH * (each.after_high - each.after_low) / 2
            sure, judged = worse > apart, judged and worse > 2 * apart
            told = (
                f"{before:.4g} when the version before was trained, {each.after:.4g} now; on these "
                f"rows it had {each.before:.4g}, so it has learned from them"
            )
        else:
            before, sure, worse = each.before, each.surely_worse, each.worse
            told = (
                f"{each.before:.4g} → {each.after:.4g} "
                f"(difference {each.low:+.3g} to {each.high:+.3g})"
            )
        allowed = limits.metric_drop * (1 if each.name in SCORES else 2 * abs(before))
        verdict: Verdict = "fine"
        if sure:
            verdict = "stop" if judged and worse > allowed else "warn"
        yield Finding(
            check="metrics",
            verdict=verdict,
            where=each.name,
            what=told,
            value=worse,
            limit=allowed if judged else None,
        )


def _has_seen(found: Metric, before: float) -> bool:
    return found.before_low > before if found.more_is_better else found.before_high < before


def of_calibration(found: Calibration, limits: Limits) -> Iterator[Finding]:
    """An error of calibration that surely grew, by more than it may."""
    grown = found.after - found.before
    verdict: Verdict = "fine"
    if found.low > 0:
        verdict = "stop" if grown > limits.calibration else "warn"
    yield Finding(
        check="calibration",
        verdict=verdict,
        what=(
            f"expected calibration error {found.before:.3f} → {found.after:.3f} "
            f"(difference {found.low:+.3f} to {found.high:+.3f})"
        ),
        value=grown,
        limit=limits.calibration,
    )


def of_inputs(
    found: Sequence[Drift], limits: Limits, *, gravest: Verdict = "stop"
) -> Iterator[Finding]:
    """Columns that are spread otherwise than when the earlier one was trained.

    Args:
        found: how each is.
        limits: what may pass.
        gravest: what follows from a large drift. In the candidate's own rows it stops; in those of
            production it is no fault of the candidate.
    """
    calm = 0
    for each in sorted(found, key=lambda drift: -drift.psi):
        verdict = _drifted(each, limits, len(found))
        if verdict == "fine":
            calm += 1
            continue
        verdict = gravest if verdict == "stop" else verdict
        yield Finding(
            check="inputs",
            verdict=verdict,
            where=each.name,
            what=f"it is spread otherwise than when the model before was trained: {_moved(each)}",
            value=each.psi,
            limit=limits.drift,
        )
    if calm:
        yield Finding(check="inputs", verdict="fine", what=f"{calm} columns are spread as before")


def of_outputs(found: Drift, limits: Limits) -> Iterator[Finding]:
    """Predictions that are spread otherwise than those of the earlier one, on the same rows."""
    yield Finding(
        check="outputs",
        verdict=_drifted(found, limits, 1),
        what=f"the spread of the predictions: {_moved(found)}",
        value=found.psi,
        limit=limits.drift,
    )


def _drifted(found: Drift, limits: Limits, columns: int) -> Verdict:
    if found.p * columns >= SURE:  # Bonferroni's correction
        return "fine"
    if found.psi > limits.drift:
        return "stop"
    return "warn" if found.psi > min(_NOTICED, limits.drift) else "fine"


def _moved(found: Drift) -> str:
    apart = [after - before for before, after in zip(found.before, found.after, strict=True)]
    place = max(range(len(apart)), key=lambda each: abs(apart[each]))
    return (
        f"PSI {found.psi:.2f}; {found.bins[place]} had {found.before[place]:.0%}, "
        f"has {found.after[place]:.0%}"
    )


def of_speed(found: Sequence[Measured], limits: Limits) -> Iterator[Finding]:
    """A server that got slower, larger or later; by very little does not matter."""
    before, after = found
    rules = (
        ("a row takes", "ms", before.p50_ms, after.p50_ms, limits.latency, _LITTLE_MS),
        ("the start takes", "ms", before.start_ms, after.start_ms, limits.start, _LITTLE_START_MS),
        ("memory", "MB", before.megabytes, after.megabytes, limits.memory, _LITTLE_MB),
    )
    for title, unit, old, new, limit, little in rules:
        worse = old > 0 and new > old * limit and new - old > little
        yield Finding(
            check="speed",
            verdict="stop" if worse else "fine",
            what=f"{title} {figure(old)} → {figure(new)} {unit}",
            value=new / old if old else None,
            limit=limit,
        )
    large = after.size > before.size * limits.size and after.size - before.size > _LITTLE_BYTES
    yield Finding(
        check="size",
        verdict="stop" if large else "fine",
        what=f"the model's files {before.size / 1e6:.1f} → {after.size / 1e6:.1f} MB",
        value=after.size / before.size if before.size else None,
        limit=limits.size,
    )


def figure(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
