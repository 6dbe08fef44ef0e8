"""Shows what a comparison found, and what was pulled."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mlpack.cli.console import Console
    from mlpack.gate.trial import Trial
    from mlpack.gate.values import Report
    from mlpack.usecases.pull import Pulled

_MARKS = {"stop": "stop", "warn": "look", "told": "note", "fine": "fine"}


def table(console: Console, found: Report, page: Path) -> None:
    """The findings, the gravest first; where the page is, on standard output."""
    console.say(
        f"{found.after.name}: {found.before.version} ({found.before.source}) → "
        f"{found.after.version} ({found.after.source})"
    )
    if found.rows:
        right = "with" if found.labelled else "without"
        console.say(f"{found.rows:,} rows of {found.data}, {right} what would be right")
    console.table(
        [(_MARKS[each.verdict], each.check, each.where, each.what) for each in found.findings],
        ("", "about", "where", "what"),
    )
    stops = len(found.stops)
    if stops:
        console.warn(f"it must not go on: {stops} of {len(found.findings)} findings stop it")
    else:
        console.say("It may go on.")
    console.result(str(page))


def as_json(console: Console, found: Report, page: Path) -> None:
    """The report as JSON."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    console.json({**told, "stopped": bool(found.stops), "page": str(page)})


def pulled(console: Console, found: Pulled) -> None:
    """Where it lies, and the commands to ask it; the folder on standard output."""
    number = f", release {found.release}" if found.release else ""
    console.say(f"{found.name} {found.version}{number} {found.digest[:19]}".rstrip())
    if not found.exact:
        console.warn("it says no exact versions: what is installed are those of today")
    # Whole: the commands begin with going somewhere else.
    library, python = (shlex.quote(str(each.absolute())) for each in (found.library, found.python))
    program = f"cd {library} && {python} -m "
    console.say(f"To serve it:  {program}{found.package} serve")
    if found.samples is not None:
        asked = shlex.quote(str(found.samples.absolute()))
        console.say(f"To ask again: {program}{found.package} replay {asked}")
    console.result(str(found.folder))


def trial(console: Console, found: Trial, environment: str) -> None:
    """What became of a canary; its release on standard output."""
    console.table(
        [(_MARKS[each.verdict], each.where or each.check, each.what) for each in found.findings],
        ("", "about", "what"),
    )
    if found.promoted:
        console.say(f"Release {found.release} ({found.version}) has all requests now.")
    elif found.ended:
        console.warn(f"release {found.release} ({found.version}) was ended: see what stopped it")
    else:
        console.say(
            f"Next: mlpack promote {environment} --for MINUTES   or: mlpack rollback {environment}"
        )
    console.result(str(found.release))
