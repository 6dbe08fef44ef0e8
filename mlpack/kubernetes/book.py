"""What the cluster remembers: one ConfigMap, which only its reader may write again."""

from __future__ import annotations

from typing import Any

import msgspec

from mlpack.errors import CheckFailedError, OutsideError
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.values import INSTANCE, MANAGER, Release, Service, State, record_name

_KEY = "state.json"
_REMEMBERED = 50
_EVENTS = 200


class Book:
    """A service's state.

    Args:
        service: whose.
        cluster: where.

    Raises:
        OutsideError: the cluster does not answer, or nobody can read what stands there.
    """

    def __init__(self, service: Service, cluster: Cluster) -> None:
        self._service = service
        self._cluster = cluster
        there = cluster.read("ConfigMap", record_name(service.name))
        self._version = str(there["metadata"]["resourceVersion"]) if there else ""
        self.state = State()
        if there:
            text = (there.get("data") or {}).get(_KEY, "")
            try:
                self.state = msgspec.json.decode(text, type=State)
            except msgspec.DecodeError as error:
                raise OutsideError(
                    f"nobody can read what the cluster remembers: {error}",
                    where=f"ConfigMap {record_name(service.name)}",
                    hint="A newer mlpack may have written it.",
                ) from error

    def write(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of `State`
        """Change the state.

        Raises:
            CheckFailedError: somebody else has changed it since it was read.
            OutsideError: the cluster does not answer.
        """
        state = _thinned(msgspec.structs.replace(self.state, **changes), self._service.keep)
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": record_name(self._service.name),
                "namespace": self._service.namespace,
                "labels": {
                    INSTANCE: self._service.name,
                    "app.kubernetes.io/managed-by": MANAGER,
                },
            },
            "data": {_KEY: msgspec.json.format(msgspec.json.encode(state)).decode()},
        }
        if self._version:
            manifest["metadata"]["resourceVersion"] = self._version
            done = self._cluster.replace(manifest)
        else:
            done = self._cluster.create(manifest)
        there = self._cluster.read("ConfigMap", record_name(self._service.name)) if done else None
        if there is None or (there.get("data") or {}).get(_KEY) != manifest["data"][_KEY]:
            raise CheckFailedError(
                f"somebody else changed {self._service.name} at the same moment",
                hint="mlpack status ENVIRONMENT",
            )
        self._version = str(there["metadata"]["resourceVersion"])
        self.state = state


def _thinned(state: State, keep: int) -> State:
    """The state, of which old releases are remembered by name only, and very old ones not."""
    newest = sorted(each.number for each in state.releases)[-keep:]
    wanted = {state.live, state.canary, *state.before[:keep], *newest}
    if state.pending is not None:
        wanted.add(state.pending.release)
    releases = [
        each if each.number in wanted else _without_objects(each)
        for each in sorted(state.releases, key=lambda each: each.number)
    ]
    kept = [each for each in releases[:-_REMEMBERED] if each.number in wanted]
    return msgspec.structs.replace(
        state,
        before=state.before[:_REMEMBERED],
        releases=(*kept, *releases[-_REMEMBERED:]),
        events=state.events[-_EVENTS:],
    )


def _without_objects(release: Release) -> Release:
    return msgspec.structs.replace(release, workload={}, around=[], secret="")
