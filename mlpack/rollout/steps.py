"""A rollout: every step can be the last one, and the next run goes on from there.

The new containers start beside the old ones and become ready; then one write sends the traffic to
them; then the old ones stop. What the proxy was told is the truth. Before that write a broken
rollout is undone by the next run, after it it is finished: both are `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from mlpack.delivery.clock import Clock
from mlpack.delivery.unsaid import Unsaid, unsaid
from mlpack.errors import CheckFailedError, InputError, MlpackError, OutsideError
from mlpack.ports import Reporter
from mlpack.rollout.host import Event, Host, Verb
from mlpack.rollout.values import Release, Service, Traffic

TICK = 0.2
REMEMBERED = 50
"""So many former releases the proxy's configuration names."""


@dataclass(frozen=True)
class Rollout:
    """What changes a service at a host.

    Attributes:
        service: what it is.
        host: where.
        clock: tells the time.
        who: a user and a machine.
        settings: the digest of what containers that are made now are made with.
    """

    service: Service
    host: Host
    clock: Clock
    who: str = ""
    settings: str = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others away.

        Raises:
            CheckFailedError: somebody else holds the lock.
        """
        now = int(self.clock.now())
        holder = self.host.lock(self.who, now, now + self._longest)
        if holder is not None:
            left = max(1, (holder.until - now + 59) // 60)
            raise CheckFailedError(
                f"{holder.who} is at {self.service.name} since {(now - holder.since) // 60} min",
                hint=f"Wait until it is done. If it was broken off: its lock ends in {left} min.",
            )
        try:
            yield
        except BaseException:
            with suppress(OutsideError):  # what went wrong first is what matters
                self.host.unlock()
            raise
        else:
            self.host.unlock()

    @property
    def _longest(self) -> int:
        """So many seconds a lock holds: all that a rollout may take, and a little."""
        return 120 + self.service.ready_seconds + 2 * self.service.drain_seconds

    def roll_out(self, release: Release, share: int, reporter: Reporter, why: str = "") -> Traffic:
        """Start a release and send it the traffic, or `share` of a hundred requests.

        What is told as `why` stands in the history.

        Raises:
            CheckFailedError: a canary is there already.
            OutsideError: it did not become ready; what answered before goes on.
        """
        before = self.host.traffic()
        if before is not None and before.canary:
            raise CheckFailedError(
                f"release {before.canary} is a canary with {before.share}% of the requests",
                hint="First: mlpack promote ENVIRONMENT, or: mlpack rollback ENVIRONMENT",
            )
        if share and before is None:
            raise InputError("there is nothing that a canary could stand beside")
        self._started(release, before, reporter)
        if share and before is not None:
            verb: Verb = "canary"
            after = msgspec.structs.replace(
                before, canary=release.number, canary_replicas=release.replicas, share=share
            )
        else:
            verb, after = "deploy", _live(release, before)
        self._directed(verb, after, release, reporter, why)
        return after

    def promote(self, reporter: Reporter) -> Traffic:
        """Send all requests to the canary.

        Raises:
            InputError: there is none.
        """
        before = self.host.traffic()
        if before is None or not before.canary:
            raise InputError("there is no canary", hint="mlpack deploy ENVIRONMENT --canary 10")
        release = self.release(before.canary)
        after = _live(release, before)
        self._started(release, before, reporter)
        self._directed("promote", after, release, reporter)
        return after

    def roll_back(self, to: int | None, reporter: Reporter) -> Traffic:
        """Go back to a release, the one before by default; with a canary, end the canary.

        Raises:
            InputError: there is none to go back to.
            OutsideError: it did not become ready; what answers goes on.
        """
        before = self.host.traffic()
        if before is None:
            raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
        if before.canary and to is None:
            release = self.release(before.live)
            after = msgspec.structs.replace(before, canary=0, canary_replicas=0, share=0)
            self._directed("rollback", after, release, reporter, f"without {before.canary}")
            return after
        number = to or next(iter(before.before), 0)
        if number == before.live:
            raise InputError(f"release {number} is the one that answers")
        release = self.release(number)
        if not self.host.has_image(release.image):
            raise InputError(
                f"the image of release {number} is not at the host any more",
                hint=f"Build version {release.version} again and deploy it.",
            )
        if number not in {each.number for each in self.host.releases()}:
            reporter.note(
                f"the containers of release {number} are made anew, with today's settings"
            )
            release = msgspec.structs.replace(release, settings=self.settings)
        self._started(release, before, reporter)
        past = before.before
        older = past[past.index(number) + 1 :] if number in past else (before.live, *past)
        after = Traffic(live=number, replicas=release.replicas, before=older)
        self._directed("rollback", after, release, reporter, f"from {before.live}")
        return after

    def release(self, number: int) -> Release:
        """What is known of a release.

        Raises:
            InputError: there was none of that number.
        """
        known = {each.release.number: each.release for each in self.host.events()}
        known |= {each.number: each for each in self.host.releases()}
        if number not in known:
            told = ", ".join(map(str, sorted(known))) or "none"
            raise InputError(
                f"there is no release {number}: there are {told}"
                if number
                else "there is no release before the one that answers",
                hint="mlpack history ENVIRONMENT",
            )
        return known[number]

    def _started(self, release: Release, before: Traffic | None, reporter: Reporter) -> None:
        host, service = self.host, self.service
        some = "container" if release.replicas == 1 else "containers"
        with reporter.stage(f"Starting {release.replicas} {some} of {release.version}") as stage:
            started = self.clock.now()
            try:
                host.start(release)
                for index in range(1, release.replicas + 1):
                    while not host.ready(release.number, index):
                        if self.clock.now() - started > service.ready_seconds:
                            raise OutsideError(f"it was not ready after {service.ready_seconds} s")
                        self.clock.sleep(TICK)
                    stage.advance(index, release.replicas)
            except OutsideError as error:
                words = self._last_words(release)
                self._undo(release, before)
                self._note("failed", release, error.what)
                goes_on = f"release {before.live} goes on" if before else "nothing was changed"
                raise OutsideError(
                    f"release {release.number} ({release.version}) did not become ready: "
                    f"{error.what}; {goes_on}",
                    where=service.name,
                    hint=words or error.hint,
                ) from error
            stage.result("ready")

    def _last_words(self, release: Release) -> str:
        try:
            for index in range(1, release.replicas + 1):
                words = self.host.last_words(release.number, index).strip()
                if words:
                    return f"Its last lines:\n{words}"
        except OutsideError:
            pass  # the error that is told already is the one that matters
        return ""

    def _undo(self, release: Release, before: Traffic | None) -> None:
        if before is not None and release.number in before.answering:
            return
        kept = before is not None and release.number in before.before[:1]
        for each in self.host.replicas():
            if each.release == release.number:
                self.host.stop(each)
                if not kept:
                    self.host.remove(each)
        if before is None:
            self.host.erase()

    def _directed(
        self, verb: Verb, after: Traffic, release: Release, reporter: Reporter, why: str = ""
    ) -> None:
        with reporter.stage("Moving the requests") as stage:
            try:
                self.host.direct(after)
            except MlpackError as error:
                self._refused(release, error, reporter)
                raise
            self._note(verb, release, why)
            stage.result(
                f"{after.share}% to release {after.canary}"
                if after.canary
                else f"to release {after.live}"
            )
        self.settle(reporter)

    def _refused(self, release: Release, error: MlpackError, reporter: Reporter) -> None:
        """Take away what was begun, as far as requests do not go there all the same."""
        with suppress(MlpackError):  # what went wrong first is what matters
            traffic = self.host.traffic()
            if traffic is None or release.number not in traffic.answering:
                self._note("failed", release, error.what)
            self.settle(reporter)
            if traffic is None:
                self.host.erase()

    def _note(self, verb: Verb, release: Release, why: str = "") -> None:
        at = int(self.clock.now())
        self.host.record(Event(verb=verb, release=release, at=at, by=self.who, why=why))

    def settle(self, reporter: Reporter) -> Unsaid:
        """Make the containers what the traffic says: finish what was broken off, or undo it.

        Those that answer run; the release before stands still, for a quick way back; others go.
        What cannot be started is told and stays so: there must be a way back from it. Where the
        proxy does not do what its configuration says, nothing stops: requests may go there.

        Returns:
            the verb of what was done and not written down before; empty for nothing.
        """
        host = self.host
        heard = self._try(host.wake, reporter)
        traffic = host.traffic()
        answering = traffic.answering if traffic is not None else frozenset()
        finished = self._told_late(traffic)
        kept = traffic.before[:1] if traffic is not None else ()
        there = host.replicas()
        for release in host.releases():
            running = [each for each in there if each.release == release.number and each.running]
            if release.number in answering and len(running) < release.replicas:
                started = self._try(partial(host.start, release), reporter)
                heard = heard or (started and self._try(host.wake, reporter))
        leaving = [each for each in there if each.release not in answering and heard]
        if any(each.running for each in leaving) and traffic is not None:
            self._drain(reporter)
        for each in leaving:
            if each.running:
                host.stop(each)
            if each.release not in kept:
                host.remove(each)
        if traffic is not None:
            self._discard(traffic)
        return finished

    def _try(self, do: Callable[[], None], reporter: Reporter) -> bool:
        """Do it; whether it went well."""
        try:
            do()
        except MlpackError as error:
            reporter.warn(error.what)
            return False
        return True

    def _told_late(self, traffic: Traffic | None) -> Unsaid:
        """Remember what was done and nobody wrote down, since that was broken off: its verb."""
        if traffic is None:
            return ""
        said = [(each.verb, each.release.number) for each in self.host.events()]
        verb, number = unsaid(said, traffic.live, traffic.canary), traffic.canary or traffic.live
        for release in self.host.releases():
            if verb and release.number == number:
                self._note(verb, release, "was broken off, and finished later")
        return verb

    def _drain(self, reporter: Reporter) -> None:
        """Wait for the requests that are under way, as long as they may take."""
        started = self.clock.now()
        while not self.host.drained():
            if self.clock.now() - started > self.service.drain_seconds + 5:
                reporter.warn("some requests were still under way when their time was over")
                return
            self.clock.sleep(TICK)

    def _discard(self, traffic: Traffic) -> None:
        """Images of releases that are too old to go back to."""
        keep = self.service.keep
        releases = {each.release.number: each.release for each in self.host.events()}
        wanted = {traffic.live, traffic.canary, *traffic.before[:keep], *sorted(releases)[-keep:]}
        kept = {each.image for number, each in releases.items() if number in wanted}
        for image in {each.image for each in releases.values()} - kept:
            self.host.discard(image)


def _live(release: Release, before: Traffic | None) -> Traffic:
    past = () if before is None else (before.live, *before.before)
    return Traffic(live=release.number, replicas=release.replicas, before=past[:REMEMBERED])
