"""The proxy before a service's containers, and what it remembers in a volume of its own.

Its configuration says where the requests go: that file is the truth, and it is renamed into its
place, so it is the old one or the new one. Beside it stands what was done.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import docker
import msgspec
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.types import LogConfig

from mlpack.errors import OutsideError
from mlpack.rollout import haproxy
from mlpack.rollout.engine import (
    CONFLICT,
    LOGS,
    NOT_FOUND,
    RESTART,
    gone,
    has_image,
    has_volume,
    listed,
    printable,
    put,
    read,
    run,
)
from mlpack.rollout.host import Event
from mlpack.rollout.values import ROLE, SERVICE, Service, Traffic, replica_name

SHAPE = "io.mlpack.shape"

USER = "65532:65532"
"""Nobody in particular, as in the images themselves."""

FOLDER = "/etc/mlpack"
CONFIG, NEXT, EVENTS = "haproxy.cfg", "next.cfg", "events"

_PROBE = (
    "import sys, urllib.request as r; "
    "print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=2).read().decode())"
)
_RELOAD_SECONDS, _WORDS = 20, 20

Asked = Callable[[], AbstractContextManager[docker.DockerClient]]
"""Gives a client, whose errors are told as mlpack does."""


_Heard = Callable[[docker.DockerClient, Traffic], str]
"""Asks the proxy for the word of its configuration."""


class Proxy:
    """HAProxy in a container.

    Args:
        service: what it stands before.
        asked: gives a client of the engine.
    """

    def __init__(self, service: Service, asked: Asked) -> None:
        self._service = service
        self._asked = asked

    def traffic(self) -> Traffic | None:
        """What the proxy's configuration says."""
        content = self._files(CONFIG).get(CONFIG)
        return None if content is None else haproxy.read(content)

    def events(self) -> Sequence[Event]:
        """Files of the proxy's volume; one that a host without power left empty is left out."""
        files = self._files(EVENTS)
        found = []
        for name in sorted(files):
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(files[name], type=Event))
        return found

    def record(self, event: Event) -> None:
        """Write one more of these files."""
        numbers = [int(name[:6]) for name in self._files(EVENTS) if re.match(r"\d{6}\.", name)]
        with self._asked() as client:
            if self._found(client) is not None:
                name = f"{EVENTS}/{max(numbers, default=0) + 1:06d}.json"
                put(client, self._name, FOLDER, {name: msgspec.json.encode(event)})

    def direct(self, traffic: Traffic) -> None:
        """Give the proxy another configuration, and wait until it answers by that."""
        generation = f"{traffic.live}-{traffic.canary}-{secrets.token_hex(4)}"
        drain = self._service.drain_seconds
        content = haproxy.render(self._service.name, traffic, generation, drain)
        before = self._files(CONFIG).get(CONFIG)
        with self._asked() as client:
            self._mend(client)
            self._shape_it(client)
            try:
                self._configure(client, content)
                self._wait(client, content, self._answers)
            except (OutsideError, DockerException, requests.RequestException):
                self._restore(client, before)
                raise

    def _restore(self, client: docker.DockerClient, before: bytes | None) -> None:
        """What the file says is the truth, so it must not say what is not so.

        Where even that fails, `wake` goes on with it in the next command.
        """
        if before is None:
            self.erase(network=False)
            return
        with suppress(OutsideError, DockerException, requests.RequestException):
            self._configure(client, before)
            self._wait(client, before, self._says)

    def shaped(self) -> bool:
        """Whether its port, its address and its image are those of the settings."""
        with self._asked() as client:
            found = self._found(client)
            return found is None or found["Labels"].get(SHAPE) == self._shape

    def wake(self) -> None:
        """See to it that it does what its configuration says, whatever was broken off.

        It may have been removed, stand still, or never have heard of its newest configuration.
        """
        with self._asked() as client:
            self._mend(client)
            content = self._files(CONFIG).get(CONFIG)
            if content is None:
                return
            if not _runs(self._found(client)):
                self._shape_it(client)
                client.api.start(self._name)
            elif self._says(client, haproxy.read(content)) != haproxy.generation(content):
                self._read_again(client)
                self._wait(client, content, self._says)

    def _shape_it(self, client: docker.DockerClient) -> None:
        """Make it, anew where it cannot be changed; if that fails, the old one goes on."""
        found = self._found(client)
        if found is None:
            self._make(client)
            return
        if found["Labels"].get(SHAPE) == self._shape:
            return
        self.image(client)
        ran = _runs(found)
        client.api.rename(self._name, self._aside)
        try:
            client.api.stop(self._aside, timeout=self._service.drain_seconds)
            self._make(client)
            client.api.start(self._name)
        except (OutsideError, DockerException, requests.RequestException):
            gone(lambda: client.api.remove_container(self._name, force=True))
            client.api.rename(self._aside, self._name)
            if ran:
                client.api.start(self._name)
            raise
        client.api.remove_container(self._aside, force=True)

    def _configure(self, client: docker.DockerClient, content: bytes) -> None:
        if _runs(self._found(client)):
            put(client, self._name, FOLDER, {NEXT: content})
            self._reload(client)
        else:
            put(client, self._name, FOLDER, {CONFIG: content})
            client.api.start(self._name)

    def _reload(self, client: docker.DockerClient) -> None:
        name = self._name
        code, said = run(client, name, ["haproxy", "-c", "-f", f"{FOLDER}/{NEXT}"])
        if code == 0:
            # Root, which owns the folder. A file that is renamed is the old one or the new one.
            moved = ["mv", f"{FOLDER}/{NEXT}", f"{FOLDER}/{CONFIG}"]
            code, said = run(client, name, moved, user="0:0")
        if code:
            raise OutsideError(f"the proxy refuses its configuration: {said.strip()[-500:]}")
        self._read_again(client)

    def _read_again(self, client: docker.DockerClient) -> None:
        """Tell it to read its configuration again.

        From inside: an engine takes any signal of its own for the will that the container ends, and
        does not start it again after the machine did (moby's ``HasBeenManuallyStopped``).
        """
        code, said = run(client, self._name, ["sh", "-c", "kill -USR2 1"])
        if code:
            raise OutsideError(
                f"the proxy cannot be told to read its configuration: {said.strip()}"
            )

    def _wait(self, client: docker.DockerClient, content: bytes, heard: _Heard) -> None:
        """Wait until it has heard of a configuration."""
        traffic, generation = haproxy.read(content), haproxy.generation(content)
        deadline = time.monotonic() + _RELOAD_SECONDS
        while time.monotonic() < deadline:
            if heard(client, traffic) == generation:
                return
            time.sleep(0.1)
        words = client.api.logs(self._name, tail=_WORDS).decode(errors="replace")
        raise OutsideError(
            f"the proxy did not take its configuration within {_RELOAD_SECONDS} s",
            where=self._name,
            hint=f"Its last lines:\n{printable(words)}",
        )

    def _says(self, client: docker.DockerClient, traffic: Traffic) -> str:
        """The word of the configuration by which it works."""
        return self._ask(client, traffic, haproxy.TOLD_PORT, "/")

    def _answers(self, client: docker.DockerClient, traffic: Traffic) -> str:
        """The same, if the model answers through it too."""
        said = self._says(client, traffic)
        return said if self._ask(client, traffic, haproxy.PORT, "/readyz") else ""

    def _ask(self, client: docker.DockerClient, traffic: Traffic, port: int, path: str) -> str:
        """What it answers to a container of the live release; nothing where that is no 200."""
        asker = replica_name(self._service.name, traffic.live, 1)
        url = f"http://{self._name}:{port}{path}"
        try:
            python = client.api.inspect_container(asker)["Config"]["Entrypoint"][0]
            code, said = run(client, asker, [python, "-c", _PROBE, url])
        except APIError as error:
            if error.status_code in (NOT_FOUND, CONFLICT):
                return ""  # nobody is there who could ask
            raise
        return "" if code else said.strip()

    def awake(self) -> bool:
        """Whether it runs."""
        with self._asked() as client:
            return _runs(self._found(client))

    def drained(self) -> bool:
        """Whether of the proxy's processes only the newest is there, and the one over it."""
        with self._asked() as client:
            try:
                found = client.api.top(self._name)
            except APIError as error:
                # It does not run; or else the host has no ps, and nobody can tell.
                return error.status_code in (NOT_FOUND, CONFLICT)
        return len(found["Processes"]) <= 2

    def erase(self, *, network: bool) -> None:
        """Remove it and its volume, and the network if that is asked for."""
        with self._asked() as client:
            for name in (self._name, self._aside):
                gone(partial(client.api.remove_container, name, v=True, force=True))
            gone(lambda: client.api.remove_volume(self._name))
            if network:
                gone(lambda: client.api.remove_network(self._service.name))

    @property
    def _name(self) -> str:
        return f"{self._service.name}-proxy"

    @property
    def _shape(self) -> str:
        """What a proxy cannot change while it runs."""
        service = self._service
        return f"{service.address}:{service.port} {service.proxy}"

    @property
    def _labels(self) -> dict[str, str]:
        return {SERVICE: self._service.name, ROLE: "proxy"}

    @property
    def _aside(self) -> str:
        """What the old one is called while a new one is made."""
        return f"{self._name}-aside"

    def _found(self, client: docker.DockerClient) -> dict[str, Any] | None:
        """Its container, under either name; None where there is none."""
        found = {each["Names"][0].lstrip("/"): each for each in listed(client, self._labels)}
        return found.get(self._name) or found.get(self._aside)

    def _mend(self, client: docker.DockerClient) -> None:
        """What was broken off while it was made anew, or was removed by somebody."""
        self.network(client)
        found = self._found(client)
        if found is None:
            if has_volume(client, self._name):
                self._make(client)
        elif found["Names"][0].lstrip("/") == self._aside:
            client.api.rename(self._aside, self._name)

    def image(self, client: docker.DockerClient) -> str:
        """See to it that the engine has the proxy's image; its name.

        Raises:
            OutsideError: it has not, and cannot get it.
        """
        name = self._service.proxy
        if has_image(client, name):
            return name
        try:
            client.images.pull(name)
        except (NotFound, APIError) as error:
            raise OutsideError(
                f"the host has no proxy's image {name}, and cannot pull it: {error}",
                where="[deploy] proxy",
                hint=f"Bring it there: docker save {name} | ssh HOST docker load",
            ) from error
        return name

    def _make(self, client: docker.DockerClient) -> None:
        service = self._service
        self.image(client)
        client.volumes.create(self._name, labels=self._labels)
        client.containers.create(
            service.proxy,
            ["-W", "-db", "-f", f"{FOLDER}/{CONFIG}"],
            entrypoint=["haproxy"],
            name=self._name,
            network=service.name,
            ports={f"{haproxy.PORT}/tcp": (service.address, service.port)},
            volumes={self._name: {"bind": FOLDER, "mode": "rw"}},
            labels={**self._labels, SHAPE: self._shape},
            user=USER,
            read_only=True,
            tmpfs={"/tmp": "size=8m"},  # noqa: S108 - its own
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            restart_policy=RESTART,
            log_config=LogConfig(type="json-file", config=LOGS),
        )

    def network(self, client: docker.DockerClient) -> None:
        """See to it that there is the network that the containers are in."""
        name = self._service.name
        if not client.api.networks(names=[f"^{name}$"]):
            client.networks.create(name, driver="bridge", labels={**self._labels, ROLE: "network"})

    def _files(self, path: str) -> Mapping[str, bytes]:
        """Files of its volume, by name; none where they are not there.

        Raises:
            OutsideError: there is the volume, and no container through which it could be read.
        """
        with self._asked() as client:
            found = self._found(client)
            if found is None and has_volume(client, self._name):
                raise OutsideError(
                    f"the container {self._name} is gone",
                    hint="mlpack deploy or mlpack rollback makes it anew; what it knew is there.",
                )
            return {} if found is None else read(client, found["Id"], f"{FOLDER}/{path}")


def _runs(container: Mapping[str, Any] | None) -> bool:
    return container is not None and container["State"] == "running"
