"""Putting releases to work: as two Deployments behind one Service, or as revisions in KServe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from mlpack.kubernetes import kserve, manifests
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.values import Manifest, Release, State, canary_name
from mlpack.kubernetes.watching import Watcher, finished, is_ready, is_running
from mlpack.ports import Stage


@dataclass(frozen=True)
class Standing:
    """How many pods of a release there shall be, run and are ready."""

    replicas: int
    running: int
    ready: int


class Workloads(Protocol):
    """What runs the pods. Every method may raise an OutsideError."""

    def place(self, release: Release, stage: Stage | None) -> None:
        """Let a release answer all requests that no canary does; wait if there is a stage."""
        ...

    def place_canary(self, release: Release, share: int, stage: Stage) -> None:
        """Let a release answer about `share` of a hundred requests, beside the live one."""
        ...

    def placed(self, release: int, *, canary: bool) -> bool:
        """Whether a release answers already, and all of it is ready."""
        ...

    def end_canary(self, live: Release, canary: Release | None) -> None:
        """Let the live release answer all requests again."""
        ...

    def restore(self, live: Release, canary: Release | None, share: int) -> None:
        """Ask for what was there before something else was begun. Nothing is waited for."""
        ...

    def share(self, state: State) -> int:
        """How many of a hundred requests the canary really gets."""
        ...

    def standing(self, release: Release, state: State) -> Standing:
        """How a release that answers stands."""
        ...

    def names(self) -> tuple[str, ...]:
        """``KIND/NAME`` of all that may be there."""
        ...


@dataclass(frozen=True)
class Deployments:
    """A stable Deployment, and one for a canary; requests go to all their pods alike.

    Attributes:
        cluster: where.
        watcher: waits for them.
    """

    cluster: Cluster
    watcher: Watcher

    @property
    def _name(self) -> str:
        return self.watcher.service.name

    def place(self, release: Release, stage: Stage | None) -> None:
        """See `Workloads`."""
        replicas = None
        if "replicas" not in release.workload["spec"]:
            # The autoscaler's number stays: without one the cluster would take 1.
            replicas = max(self._wanted(self._name), release.replicas)
        made = manifests.numbered(release.workload, release.number, replicas)
        applied = self.cluster.apply(made)
        if stage is not None:
            self.watcher.until_ready(applied, release.number, stage)

    def place_canary(self, release: Release, share: int, stage: Stage) -> None:
        """See `Workloads`."""
        count = manifests.beside(self._wanted(self._name), share)
        applied = self.cluster.apply(manifests.canary(release, count))
        self.watcher.until_ready(applied, release.number, stage)

    def placed(self, release: int, *, canary: bool) -> bool:
        """See `Workloads`."""
        there = self.cluster.read("Deployment", canary_name(self._name) if canary else self._name)
        return there is not None and manifests.release_of(there) == release and finished(there)

    def end_canary(self, live: Release, canary: Release | None) -> None:  # noqa: ARG002
        """See `Workloads`."""
        self.cluster.delete("Deployment", canary_name(self._name))

    def restore(self, live: Release, canary: Release | None, share: int) -> None:  # noqa: ARG002
        """See `Workloads`: a canary's Deployment is as it was."""
        self.place(live, None)

    def share(self, state: State) -> int:
        """See `Workloads`."""
        if not state.canary:
            return 0
        live, other = self._wanted(self._name), self._wanted(canary_name(self._name))
        return manifests.true_share(live, other)

    def standing(self, release: Release, state: State) -> Standing:
        """See `Workloads`."""
        canary = release.number == state.canary
        wanted = self._wanted(canary_name(self._name) if canary else self._name)
        return _standing(self.watcher.pods(release.number), wanted)

    def names(self) -> tuple[str, ...]:
        """See `Workloads`."""
        return (f"Deployment/{self._name}", f"Deployment/{canary_name(self._name)}")

    def _wanted(self, name: str) -> int:
        there = self.cluster.read("Deployment", name)
        return int((there or {}).get("spec", {}).get("replicas") or 0)


@dataclass(frozen=True)
class InferenceServices:
    """An InferenceService: KServe keeps a revision of each of its forms, and divides the requests.

    Attributes:
        cluster: where.
        watcher: waits for them.
    """

    cluster: Cluster
    watcher: Watcher

    @property
    def _name(self) -> str:
        return self.watcher.service.name

    def place(self, release: Release, stage: Stage | None) -> None:
        """See `Workloads`.

        While a canary stands there, KServe would give it everything as soon as nothing is said of
        shares: so the release becomes ready with none first, unless it is the canary itself.
        """
        there = self._there()
        made = manifests.numbered(release.workload, release.number)
        other = manifests.release_of(there) != release.number
        if kserve.share_of(there) is not None and other and stage is not None:
            applied = self.cluster.apply(kserve.with_share(made, 0))
            self.watcher.until_ready(applied, release.number, stage)
        applied = self.cluster.apply(kserve.with_share(made, None))
        if stage is not None:
            self.watcher.until_ready(applied, release.number, stage)

    def place_canary(self, release: Release, share: int, stage: Stage) -> None:
        """See `Workloads`."""
        made = manifests.numbered(release.workload, release.number)
        applied = self.cluster.apply(kserve.with_share(made, share))
        self.watcher.until_ready(applied, release.number, stage)

    def placed(self, release: int, *, canary: bool) -> bool:
        """See `Workloads`."""
        there = self._there()
        return (
            there is not None
            and manifests.release_of(there) == release
            and (kserve.share_of(there) is not None) == canary
            and finished(there)
        )

    def end_canary(self, live: Release, canary: Release | None) -> None:
        """See `Workloads`.

        The revision before gets everything at once; then it is made the newest one again.
        """
        there = self._there()
        if canary is not None and manifests.release_of(there) == canary.number:
            made = manifests.numbered(canary.workload, canary.number)
            self.cluster.apply(kserve.with_share(made, 0))
        self.place(live, _Silent())

    def restore(self, live: Release, canary: Release | None, share: int) -> None:
        """See `Workloads`."""
        if canary is None:
            self.place(live, None)
        else:
            made = manifests.numbered(canary.workload, canary.number)
            self.cluster.apply(kserve.with_share(made, share))

    def share(self, state: State) -> int:
        """See `Workloads`."""
        return kserve.share_of(self._there()) or 0 if state.canary else 0

    def standing(self, release: Release, state: State) -> Standing:  # noqa: ARG002
        """See `Workloads`."""
        mine = self.watcher.pods(release.number)
        # KServe scales by itself: what is there is what there shall be.
        return _standing(mine, max(release.replicas, len(mine)) if mine else release.replicas)

    def names(self) -> tuple[str, ...]:
        """See `Workloads`."""
        return (f"InferenceService/{self._name}",)

    def _there(self) -> dict[str, Any] | None:
        return self.cluster.read("InferenceService", self._name)


class _Silent:
    """A stage that nobody sees."""

    def advance(self, done: int, total: int | None = None) -> None:
        """Nothing."""

    def result(self, text: str) -> None:
        """Nothing."""


def _standing(pods: list[Manifest] | list[dict[str, Any]], wanted: int) -> Standing:
    running = sum(is_running(each) for each in pods)
    return Standing(wanted, min(running, wanted), min(sum(map(is_ready, pods)), wanted))


def workloads(cluster: Cluster, watcher: Watcher) -> Workloads:
    """What runs the pods of the watcher's service."""
    if watcher.service.mode == "kserve":
        return InferenceServices(cluster, watcher)
    return Deployments(cluster, watcher)
