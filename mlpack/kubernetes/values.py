"""What is deployed to a cluster, and what the cluster remembers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

MANAGER = "mlpack"
"""The field manager, and what every object says that it is managed by."""

INSTANCE = "app.kubernetes.io/instance"
TRACK = "mlpack.io/track"
RELEASE = "mlpack.io/release"
"""The label of all that a service has, that of a pod's Deployment, and a release's annotation."""

STABLE, CANARY = "stable", "canary"

Manifest = Mapping[str, Any]
"""An object of the cluster, as its API takes and gives it."""


@dataclass(frozen=True)
class Autoscaling:
    """How many replicas there are, by load.

    Attributes:
        least, most: bounds of their number.
        cpu: so many percent of what they ask for shall be in use.
    """

    least: int
    most: int
    cpu: int


@dataclass(frozen=True)
class Ingress:
    """Where requests from outside come in.

    Attributes:
        host: a name of DNS.
        ingress_class: which controller serves it; ``""`` for the cluster's own choice.
        tls: the Secret with a certificate for `host`; ``""`` for none.
    """

    host: str
    ingress_class: str = ""
    tls: str = ""


@dataclass(frozen=True)
class Service:
    """What a model is at a cluster.

    Attributes:
        name: of the project and the environment, such as ``churn-production``.
        namespace: where its objects lie.
        mode: ``deployment``, or ``kserve`` for an InferenceService.
        replicas: how many pods answer, where their number does not change by load.
        autoscaling: how their number changes; None where it does not.
        cpus: of each pod.
        memory: of each pod, in bytes.
        env: further variables of the pods.
        secrets: files below ``/run/secrets``, by name.
        port: of the Service, inside the cluster.
        ingress: the way in from outside; None for none.
        monitor: whether Prometheus' operator is told where the metrics are.
        egress: whether the pods may open connections of their own.
        pull_secret: the Secret with which nodes pull the image; ``""`` for none.
        ready_seconds: so long a pod may take until it is ready.
        keep: so many former releases can be gone back to.
        helm: whether a chart is rendered besides.
    """

    name: str
    namespace: str = "default"
    mode: str = "deployment"
    replicas: int = 2
    autoscaling: Autoscaling | None = None
    cpus: float = 1.0
    memory: int = 1 << 30
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    port: int = 80
    ingress: Ingress | None = None
    monitor: bool = False
    egress: bool = False
    pull_secret: str = ""
    ready_seconds: int = 300
    keep: int = 5
    helm: bool = False

    @property
    def least(self) -> int:
        """So many pods there are at least."""
        return self.autoscaling.least if self.autoscaling else self.replicas


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One deployment of one image with one configuration.

    Attributes:
        number: counts the service's deployments from 1.
        version: the model's.
        image: ``REPOSITORY@DIGEST``.
        bundle: the bundle's digest.
        settings: a digest of its objects.
        replicas: how many pods there were, or shall be at least.
        at: when, in seconds since 1970.
        by: who.
        workload: what runs the pods; empty where it is too old to go back to.
        around: everything else, but the Secret's content.
        secret: the name of its Secret; may be empty.
    """

    number: int
    version: str
    image: str
    bundle: str
    settings: str
    replicas: int
    at: int
    by: str = ""
    workload: dict[str, Any] = {}
    around: list[dict[str, Any]] = []
    secret: str = ""

    @property
    def digest(self) -> str:
        """Of the image's manifest."""
        return self.image.rpartition("@")[2]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was done.

    Attributes:
        verb: ``deploy``, ``canary``, ``promote``, ``rollback`` or ``failed``.
        release, version, digest: of what.
        at: in seconds since 1970.
        by: who did it.
        why: what is not plain from the rest.
    """

    verb: str
    release: int
    version: str
    digest: str
    at: int
    by: str = ""
    why: str = ""


class Pending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was begun and is not known to be done.

    Attributes:
        verb: what of.
        release: the release that shall answer.
        why: what the history shall say.
        share: of a canary.
    """

    verb: str
    release: int
    why: str = ""
    share: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a service is, in one ConfigMap: the truth, which every command begins with.

    Attributes:
        live: the release that answers; 0 for none.
        canary: the release that answers a share; 0 for none.
        share: how many of a hundred requests it was asked to answer.
        before: the releases that were live before, the last one first.
        around: the release whose Service and the like are there.
        pending: what was begun.
        there: names of objects that may be there, as ``KIND/NAME``.
        releases: all that are remembered.
        events: what was done, the oldest first.
    """

    live: int = 0
    canary: int = 0
    share: int = 0
    before: tuple[int, ...] = ()
    around: int = 0
    pending: Pending | None = None
    there: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    events: tuple[Event, ...] = ()

    def release(self, number: int) -> Release | None:
        """What is known of a release."""
        return next((each for each in self.releases if each.number == number), None)

    def doing(self, number: int) -> str:
        """What a release does, in the words of `mlpack.operating.Standing`."""
        if number == self.live:
            return "live"
        if number == self.canary:
            return "canary"
        release = self.release(number)
        kept = number in self.before and release is not None and release.workload
        return "kept" if kept else "gone"

    @property
    def next(self) -> int:
        """The number of the next release."""
        numbers = [each.number for each in self.releases] + [each.release for each in self.events]
        return max(numbers, default=0) + 1


def named(manifest: Manifest) -> str:
    """``KIND/NAME`` of an object."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def canary_name(service: str) -> str:
    """What a canary's Deployment is called."""
    return f"{service}-canary"


def record_name(service: str) -> str:
    """What the ConfigMap with the state, and the lock, are called."""
    return f"{service}-mlpack"
