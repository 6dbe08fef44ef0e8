"""A host with a Docker engine, here or behind ``ssh://``: a proxy, and containers behind it.

All that is remembered is there: releases in the labels of their containers, the traffic in the
proxy's configuration, what was done in a volume beside it. A name that is taken is the lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import docker
import msgspec
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import LogConfig

from mlpack.delivery.sampled import WRITABLE
from mlpack.errors import OutsideError
from mlpack.rollout.bringing import bring, metrics, sampled
from mlpack.rollout.engine import (
    CONFLICT,
    LOGS,
    RESTART,
    Connection,
    discard_image,
    gone,
    has_image,
    listed,
    printable,
    put,
    run,
)
from mlpack.rollout.following import followed
from mlpack.rollout.host import Event
from mlpack.rollout.proxy import Proxy
from mlpack.rollout.values import (
    ROLE,
    SERVICE,
    Holder,
    Release,
    Replica,
    Service,
    Traffic,
    replica_name,
)

HOLDER, RELEASE, INDEX = (f"io.mlpack.{word}" for word in ("holder", "release", "index"))

SECRETS_FOLDER = "/run/secrets"

_SECOND = 1_000_000_000
_WORDS = 20


class DockerHost:
    """A service at an engine; see `mlpack.rollout.host.Host`."""

    def __init__(
        self, service: Service, connect: Callable[[], docker.DockerClient], address: str = ""
    ) -> None:
        """The service, what connects to the engine, and the engine's address."""
        self._service = service
        self._asked = Connection(service.name, connect, address).client
        self._proxy = Proxy(service, self._asked)
        self._mine = ""

    def traffic(self) -> Traffic | None:
        """See `Proxy`."""
        return self._proxy.traffic()

    def events(self) -> Sequence[Event]:
        """See `Proxy`."""
        return self._proxy.events()

    def record(self, event: Event) -> None:
        """See `Proxy`."""
        self._proxy.record(event)

    def direct(self, traffic: Traffic) -> None:
        """See `Proxy`."""
        self._proxy.direct(traffic)

    def awake(self) -> bool:
        """See `Proxy`."""
        return self._proxy.awake()

    def shaped(self) -> bool:
        """See `Proxy`."""
        return self._proxy.shaped()

    def wake(self) -> None:
        """See `Proxy`."""
        self._proxy.wake()

    def drained(self) -> bool:
        """See `Proxy`."""
        return self._proxy.drained()

    def bare(self) -> bool:
        """Whether no container, volume or network has the service's label."""
        labels = {SERVICE: self._service.name}
        with self._asked() as client:
            filters = {"label": f"{SERVICE}={self._service.name}"}
            volumes = client.api.volumes(filters=filters)["Volumes"]
            networks = client.api.networks(filters=filters)
            return not (listed(client, labels) or volumes or networks)

    def erase(self) -> None:
        """Remove the proxy and its volume; the network where nothing is in it."""
        self._proxy.erase(network=not self.replicas())
        with self._asked() as client:
            self._sweep(client)

    def lock(self, who: str, at: int, until: int) -> Holder | None:
        """Take the lock: a container that is never started, whose name is there once."""
        holder = Holder("somebody", at, until)
        with self._asked() as client:
            image = self._proxy.image(client)
            for _ in range(3):
                try:
                    made = client.containers.create(
                        image,
                        ["true"],
                        name=self._lock,
                        network_mode="none",
                        labels={**self._labels("lock"), HOLDER: json.dumps([who, at, until])},
                    )
                except APIError as error:
                    if error.status_code != CONFLICT:
                        raise
                else:
                    self._mine = str(made.id)
                    return None
                found = self._held(client)
                if found is None:
                    continue  # it is gone since
                identity, holder = found
                if holder.until >= at:
                    return holder
                gone(partial(client.api.remove_container, identity, force=True))  # forgotten
        return holder

    def _held(self, client: docker.DockerClient) -> tuple[str, Holder] | None:
        """The lock that is there, and who holds it."""
        try:
            found = client.api.inspect_container(self._lock)
        except NotFound:
            return None
        labels = found["Config"]["Labels"] or {}
        if labels.get(SERVICE) != self._service.name:
            raise OutsideError(f"a container of somebody else is called {self._lock}")
        try:
            who, since, until = json.loads(labels[HOLDER])
            return str(found["Id"]), Holder(str(who), int(since), int(until))
        except (KeyError, ValueError, TypeError) as error:
            raise OutsideError(f"the lock {self._lock} was not made by mlpack") from error

    def unlock(self) -> None:
        """Remove the container that `lock` made, and no other."""
        if self._mine:
            with self._asked() as client:
                gone(lambda: client.api.remove_container(self._mine, force=True))
            self._mine = ""

    def replicas(self) -> Sequence[Replica]:
        """The containers of all releases, by number and index."""
        with self._asked() as client:
            found = [
                Replica(
                    release=_release(each["Labels"]).number,
                    index=int(each["Labels"][INDEX]),
                    running=each["State"] == "running",
                    health=_health(each["Status"]),
                )
                for each in self._containers(client, "replica")
            ]
        return sorted(found, key=lambda each: (each.release, each.index))

    def releases(self) -> Sequence[Release]:
        """The releases of those containers."""
        with self._asked() as client:
            found = [_release(each["Labels"]) for each in self._containers(client, "replica")]
        return [{each.number: each for each in found}[n] for n in sorted({e.number for e in found})]

    def has_image(self, image: str) -> bool:
        """Whether the engine knows it."""
        with self._asked() as client:
            return has_image(client, image)

    def bring(self, release: Release, into: Path) -> None:
        """Copy the model's files out of a container of the release, or of its image."""
        name = replica_name(self._service.name, release.number, 1)
        with self._asked() as client:
            bring(client, release.image, name, into)

    def samples(self, release: int, last: int | None) -> bytes:
        """What the running containers of a release have sampled, one after the other."""
        with self._asked() as client:
            return b"".join(sampled(client, name, last) for name in self._running(release))

    def metrics(self, release: int) -> Mapping[str, str]:
        """What each running container of a release tells at ``/metrics``."""
        with self._asked() as client:
            return {name: metrics(client, name) for name in self._running(release)}

    def _running(self, release: int) -> Sequence[str]:
        return [
            replica_name(self._service.name, each.release, each.index)
            for each in self.replicas()
            if each.release == release and each.running
        ]

    def start(self, release: Release) -> None:
        """Make and start the containers: without privileges, read-only, limited."""
        with self._asked() as client:
            self._proxy.network(client)
            there = {
                each["Names"][0].lstrip("/"): each["State"]
                for each in self._containers(client, "replica")
            }
            for index in range(1, release.replicas + 1):
                name = replica_name(self._service.name, release.number, index)
                if name not in there:
                    self._create(client, release, index, name)
                if there.get(name) != "running":
                    client.api.start(name)

    def _create(self, client: docker.DockerClient, release: Release, index: int, name: str) -> None:
        service = self._service
        volume = self._secrets(release.number)
        options: dict[str, Any] = {}
        if service.secrets:
            client.volumes.create(volume, labels=self._labels("secrets"))
            options["volumes"] = {volume: {"bind": SECRETS_FOLDER, "mode": "rw"}}
        try:
            client.containers.create(
                release.image,
                name=name,
                network=self._service.name,
                # The proxy sends nothing more to a container that is about to stop.
                environment={"MLPACK_LINGER_SECONDS": "0", **service.env},
                labels={
                    **self._labels("replica"),
                    RELEASE: msgspec.json.encode(release).decode(),
                    INDEX: str(index),
                },
                read_only=True,
                tmpfs={WRITABLE: f"size={service.scratch}"},
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                pids_limit=512,
                mem_limit=service.memory,
                nano_cpus=None if service.cpus is None else int(service.cpus * _SECOND),
                restart_policy=RESTART,
                log_config=LogConfig(type="json-file", config=LOGS),
                healthcheck={"interval": 10 * _SECOND, "start_period": 10 * _SECOND},
                stop_signal="SIGTERM",
                **options,
            )
        except ImageNotFound as error:
            raise OutsideError(f"the host has no image {release.image[:19]}") from error
        if service.secrets:
            files = {key: value.encode() for key, value in service.secrets.items()}
            put(client, name, SECRETS_FOLDER, files, mode=0o400, owner=65532)

    def ready(self, release: int, index: int) -> bool:
        """Ask the container itself, by its own command ``health``."""
        name = replica_name(self._service.name, release, index)
        with self._asked() as client:
            found = client.api.inspect_container(name)
            state = found["State"]
            if state["Restarting"] or not state["Running"]:
                raise OutsideError(f"its container ended with code {state['ExitCode']}")
            code, _ = run(client, name, [*found["Config"]["Entrypoint"], "health"])
        return code == 0

    def last_words(self, release: int, index: int) -> str:
        """The last lines of its log."""
        name = replica_name(self._service.name, release, index)
        with self._asked() as client:
            try:
                written: bytes = client.api.logs(name, tail=_WORDS)
            except NotFound:
                return ""
        return printable(written.decode(errors="replace"))

    def stop(self, replica: Replica) -> None:
        """Stop a container; it has as long as requests may take."""
        name = replica_name(self._service.name, replica.release, replica.index)
        with self._asked() as client:
            gone(lambda: client.api.stop(name, timeout=self._service.drain_seconds))

    def remove(self, replica: Replica) -> None:
        """Remove a container, and the secrets of its release with the last one."""
        name = replica_name(self._service.name, replica.release, replica.index)
        with self._asked() as client:
            gone(lambda: client.api.remove_container(name, v=True, force=True))
            self._sweep(client)

    def _sweep(self, client: docker.DockerClient) -> None:
        """Remove the secrets of releases that have no containers."""
        kept = {self._secrets(number) for number in self._numbers(client)}
        labels = [f"{key}={value}" for key, value in self._labels("secrets").items()]
        found = client.api.volumes(filters={"label": labels})["Volumes"] or []
        for name in {each["Name"] for each in found} - kept:
            gone(partial(client.api.remove_volume, name))

    def _numbers(self, client: docker.DockerClient) -> set[int]:
        return {_release(each["Labels"]).number for each in self._containers(client, "replica")}

    def _secrets(self, release: int) -> str:
        return f"{self._service.name}-{release}-secrets"

    def discard(self, image: str) -> None:
        """Remove an image, unless something uses it."""
        with self._asked() as client:
            discard_image(client, image)

    def logs(self, releases: Sequence[int], lines: int, *, follow: bool) -> Iterator[str]:
        """Lines of the containers, each with the container's release and index before it."""
        names = {
            f"{each.release}-{each.index}": replica_name(
                self._service.name, each.release, each.index
            )
            for each in self.replicas()
            if each.release in releases
        }
        with self._asked() as client:
            if follow:
                yield from followed(client, names, lines)
                return
            for short, name in names.items():
                written: bytes = client.api.logs(name, tail=lines)
                for line in written.decode(errors="replace").splitlines():
                    yield f"{short} {line}"

    @property
    def _lock(self) -> str:
        return f"{self._service.name}-lock"

    def _labels(self, role: str) -> dict[str, str]:
        return {SERVICE: self._service.name, ROLE: role}

    def _containers(self, client: docker.DockerClient, role: str) -> list[dict[str, Any]]:
        return listed(client, self._labels(role))


def _release(labels: Mapping[str, str]) -> Release:
    try:
        return msgspec.json.decode(labels[RELEASE], type=Release)
    except (KeyError, msgspec.DecodeError) as error:
        raise OutsideError(
            "a container with this service's labels was not made by mlpack",
            hint=f"docker ps -a --filter label={SERVICE} names them.",
        ) from error


def _health(status: str) -> str:
    """What an engine's sentence says, such as ``Up 2 minutes (healthy)``."""
    for word in ("unhealthy", "healthy", "starting"):
        if word in status:
            return word
    return ""
