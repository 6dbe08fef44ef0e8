"""A service of ECS as it stands: which revisions run, and which one shall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Part:
    """One of a service's deployments: tasks of one task definition.

    Attributes:
        identity: AWS's name for it.
        number: the task definition's revision.
        primary: whether it is the one that shall be.
        state: ``COMPLETED``, ``IN_PROGRESS``, ``FAILED``, or empty where AWS tells none.
        reason: why.
        desired, running: tasks.
    """

    identity: str
    number: int
    primary: bool
    state: str
    reason: str
    desired: int
    running: int


@dataclass(frozen=True)
class Seen:
    """What is there.

    Attributes:
        arn: the service's; empty where there is none.
        tags: its tags.
        parts: its deployments, the primary one first.
        desired: tasks that it shall have.
        events: what ECS tells of it, the newest first.
    """

    arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    desired: int = 0
    events: tuple[tuple[datetime, str], ...] = ()

    @property
    def wanted(self) -> Part | None:
        """The deployment that shall be."""
        return next((part for part in self.parts if part.primary), None)

    def rolling(self, number: int) -> bool:
        """Whether a revision is what shall be, and has not failed."""
        part = self.wanted
        on = part is not None and part.number == number and part.state != "FAILED"
        return on and self.desired > 0

    @property
    def live(self) -> int:
        """The revision that answers, or did until the new one does; 0 for none."""
        done = [part.number for part in self.parts if part.state in ("COMPLETED", "")]
        older = [part.number for part in self.parts if not part.primary and part.running]
        return (done or older or [0])[0]
