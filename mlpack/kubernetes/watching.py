"""Whether what was asked for runs, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.values import INSTANCE, RELEASE, Manifest, Service
from mlpack.ports import Stage

_LOOK_SECONDS = 5
_SETTLED_SECONDS = 5
_SILENT_SECONDS = 30
_LAST_LINES = 20
_HOPELESS = frozenset(
    (
        *("CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError"),
        *("ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "RunContainerError"),
    )
)
"""What a container waits for, and what does not become better by waiting."""


@dataclass(frozen=True)
class Watcher:
    """Looks at a service's pods.

    Attributes:
        service: whose.
        cluster: where.
        clock: tells the time.
        alive: called now and then, so that the lock does not end.
    """

    service: Service
    cluster: Cluster
    clock: Clock
    alive: Callable[[], None]

    def until_ready(self, applied: Manifest, release: int, stage: Stage) -> None:
        """Wait for a workload that was just applied.

        Raises:
            OutsideError: it did not become ready; the hint tells what its pods said.
        """
        kind, name = applied["kind"], applied["metadata"]["name"]
        generation = int(applied["metadata"].get("generation") or 0)
        began = self.clock.now()
        # Pods come some at a time: each of them may take its time.
        patience = 30 + self.service.ready_seconds * (2 + self._waves(applied))
        while True:
            self.alive()
            there = self._read(kind, name)
            waited = self.clock.now() - began
            if finished(there, generation, waited):
                return
            why = _gave_up(there) or self._hopeless(release)
            if not why and waited > patience:
                why = f"it was not ready after {waited:.0f} s"
            if why:
                raise OutsideError(why, hint=self.last_words(release))
            done, wanted = _progress(there)
            if wanted:
                stage.advance(done, wanted)
            version = str(there["metadata"].get("resourceVersion") or "")
            with suppress(OutsideError):  # reading says whether it is gone for good
                self.cluster.wait(kind, name, version, _LOOK_SECONDS)
                continue
            self.clock.sleep(1)

    def _read(self, kind: str, name: str) -> dict[str, Any]:
        """A workload. An API that is gone for a moment, as in an upgrade, fails no rollout."""
        began = self.clock.now()
        while True:
            try:
                there = self.cluster.read(kind, name)
            except OutsideError:
                if self.clock.now() - began > _SILENT_SECONDS:
                    raise
                self.clock.sleep(1)
                continue
            if there is None:
                raise OutsideError(f"{kind} {name} is gone: somebody deleted it")
            return there

    def _waves(self, applied: Manifest) -> int:
        replicas = int((applied.get("spec") or {}).get("replicas") or self.service.least)
        return min(replicas, 4)  # a quarter at a time

    def pods(self, release: int | None = None) -> list[dict[str, Any]]:
        """The pods of a service, or of one release, that are not ending."""
        found = self.cluster.listed("Pod", self.selector)
        return [
            each
            for each in found
            if not each["metadata"].get("deletionTimestamp")
            and (release is None or release_of_pod(each) == release)
        ]

    @property
    def selector(self) -> str:
        """What finds the service's pods."""
        if self.service.mode == "kserve":
            return f"serving.kserve.io/inferenceservice={self.service.name}"
        return f"{INSTANCE}={self.service.name}"

    def _hopeless(self, release: int) -> str:
        for pod in self.pods(release):
            for waiting in _waiting(pod):
                if waiting.get("reason") in _HOPELESS:
                    return f"{pod['metadata']['name']}: {waiting['reason']}"
        return ""

    def last_words(self, release: int) -> str | None:
        """What the first pod of a release that is not well tells: states, events, lines."""
        with suppress(OutsideError):  # what is told already is what matters
            sick = [each for each in self.pods(release) if not is_ready(each)]
            for pod in sick[:1]:
                return "\n".join(self._told(pod)) or None
        return None

    def _told(self, pod: Manifest) -> Iterator[str]:
        name = str(pod["metadata"]["name"])
        for waiting in _waiting(pod):
            if waiting.get("message"):
                yield f"{name}: {waiting['message']}"
        events = self.cluster.listed("Event", fields=f"involvedObject.name={name}")
        yield from (
            f"{name}: {each.get('message', '')}" for each in events if each.get("type") == "Warning"
        )
        lines = self.cluster.logs(name, _LAST_LINES)
        if not lines.strip():
            lines = self.cluster.logs(name, _LAST_LINES, before=True)
        if lines.strip():
            yield f"The last lines of {name}:"
            yield lines.strip()


def finished(there: Manifest, generation: int = 0, waited: float = _SETTLED_SECONDS) -> bool:
    """Whether a workload is what was applied, and nothing else runs.

    Args:
        there: it, with its status.
        generation: of what was applied.
        waited: seconds since; where a status says of no generation, a moment is waited.
    """
    status = there.get("status") or {}
    generation = max(generation, int(there["metadata"].get("generation") or 0))
    if there["kind"] == "Deployment":
        wanted = (there.get("spec") or {}).get("replicas", 1)
        counts = [int(status.get(key) or 0) for key in ("updatedReplicas", "availableReplicas")]
        return (
            int(status.get("observedGeneration") or 0) >= generation
            and min(counts) >= wanted
            and int(status.get("replicas") or 0) <= counts[0]
        )
    seen = status.get("observedGeneration")
    if (int(seen) < generation) if seen is not None else (waited < _SETTLED_SECONDS):
        return False
    predictor = (status.get("components") or {}).get("predictor") or {}
    made, ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    return made == ready and _condition(there, "Ready").get("status") == "True"


def release_of_pod(pod: Manifest) -> int:
    """The release that a pod is of; 0 for none."""
    metadata = pod["metadata"]
    told = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    text = str(told.get(RELEASE, ""))
    return int(text) if text.isdigit() else 0


def is_running(pod: Manifest) -> bool:
    """Whether all containers of a pod run."""
    each = _containers(pod)
    return bool(each) and all("running" in (one.get("state") or {}) for one in each)


def is_ready(pod: Manifest) -> bool:
    """Whether a pod says that it is ready."""
    return _condition(pod, "Ready").get("status") == "True"


def _progress(there: Manifest) -> tuple[int, int]:
    status, spec = there.get("status") or {}, there.get("spec") or {}
    done = min(int(status.get(key) or 0) for key in ("updatedReplicas", "availableReplicas"))
    return done, int(spec.get("replicas") or 0)


def _gave_up(there: Manifest) -> str:
    found = _condition(there, "Progressing")
    seen = int((there.get("status") or {}).get("observedGeneration") or 0)
    if seen < int(there["metadata"].get("generation") or 0):
        return ""  # it speaks of what was before
    if found.get("status") == "False" and found.get("reason") == "ProgressDeadlineExceeded":
        return str(found.get("message") or "it took longer than ready_seconds")
    return ""


def _condition(there: Manifest, kind: str) -> Manifest:
    conditions: Sequence[Manifest] = (there.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def _containers(pod: Manifest) -> Sequence[Manifest]:
    found: Sequence[Manifest] = (pod.get("status") or {}).get("containerStatuses") or []
    return found


def _waiting(pod: Manifest) -> Iterator[Manifest]:
    for each in _containers(pod):
        waiting = (each.get("state") or {}).get("waiting")
        if waiting:
            yield waiting
