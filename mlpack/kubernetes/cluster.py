"""What is asked of a cluster's API, whoever asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mlpack.errors import OutsideError
from mlpack.kubernetes.values import Manifest

KINDS: Mapping[str, tuple[str, str]] = {
    "ConfigMap": ("v1", "configmaps"),
    "Deployment": ("apps/v1", "deployments"),
    "Event": ("v1", "events"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "InferenceService": ("serving.kserve.io/v1beta1", "inferenceservices"),
    "Ingress": ("networking.k8s.io/v1", "ingresses"),
    "Lease": ("coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "Pod": ("v1", "pods"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "ServiceMonitor": ("monitoring.coreos.com/v1", "servicemonitors"),
}
"""The version of the API and the name in its paths, by kind."""

EXEC, EXEC_VERBS = "pods/exec", ("create", "get")
"""What a command in a container takes. A WebSocket is a ``get``, and since Kubernetes 1.35 the API
wants ``create`` besides."""


class NotAllowedError(OutsideError):
    """The cluster's rules do not let this user do it."""


class Cluster(Protocol):
    """A namespace of a cluster. Every method may raise an OutsideError."""

    def read(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object; None where there is none."""
        ...

    def listed(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Objects that labels, and fields, select."""
        ...

    def apply(self, manifest: Manifest, *, dry: bool = False) -> dict[str, Any]:
        """Make an object what the manifest says, or only say what it would be then.

        What others say of fields that the manifest does not name stays.
        """
        ...

    def create(self, manifest: Manifest) -> bool:
        """Make an object; False where there is one."""
        ...

    def replace(self, manifest: Manifest) -> bool:
        """Replace an object of the manifest's ``resourceVersion``; False where it is another."""
        ...

    def delete(self, kind: str, name: str, version: str = "") -> None:
        """Delete an object that may be there; with a version, only that one."""
        ...

    def wait(self, kind: str, name: str, version: str, seconds: int) -> None:
        """Wait until an object is another than in `version`, but not longer than that."""
        ...

    def ask(self, pod: str, port: int, path: str, key: str) -> str:
        """What a pod answers to a request, with an API key if there is one; ``""`` if not 200."""
        ...

    def run(self, pod: str, container: str, command: Sequence[str], most: int) -> bytes:
        """What a command in a container writes to its standard output, `most` bytes at most.

        Raises:
            NotAllowedError: no command may be run there.
            OutsideError: it failed or wrote more, or the pod is gone.
        """
        ...

    def logs(self, pod: str, lines: int, *, before: bool = False) -> str:
        """The last lines of a pod, or of its container before it started again."""
        ...

    def follow(self, pod: str, lines: int) -> Iterator[str]:
        """The last lines of a pod, and those that come, until it ends."""
        ...


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """Where an object is in the API, or all of its kind."""
    version, plural = KINDS[kind]
    root = "/api" if "/" not in version else "/apis"
    found = f"{root}/{version}/namespaces/{namespace}/{plural}"
    return f"{found}/{name}" if name else found
