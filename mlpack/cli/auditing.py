"""Puts together what ``audit`` needs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlpack.cli.console import Console
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.ports import Advisories
from mlpack.project import Project
from mlpack.usecases import audit as use_case
from mlpack.usecases.audit import Audit

SHOWN = 200
"""Letters of a summary that are shown."""

LONGEST = 12
"""Letters of a severity: a vector of scores is for machines."""


def audit(
    project: Project,
    console: Console,
    *,
    dev: bool,
    database: Path | None,
    ignore: tuple[str, ...],
) -> Audit:
    """See the command ``audit``."""
    lock = project.dev_lock if dev else project.prod_lock
    return use_case.audit(lock, _advisories(database), console, ignore)


def show(console: Console, result: Audit) -> None:
    """A line for each vulnerability, what it is, and how many packages were asked about."""
    rows = [
        (
            each.package,
            each.version,
            each.id,
            ", ".join(each.aliases) or "-",
            each.severity if len(each.severity) <= LONGEST else "-",
            each.fixed or "no version",
        )
        for each in result.found
    ]
    if rows:
        console.table(rows, ("package", "locked", "id", "aliases", "severity", "fixed in"))
    for name, summary in {each.id: each.summary for each in result.found if each.summary}.items():
        console.say(f"  {name}: {_line(summary)}")
    for each in result.ignored:
        console.note(f"ignored: {each.id} of {each.package} {each.version}")
    if not rows:
        known = "Nothing else is known" if result.ignored else "No vulnerability is known"
        console.say(f"{known} in the {result.packages} packages of {result.lock}.")


def _line(text: str) -> str:
    """What somebody else wrote, for a terminal: one line without its control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:SHOWN]


def _advisories(database: Path | None) -> Advisories:
    if database is not None:
        files: Advisories = load("mlpack.advisories.osv_files:OsvFiles")(database)
        return files
    url = os.environ.get("MLPACK_OSV_URL")
    if url and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?", url):
        raise InputError("MLPACK_OSV_URL is no URL", where="environment")
    service: Advisories = load("mlpack.advisories.osv_api:connect")(*([url] if url else []))
    return service
