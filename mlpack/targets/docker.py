"""A Docker host, here or behind ``ssh://``: several containers behind a proxy, no request lost.

The image comes over the connection to the engine, where it is not there yet; a registry is not
needed. See `mlpack.rollout` for how it is rolled out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker

from mlpack.bundle import Artifact
from mlpack.delivery.clock import Clock
from mlpack.delivery.counted import counted
from mlpack.delivery.guessing import slow_digest
from mlpack.delivery.who import who
from mlpack.engines.docker import DockerEngine, connect
from mlpack.engines.ssh import ADDRESS
from mlpack.errors import InputError, OutsideError
from mlpack.files import staged
from mlpack.operating import Counted, Fetched, Happened, Status
from mlpack.ports import Action, Built, Deployment, Engine, Reporter
from mlpack.rollout.docker import DockerHost
from mlpack.rollout.host import Host
from mlpack.rollout.settings import read
from mlpack.rollout.standing import Standings
from mlpack.rollout.steps import Rollout
from mlpack.rollout.values import Release, Service, Traffic
from mlpack.sizes import megabytes

_WORK_SECONDS = 600


@dataclass(frozen=True)
class DockerTarget:
    """Runs ``dist/``'s image.

    Attributes:
        service: what it is at the host.
        reference: where it answers, for people.
        host: does it.
        engine: the same host's engine, which takes images.
        clock: tells the time.
        who: a user and a machine.
    """

    service: Service
    reference: str
    host: Host
    engine: Engine
    clock: Clock
    who: str

    kind = "docker"
    verbs = frozenset(
        (
            *("plan", "apply", "canary", "promote", "rollback", "status", "history", "logs"),
            *("fetch", "samples", "counted", "remove"),
        )
    )

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:
        """What `apply`, or with a share `canary`, would do. Only reads.

        Raises:
            InputError: there is no image that a host could run.
            OutsideError: the host does not answer.
        """
        image = _image(built)
        return [self._bringing(image), *self._moving(built, image, share)]

    def _bringing(self, image: Artifact) -> Action:
        if self.host.has_image(str(image.config)):
            return Action("keep", f"image {image.image}", "is there", needed=False)
        return Action("load", f"image {image.image}", megabytes(image.size))

    def _moving(self, built: Built, image: Artifact, share: int) -> Sequence[Action]:
        live = self._live(self.host.traffic())
        release = self._release(built, image, 0)
        if live is not None and _same(live, release):
            what = f"release {live.number} ({live.version})"
            kept = Action("keep", what, f"{live.replicas} answer", needed=False)
            moved = Action("move", "the proxy", f"to {self.reference}")
            return [kept] if self.host.shaped() else [kept, moved]
        some = f"{release.replicas} of {built.name} {built.version}"
        actions = [Action("start", some, "and wait until they are ready")]
        before = "nothing" if live is None else f"release {live.number} ({live.version})"
        if share and live is not None:
            actions.append(Action("move", f"{share}% of the requests", f"from {before}"))
            return actions
        actions.append(Action("move", "the requests", f"from {before}"))
        if live is not None:
            actions.append(Action("stop", f"release {live.number}", "kept for a way back"))
        return actions

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out.

        Raises:
            CheckFailedError: somebody else deploys, or a canary is there.
            InputError: there is no image that a host could run.
            OutsideError: the host does not answer, or the new version does not become ready.
        """
        return self._rolled_out(built, 0, reporter, why)

    def canary(self, built: Built, share: int, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out beside what runs, for `share` of a hundred requests.

        Raises:
            CheckFailedError, InputError, OutsideError: as of `apply`.
        """
        return self._rolled_out(built, share, reporter, why)

    def _rolled_out(self, built: Built, share: int, reporter: Reporter, why: str) -> Deployment:
        image = _image(built)
        bringing = self._bringing(image)
        # Before the lock, since it may take long, and does no harm to anybody.
        self._load(built, image, reporter)
        wanted = self._release(built, image, 0)
        rollout = self._rollout(wanted.settings)
        with rollout.held():
            rollout.settle(reporter)
            actions = (bringing, *self._moving(built, image, share))
            traffic = self.host.traffic()
            live = self._live(traffic)
            if live is None or not _same(live, wanted):
                rollout.roll_out(self._release(built, image, self._next()), share, reporter, why)
            elif traffic is not None and not self.host.shaped():
                with reporter.stage("Making the proxy anew") as stage:
                    self.host.direct(traffic)
                    stage.result(self.reference)
        return Deployment(self.kind, self.reference, str(image.digest), actions)

    def promote(self, reporter: Reporter) -> Status:
        """Give the canary all requests.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no canary.
            OutsideError: the host does not answer.
        """
        rollout = self._rollout()
        with rollout.held():
            # One that was broken off may have arrived.
            if rollout.settle(reporter) != "promote":
                rollout.promote(reporter)
        return self.status()

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Go back, without a build.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is nothing to go back to.
            OutsideError: the host does not answer, or the release does not become ready.
        """
        rollout = self._rollout()
        with rollout.held():
            # One that was broken off may have arrived.
            if rollout.settle(reporter) != "rollback" or to is not None:
                rollout.roll_back(to, reporter)
        return self.status()

    def status(self) -> Status:
        """What runs.

        Raises:
            OutsideError: the host does not answer.
        """
        traffic = self.host.traffic()
        known = Standings(self.host.releases(), traffic, self.host.events())
        found = known.standings(self.host.replicas())
        awake = traffic is None or self.host.awake()
        return Status(self.kind, self.service.name, self.reference, found, awake)

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first.

        Raises:
            OutsideError: the host does not answer.
        """
        events = self.host.events()
        known = Standings(self.host.releases(), self.host.traffic(), events)
        return [
            Happened(
                at=each.at,
                verb=each.verb,
                release=each.release.number,
                version=each.release.version,
                digest=each.release.digest,
                state="failed" if each.verb == "failed" else known.state(each.release.number),
                by=each.by,
                why=each.why,
            )
            for each in events
        ]

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the containers that answer, and those that come.

        Raises:
            InputError: nothing is deployed.
            OutsideError: the host does not answer.
        """
        traffic = self.host.traffic()
        if traffic is None:
            raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
        return self.host.logs(sorted(traffic.answering), lines, follow=follow)

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of what answers, or of another release.

        Raises:
            InputError: there is no such release, or its image is gone.
            OutsideError: the host does not answer.
        """
        traffic = self.host.traffic()
        if traffic is None:
            return None
        wanted = self._rollout().release(release or traffic.live)
        with reporter.stage(f"Fetching release {wanted.number} ({wanted.version})") as stage:
            with staged(into, folder=True) as folder:
                self.host.bring(wanted, folder)
            stage.result(wanted.digest[:19])
        return Fetched(into, wanted.version, wanted.number, wanted.digest)

    def samples(self, release: int | None, last: int | None = None) -> bytes:
        """What the servers of what answers, or of another release, have sampled.

        With `last` at most so many bytes of each, the last ones.

        Raises:
            OutsideError: the host does not answer.
        """
        traffic = self.host.traffic()
        return b"" if traffic is None else self.host.samples(release or traffic.live, last)

    def counted(self, release: int) -> Mapping[str, Counted]:
        """What the containers of a release have counted, by their names.

        Raises:
            OutsideError: the host does not answer.
        """
        told = self.host.metrics(release)
        return {name: counted(text, name) for name, text in told.items() if text}

    def remove(self, reporter: Reporter) -> None:
        """Remove the containers, the proxy and what is remembered. Images stay.

        Raises:
            CheckFailedError: somebody else deploys.
            OutsideError: the host does not answer.
        """
        title = f"Removing {self.service.name}"
        if self.host.bare():  # a lock would need the proxy's image
            with reporter.stage(title) as stage:
                stage.result("was not there")
            return
        with self._rollout().held(), reporter.stage(title) as stage:
            there = self.host.replicas()
            self.host.erase()
            for each in there:
                self.host.stop(each)
                self.host.remove(each)
            self.host.erase()  # the network too, which nothing is in any more
            stage.result(f"{len(there)} containers")

    def _rollout(self, settings: str = "") -> Rollout:
        return Rollout(self.service, self.host, self.clock, self.who, settings or self._settings())

    def _settings(self) -> str:
        """A digest of what decides about containers beside their image."""
        service = self.service
        told = [service.memory, service.cpus, service.env, service.secrets]
        # It stands in a label, and secrets went into it: slow to guess.
        return slow_digest(json.dumps(told, sort_keys=True).encode(), service.name.encode(), 16)

    def _live(self, traffic: Traffic | None) -> Release | None:
        if traffic is None:
            return None
        return next((r for r in self.host.releases() if r.number == traffic.live), None)

    def _next(self) -> int:
        numbers = [each.release.number for each in self.host.events()]
        numbers += [each.number for each in self.host.releases()]
        return max(numbers, default=0) + 1

    def _load(self, built: Built, image: Artifact, reporter: Reporter) -> None:
        if self.host.has_image(str(image.config)):
            return
        with reporter.stage(f"Bringing {image.image} to the host") as stage:
            found = self.engine.load(built.dist / image.file)
            if found != image.config:
                raise OutsideError(
                    f"the engine calls the image {found}, not {image.config}",
                    hint="Engines that keep images in containerd are not tried yet.",
                )
            stage.result(megabytes(image.size))

    def _release(self, built: Built, image: Artifact, number: int) -> Release:
        return Release(
            number=number,
            version=built.version,
            image=str(image.config),
            digest=str(image.digest),
            bundle=built.bundle,
            settings=self._settings(),
            replicas=self.service.replicas,
            at=int(self.clock.now()),
            by=self.who,
        )


def _same(a: Release, b: Release) -> bool:
    """Whether nothing would be another."""
    return (a.image, a.settings, a.replicas) == (b.image, b.settings, b.replicas)


def _image(built: Built) -> Artifact:
    """The built image.

    Raises:
        InputError: there is none, or it is for several platforms.
    """
    artifact = built.artifacts.get("image")
    if artifact is None:
        raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
    if artifact.config is None:
        raise InputError(
            f"{artifact.file} is for several platforms, and a host has one",
            where=built.dist.name,
            hint="Run: mlpack build --platform linux/amd64",
        )
    return artifact


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> DockerTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/docker.md.
        env: the process's environment; ``DOCKER_HOST`` where `config` names no host.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    service, host = read(config)
    host = host or env.get("DOCKER_HOST", "")
    where = {**env, "DOCKER_HOST": host} if host else dict(env)
    there = ADDRESS.fullmatch(host)
    if there is not None:
        named = there["login"].rpartition("@")[2]
    else:
        named = (urlsplit(host).hostname if host.startswith("tcp://") else None) or "127.0.0.1"

    def client() -> docker.DockerClient:
        return connect(where, _WORK_SECONDS)

    return DockerTarget(
        service=service,
        reference=f"http://{named}:{service.port}",
        host=DockerHost(service, client, host),
        engine=DockerEngine(where),
        clock=Clock(),
        who=who(),
    )
