"""Who changes a service: a Lease at the cluster, which ends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from mlpack.delivery.clock import Clock
from mlpack.errors import CheckFailedError, OutsideError
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.values import INSTANCE, Service, record_name

_SECONDS = 90
_RENEWED_EVERY = 20


class Lock:
    """A service's lock, which ends after a minute and a half if nobody renews it.

    Args:
        service: whose.
        cluster: where.
        clock: tells the time.
        who: a user and a machine.
    """

    def __init__(self, service: Service, cluster: Cluster, clock: Clock, who: str) -> None:
        self._name = record_name(service.name)
        self._service = service
        self._cluster = cluster
        self._clock = clock
        self._who = who
        self._renewed = 0.0
        self._since = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others away.

        Raises:
            CheckFailedError: somebody else holds it.
        """
        self._since = self._now()
        self._take()
        self._renewed = self._clock.now()
        try:
            yield
        except BaseException:
            with suppress(OutsideError):  # what went wrong first is what matters
                self._give_back()
            raise
        else:
            self._give_back()

    def renew(self) -> None:
        """Say that its holder is still at it.

        Raises:
            CheckFailedError: somebody else has taken it.
        """
        if self._clock.now() - self._renewed < _RENEWED_EVERY:
            return
        with suppress(OutsideError):  # the next time, or never: then it ends
            there = self._cluster.read("Lease", self._name)
            if there is None or (there.get("spec") or {}).get("holderIdentity") != self._who:
                raise _another(self._service.name)
            wanted = self._lease()
            wanted["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
            if self._cluster.replace(wanted):
                self._renewed = self._clock.now()

    def _take(self) -> None:
        wanted = self._lease()
        if self._cluster.create(wanted):
            return
        there = self._cluster.read("Lease", self._name)
        if there is None:
            raise _another(self._service.name)
        self._refuse_held(there)
        # Nobody else has taken it since it was read, or this is refused.
        wanted["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        if not self._cluster.replace(wanted):
            raise _another(self._service.name)

    def _refuse_held(self, there: dict[str, Any]) -> None:
        spec = there.get("spec") or {}
        since = _seconds(str(spec.get("acquireTime") or ""))
        until = _seconds(str(spec.get("renewTime") or "")) + int(
            spec.get("leaseDurationSeconds") or 0
        )
        now = self._clock.now()
        if not spec.get("holderIdentity") or until <= now:
            return
        left = max(1, int(until - now + 59) // 60)
        raise CheckFailedError(
            f"{spec['holderIdentity']} is at {self._service.name} "
            f"since {max(0, int(now - since)) // 60} min",
            hint=f"Wait until it is done. If it was broken off: its lock ends in {left} min.",
        )

    def _give_back(self) -> None:
        there = self._cluster.read("Lease", self._name)
        if there is not None and (there.get("spec") or {}).get("holderIdentity") == self._who:
            self._cluster.delete("Lease", self._name, str(there["metadata"]["resourceVersion"]))

    def _lease(self) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._service.namespace,
                "labels": {INSTANCE: self._service.name},
            },
            "spec": {
                "holderIdentity": self._who,
                "leaseDurationSeconds": _SECONDS,
                "acquireTime": self._since,
                "renewTime": self._now(),
            },
        }

    def _now(self) -> str:
        now = datetime.fromtimestamp(self._clock.now(), timezone.utc)
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _another(name: str) -> CheckFailedError:
    return CheckFailedError(
        f"somebody else began at {name} at the same moment",
        hint="Wait until it is done: mlpack status ENVIRONMENT",
    )


def _seconds(text: str) -> float:
    """A time as the cluster writes it, in seconds since 1970; 0 for none."""
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
    return 0.0
