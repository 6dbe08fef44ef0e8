"""How releases stand at a host, as it is told to whoever asks for the status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpack.operating import Standing
from mlpack.rollout.host import Event
from mlpack.rollout.values import Release, Replica, Traffic

_ORDER = {"live": 0, "canary": 1, "kept": 2, "begun": 3, "failed": 4}


@dataclass(frozen=True)
class Standings:
    """What a host knows of a service's releases.

    Attributes:
        releases: those that have containers.
        traffic: where requests go.
        events: what was done.
    """

    releases: Sequence[Release]
    traffic: Traffic | None
    events: Sequence[Event]

    def state(self, number: int) -> str:
        """What a release is at the host, in the words of `mlpack.operating.Standing`.

        Containers that are there are ``kept``. Those that never came to answer have ``failed`` if
        that was written down, and are ``begun`` if not.
        """
        if self.traffic is not None and number in self.traffic.answering:
            return "live" if number == self.traffic.live else "canary"
        if number not in {each.number for each in self.releases}:
            return "gone"
        told = {each.verb == "failed" for each in self.events if each.release.number == number}
        if self.traffic is not None and number in self.traffic.before:
            return "kept"
        return "begun" if not told else "kept" if False in told else "failed"

    def standings(self, replicas: Sequence[Replica]) -> tuple[Standing, ...]:
        """The releases that have containers, the live one first."""
        known = {each.number: (self.state(each.number), each) for each in self.releases}
        found = []
        for number in sorted(known, key=lambda number: (_ORDER[known[number][0]], -number)):
            state, release = known[number]
            mine = [each for each in replicas if each.release == number]
            found.append(
                Standing(
                    release=number,
                    version=release.version,
                    digest=release.digest,
                    state=state,
                    share=_share(number, self.traffic),
                    replicas=release.replicas,
                    running=sum(each.running for each in mine),
                    healthy=sum(each.running and each.health == "healthy" for each in mine),
                )
            )
        return tuple(found)


def _share(number: int, traffic: Traffic | None) -> int:
    if traffic is None or number not in traffic.answering:
        return 0
    return traffic.share if number == traffic.canary else 100 - traffic.share
