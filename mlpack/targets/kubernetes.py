"""A Kubernetes cluster: a Deployment behind a Service, or an InferenceService of KServe.

The image goes into a registry, and the cluster's objects name it by its digest. See
`mlpack.kubernetes` for what those objects are and how a release replaces another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mlpack.delivery.clock import Clock
from mlpack.delivery.counted import counted
from mlpack.delivery.pushing import Pusher, pusher
from mlpack.delivery.unpacked import unpack_image
from mlpack.delivery.who import who
from mlpack.errors import InputError
from mlpack.kubernetes import manifests, planning, pods, policy, settings, written
from mlpack.kubernetes.book import Book
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.following import followed
from mlpack.kubernetes.images import Images
from mlpack.kubernetes.lease import Lock
from mlpack.kubernetes.manifests import Objects
from mlpack.kubernetes.rollout import Rollout
from mlpack.kubernetes.sampling import Samples
from mlpack.kubernetes.values import Release, Service, record_name
from mlpack.kubernetes.watching import Watcher, is_running, release_of_pod
from mlpack.kubernetes.workloads import Workloads, workloads
from mlpack.oci.cache import Cache, default_root
from mlpack.operating import Counted, Fetched, Happened, Standing, Status
from mlpack.plugins import load
from mlpack.ports import Action, Built, Deployment, Reporter


@dataclass(frozen=True)
class KubernetesTarget:
    """Runs ``dist/``'s image at a cluster.

    Attributes:
        service: what it is there.
        pusher: brings the image into a registry.
        connect: connects to the cluster.
        clock: tells the time.
        who: a user and a machine.
        cache: where what is pulled is kept.
    """

    service: Service
    pusher: Pusher
    connect: Callable[[], Cluster]
    clock: Clock
    who: str
    cache: Cache

    kind = "kubernetes"
    verbs = frozenset(
        (
            *("plan", "apply", "canary", "promote", "rollback", "status", "history", "logs"),
            *("fetch", "samples", "counted", "remove", "render", "policy"),
        )
    )

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:
        """What `apply`, or with a share `canary`, would do, field by field. Only reads.

        Raises:
            InputError: there is no image, or nothing for a canary to stand beside.
            OutsideError: the registry or the cluster does not answer, or would refuse it.
        """
        pushing = self.pusher.plan(built)
        cluster = self.connect()
        state = Book(self.service, cluster).state
        made = self._objects(built)
        return [
            *pushing,
            *planning.actions(cluster, state, made, self._release(built, made), share),
        ]

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out.

        Raises:
            CheckFailedError: somebody else deploys, or a canary is there.
            InputError: there is no image.
            OutsideError: something does not answer, or the new version does not become ready.
        """
        return self._rolled_out(built, 0, reporter, why)

    def canary(self, built: Built, share: int, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out beside what runs, for about `share` of a hundred requests.

        Raises:
            CheckFailedError, InputError, OutsideError: as of `apply`.
        """
        return self._rolled_out(built, share, reporter, why)

    def _rolled_out(self, built: Built, share: int, reporter: Reporter, why: str) -> Deployment:
        pushing = self.pusher.plan(built)
        # Before the lock, since it may take long, and does no harm to anybody.
        _, digest = self.pusher.push(built, reporter)
        made = self._objects(built)
        with self._held(reporter) as rollout:
            rollout.settle()
            state = rollout.book.state
            draft = self._release(built, made, state.next)
            actions = planning.actions(rollout.cluster, state, made, draft, share)
            live = state.release(state.live)
            if live is None or not planning.same(live, draft):
                rollout.roll_out(draft, made.secret, share, why)
            elif any(each.needed for each in actions):
                rollout.again(live, made.secret)
            if share:
                self._told_share(rollout, share, reporter)
        return Deployment(self.kind, self._reference(), digest, (*pushing, *actions))

    def _told_share(self, rollout: Rollout, share: int, reporter: Reporter) -> None:
        true = rollout.workloads.share(rollout.book.state)
        if true not in (0, share):
            reporter.note(f"the canary gets {true}% of the requests: pods are whole")

    def promote(self, reporter: Reporter) -> Status:
        """Let the canary answer all requests.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no canary.
            OutsideError: the cluster does not answer, or the pods do not become ready.
        """
        with self._held(reporter) as rollout:
            # One that was broken off may have arrived.
            if rollout.settle() != "promote":
                rollout.promote()
        return self.status()

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Go back, without a build.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is nothing to go back to.
            OutsideError: the cluster does not answer, or the pods do not become ready.
        """
        with self._held(reporter) as rollout:
            # One that was broken off may have arrived.
            if rollout.settle() != "rollback" or to is not None:
                rollout.roll_back(to)
        return self.status()

    def status(self) -> Status:
        """What runs.

        Raises:
            OutsideError: the cluster does not answer.
        """
        cluster = self.connect()
        state = Book(self.service, cluster).state
        at_work = self._workloads(cluster)
        canary = at_work.share(state)
        shares = {state.live: 100 - canary, state.canary: canary}
        found = []
        for number in dict.fromkeys((state.live, state.canary, *state.before)):
            release = state.release(number)
            if release is None:
                continue
            doing = state.doing(number)
            if doing == "gone":
                continue
            stood = at_work.standing(release, state) if doing != "kept" else None
            found.append(
                Standing(
                    release=number,
                    version=release.version,
                    digest=release.digest,
                    state=doing,
                    share=shares.get(number, 0) if stood else 0,
                    replicas=stood.replicas if stood else release.replicas,
                    running=stood.running if stood else 0,
                    healthy=stood.ready if stood else 0,
                )
            )
        return Status(self.kind, self.service.name, self._reference(), tuple(found))

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first.

        Raises:
            OutsideError: the cluster does not answer.
        """
        state = Book(self.service, self.connect()).state
        return [
            Happened(
                at=each.at,
                verb=each.verb,
                release=each.release,
                version=each.version,
                digest=each.digest,
                state="failed" if each.verb == "failed" else state.doing(each.release),
                by=each.by,
                why=each.why,
            )
            for each in state.events
        ]

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the pods that answer, and those that come, of new pods too.

        Raises:
            InputError: nothing is deployed.
            OutsideError: the cluster does not answer.
        """
        cluster = self.connect()
        book = Book(self.service, cluster)
        if not book.state.live:
            raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
        watcher = self._watcher(cluster)

        def names() -> list[str]:
            state = Book(self.service, cluster).state
            return sorted(
                str(each["metadata"]["name"])
                for each in watcher.pods()
                if release_of_pod(each) in (state.live, state.canary) and is_running(each)
            )

        if follow:
            return followed(self.connect, names, lines, time.monotonic)
        return (
            f"{name} {line}" for name in names() for line in cluster.logs(name, lines).splitlines()
        )

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of what answers, or of another release, from the registry.

        Raises:
            InputError: there is no such release, or its image is in another repository.
            OutsideError: the cluster or the registry does not answer.
        """
        state = Book(self.service, self.connect()).state
        number = release or state.live
        if not number:
            return None
        found = state.release(number)
        if found is None:
            raise InputError(f"there is no release {number}", hint="mlpack history ENVIRONMENT")
        image = self._images.named(found)
        with reporter.stage(f"Fetching release {number} ({found.version})") as stage:
            unpack_image(self._images.pulled(image), into, str(image))
            stage.result(found.digest[:19])
        return Fetched(into, found.version, number, found.digest)

    def samples(self, release: int | None, last: int | None = None) -> bytes:
        """What the ready pods of what answers, or of another release, have sampled.

        With `last` at most so many bytes of each, the last ones; never more than
        `mlpack.kubernetes.sampling.MOST`.

        Raises:
            InputError: the release's image is in another repository.
            OutsideError: the cluster or the registry does not answer, or no command may be run in
                the pods.
        """
        cluster = self.connect()
        state = Book(self.service, cluster).state
        found = state.release(release or state.live)
        brought = Samples(cluster, self._watcher(cluster), self._images)
        return brought.of(found, last) if found else b""

    def counted(self, release: int) -> Mapping[str, Counted]:
        """What the pods of a release have counted, by their names.

        Raises:
            OutsideError: the cluster does not answer.
        """
        cluster, key = self.connect(), pods.api_key(self.service)
        names = [each["metadata"]["name"] for each in self._watcher(cluster).pods(release)]
        told = {name: cluster.ask(name, pods.PORT, "/metrics", key) for name in names}
        return {name: counted(text, name) for name, text in told.items() if text}

    def remove(self, reporter: Reporter) -> None:
        """Remove all objects and what is remembered. The image stays in the registry.

        Raises:
            CheckFailedError: somebody else deploys.
            OutsideError: the cluster does not answer.
        """
        title = f"Removing {self.service.name}"
        with self._held(reporter) as rollout, reporter.stage(title) as stage:
            count = rollout.remove(record_name(self.service.name))
            stage.result(f"{count} objects")

    def render(self, built: Built, into: Path) -> Sequence[Path]:
        """Write the objects as YAML. A Secret is named, and not written.

        Raises:
            InputError: there is no image, or `into` is a file.
        """
        secret = f"{self.service.name}-secrets"
        made = self._objects(built, secret)
        found = written.write(self.service, made.all, built.version, into)
        return [into / each for each in found]

    def policy(self) -> Mapping[str, Any]:
        """A Role with which all verbs work."""
        return policy.role(self.service)

    @contextmanager
    def _held(self, reporter: Reporter) -> Iterator[Rollout]:
        cluster = self.connect()
        lock = Lock(self.service, cluster, self.clock, self.who)
        watcher = Watcher(self.service, cluster, self.clock, lock.renew)
        with lock.held():
            book = Book(self.service, cluster)
            at_work = workloads(cluster, watcher)
            yield Rollout(self.service, cluster, at_work, book, self.clock, self.who, reporter)

    @property
    def _images(self) -> Images:
        return Images(self.pusher, self.cache)

    def _watcher(self, cluster: Cluster) -> Watcher:
        return Watcher(self.service, cluster, self.clock, lambda: None)

    def _workloads(self, cluster: Cluster) -> Workloads:
        return workloads(cluster, self._watcher(cluster))

    def _objects(self, built: Built, secret: str | None = None) -> Objects:
        artifact = built.artifacts.get("image")
        if artifact is None:
            raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
        image = f"{self.pusher.repository.name}@{artifact.digest}"
        return manifests.objects(self.service, image, built.name, built.version, secret=secret)

    def _release(self, built: Built, made: Objects, number: int = 0) -> Release:
        return Release(
            number=number,
            version=built.version,
            image=f"{self.pusher.repository.name}@{built.artifacts['image'].digest}",
            bundle=built.bundle,
            settings=made.digest,
            replicas=self.service.least,
            at=int(self.clock.now()),
            by=self.who,
            workload=made.workload,
            around=list(made.around),
            secret=made.secret["metadata"]["name"] if made.secret else "",
        )

    def _reference(self) -> str:
        service = self.service
        if service.ingress is not None:
            return f"{'https' if service.ingress.tls else 'http'}://{service.ingress.host}"
        port = "" if service.port == 80 or service.mode == "kserve" else f":{service.port}"
        return f"http://{service.name}.{service.namespace}.svc{port}"


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> KubernetesTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/kubernetes.md.
        env: the process's environment; ``KUBECONFIG`` where `config` names no kubeconfig.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    service = settings.read(config)
    kubeconfig, context = settings.read_cluster(config)

    @cache
    def connect() -> Cluster:
        try:
            made = load("mlpack.kubernetes.client:connect")
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] != "kubernetes":
                raise
            raise InputError(
                "the target kubernetes needs the client of Kubernetes, which is not installed",
                hint="Run: pip install 'mlpack-builder[kubernetes]'",
            ) from error
        found: Cluster = made(kubeconfig, context, service.namespace, env, time.sleep)
        return found

    return KubernetesTarget(
        service=service,
        pusher=pusher(config, env),
        connect=connect,
        clock=Clock(now=time.time, sleep=time.sleep),
        who=who(),
        cache=Cache(default_root(env, Path.home())),
    )
