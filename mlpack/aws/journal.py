"""What was done at a target, in the tags of the thing that answers there.

AWS gives a resource fifty tags of 256 characters; the last thirty events stay. A tag's value takes
letters, digits, spaces and ``+ - = . _ : / @``, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlpack.aws.releases import Release
from mlpack.delivery.clock import Clock
from mlpack.delivery.unsaid import unsaid
from mlpack.operating import Happened
from mlpack.ports import Reporter

KEEP = 30

VERSION, DIGEST, SETTINGS, BUNDLE, BY = (
    f"mlpack:{word}" for word in ("version", "digest", "settings", "bundle", "by")
)
"""Tags of what was made for one release."""

_PREFIX = "mlpack:event:"
_ODD = re.compile(r"[^A-Za-z0-9 +=._:/@-]+")
_LINE = re.compile(
    r"(?P<at>\d{1,12}) (?P<verb>[a-z]+) (?P<release>\d{1,9}) (?P<version>\S+) "
    r"(?P<digest>\S+) (?P<by>\S+)(?: (?P<why>.*))?"
)
_MOST = 256


@dataclass(frozen=True)
class Event:
    """Something that was done.

    Attributes:
        at: in seconds since 1970.
        verb: ``deploy``, ``canary``, ``promote``, ``rollback`` or ``failed``.
        release, version, digest: of what.
        by: who did it.
        why: what is not plain from the rest.
    """

    at: int
    verb: str
    release: int
    version: str
    digest: str
    by: str
    why: str = ""


class Tagged(Protocol):
    """A resource as it was seen."""

    @property
    def arn(self) -> str:
        """Its name; empty where there is none."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        ...

    @property
    def live(self) -> int:
        """The release that answers; 0 for none."""
        ...


@dataclass(frozen=True)
class Journal:
    """The journal of one resource.

    Attributes:
        look: shows the resource.
        tag: is given its name, tags to put and keys of tags to take away.
        clock: tells the time.
    """

    look: Callable[[], Tagged]
    tag: Callable[[str, Mapping[str, str], Sequence[str]], None]
    clock: Clock

    def record(self, verb: str, release: Release, who: str, why: str = "") -> None:
        """Write down what was done with a release, by whom and why."""
        seen, version = self.look(), release.version or "-"
        at = int(self.clock.now())
        event = Event(at, verb, release.number, version, release.digest, who, why)
        self.tag(seen.arn, *added(seen.tags, event))

    def settle(
        self,
        seen: Tagged,
        release: Callable[[int], Release],
        who: Callable[[], str],
        reporter: Reporter,
        canary: int = 0,
    ) -> str:
        """Write down what a run that was broken off did and did not write down.

        Args:
            seen: the resource.
            release: what is known of a number.
            who: says who asks.
            reporter: is told of it.
            canary: the release beside the one that answers; 0 for none.

        Returns:
            its verb; empty where nothing was missing.
        """
        verb, number = missing(seen, canary), canary or seen.live
        if verb:
            reporter.note(f"release {number} answers, and nobody wrote it down: {verb}")
            self.record(verb, release(number), who(), "found")
        return verb


def missing(seen: Tagged, canary: int = 0) -> str:
    """The verb of what was done and does not stand in the tags; empty for nothing."""
    return unsaid([(each.verb, each.release) for each in read(seen.tags)], seen.live, canary)


def plain(text: str) -> str:
    """A text with only what a tag's value may hold, without spaces around it."""
    return _ODD.sub("_", text).strip()


def read(tags: Mapping[str, str]) -> Sequence[Event]:
    """The events in a resource's tags, the oldest first; others' tags are not looked at."""
    found = []
    for key in sorted(key for key in tags if key.startswith(_PREFIX)):
        line = _LINE.fullmatch(tags[key])
        if line is not None:
            found.append(
                Event(
                    at=int(line["at"]),
                    verb=line["verb"],
                    release=int(line["release"]),
                    version=line["version"],
                    digest=line["digest"],
                    by=line["by"],
                    why=line["why"] or "",
                )
            )
    return found


def added(tags: Mapping[str, str], event: Event) -> tuple[Mapping[str, str], Sequence[str]]:
    """What to write for one more event: tags to put, and keys of tags to take away."""
    there = sorted(key for key in tags if key.startswith(_PREFIX))
    last = int(there[-1].removeprefix(_PREFIX)) if there else 0
    words = (event.at, event.verb, event.release, plain(event.version).replace(" ", "_"))
    line = " ".join(map(str, (*words, event.digest or "-", plain(event.by) or "somebody")))
    value = plain(f"{line} {plain(event.why)}")[:_MOST].strip()
    return {f"{_PREFIX}{last + 1:06d}": value}, there[: max(0, len(there) + 1 - KEEP)]


def happened(events: Sequence[Event], states: Mapping[int, str]) -> Sequence[Happened]:
    """The history, with what became of each release since: see `Happened.state`."""
    return [
        Happened(
            at=each.at,
            verb=each.verb,
            release=each.release,
            version=each.version,
            digest=each.digest.removeprefix("-"),
            state="failed" if each.verb == "failed" else states.get(each.release, "gone"),
            by=each.by,
            why=each.why,
        )
        for each in events
    ]


def before(events: Sequence[Event], live: int) -> int | None:
    """The release that answered before `live` did; None where none is known."""
    others = [
        each.release
        for each in events
        if each.verb in ("deploy", "promote", "rollback") and each.release != live
    ]
    return others[-1] if others else None
