"""What is rolled out, and what a host says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from mlpack.delivery import sampled

SERVICE, ROLE = "io.mlpack.service", "io.mlpack.role"
"""The labels of everything that a service has at a host, and what of it something is."""

_SCRATCH = 64 << 20


@dataclass(frozen=True)
class Service:
    """What a model is at a host.

    Attributes:
        name: of the project and the environment, such as ``churn-production``; names begin with it.
        port: of the host, where the proxy answers.
        address: of the host, on which it does.
        replicas: how many containers answer.
        proxy: the image of the proxy.
        memory: of each container, in bytes; None for no limit.
        cpus: of each container; None for no limit.
        env: further variables of the containers.
        secrets: files below ``/run/secrets``, by name.
        ready_seconds: so long a container may take until it is ready.
        drain_seconds: so long requests may take that are under way when the traffic moves.
        keep: so many former releases can be gone back to.
    """

    name: str
    port: int
    address: str
    replicas: int
    proxy: str
    memory: int | None = None
    cpus: float | None = None
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    ready_seconds: int = 60
    drain_seconds: int = 30
    keep: int = 5

    @property
    def scratch(self) -> int:
        """How large the containers' ``/tmp`` may become, in bytes; it is of their memory."""
        return _SCRATCH + sampled.space(self.env)


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One deployment of one artifact.

    Attributes:
        number: counts the service's deployments from 1.
        version: the model's.
        image: the image's id at the host, which is its configuration's digest.
        digest: of the image's manifest.
        bundle: the bundle's digest.
        settings: a digest of everything but the image that makes its containers what they are.
        replicas: how many there were.
        at: when, in seconds since 1970.
        by: who.
    """

    number: int
    version: str
    image: str
    digest: str
    bundle: str
    settings: str
    replicas: int
    at: int
    by: str = ""


class Traffic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where requests go. The proxy's configuration is made of it, and it is read from there.

    Attributes:
        live: the release that answers.
        replicas: how many containers it has.
        canary: the release that answers a share of the requests; 0 for none.
        canary_replicas: how many containers it has.
        share: how many of a hundred requests.
        before: the releases that were live before, the last one first.
    """

    live: int
    replicas: int
    canary: int = 0
    canary_replicas: int = 0
    share: int = 0
    before: tuple[int, ...] = ()

    @property
    def answering(self) -> frozenset[int]:
        """The releases that answer requests."""
        return frozenset(each for each in (self.live, self.canary) if each)


@dataclass(frozen=True)
class Replica:
    """A container of a release.

    Attributes:
        release: its number.
        index: which one of it, from 1.
        running: whether it runs.
        health: what the engine says of it: ``healthy``, ``starting``, ``unhealthy`` or ``""``.
    """

    release: int
    index: int
    running: bool
    health: str = ""


@dataclass(frozen=True)
class Holder:
    """Who holds a service's lock.

    Attributes:
        who: the name of a user and a machine.
        since: in seconds since 1970.
        until: after that it counts as forgotten; in seconds since 1970.
    """

    who: str
    since: int
    until: int


def replica_name(service: str, release: int, index: int) -> str:
    """What a container is called, on its network too."""
    return f"{service}-{release}-{index}"
