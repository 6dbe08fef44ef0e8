"""What is asked of a target where the model runs, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlpack.ports import Action, Built, Deployment, Reporter, Target


@dataclass(frozen=True)
class Standing:
    """A release at a target.

    Attributes:
        release: its number.
        version: the model's.
        digest: of the artifact.
        state: ``live``, ``canary``, ``kept`` for a way back, ``begun`` while it does not answer
            yet and where its deploy was broken off, ``failed`` where it never came to answer, or
            ``gone``.
        share: how many of a hundred requests it answers.
        replicas: how many there shall be.
        running: how many run.
        healthy: how many of them say that they are well.
    """

    release: int
    version: str
    digest: str
    state: str
    share: int = 0
    replicas: int = 0
    running: int = 0
    healthy: int = 0


@dataclass(frozen=True)
class Status:
    """What runs at a target.

    Attributes:
        target: the target's kind.
        service: what it is called there.
        reference: where it answers.
        releases: the live one first; none where nothing is deployed.
        awake: whether what stands before them runs.
    """

    target: str
    service: str
    reference: str
    releases: tuple[Standing, ...] = ()
    awake: bool = True

    @property
    def well(self) -> bool:
        """Whether something answers, and everything runs that should."""
        answering = [each for each in self.releases if each.share]
        return (
            self.awake
            and bool(answering)
            and all(each.running == each.replicas for each in answering)
        )


@dataclass(frozen=True)
class Happened:
    """Something that was done at a target.

    Attributes:
        at: in seconds since 1970.
        verb: ``deploy``, ``canary``, ``promote``, ``rollback`` or ``failed``.
        release, version, digest: of what.
        state: what became of it since.
        by: who did it.
        why: what is not plain from the rest.
    """

    at: int
    verb: str
    release: int
    version: str
    digest: str
    state: str
    by: str = ""
    why: str = ""


@dataclass(frozen=True)
class Fetched:
    """What a target runs, as files on this machine.

    Attributes:
        folder: the model as `mlpack.delivery.unpacked` has it: its package in ``lib``, beside it
            the bill of materials.
        version: the model's.
        release: its number, where the target counts; else 0.
        digest: of the artifact; may be empty.
    """

    folder: Path
    version: str
    release: int = 0
    digest: str = ""


class Rendering(Target, Protocol):
    """A target that can write down what it would ask for, with the verb ``render``."""

    def render(self, built: Built, into: Path) -> Sequence[Path]:
        """Write plain files into a folder, for others to apply; nothing outside is asked."""
        ...


class Permitted(Target, Protocol):
    """A target that knows the permissions that it takes, with the verb ``policy``."""

    def policy(self) -> Mapping[str, Any]:
        """The smallest policy with which all its verbs work; a document for JSON."""
        ...


class Holding(Target, Protocol):
    """A target from which what runs can be brought back, with the verb ``fetch``."""

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring what runs, or a release of the history, into a folder that is not there yet.

        Returns:
            What came; None where nothing is deployed.
        """
        ...


@dataclass(frozen=True)
class Counted:
    """What a server has counted since it started.

    Attributes:
        requests: for predictions, answered.
        failed: those that it refused or failed: all but those with a status of 200 to 299.
        seconds: how long all of them took together.
    """

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0


class Counting(Target, Protocol):
    """A target whose servers can be asked what they have counted, with the verb ``counted``."""

    def counted(self, release: int) -> Mapping[str, Counted]:
        """By the name of each server of a release that runs."""
        ...


class Sampling(Target, Protocol):
    """A target that can bring what its servers have sampled, with the verb ``samples``."""

    def samples(self, release: int | None, last: int | None = None) -> bytes:
        """JSON lines of the requests that the servers of a release keep; empty for none.

        Args:
            release: of the history; None for what answers.
            last: at most so many bytes of each server, the last ones; the first line may be half
                a line then.
        """
        ...


class Running(Target, Protocol):
    """A target at which the model runs, with all verbs."""

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:
        """What `apply`, or with a share `canary`, would do. Changes nothing."""
        ...

    def canary(self, built: Built, share: int, reporter: Reporter, *, why: str = "") -> Deployment:
        """Deploy beside what runs, for `share` of a hundred requests."""
        ...

    def promote(self, reporter: Reporter) -> Status:
        """Give the canary all requests."""
        ...

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Go back to a release, by default the one before; or end the canary."""
        ...

    def status(self) -> Status:
        """What runs."""
        ...

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first."""
        ...

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of what answers, and those that come."""
        ...

    def remove(self, reporter: Reporter) -> None:
        """Remove everything; nothing answers any more."""
        ...
