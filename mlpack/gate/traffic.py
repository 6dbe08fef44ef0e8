"""Requests of production, asked again of another version: what it would have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mlpack.errors import OutsideError
from mlpack.gate import changes, drift, judge
from mlpack.gate.answers import Answers, parse
from mlpack.gate.limits import Limits
from mlpack.gate.rows import Rows, instances
from mlpack.gate.values import Finding
from mlpack.runtime.samples import Sample

MOST = 20_000
"""So many rows are looked at; later ones are not asked any more."""

Ask = Callable[[str, bytes], tuple[int, bytes]]
"""Sends a body of JSON to a path; the answer's status and body."""


@dataclass
class Copies:
    """What both versions answered to the same requests.

    Attributes:
        rows: what was asked.
        before: what production answered, each prediction as it stands in JSON.
        after: what the other version answered; None where it refused or failed.
        failed: how many requests the other version answered with a status of 500 or more.
    """

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    before: list[Mapping[str, Any] | None] = field(default_factory=list)
    after: list[Mapping[str, Any] | None] = field(default_factory=list)
    failed: int = 0
    _seen: set[str] = field(default_factory=set)

    def take(self, lines: bytes, ask: Ask) -> int:
        """Ask the requests among JSON lines that were not asked yet; how many there were.

        Only requests for predictions in JSON that production answered are asked. Half a line at
        the end, which is just being written, comes again the next time.
        """
        count = 0
        for sample in _samples(lines):
            if sample.request_id in self._seen or len(self.rows) >= MOST:
                continue
            self._seen.add(sample.request_id)
            asked = instances(sample)
            before = _predictions(sample.answer_bytes)
            if not asked or before is None or len(asked) != len(before):
                continue
            count += 1
            try:
                status, body = ask(sample.path, sample.body_bytes)
            except OutsideError:
                status, body = 599, b""
            self.failed += status >= 500
            after = _predictions(body) if status == 200 else None
            if after is None or len(after) != len(before):
                after = [None] * len(before)
            self.rows += asked
            self.before += before
            self.after += after
        return count

    def sides(self) -> tuple[Rows, Answers, Answers]:
        """The rows, and both versions' answers to them."""
        rows = Rows(tuple(self.rows), None, "requests of production")
        return rows, parse(self.before), parse(self.after)


def findings(copies: Copies, limits: Limits) -> list[Finding]:
    """What follows from both versions' answers."""
    rows, before, after = copies.sides()
    found = list(judge.of_predictions(changes.compare(rows, before, after), limits))
    outputs = drift.of_answers(before, after)
    if outputs is not None:
        found += judge.of_outputs(outputs, limits)
    if copies.failed:
        told = f"{copies.failed:,} requests failed"
        found.append(Finding(check="predictions", verdict="stop", what=told))
    return found


def _samples(lines: bytes) -> Iterator[Sample]:
    decoder = msgspec.json.Decoder(Sample)
    for line in lines.splitlines():
        try:
            sample = decoder.decode(line)
            _ = sample.body_bytes, sample.answer_bytes
        except (msgspec.DecodeError, ValueError):
            continue
        yield sample


def _predictions(body: bytes) -> list[Mapping[str, Any] | None] | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    told = found.get("predictions") if isinstance(found, dict) else None
    return told if isinstance(told, list) else None
