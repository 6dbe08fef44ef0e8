"""A function of AWS Lambda with a URL: the image's own server, without a machine that waits.

A release is a published version; an alias says which ones answer, so a new version is asked whether
it is ready before anybody else can ask it, and going back moves the alias.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mlpack.aws import images, journal, logs, releases
from mlpack.aws.calls import Service
from mlpack.aws.function_settings import Function, read
from mlpack.aws.function_url import FunctionUrl
from mlpack.aws.functions import ALIAS, Functions, Seen, group_of, statements
from mlpack.aws.images import Shelf
from mlpack.aws.journal import Journal
from mlpack.aws.place import KEYS, Place, account_of, caller, place
from mlpack.aws.policies import document
from mlpack.aws.releases import Release
from mlpack.config import refuse_unknown
from mlpack.delivery.clock import Clock
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError, MlpackError
from mlpack.oci.cache import Cache, default_root
from mlpack.operating import Fetched, Happened, Standing, Status
from mlpack.ports import Action, Built, Deployment, Reporter

_KEYS = (
    *("env", "memory", "ready_seconds", "role", "service", "target", "timeout_seconds", "url"),
    *KEYS,
    *images.KEYS,
)


@dataclass(frozen=True)
class LambdaTarget:
    """Runs ``dist/``'s image.

    Attributes:
        function: what it shall be.
        functions: does it at Lambda.
        url: of the alias.
        shelf: the image's repository.
        cloudwatch: CloudWatch's logs.
        sts: knows who asks.
        region: where.
        platform: of the image; empty for the built one.
        clock: tells the time.
    """

    function: Function
    functions: Functions
    url: FunctionUrl
    shelf: Shelf
    cloudwatch: Service
    sts: Service
    region: str
    platform: str
    clock: Clock

    kind = "aws-lambda"
    verbs = frozenset(
        (
            *("plan", "apply", "canary", "promote", "rollback", "status", "history", "logs"),
            *("fetch", "policy", "remove"),
        )
    )

    def plan(self, built: Built, share: int = 0) -> Sequence[Action]:
        """What `apply`, or with a share `canary`, would do. Only reads.

        Raises:
            InputError: there is no image that Lambda could run, or no repository.
            OutsideError: AWS does not answer, or refuses.
        """
        wanted, _ = self._wanted(built)
        return [*self.shelf.plan(built), *self._moving(wanted, self.functions.look(), share)]

    def _moving(self, wanted: Release, seen: Seen, share: int) -> Sequence[Action]:
        name = self.function.name
        live = seen.release(seen.live)
        if self._runs(wanted, seen, share):
            what = f"version {seen.canary if share and seen.canary else seen.live}"
            kept = Action("keep", f"{what} of {name}", "answers", needed=False)
            opened = Action("open", f"the URL of {name}", self.function.url)
            return [kept] if self.url.shaped() else [kept, opened]
        actions = [] if seen.arn else [Action("create", f"function {name}", self.region)]
        again = self._there(wanted, seen)
        what = f"version {again}" if again else f"a version of {name}"
        actions.append(Action("publish", what, wanted.version, needed=not again))
        before = f"version {seen.live} ({live.version})" if seen.live else "nothing"
        part = f"{share}% of the requests" if share and seen.live else "the requests"
        actions.append(Action("move", part, f"from {before}"))
        return actions

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out.

        Raises:
            CheckFailedError: somebody else deploys, or a canary is there.
            InputError: there is no image that Lambda could run, or no repository.
            OutsideError: AWS does not answer or refuses, or the new version is not ready.
        """
        return self._rolled_out(built, 0, reporter, why)

    def canary(self, built: Built, share: int, reporter: Reporter, *, why: str = "") -> Deployment:
        """Roll out beside what runs, for `share` of a hundred requests; errors as of `apply`."""
        return self._rolled_out(built, share, reporter, why)

    def _rolled_out(self, built: Built, share: int, reporter: Reporter, why: str) -> Deployment:
        wanted, platform = self._wanted(built)
        seen, _ = self._settled(self.functions.look(), reporter)
        if seen.canary and not self._runs(wanted, seen, share):
            raise releases.canary_there(seen.canary)
        actions = [*self.shelf.plan(built), *self._moving(wanted, seen, share)]
        if not self._runs(wanted, seen, share):
            uri = self.shelf.push(built, reporter)
            self._move(
                replace(wanted, by=caller(self.sts)),
                f"{uri}@{wanted.digest}",
                platform,
                share,
                reporter,
                why,
            )
        address = self.url.open()
        return Deployment(self.kind, address or self._arn(seen), wanted.digest, tuple(actions))

    def _move(
        self, wanted: Release, image: str, platform: str, share: int, reporter: Reporter, why: str
    ) -> None:
        seen = self.functions.look()
        with reporter.stage(f"Publishing {self.function.name} {wanted.version}") as stage:
            # One that was published by a run that was broken off is as good as a new one.
            number = self._there(wanted, seen) or self.functions.made(wanted, image, platform)
            stage.result(f"version {number}")
        release = replace(wanted, number=number)
        with reporter.stage("Waiting until it is ready") as stage:
            try:
                self.functions.ready(number)
            except MlpackError as error:
                self._record("failed", release, error.what)
                raise
            stage.result("ready")
        if share and seen.live:
            self.functions.direct(seen, seen.live, number, share)
            self._record("canary", release, why or f"{share} percent")
        else:
            self.functions.direct(seen, number)
            self._record("deploy", release, why)

    def promote(self, reporter: Reporter) -> Status:
        """Give the canary all requests.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is no canary.
            OutsideError: AWS does not answer, or refuses.
        """
        seen, finished = self._settled(self._there_is(), reporter)
        if finished == "promote":
            return self.status()  # one that was broken off has arrived
        if not seen.canary:
            raise InputError(
                "there is no canary", hint="mlpack deploy ENVIRONMENT --canary 10 makes one."
            )
        with reporter.stage(f"Moving all requests to version {seen.canary}") as stage:
            self.functions.direct(seen, seen.canary)
            stage.result(f"from version {seen.live}")
        self._record("promote", seen.release(seen.canary))
        return self.status()

    def rollback(self, to: int | None, reporter: Reporter) -> Status:
        """Move the alias back, without a build; or end the canary.

        Raises:
            CheckFailedError: somebody else deploys.
            InputError: there is nothing to go back to.
            OutsideError: AWS does not answer or refuses, or the version is not ready.
        """
        seen, finished = self._settled(self._there_is(), reporter)
        if to is None and finished == "rollback":
            return self.status()  # a way back that was broken off has arrived
        if seen.canary and to is None:
            number = seen.live
        else:
            number = to or journal.before(journal.read(seen.tags), seen.live) or 0
            if not number:
                raise releases.nowhere(seen.live)
            if not self.functions.image(number):
                raise releases.unknown(number)
        with reporter.stage(f"Moving the requests to version {number}") as stage:
            if number != seen.live:
                self.functions.ready(number)
            self.functions.direct(seen, number)
            stage.result(f"from version {seen.canary or seen.live}")
        self._record("rollback", seen.release(number))
        return self.status()

    def status(self) -> Status:
        """What runs.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.functions.look()
        states = _states(seen)
        order = sorted(states, key=lambda number: (_ORDER[states[number]], -number))
        found = []
        for number in order:
            release = seen.release(number)
            share = {seen.live: 100 - seen.share, seen.canary: seen.share}.get(number, 0)
            runs = int(bool(share) and self.functions.works(number))
            found.append(
                Standing(
                    release=number,
                    version=release.version,
                    digest=release.digest,
                    state=states[number],
                    share=share,
                    replicas=int(bool(share)),
                    running=runs,
                    healthy=runs,
                )
            )
        address = self.url.address() if seen.live else ""
        return Status(self.kind, self.function.name, address or self._arn(seen), tuple(found))

    def history(self) -> Sequence[Happened]:
        """What was done, the oldest first; the last thirty events.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        seen = self.functions.look()
        return journal.happened(journal.read(seen.tags), _states(seen))

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the versions that answer, and those that come.

        Raises:
            InputError: nothing is deployed.
            OutsideError: AWS does not answer, or refuses.
        """
        self._there_is()
        return logs.lines(
            self.cloudwatch,
            group_of(self.function),
            self._streams,
            lines,
            self.clock,
            follow=follow,
        )

    def _streams(self) -> Sequence[str]:
        seen = self.functions.look()
        marks = [f"[{number}]" for number in (seen.live, seen.canary) if number]
        there = logs.recent(self.cloudwatch, group_of(self.function))
        return [name for name in there if any(mark in name for mark in marks)]

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of what answers, or of another version.

        Raises:
            InputError: there is no such version.
            OutsideError: AWS does not answer or refuses, or the image is gone.
        """
        seen = self.functions.look()
        if not seen.live:
            return None
        number = release or seen.live
        image = self.functions.image(number)
        if not image:
            raise releases.unknown(number)
        version = seen.release(number).version
        return images.fetched(self.shelf, image, into, reporter, version, number)

    def policy(self) -> Mapping[str, Any]:
        """The smallest policy with which all verbs work. AWS is not asked."""
        partition, account = account_of(self.function.role)
        return document(
            [
                *self.shelf.statements(partition, self.region, account),
                *statements(self.function, partition, self.region, account, self.shelf.name),
            ]
        )

    def remove(self, reporter: Reporter) -> None:
        """Delete the function, its versions and its URL. Images and logs stay.

        Raises:
            OutsideError: AWS does not answer, or refuses.
        """
        with reporter.stage(f"Removing {self.function.name}") as stage:
            self.url.close()
            stage.result("removed" if self.functions.remove() else "was not there")

    def _wanted(self, built: Built) -> tuple[Release, str]:
        chosen = images.chosen(built, self.platform)
        settings = self.function.settings(chosen.platform)
        return Release(0, built.version, chosen.digest, settings), chosen.platform

    def _runs(self, wanted: Release, seen: Seen, share: int) -> bool:
        """Whether it answers already, for as many requests as it shall."""
        live = seen.release(seen.live).same(wanted.digest, wanted.settings)
        if not share:
            return live and not seen.canary
        canary = seen.release(seen.canary).same(wanted.digest, wanted.settings)
        return live or (canary and share == seen.share)

    @staticmethod
    def _there(wanted: Release, seen: Seen) -> int:
        """The newest version that is the same already; 0 for none."""
        same = [each.number for each in seen.releases if each.same(wanted.digest, wanted.settings)]
        return max(same, default=0)

    def _there_is(self) -> Seen:
        seen = self.functions.look()
        if not seen.live:
            raise releases.nothing()
        return seen

    @property
    def _journal(self) -> Journal:
        return Journal(self.functions.look, self.functions.tag, self.clock)

    def _settled(self, seen: Seen, reporter: Reporter) -> tuple[Seen, str]:
        """What is there when all is written down, and what was not; see `Journal.settle`."""
        who = partial(caller, self.sts)
        verb = self._journal.settle(seen, seen.release, who, reporter, seen.canary)
        return (self.functions.look() if verb else seen), verb

    def _record(self, verb: str, release: Release, why: str = "") -> None:
        self._journal.record(verb, release, caller(self.sts), why)

    def _arn(self, seen: Seen) -> str:
        return f"{seen.arn}:{ALIAS}" if seen.arn else self.function.name


