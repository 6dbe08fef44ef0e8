"""Records of vulnerabilities, and which versions of a package they are about.

After the OSV schema 1.7 (https://ossf.github.io/osv-schema/): its section "Evaluation" says how the
events of a range are read. For PyPI versions are ordered as PEP 440 has it. A version's local part
(``2.13.0+cpu``) says how a file was built and does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

ECOSYSTEM = "PyPI"

_ORDERED = frozenset({"ECOSYSTEM", "SEMVER"})
_RANK = {"fixed": 0, "introduced": 1, "last_affected": 2}
_BEGINNING = "0"
_ANY = "*"


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Versions between events; each event is a mapping with one key."""

    type: str
    events: tuple[dict[str, str], ...] = ()


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package by its ecosystem, such as ``PyPI``, and name."""

    ecosystem: str = ""
    name: str = ""


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says of one package."""

    package: Package = Package()
    ranges: tuple[Range, ...] | None = None
    versions: tuple[str, ...] | None = None


class Severity(msgspec.Struct, frozen=True, kw_only=True):
    """A score: ``CVSS_V3`` and a vector, for example."""

    type: str
    score: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One vulnerability."""

    id: str
    aliases: tuple[str, ...] | None = None
    summary: str = ""
    withdrawn: str | None = None
    affected: tuple[Affected, ...] | None = None
    severity: tuple[Severity, ...] | None = None
    database_specific: dict[str, Any] | None = None

    @property
    def rating(self) -> str:
        """How bad it is: in its database's word, such as ``HIGH``, else its score's vector."""
        word = (self.database_specific or {}).get("severity")
        if isinstance(word, str) and word:
            return word
        return self.severity[-1].score if self.severity else ""

    def of(self, name: str) -> Iterator[Affected]:
        """What it says of a package of PyPI, by its normalised name."""
        for each in self.affected or ():
            ecosystem = each.package.ecosystem.partition(":")[0]
            if ecosystem == ECOSYSTEM and canonicalize_name(each.package.name) == name:
                yield each

    def affects(self, name: str, version: Version) -> bool:
        """Whether it is about this version; a record that was withdrawn is about none."""
        return self.withdrawn is None and any(
            _listed(each, version) or _within(each, version) for each in self.of(name)
        )

    def fixed(self, name: str, version: Version) -> Version | None:
        """The lowest version above this one in which it is fixed, if there is one."""
        known = [
            found
            for each in self.of(name)
            for span in each.ranges or ()
            if span.type in _ORDERED
            for event in span.events
            if "fixed" in event and (found := _version(event["fixed"])) is not None
        ]
        return min((found for found in known if found > _public(version)), default=None)


def _listed(affected: Affected, version: Version) -> bool:
    public = _public(version)
    return any(_version(text) == public for text in affected.versions or ())


def _within(affected: Affected, version: Version) -> bool:
    for span in affected.ranges or ():
        if span.type not in _ORDERED:
            continue  # commits: those are for who builds from the repository
        events = _events(span)
        if events is None:
            # A version in it cannot be read. Without a list of versions, better warn than not.
            if not affected.versions:
                return True
        elif _inside(events, _public(version)):
            return True
    return False


def _inside(events: list[tuple[str, Version | None]], version: Version) -> bool:
    limits = [edge for kind, edge in events if kind == "limit"]
    if limits and not any(edge is None or version < edge for edge in limits):
        return False
    vulnerable = False
    for kind, edge in events:
        if kind == "introduced" and (edge is None or version >= edge):
            vulnerable = True
        elif edge is not None and (
            (kind == "fixed" and version >= edge) or (kind == "last_affected" and version > edge)
        ):
            vulnerable = False
    return vulnerable


def _events(span: Range) -> list[tuple[str, Version | None]] | None:
    """The events from the lowest version to the highest; None where a version cannot be read.

    An event's version is None for "from the beginning" (``introduced``) and "no limit".
    """
    found: list[tuple[str, Version | None]] = []
    for event in span.events:
        for kind, text in event.items():
            if text == (_ANY if kind == "limit" else _BEGINNING) and kind in (
                "introduced",
                "limit",
            ):
                found.append((kind, None))
                continue
            version = _version(text)
            if version is None:
                return None
            found.append((kind, version))
    lowest = Version("0.dev0")
    return sorted(
        found,
        key=lambda each: (each[1] is not None, each[1] or lowest, _RANK.get(each[0], 3)),
    )


def _version(text: str) -> Version | None:
    try:
        return _public(Version(text))
    except ValueError:  # InvalidVersion is one, and Python's own for a number of 4,300 digits
        return None


def _public(version: Version) -> Version:
    return Version(version.public) if version.local else version
