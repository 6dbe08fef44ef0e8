"""A rollout at a cluster: what is begun is written down first, so the next run can end it.

The ConfigMap is the truth. It names the release that answers, and what was begun; before a rollout
is known to be done it stands there as pending. Whoever comes next looks: what became ready in the
meantime is concluded, anything else is undone. The Deployment changes first, and what stands
around it (Service, autoscaler, ingress) only when the pods are ready: a rollout that fails has
changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import msgspec

from mlpack.delivery.clock import Clock
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.kubernetes.book import Book
from mlpack.kubernetes.cluster import Cluster
from mlpack.kubernetes.values import (
    Event,
    Manifest,
    Pending,
    Release,
    Service,
    State,
    named,
)
from mlpack.kubernetes.workloads import Workloads
from mlpack.ports import Reporter, Stage

_FIRST = ("ServiceAccount",)
"""What pods need before there are any."""


@dataclass(frozen=True)
class Rollout:
    """Changes a service at a cluster. Its lock must be held.

    Attributes:
        service: what it is.
        cluster: where.
        workloads: what runs the pods.
        book: what is remembered.
        clock: tells the time.
        who: a user and a machine.
        reporter: is told what happens.
    """

    service: Service
    cluster: Cluster
    workloads: Workloads
    book: Book
    clock: Clock
    who: str
    reporter: Reporter

    @property
    def _state(self) -> State:
        return self.book.state

    def roll_out(self, release: Release, secret: Manifest | None, share: int, why: str) -> None:
        """Let a release answer all requests, or `share` of a hundred.

        Args:
            release: with its objects.
            secret: the object with its secrets.
            share: 0 for all requests.
            why: for the history.

        Raises:
            CheckFailedError: a canary is there already.
            InputError: nothing is there that a canary could stand beside.
            OutsideError: it did not become ready; what answered before goes on.
        """
        self.refuse_second_canary()
        if share and not self._state.live:
            raise InputError("there is nothing that a canary could stand beside")
        names = [*map(named, release.around), *self.workloads.names()]
        names += [named(secret)] if secret is not None else []
        self.book.write(
            releases=(*self._state.releases, release),
            there=_together(self._state.there, names),
            pending=Pending(
                verb="canary" if share else "deploy", release=release.number, why=why, share=share
            ),
        )
        self._bring(release, secret)

    def refuse_second_canary(self) -> None:
        """See to it that no canary is there.

        Raises:
            CheckFailedError: one is.
        """
        if self._state.canary:
            raise CheckFailedError(
                f"release {self._state.canary} is a canary",
                hint="First: mlpack promote ENVIRONMENT, or: mlpack rollback ENVIRONMENT",
            )

    def promote(self) -> None:
        """Let the canary answer all requests.

        Raises:
            InputError: there is none.
            OutsideError: it did not become ready; both go on as they were.
        """
        release = self._state.release(self._state.canary)
        if release is None:
            raise InputError("there is no canary", hint="mlpack deploy ENVIRONMENT --canary 10")
        self._begin("promote", release)

    def roll_back(self, to: int | None) -> None:
        """Go back to a release, the one before by default; with a canary, end the canary.

        Raises:
            InputError: there is none to go back to.
            OutsideError: it did not become ready; what answers goes on.
        """
        state = self._state
        live = state.release(state.live)
        if live is None:
            raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
        if state.canary and to is None:
            pending = Pending(verb="rollback", release=live.number, why=f"without {state.canary}")
            with self.reporter.stage(f"Ending the canary {state.canary}") as stage:
                self.book.write(pending=pending)
                # The live release's own pods need not be well for it.
                self.workloads.end_canary(live, state.release(state.canary))
                self._conclude(pending)
                stage.result(f"release {live.number} answers")
            self.tidy()
            return
        number = to or next(iter(state.before), 0)
        if number == state.live:
            raise InputError(f"release {number} is the one that answers")
        self._begin("rollback", self.release(number), f"from {state.live}")

    def release(self, number: int) -> Release:
        """A release that can be gone back to.

        Raises:
            InputError: there is none of that number, or it is too old.
        """
        found = self._state.release(number)
        if found is None or not found.workload:
            kept = [each.number for each in self._state.releases if each.workload]
            told = ", ".join(str(each) for each in kept if each != self._state.live) or "none"
            raise InputError(
                f"there is no release {number} to go to: there are {told}"
                if number
                else "there is no release before the one that answers",
                hint="mlpack history ENVIRONMENT",
            )
        return found

    def again(self, release: Release, secret: Manifest | None) -> None:
        """Put right what others have changed of the release that answers.

        Raises:
            OutsideError: it does not become ready.
        """
        with self.reporter.stage(f"Putting release {release.number} right") as stage:
            self._apply_first(release, secret)
            self.workloads.place(release, stage)
            stage.result("ready")
        self._around(release)

    def settle(self) -> str:
        """Conclude what was broken off, or undo it; then see to it that all is as remembered.

        Returns:
            the verb of what was concluded; empty for nothing.

        Raises:
            OutsideError: the cluster does not answer.
        """
        pending, concluded = self._state.pending, ""
        if pending is not None:
            if self.workloads.placed(pending.release, canary=pending.verb == "canary"):
                told = _joined(pending.why, "was broken off, and concluded later")
                self._conclude(msgspec.structs.replace(pending, why=told))
                concluded = pending.verb
            else:
                self.reporter.note(f"release {pending.release} was broken off, and is undone")
                self._undo(pending, "was broken off, and undone")
        self.tidy()
        return concluded

    def tidy(self) -> None:
        """Make what stands around the pods the live release's, and delete what is left over."""
        live = self._state.release(self._state.live)
        if live is not None and self._state.around != live.number:
            self._around(live)
        self._prune()

    def _begin(self, verb: str, release: Release, why: str = "") -> None:
        self.book.write(
            pending=Pending(verb=verb, release=release.number, why=why),
            there=_together(self._state.there, self.workloads.names()),
        )
        self._bring(release, None)

    def _bring(self, release: Release, secret: Manifest | None) -> None:
        pending = self._state.pending
        if pending is None:
            return
        with self.reporter.stage(f"Rolling out {release.version}") as stage:
            try:
                self._placed(release, secret, pending, stage)
            except OutsideError as error:
                raise self._failed(release, pending, error) from error
            stage.result("ready")
        self._conclude(pending)
        self.tidy()

    def _placed(
        self, release: Release, secret: Manifest | None, pending: Pending, stage: Stage
    ) -> None:
        self._apply_first(release, secret)
        if pending.verb == "canary":
            self.workloads.place_canary(release, pending.share, stage)
        else:
            self.workloads.place(release, stage)

    def _apply_first(self, release: Release, secret: Manifest | None) -> None:
        if secret is not None:
            self.cluster.apply(secret)
        for each in release.around:
            if each["kind"] in _FIRST:
                self.cluster.apply(each)

    def _failed(self, release: Release, pending: Pending, error: OutsideError) -> OutsideError:
        live = self._state.live
        goes_on = f"release {live} goes on" if live else "what was begun is removed"
        try:
            self._undo(pending, error.what)
        except OutsideError:
            goes_on = "the next command undoes it"
        return OutsideError(
            f"release {release.number} ({release.version}) did not become ready: "
            f"{error.what}; {goes_on}",
            where=self.service.name,
            hint=error.hint,
        )

    def _undo(self, pending: Pending, why: str) -> None:
        state = self._state
        live, release = state.release(state.live), state.release(pending.release)
        if live is None:
            self._erase()
        elif pending.verb == "canary":
            self.workloads.end_canary(live, release)
        else:
            self.workloads.restore(live, state.release(state.canary), state.share)
        events = state.events
        if release is not None:
            events = (*events, self._event("failed", release, why))
        self.book.write(pending=None, events=events)
        if live is not None:
            self._prune()

    def _conclude(self, pending: Pending) -> None:
        """Write down that a release answers: from now on it is the truth."""
        state, release = self._state, self._state.release(pending.release)
        if release is None:
            raise OutsideError(f"nothing is remembered of release {pending.release}")
        event = self._event(pending.verb, release, pending.why)
        change = partial(self.book.write, pending=None, events=(*state.events, event))
        if pending.verb == "canary":
            change(canary=release.number, share=pending.share)
        elif release.number == state.live:
            change(canary=0, share=0)
        else:
            change(live=release.number, canary=0, share=0, before=_before(state, pending))

    def _event(self, verb: str, release: Release, why: str) -> Event:
        return Event(
            verb=verb,
            release=release.number,
            version=release.version,
            digest=release.digest,
            at=int(self.clock.now()),
            by=self.who,
            why=why,
        )

    def _around(self, live: Release) -> None:
        with self.reporter.stage("Directing requests to it") as stage:
            for each in live.around:
                self.cluster.apply(each)
            self.book.write(
                around=live.number, there=_together(self._state.there, map(named, live.around))
            )
            stage.result(f"{len(live.around)} objects")

    def _prune(self) -> None:
        """Delete what neither the live release, nor the canary, nor a way back needs."""
        state = self._state
        live = state.release(state.live)
        if live is None:
            return
        wanted = {named(live.workload), *map(named, live.around)}
        wanted |= {f"Secret/{each.secret}" for each in state.releases if each.secret}
        if state.canary:
            wanted.update(self.workloads.names())
        left = [each for each in state.there if each not in wanted]
        for each in left:
            kind, _, name = each.partition("/")
            self.cluster.delete(kind, name)
        if left:
            self.book.write(there=tuple(each for each in state.there if each in wanted))

    def _erase(self) -> None:
        for each in _in_order(self._state.there):
            kind, _, name = each.partition("/")
            self.cluster.delete(kind, name)

    def remove(self, record: str) -> int:
        """Delete everything, what is remembered last; how many objects there may have been.

        Args:
            record: the name of the ConfigMap.

        Raises:
            OutsideError: the cluster does not answer.
        """
        there = self._state.there
        self._erase()
        self.cluster.delete("ConfigMap", record)
        return len(there)


def _before(state: State, pending: Pending) -> tuple[int, ...]:
    if pending.verb == "rollback" and pending.release in state.before:
        return state.before[state.before.index(pending.release) + 1 :]
    return (state.live, *state.before) if state.live else state.before


def _together(there: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """All names, each once, in a steady order."""
    return tuple(dict.fromkeys([*there, *more]))


def _in_order(there: tuple[str, ...]) -> list[str]:
    """What lets requests in ends first, then the pods, then what they need."""
    order = ("Ingress", "Service", "HorizontalPodAutoscaler", "InferenceService", "Deployment")

    def rank(name: str) -> int:
        kind = name.partition("/")[0]
        return order.index(kind) if kind in order else len(order)

    return sorted(there, key=rank)


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
