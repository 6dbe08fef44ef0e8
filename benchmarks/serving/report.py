"""From what was measured to the tables that people read. Knows nothing of how it was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

CONSTANT, OWN, USUAL = "constant", "mlpack", "FastAPI by hand"
BESIDE = {1: 0.75, 32: 0.5}
"""The least share of the constant application's requests a second, by connections."""
TIMES = {1: 30.0, 32: 50.0}
"""How many times a serving framework's requests a second, by connections."""
TAIL, START, MEMORY = 4.0, 3.0, 100.0
MANY = {"JSON": 5.0, "CSV": 10.0, "Arrow": 10.0}

Round = tuple[float, float, float, float]


@dataclass
class Found:
    """What was measured of one pipeline.

    Attributes:
        title: what it is.
        loads: by contender and connections, one per round: answers a second, p50 and p99 in ms,
            and processor time of the server for an answer in µs.
        many: rows a second of large requests, by contender and format, one per round.
        first: milliseconds from the process's start to its first prediction, by contender.
        memory: resident megabytes after the load, by contender.
        out: why a contender was left out.
    """

    title: str
    loads: dict[str, dict[int, list[Round]]] = field(default_factory=dict)
    many: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    first: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)


def share(found: Found, one: str, other: str, connections: int) -> float | None:
    """How many times `other`'s requests a second `one` answers: the median of the rounds' ratios.

    A busy machine slows a round for both, so the ratio of a round says more than its figures.
    """
    pairs = zip(
        found.loads.get(one, {}).get(connections, ()),
        found.loads.get(other, {}).get(connections, ()),
        strict=False,
    )
    ratios = [mine[0] / theirs[0] for mine, theirs in pairs]
    return statistics.median(ratios) if ratios else None


def fastest(found: Found) -> tuple[str, list[float]] | None:
    """The peer, and its format, that answers most rows a second in large requests."""
    peers = [
        (f"{contender}, {name}", rates)
        for contender, formats in found.many.items()
        if contender != OWN
        for name, rates in formats.items()
        if rates
    ]
    return max(peers, key=lambda peer: statistics.median(peer[1]), default=None)


def many_times(found: Found, name: str) -> float | None:
    """How many times the fastest peer's rows a second mlpack answers in a format."""
    peer = fastest(found)
    mine = found.many.get(OWN, {}).get(name)
    if peer is None or not mine:
        return None
    return statistics.median(a / b for a, b in zip(mine, peer[1], strict=False))


def tail(found: Found, contender: str, connections: int) -> float | None:
    """How many times p50 p99 is: the median of the rounds."""
    rounds = found.loads.get(contender, {}).get(connections, ())
    ratios = [p99 / p50 for _, p50, p99, _ in rounds]
    return statistics.median(ratios) if ratios else None


def start(found: Found, contender: str) -> float | None:
    """How many times the constant application's time to the first answer it needs."""
    mine, base = found.first.get(contender), found.first.get(CONSTANT)
    return statistics.median(mine) / statistics.median(base) if mine and base else None


def markdown(found: Mapping[str, Found]) -> str:
    """All tables."""
    parts = []
    for each in found.values():
        parts += [f"#### {each.title}", "", *_speed(each), "", *_many(each)]
        parts += [f"- {name} was left out: {why}" for name, why in each.out.items()]
        parts.append("")
    return "\n".join([*parts, *_bars(found)])


_HEADS = (
    *("1 connection: answers/s", "of constant", "p50 / p99 ms"),
    *("32 connections: answers/s", "of constant", "p50 / p99 ms", "CPU µs"),
    *("first answer ms", "of constant", "memory MB"),
)


def _speed(found: Found) -> list[str]:
    lines = ["| | " + " | ".join(_HEADS) + " |", "|---|" + "---:|" * len(_HEADS)]
    for name in found.loads:
        cells = [name]
        for connections in (1, 32):
            rounds = found.loads[name].get(connections, [])
            if not rounds:
                cells += ["", "", ""] + [""] * (connections > 1)
                continue
            medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
            rate, p50, p99, processor = medians
            cells += [f"{rate:,.0f}", _ratio(share(found, name, CONSTANT, connections))]
            cells.append(f"{_short(p50)} / {_short(p99)}")
            if connections > 1:
                cells.append(f"{processor:,.0f}")
        first = found.first.get(name)
        cells.append(f"{statistics.median(first):,.0f}" if first else "")
        times = start(found, name)
        cells.append("" if times is None else f"{times:.1f}")
        cells.append(f"{found.memory[name]:.0f}" if name in found.memory else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _many(found: Found) -> list[str]:
    if not found.many:
        return []
    lines = ["| 1,000 rows a request | rows/s | mlpack answers |", "|---|---:|---:|"]
    mine = found.many.get(OWN, {}).get("JSON", [])
    for contender, formats in found.many.items():
        for name, rates in formats.items():
            times = ""
            if contender != OWN and mine:
                each = [a / b for a, b in zip(mine, rates, strict=False)]
                times = f"{statistics.median(each):.1f} times (JSON)"
            lines.append(f"| {contender}, {name} | {statistics.median(rates):,.0f} | {times} |")
    return [*lines, ""]


def bars(found: Found) -> list[tuple[str, float, float, bool]]:
    """What is promised: a sentence, what was found, the bar, and whether it is held."""
    lines: list[tuple[str, float | None, float, bool]] = []
    for connections in (1, 32):
        word = f"{connections} connection{'s' if connections > 1 else ''}"
        rate = share(found, OWN, CONSTANT, connections)
        lines.append((f"of the constant answer, {word}", rate, BESIDE[connections], True))
        for peer in found.loads:
            if peer not in (OWN, CONSTANT, USUAL):
                times = share(found, OWN, peer, connections)
                lines.append((f"times {peer}, {word}", times, TIMES[connections], True))
    lines.append(("p99 / p50, 32 connections", tail(found, OWN, 32), TAIL, False))
    lines.append(("of the constant application's start", start(found, OWN), START, False))
    lines.append(("MB resident", found.memory.get(OWN), MEMORY, False))
    for name, bar in MANY.items():
        times = many_times(found, name)
        lines.append((f"times the fastest peer's rows, {name}", times, bar, True))
    return [
        (what, value, bar, value >= bar if least else value <= bar)
        for what, value, bar, least in lines
        if value is not None
    ]


def _bars(found: Mapping[str, Found]) -> list[str]:
    """One line per bar, one column per pipeline."""
    columns = {name: {what: rest for what, *rest in bars(each)} for name, each in found.items()}
    names: list[str] = []
    for column in columns.values():
        names += [what for what in column if what not in names]
    lines = [
        "| mlpack | bar | " + " | ".join(columns) + " |",
        "|---|---:|" + "---:|" * len(columns),
    ]
    for what in names:
        cells: list[str] = []
        bar = 0.0
        for column in columns.values():
            if what not in column:
                cells.append("")
                continue
            value, bar, held = column[what]
            cells.append(f"{_figure(value)}" if held else f"**{_figure(value)}**")
        lines.append(f"| {what} | {bar:g} | " + " | ".join(cells) + " |")
    return [*lines, "", "Bold: the bar is not held."] if names else []


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:.0f}"