_STARTING = 60
_ORDER = {"live": 0, "canary": 1, "kept": 2}


def _states(seen: Seen) -> Mapping[int, str]:
    """What became of each version."""
    found = {each.number: "kept" for each in seen.releases}
    present = {seen.live: "live", seen.canary: "canary"}
    return {**found, **{number: state for number, state in present.items() if number}}


def assemble(
    config: Mapping[str, Any], env: Mapping[str, str], there: Place, clock: Clock
) -> LambdaTarget:
    """The target of a configuration, at a place; see `make`.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, _KEYS, "aws-lambda")
    given, function = Reader(config), read(config)
    # A version's first answer takes its start, too.
    service = there.service("lambda", function.seconds + _STARTING)
    patience = given.number("ready_seconds", 300, 1, 3600)
    return LambdaTarget(
        function=function,
        functions=Functions(service, function, clock, patience),
        url=FunctionUrl(service, function.name, ALIAS, function.url),
        shelf=images.shelf(config, there.service("ecr"), Cache(default_root(env, Path.home()))),
        cloudwatch=there.service("logs"),
        sts=there.service("sts"),
        region=there.region,
        platform=images.platform(config),
        clock=clock,
    )


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> LambdaTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/aws-lambda.md.
        env: the process's environment: a region, credentials.

    Raises:
        InputError: a key is missing, unknown or wrong.
        OutsideError: the profile that `env` names is not there.
    """
    return assemble(config, env, place(config, env), Clock())
