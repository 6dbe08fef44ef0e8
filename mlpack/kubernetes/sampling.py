"""What a release's servers have sampled: the Python of each ready pod reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpack.delivery.sampled import FILE, reading, whole
from mlpack.errors import OutsideError
from mlpack.kubernetes import pods
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.images import Images
from mlpack.kubernetes.values import Manifest, Release
from mlpack.kubernetes.watching import Watcher, is_ready

MOST = 256 << 20
"""So many bytes of each pod are taken at most, the last ones."""


@dataclass(frozen=True)
class Samples:
    """Brings what the pods of a service have sampled.

    Attributes:
        cluster: where.
        watcher: finds the pods.
        images: know the Python of a release; asked only where there are samples.
    """

    cluster: Cluster
    watcher: Watcher
    images: Images

    def of(self, release: Release, last: int | None) -> bytes:
        """JSON lines, of one pod after the other; see `mlpack.operating.Sampling`.

        Raises:
            InputError: the release's image is in another repository.
            NotAllowedError: no command may be run in the pods.
            OutsideError: the cluster or the registry does not answer, or what reads failed.
        """
        container = pods.CONTAINERS[self.watcher.service.mode]
        files = {
            str(each["metadata"]["name"]): _file(each, container)
            for each in self._ready(release.number)
        }
        python = self.images.python(release) if any(files.values()) else ""
        if not python:
            return b""
        most = MOST if last is None else min(last, MOST)
        found = []
        for pod, path in files.items():
            if path:
                command = reading(python, path, most)
                found.append(self._said(pod, container, command, most, release.number))
        return b"".join(found)

    def _said(
        self, pod: str, container: str, command: Sequence[str], most: int, release: int
    ) -> bytes:
        try:
            return whole(self.cluster.run(pod, container, command, most))
        except OutsideError:
            # Who is gone since the pods were listed has taken its samples along.
            if any(each["metadata"]["name"] == pod for each in self._ready(release)):
                raise
            return b""

    def _ready(self, release: int) -> list[Manifest]:
        return [each for each in self.watcher.pods(release) if is_ready(each)]


def _file(pod: Manifest, container: str) -> str:
    """Where the server in a pod writes its samples, as it was started; empty for nowhere."""
    for each in (pod.get("spec") or {}).get("containers") or []:
        if each.get("name") == container:
            told = {one["name"]: str(one.get("value") or "") for one in each.get("env") or []}
            return told.get(FILE, "")
    return ""
