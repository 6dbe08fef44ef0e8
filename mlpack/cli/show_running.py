"""Shows what runs at a target."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mlpack.cli.console import Console
from mlpack.operating import Happened, Status


def status(console: Console, found: Status, environment: str) -> None:
    """What runs; where it answers, on standard output."""
    if not found.releases:
        console.say(f"{found.service}: nothing is deployed. Next: mlpack deploy {environment}")
        return
    rows = [
        (
            str(each.release),
            each.version,
            each.state,
            f"{each.share}%",
            f"{each.running} of {each.replicas}",
            str(each.healthy),
            each.digest[:19],
        )
        for each in found.releases
    ]
    head = ("release", "version", "state", "requests", "running", "healthy", "image")
    console.table(rows, head)
    if not found.awake:
        console.warn("the proxy before them does not run; the next deploy or rollback starts it")
    console.result(found.reference)


def history(console: Console, found: Sequence[Happened]) -> None:
    """What was done, the oldest first, on standard output."""
    for each in found:
        at = dt.datetime.fromtimestamp(each.at, dt.timezone.utc)
        told = f"{at:%Y-%m-%d %H:%M:%S}Z  {each.verb:<8}  release {each.release} ({each.version})"
        further = [each.state, each.by, each.why]
        console.result("  ".join([told, *(word for word in further if word)]))


def rendered(console: Console, files: Sequence[Path], *, json: bool) -> None:
    """The files that were written."""
    if json:
        console.result(msgspec.json.encode([str(path) for path in files]).decode())
        return
    for path in files:
        console.result(str(path))
