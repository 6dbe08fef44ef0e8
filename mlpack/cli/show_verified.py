"""Shows what ``verify`` found."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack.cli.console import Console
from mlpack.cli.show import plain
from mlpack.usecases.verify import Verified

MOST = 50
"""So many differences of an artifact are shown; ``--json`` has all."""


def table(console: Console, found: Sequence[Verified]) -> None:
    """A line for each artifact that is the same, a table for each that is not."""
    for each in found:
        if each.same:
            image = f", image {each.digest}" if each.digest else ""
            image += ", signed" if each.signed else ""
            console.result(f"{each.artifact}: the same, byte for byte: sha256:{each.sha256}{image}")
            continue
        if each.sha256 == each.rebuilt:
            told = f"the same, but not what lies beside it: sha256:{each.sha256}"
        else:
            told = f"not the same: sha256:{each.sha256}, rebuilt sha256:{each.rebuilt}"
        console.result(f"{each.artifact}: {told}")
        rows = [(item.file, item.what, item.detail) for item in each.differences[:MOST]]
        console.table(rows, ("file", "in what", "how"))
        if len(each.differences) > MOST:
            console.say(f"  and {len(each.differences) - MOST} more: mlpack verify --json")


def as_json(console: Console, found: Sequence[Verified]) -> None:
    """All of it, for machines."""
    console.json([plain(each) for each in found])
