"""How releases stand at a host, as it is told to whoever asks for the status."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack.operating import Standing
from mlpack.rollout.values import Release, Replica, Traffic

_ORDER = {"live": 0, "canary": 1, "kept": 2, "gone": 3}


def standings(
    releases: Sequence[Release], replicas: Sequence[Replica], traffic: Traffic | None
) -> tuple[Standing, ...]:
    """The releases that have containers, the live one first."""
    known = {each.number: each for each in releases}
    found = []
    for number in sorted(known, key=lambda number: (_ORDER[state(number, traffic)], -number)):
        release = known[number]
        mine = [each for each in replicas if each.release == number]
        found.append(
            Standing(
                release=number,
                version=release.version,
                digest=release.digest,
                state=state(number, traffic),
                share=_share(number, traffic),
                replicas=release.replicas,
                running=sum(each.running for each in mine),
                healthy=sum(each.running and each.health == "healthy" for each in mine),
            )
        )
    return tuple(found)


def state(number: int, traffic: Traffic | None) -> str:
    """What a release is at a host: ``live``, ``canary``, ``kept`` or ``gone``."""
    if traffic is None:
        return "gone"
    if number in traffic.answering:
        return "live" if number == traffic.live else "canary"
    return "kept" if number in traffic.before[:1] else "gone"


def _share(number: int, traffic: Traffic | None) -> int:
    if traffic is None or number not in traffic.answering:
        return 0
    return traffic.share if number == traffic.canary else 100 - traffic.share
