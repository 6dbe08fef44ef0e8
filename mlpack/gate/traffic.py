"""Requests of production, asked again of another version: what it would have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mlpack.errors import OutsideError
from mlpack.gate.answers import Answers, parse
from mlpack.gate.rows import Rows
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
            asked = _instances(sample)
            before = _predictions(sample.answer_bytes)
            if asked is None or before is None or len(asked) != len(before):
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


def _samples(lines: bytes) -> Iterator[Sample]:
    decoder = msgspec.json.Decoder(Sample)
    for line in lines.splitlines():
        try:
            sample = decoder.decode(line)
            _ = sample.body_bytes, sample.answer_bytes
        except (msgspec.DecodeError, ValueError):
            continue
        if sample.status == 200 and sample.path.endswith("/predict"):
            yield sample


def _instances(sample: Sample) -> Sequence[Mapping[str, Any]] | None:
    try:
        body = msgspec.json.decode(sample.body_bytes)
    except msgspec.DecodeError:
        return None
    rows = body.get("instances", [body]) if isinstance(body, dict) else body
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def _predictions(body: bytes) -> list[Mapping[str, Any] | None] | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    told = found.get("predictions") if isinstance(found, dict) else None
    return told if isinstance(told, list) else None
