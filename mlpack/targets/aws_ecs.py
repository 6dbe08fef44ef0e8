"""A service of ECS on Fargate, behind a target group of a load balancer: no machine to look after.

A release is a revision of a task definition. ECS starts its tasks beside the old ones, moves the
requests when the target group finds them ready, and goes back by itself where they keep failing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpack.aws import images, journal, logs, place, releases, tasks
from mlpack.aws.calls import Service
from mlpack.aws.images import Chosen, Shelf
from mlpack.aws.journal import Journal
from mlpack.aws.lock import Lock
from mlpack.aws.parts import Seen
from mlpack.aws.place import Place
from mlpack.aws.policies import document
from mlpack.aws.releases import Release
from mlpack.aws.services import Services
from mlpack.aws.tasks import CONTAINER, Task
from mlpack.config import refuse_unknown
from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError
from mlpack.oci.cache import Cache, default_root
from mlpack.operating import Fetched, Happened, Standing, Status
from mlpack.ports import Action, Built, Deployment, Reporter

_SLACK = 300.0
"""Seconds that a deploy may take beside its rollout."""


@dataclass(frozen=True)
class EcsTarget:
    """Runs ``dist/``'s image.

    Attributes:
        task: what it shall be.
        services: does it at ECS.
        shelf: the image's repository.
        cloudwatch: CloudWatch's logs.
        sts: knows who asks.
        region: where.
        platform: of the image; empty for the built one.
        clock: tells the time.
    """

    task: Task
    services: Services
    shelf: Shelf
    cloudwatch: Service
    sts: Service
    region: str
    platform: str
    clock: Clock

    kind = "aws-ecs"
    verbs = frozenset(
        (
            *("plan", "apply", "rollback", "status", "history", "logs"),
            *("fetch", "policy", "remove"),
        )
    )

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:  # noqa: ARG002 - no canaries
        """What `apply` would do. Only reads.

        Raises:
            InputError: there is no image that Fargate could run, or no repository, cluster or
                target group.
            OutsideError: AWS does not answer, or refuses.
        """
        wanted, _ = self._wanted(built)
        return [*self.shelf.plan(built), *self._moving(wanted, self.services.look())]

    def _moving(self, wanted: Release, seen: Seen) -> Sequence[Action]:
        task, checked = self.task, self.services.check()
        live = self._release(seen.live)
        if self._runs(wanted, seen):
            what = f"revision {live.number} ({live.version})"
            kept = Action("keep", what, f"{seen.desired} tasks", needed=False)
            check = Action("check", "the target group", "asks for /readyz")
            return [kept] if checked else [kept, check]
        again = self._there(wanted)
        what = f"revision {again}" if again else f"a revision of {task.service}"
        actions = [Action("define", what, wanted.version, needed=not again)]
        if not checked:
            actions.append(Action("check", "the target group", "asks for /readyz"))
        if not seen.arn:
            actions.append(Action("create", f"service {task.service}", f"in {task.cluster}"))
        some = f"{seen.desired or task.replicas} of {wanted.version}"
        actions.append(Action("start", some, "and wait until they are ready"))
        before = f"revision {live.number} ({live.version})" if live.number else "nothing"
        actions.append(Action("move", "the requests", f"from {before}"))
        return actions

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no image that Fargate could run, or no repository, cluster or
                target group.
            OutsideError: AWS does not answer or refuses, or the new version does not become ready.
        """
        wanted, chosen = self._wanted(built)
        seen = self.services.look()
        if self._runs(wanted, seen) and self.services.check() and not journal.missing(seen):
            actions = [*self.shelf.plan(built), *self._moving(wanted, seen)]
            return Deployment(self.kind, self._address, wanted.digest, tuple(actions))
        actions = [*self.shelf.plan(built), *self._moving(wanted, seen)]
        # Before the lock, since it may take long, and does no harm to anybody.
        uri = self.shelf.push(built, reporter)
        self.services.prepare()
        who = place.caller(self.sts)
        with self._lock().held(who):
            seen, _ = self._settled(who, reporter)
            if not self._runs(wanted, seen):
                number = self._there(wanted) or self.services.register(
                    self.task.definition(f"{uri}@{wanted.digest}", chosen, self.region),
                    tasks.tags_of(replace(wanted, by=who), built.bundle),
                )
                count = self._release(seen.live).settings != wanted.settings
                release = replace(wanted, number=number)
                self._roll(release, seen, "deploy", who, why, reporter, count=count)
        return Deployment(self.kind, self._address, wanted.digest, tuple(actions))

    def _roll(
        self,
        release: Release,
        seen: Seen,
        verb: str,
        who: str,
        why: str,
        reporter: Reporter,
        *,
        count: bool = False,
    ) -> None:
        number = release.number
        with reporter.stage(f"Rolling out {self.task.service} {release.version}") as stage:
            # One that a run which was broken off began goes on.
            if not seen.rolling(number):
                self.services.run(number, seen, count=count)
            try:
                self.services.steady(number)
            except OutsideError as error:
                with suppress(OutsideError):  # what failed first is told
                    self.services.back(number, seen)
                    self._journal.record("failed", release, who, error.what)
                raise
            stage.result(f"revision {number} answers")
        self._journal.record(verb, release, who, why)

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Roll out a revision that ran before, without a build.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is nothing to go back to.
            OutsideError: AWS does not answer or refuses, or the revision does not become ready.
        """
        if not self.services.look().live:
            raise releases.nothing()
        who = place.caller(self.sts)
        with self._lock().held(who):
            seen, finished = self._settled(who, reporter)
            if to is None and finished == "rollback":
                return self.status()  # a way back that was broken off has arrived
            number = to or journal.before(journal.read(seen.tags), seen.live) or 0
            if not number:
                raise releases.nowhere(seen.live)
            found = self.services.release(number)
            if found is None:
                raise releases.unknown(number)
            if number != seen.live:
                self._roll(found[0], seen, "rollback", who, "", reporter)
        return self.status()

    def status(self) -> Status:
        """What runs. While a new version rolls out, it is shown as a canary.

        Raises:
            InputError: there is no such cluster.
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.services.look()
        parts = [part for part in seen.parts if part.desired or part.running or part.primary]
        total = sum(part.running for part in parts)
        found = []
        for part in sorted(parts, key=lambda part: part.number != seen.live):
            release = self._release(part.number)
            found.append(
                Standing(
                    release=part.number,
                    version=release.version,
                    digest=release.digest,
                    state="live" if part.number == seen.live else _STATES.get(part.state, "failed"),
                    share=round(100 * part.running / total) if total else 0,
                    replicas=part.desired,
                    running=part.running,
                    healthy=part.running,
                )
            )
        return Status(self.kind, self.task.service, self._address, tuple(found))

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first; the last thirty events.

        Raises:
            InputError: there is no such cluster.
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.services.look()
        events = journal.read(seen.tags)
        states = dict.fromkeys(self.services.revisions() if events else (), "kept")
        return journal.happened(events, {**states, seen.live: "live"})

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the tasks that run, and those that come.

        Raises:
            InputError: nothing is deployed.
            OutsideError: AWS does not answer, or refuses.
        """
        if not self.services.look().arn:
            raise releases.nothing()
        streams = self.services.streams
        return logs.lines(
            self.cloudwatch, self.task.group, streams, lines, self.clock, follow=follow
        )

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of what answers, or of another revision.

        Raises:
            InputError: there is no such revision.
            OutsideError: AWS does not answer or refuses, or the image is gone.
        """
        seen = self.services.look()
        if not seen.live:
            return None
        number = release or seen.live
        found = self.services.release(number)
        if found is None:
            raise releases.unknown(number)
        containers = found[1]["containerDefinitions"]
        image = next((str(e["image"]) for e in containers if e["name"] == CONTAINER), "")
        return images.fetched(self.shelf, image, into, reporter, found[0].version, number)

    def policy(self) -> Mapping[str, Any]:
        """The smallest policy with which all verbs work. AWS is not asked."""
        partition, account = place.account_of(self.task.role)
        return document(
            [
                *self.shelf.statements(partition, self.region, account),
                *tasks.statements(self.task, partition, self.region, account),
            ]
        )

    def remove(self, reporter: Reporter) -> None:
        """Delete the service and its task definitions. Images, logs and the target group stay.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no such cluster.
            OutsideError: AWS does not answer, or refuses.
        """
        self.services.prepare()
        with (
            self._lock().held(place.caller(self.sts)),
            reporter.stage(f"Removing {self.task.service}") as stage,
        ):
            stage.result(f"{self.services.remove()} revisions")

    @property
    def _address(self) -> str:
        return f"{self.task.cluster}/{self.task.service}"

    def _wanted(self, built: Built) -> tuple[Release, Chosen]:
        chosen = images.chosen(built, self.platform)
        settings = self.task.settings(chosen, self.region)
        return Release(0, built.version, chosen.digest, settings), chosen

    def _release(self, number: int) -> Release:
        """What is known of a revision."""
        found = self.services.release(number) if number else None
        return found[0] if found else Release(number)

    def _runs(self, wanted: Release, seen: Seen) -> bool:
        """Whether it answers already, and nothing else is about to."""
        part = seen.wanted
        return (
            part is not None
            and part.number == seen.live
            and seen.desired > 0
            and self._release(part.number).same(wanted.digest, wanted.settings)
        )

    def _there(self, wanted: Release) -> int:
        """The last revision, if it is the same already; 0 if it is not."""
        found = self.services.release()
        same = found is not None and found[0].same(wanted.digest, wanted.settings)
        return found[0].number if found is not None and same else 0

    @property
    def _journal(self) -> Journal:
        return Journal(self.services.look, self.services.tag, self.clock)

    def _settled(self, who: str, reporter: Reporter) -> tuple[Seen, str]:
        """What is there when all is written down, and what was not; see `Journal.settle`."""
        seen = self.services.look()
        verb = self._journal.settle(seen, self._release, lambda: who, reporter)
        return (self.services.look() if verb else seen), verb

    def _lock(self) -> Lock:
        seconds = self.task.ready_seconds + _SLACK
        return Lock(self.cloudwatch, self.task.group, self.clock, seconds)


_STATES = {"COMPLETED": "kept", "IN_PROGRESS": "canary", "": "kept"}


def assemble(
    config: Mapping[str, Any], env: Mapping[str, str], there: Place, clock: Clock
) -> EcsTarget:
    """The target of a configuration, at a place; see `make`.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, (*tasks.KEYS, *place.KEYS, *images.KEYS), "aws-ecs")
    task, cloudwatch = tasks.read(config), there.service("logs")
    ecs, elb = there.service("ecs"), there.service("elbv2")
    return EcsTarget(
        task=task,
        services=Services(ecs, elb, cloudwatch, task, clock),
        shelf=images.shelf(config, there.service("ecr"), Cache(default_root(env, Path.home()))),
        cloudwatch=cloudwatch,
        sts=there.service("sts"),
        region=there.region,
        platform=images.platform(config),
        clock=clock,
    )


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> EcsTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/aws-ecs.md.
        env: the process's environment: a region, credentials.

    Raises:
        InputError: a key is missing, unknown or wrong.
        OutsideError: the profile that `env` names is not there.
    """
    return assemble(config, env, place.place(config, env), Clock())
