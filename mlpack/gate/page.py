"""A report as one page of HTML that needs nothing else: styles and plots are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpack.gate.values import Drift, Point, Report
from mlpack.render import render

_SHOWN = 8
_TITLES = {
    "contract": "What it promises",
    "training": "How it was trained",
    "predictions": "Its answers",
    "metrics": "How good it is",
    "calibration": "Whether probabilities mean what they say",
    "inputs": "What it is given",
    "outputs": "What it answers",
    "packages": "What it is made of",
    "size": "Size",
    "speed": "Speed",
}
_VERDICTS = {"stop": "stop", "warn": "look", "told": "note", "fine": "fine"}


@dataclass(frozen=True)
class Bar:
    """A bin of a histogram: its name, and both shares of the tallest one, 0 to 1."""

    name: str
    before: float
    after: float
    told: str


@dataclass(frozen=True)
class Interval:
    """A metric as a line: its ends and its middle, 0 to 1 of the width, for both."""

    name: str
    told: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


def page(report: Report) -> str:
    """The page."""
    drifted = sorted(report.inputs, key=lambda each: -each.psi)[:_SHOWN]
    return render(
        "gate/report.html.j2",
        report=report,
        titles=_TITLES,
        verdicts=_VERDICTS,
        stops=list(report.stops),
        warns=[each for each in report.findings if each.verdict == "warn"],
        inputs=[(each, bars(each)) for each in drifted],
        outputs=bars(report.outputs) if report.outputs else (),
        intervals=intervals(report),
        curves=[
            (name, path(points), points)
            for name, points in (
                ("before", report.calibration.curve_before if report.calibration else ()),
                ("after", report.calibration.curve_after if report.calibration else ()),
            )
            if points
        ],
    )


def bars(found: Drift) -> tuple[Bar, ...]:
    """A drift's bins, both shares as parts of the largest."""
    top = max([*found.before, *found.after]) or 1.0
    return tuple(
        Bar(name, before / top, after / top, f"{name}: {before:.1%} before, {after:.1%} after")
        for name, before, after in zip(found.bins, found.before, found.after, strict=True)
    )


def intervals(report: Report) -> tuple[Interval, ...]:
    """Each metric's two intervals on a scale of their own."""
    found = []
    for each in report.metrics:
        ends = (each.before_low, each.before_high, each.after_low, each.after_high)
        low, high = min(ends), max(ends)
        width = (high - low) or 1.0

        def at(value: float, low: float = low, width: float = width) -> float:
            return min(1.0, max(0.0, (value - low) / width))

        found.append(
            Interval(
                each.name,
                f"{each.before:.4g} → {each.after:.4g}, "
                f"difference {each.low:+.3g} to {each.high:+.3g}",
                (at(each.before_low), at(each.before), at(each.before_high)),
                (at(each.after_low), at(each.after), at(each.after_high)),
            )
        )
    return tuple(found)


def path(points: Sequence[Point]) -> str:
    """A reliability curve as the points of an SVG polyline, in a square of 200."""
    return " ".join(f"{each.said * 200:.1f},{200 - each.true * 200:.1f}" for each in points)
