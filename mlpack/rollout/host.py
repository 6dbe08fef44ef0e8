"""What a host of containers does for a rollout. It keeps all state: nothing is on a laptop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from mlpack.rollout.values import Holder, Release, Replica, Traffic

Verb = Literal["deploy", "canary", "promote", "rollback", "failed"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was done, as the host remembers it.

    Attributes:
        verb: what.
        release: of which release; of a rollback the one that answers since.
        at: when, in seconds since 1970.
        by: who, a user and a machine.
        why: what is not plain from the rest.
    """

    verb: Verb
    release: Release
    at: int
    by: str = ""
    why: str = ""


class Host(Protocol):
    """One service at one host.

    Every method may be called again after it was broken off.

    Raises:
        OutsideError: the host does not answer, or refuses.
    """

    def lock(self, who: str, at: int, until: int) -> Holder | None:
        """Take the lock; else who holds it."""
        ...

    def unlock(self) -> None:
        """Give the lock back."""
        ...

    def traffic(self) -> Traffic | None:
        """Where requests go; None where there is no proxy yet."""
        ...

    def replicas(self) -> Sequence[Replica]:
        """The containers of all releases."""
        ...

    def releases(self) -> Sequence[Release]:
        """The releases that have containers."""
        ...

    def events(self) -> Sequence[Event]:
        """What was done, the oldest first."""
        ...

    def record(self, event: Event) -> None:
        """Remember what was done; nothing where there is no proxy yet."""
        ...

    def has_image(self, image: str) -> bool:
        """Whether an image can be started."""
        ...

    def bring(self, release: Release, into: Path) -> None:
        """Write a release's model into a folder, as `mlpack.delivery.unpacked` has it.

        Raises:
            InputError: its image is not there any more, or holds no model.
        """
        ...

    def samples(self, release: int, last: int | None) -> bytes:
        """The requests that the containers of a release that run have sampled, as JSON lines.

        With `last` at most so many bytes of each, the last ones.
        """
        ...

    def metrics(self, release: int) -> Mapping[str, str]:
        """What the containers of a release that run tell at ``/metrics``, by their names."""
        ...

    def start(self, release: Release) -> None:
        """Make and start its containers: those that are missing, and those that stand still."""
        ...

    def ready(self, release: int, index: int) -> bool:
        """Whether a container answers that it is ready.

        Raises:
            OutsideError: it has ended, and never will be.
        """
        ...

    def last_words(self, release: int, index: int) -> str:
        """The last lines that a container wrote."""
        ...

    def direct(self, traffic: Traffic) -> None:
        """Send requests there from now on; comes back when new ones go there."""
        ...

    def awake(self) -> bool:
        """Whether the proxy runs."""
        ...

    def shaped(self) -> bool:
        """Whether the proxy is as the settings say; what is not needs `direct`."""
        ...

    def wake(self) -> None:
        """See to it that the proxy does what it was told last; nothing where there is none."""
        ...

    def drained(self) -> bool:
        """Whether nobody is under way any more to where requests went before."""
        ...

    def stop(self, replica: Replica) -> None:
        """Stop a container, which ends what it has begun."""
        ...

    def remove(self, replica: Replica) -> None:
        """Remove a container."""
        ...

    def discard(self, image: str) -> None:
        """Remove an image, if nothing uses it."""
        ...

    def logs(self, releases: Sequence[int], lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the containers of some releases, and those that come."""
        ...

    def bare(self) -> bool:
        """Whether nothing of the service is there, not even what was broken off."""
        ...

    def erase(self) -> None:
        """Remove the proxy and what is remembered; without containers, the network too."""
        ...
