"""An endpoint of SageMaker, on machines or without any, moved blue to green with alarms.

A release is a model and a configuration of the same number. SageMaker starts it beside the one that
answers, moves the requests, and goes back where it is not well or an alarm rings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mlpack.aws import endpoint_settings, images, journal, logs, place, releases
from mlpack.aws.calls import Service
from mlpack.aws.endpoint_settings import Endpoint, statements
from mlpack.aws.endpoints import Endpoints, Seen
from mlpack.aws.images import Shelf
from mlpack.aws.journal import Journal
from mlpack.aws.place import Place
from mlpack.aws.policies import document
from mlpack.aws.releases import Release
from mlpack.config import refuse_unknown
from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError
from mlpack.oci.cache import Cache, default_root
from mlpack.operating import Fetched, Happened, Standing, Status
from mlpack.ports import Action, Built, Deployment, Reporter


@dataclass(frozen=True)
class SageMakerTarget:
    """Runs ``dist/``'s image.

    Attributes:
        endpoint: what it shall be.
        endpoints: does it at SageMaker.
        shelf: the image's repository.
        cloudwatch: CloudWatch's logs.
        sts: knows who asks.
        region: where.
        platform: of the image; empty for the built one.
        clock: tells the time.
    """

    endpoint: Endpoint
    endpoints: Endpoints
    shelf: Shelf
    cloudwatch: Service
    sts: Service
    region: str
    platform: str
    clock: Clock

    kind = "sagemaker"
    verbs = frozenset(
        (
            *("plan", "apply", "rollback", "status", "history", "logs"),
            *("fetch", "policy", "remove"),
        )
    )

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:  # noqa: ARG002 - no canaries
        """What `apply` would do. Only reads.

        Raises:
            InputError: there is no image that SageMaker could run, no repository, or no such alarm.
            OutsideError: AWS does not answer, or refuses.
        """
        self.endpoints.check()
        wanted, _ = self._wanted(built)
        return [*self.shelf.plan(built), *self._moving(wanted, self.endpoints.look())]

    def _moving(self, wanted: Release, seen: Seen) -> Sequence[Action]:
        live = self._release(seen.live)
        if self._runs(wanted, seen):
            what = f"release {live.number} ({live.version})"
            return [Action("keep", what, "answers", needed=False)]
        again = self._there(wanted)
        what = f"release {again}" if again else f"a release of {self.endpoint.name}"
        actions = [Action("configure", what, wanted.version, needed=not again)]
        if not seen.arn:
            machines = f"{self.endpoint.replicas} {self.endpoint.instance}"
            detail = machines if self.endpoint.instance else "without machines"
            actions.append(Action("create", f"endpoint {self.endpoint.name}", detail))
        before = f"release {live.number} ({live.version})" if live.number else "nothing"
        actions.append(Action("move", "the requests", f"from {before}"))
        return actions

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no image that SageMaker could run, no repository, or no such alarm.
            OutsideError: AWS does not answer or refuses, or the new version does not become ready.
        """
        self.endpoints.check()
        wanted, _ = self._wanted(built)
        seen, _ = self._settled(self.endpoints.look(), reporter)
        actions = [*self.shelf.plan(built), *self._moving(wanted, seen)]
        if not self._runs(wanted, seen):
            again = self._there(wanted)
            if seen.works and seen.pending != again:
                raise releases.lost()
            uri = self.shelf.push(built, reporter)
            who = place.caller(self.sts)
            number = again or self.endpoints.make(
                replace(wanted, by=who), f"{uri}@{wanted.digest}", built.bundle
            )
            self._roll(replace(wanted, number=number), seen, "deploy", who, why, reporter)
            self._sweep(number, reporter)
        return Deployment(self.kind, self._address, wanted.digest, tuple(actions))

    def _roll(
        self, release: Release, seen: Seen, verb: str, who: str, why: str, reporter: Reporter
    ) -> None:
        number = release.number
        with reporter.stage(f"Rolling out {self.endpoint.name} {release.version}") as stage:
            # One that a run which was broken off began goes on.
            if seen.pending != number or not seen.works:
                self.endpoints.run(number, seen)
            try:
                self.endpoints.steady(number)
            except OutsideError as error:
                with suppress(OutsideError):  # what failed first is told
                    if not self.endpoints.look().works:
                        self._journal.record("failed", release, who, error.what)
                raise
            stage.result(f"release {number} answers")
        self._journal.record(verb, release, who, why)

    def _sweep(self, live: int, reporter: Reporter) -> None:
        with reporter.stage("Removing what is too old") as stage:
            stage.result(f"{self.endpoints.sweep(live, self.endpoint.keep)} releases")

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Roll out a release that ran before, without a build.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is nothing to go back to.
            OutsideError: AWS does not answer or refuses, or the release does not become ready.
        """
        seen = self.endpoints.look()
        if not seen.live:
            raise releases.nothing()
        if seen.works:
            raise releases.lost()
        seen, finished = self._settled(seen, reporter)
        if to is None and finished == "rollback":
            return self.status()  # a way back that was broken off has arrived
        number = to or journal.before(journal.read(seen.tags), seen.live) or 0
        if not number:
            raise releases.nowhere(seen.live)
        found = self.endpoints.release(number)
        if found is None:
            raise releases.unknown(number)
        if number != seen.live:
            self._roll(found, seen, "rollback", place.caller(self.sts), "", reporter)
        return self.status()

    def status(self) -> Status:
        """What runs. While a new version rolls out, it is shown as a canary.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.endpoints.look()
        found = []
        if seen.arn:
            live = seen.live or seen.pending
            state = "live" if seen.live else "canary" if seen.works else "failed"
            share = 100 if seen.live else 0
            found.append(self._standing(live, state, share, seen.wanted, seen.running))
        if seen.live and seen.pending not in (0, seen.live):
            found.append(self._standing(seen.pending, "canary", 0, 0, 0))
        return Status(self.kind, self.endpoint.name, self._address, tuple(found))

    def _standing(self, number: int, state: str, share: int, wanted: int, running: int) -> Standing:
        release = self._release(number)
        return Standing(
            release=number,
            version=release.version,
            digest=release.digest,
            state=state,
            share=share,
            replicas=wanted,
            running=running,
            healthy=running,
        )

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first; the last thirty events.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.endpoints.look()
        events = journal.read(seen.tags)
        states = dict.fromkeys(self.endpoints.numbers() if events else (), "kept")
        return journal.happened(events, {**states, seen.live: "live"})

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of what answers, and those that come.

        Raises:
            InputError: nothing is deployed.
            OutsideError: AWS does not answer, or refuses.
        """
        if not self.endpoints.look().arn:
            raise releases.nothing()
        streams = self.endpoints.streams
        return logs.lines(
            self.cloudwatch, self.endpoint.group, streams, lines, self.clock, follow=follow
        )

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of what answers, or of another release.

        Raises:
            InputError: there is no such release.
            OutsideError: AWS does not answer or refuses, or the image is gone.
        """
        seen = self.endpoints.look()
        if not seen.live:
            return None
        number = release or seen.live
        image = self.endpoints.image(number)
        if not image:
            raise releases.unknown(number)
        version = self._release(number).version
        return images.fetched(self.shelf, image, into, reporter, version, number)

    def policy(self) -> Mapping[str, Any]:
        """The smallest policy with which all verbs work. AWS is not asked."""
        partition, account = place.account_of(self.endpoint.role)
        return document(
            [
                *self.shelf.statements(partition, self.region, account),
                *statements(self.endpoint, partition, self.region, account),
            ]
        )

    def remove(self, reporter: Reporter) -> None:
        """Delete the endpoint, its configurations and its models. Images and logs stay.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        with reporter.stage(f"Removing {self.endpoint.name}") as stage:
            stage.result(f"{self.endpoints.remove()} releases")

    @property
    def _address(self) -> str:
        host = f"https://runtime.sagemaker.{self.region}.amazonaws.com"
        return f"{host}/endpoints/{self.endpoint.name}/invocations"

    def _wanted(self, built: Built) -> tuple[Release, str]:
        chosen = images.chosen(built, self.platform)
        settings = self.endpoint.settings(chosen.platform)
        return Release(0, built.version, chosen.digest, settings), chosen.platform

    def _release(self, number: int) -> Release:
        """What is known of a release."""
        return (self.endpoints.release(number) if number else None) or Release(number)

    def _runs(self, wanted: Release, seen: Seen) -> bool:
        """Whether it answers already, and nothing else is about to."""
        if not seen.live or seen.works:
            return False
        return self._release(seen.live).same(wanted.digest, wanted.settings)

    def _there(self, wanted: Release) -> int:
        """The last release, if it is the same already; 0 if it is not."""
        last = max(self.endpoints.numbers(), default=0)
        return last if self._release(last).same(wanted.digest, wanted.settings) else 0

    @property
    def _journal(self) -> Journal:
        return Journal(self.endpoints.look, self.endpoints.tag, self.clock)

    def _settled(self, seen: Seen, reporter: Reporter) -> tuple[Seen, str]:
        """What is there when all is written down, and what was not; see `Journal.settle`."""
        who = partial(place.caller, self.sts)
        verb = self._journal.settle(seen, self._release, who, reporter)
        return (self.endpoints.look() if verb else seen), verb


def assemble(
    config: Mapping[str, Any], env: Mapping[str, str], there: Place, clock: Clock
) -> SageMakerTarget:
    """The target of a configuration, at a place; see `make`.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, (*endpoint_settings.KEYS, *place.KEYS, *images.KEYS), "sagemaker")
    endpoint, cloudwatch = endpoint_settings.read(config), there.service("logs")
    sagemaker, alarms = there.service("sagemaker"), there.service("cloudwatch")
    return SageMakerTarget(
        endpoint=endpoint,
        endpoints=Endpoints(sagemaker, alarms, cloudwatch, endpoint, clock),
        shelf=images.shelf(config, there.service("ecr"), Cache(default_root(env, Path.home()))),
        cloudwatch=cloudwatch,
        sts=there.service("sts"),
        region=there.region,
        platform=images.platform(config),
        clock=clock,
    )


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> SageMakerTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/sagemaker.md.
        env: the process's environment: a region, credentials.

    Raises:
        InputError: a key is missing, unknown or wrong.
        OutsideError: the profile that `env` names is not there.
    """
    return assemble(config, env, place.place(config, env), Clock())
