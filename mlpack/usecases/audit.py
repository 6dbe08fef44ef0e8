"""Which of the locked packages have known vulnerabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from mlpack import requirements_file
from mlpack.errors import CheckFailedError, InputError
from mlpack.lock import Pin
from mlpack.osv import Record
from mlpack.ports import Advisories, Reporter


@dataclass(frozen=True)
class Finding:
    """A vulnerability of a locked package.

    Attributes:
        package, version: what is locked.
        id: the record's.
        aliases: its other names, sorted.
        severity: in words or as a score's vector; may be empty.
        summary: one line; may be empty.
        fixed: the next version without it, if there is one.
    """

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    severity: str
    summary: str
    fixed: str | None


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        lock: the file that was checked.
        database: what it was checked against.
        packages: how many.
        found: sorted by package.
        ignored: those that were ignored by name.
    """

    lock: str
    database: str
    packages: int
    found: tuple[Finding, ...]
    ignored: tuple[Finding, ...]


def audit(
    lock: Path, advisories: Advisories, reporter: Reporter, ignore: Iterable[str] = ()
) -> Audit:
    """Ask about every package of a lock.

    Args:
        lock: ``requirements.lock.txt`` or the one for development.
        advisories: what is asked.
        reporter: hears what happens.
        ignore: identifiers or aliases of what is known and accepted.

    Raises:
        InputError: there is no such lock, or it or the database is damaged.
        OutsideError: the service does not answer.
    """
    text = requirements_file.read(lock)
    if text is None:
        raise InputError("there is no lock yet", where=lock.name, hint="mlpack lock")
    pins = requirements_file.loads(text, lock.name)
    with reporter.stage(f"Asking {advisories.name} about {len(pins)} packages") as stage:
        findings = _findings(advisories.about(pins))
        stage.result(_counted(len(findings)) if findings else "nothing is known")
    wanted = {name.upper() for name in ignore}
    known = {each: {each.id.upper(), *map(str.upper, each.aliases)} for each in findings}
    ignored = tuple(each for each in findings if known[each] & wanted)
    for name in sorted(wanted - {name for each in ignored for name in known[each]}):
        reporter.warn(f"{name} is ignored, and nothing has it")
    found = tuple(each for each in findings if each not in ignored)
    return Audit(lock.name, advisories.name, len(pins), found, ignored)


def refuse(result: Audit) -> None:
    """Say no where something was found.

    Raises:
        CheckFailedError: something was.
    """
    if not result.found:
        return
    fixable = sorted({each.package for each in result.found if each.fixed})
    upgrade = " ".join(f"--upgrade-package {name}" for name in fixable)
    one = result.found[0].id
    raise CheckFailedError(
        f"{_counted(len(result.found))} in {result.lock}",
        hint=(f"mlpack lock {upgrade}\n" if fixable else "")
        + f"What does not concern this project: mlpack audit --ignore {one}",
    )


def _counted(number: int) -> str:
    return f"{number} known {'vulnerability' if number == 1 else 'vulnerabilities'}"


def _findings(found: Sequence[tuple[Pin, Record]]) -> tuple[Finding, ...]:
    """One finding for each vulnerability of a pin, however many databases have it."""
    groups: list[tuple[Pin, set[str], list[Record]]] = []
    for pin, record in sorted(found, key=lambda each: (each[0].name, each[0].version, each[1].id)):
        names = {record.id, *(record.aliases or ())}
        records = [record]
        for group in [each for each in groups if each[0] == pin and each[1] & names]:
            groups.remove(group)
            names |= group[1]
            records = [*group[2], *records]
        groups.append((pin, names, records))
    findings = [_finding(pin, names, records) for pin, names, records in groups]
    return tuple(sorted(set(findings), key=lambda each: (each.package, each.version, each.id)))


def _finding(pin: Pin, names: set[str], records: Sequence[Record]) -> Finding:
    version = Version(pin.version)
    # The one that says most: with a severity, then with a summary.
    best = max(records, key=lambda record: (bool(record.rating), bool(record.summary)))
    fixes = [fix for record in records if (fix := record.fixed(pin.name, version)) is not None]
    return Finding(
        package=pin.name,
        version=pin.version,
        id=best.id,
        aliases=tuple(sorted(names - {best.id})),
        severity=best.rating,
        summary=best.summary,
        fixed=str(max(fixes)) if fixes else None,
    )
