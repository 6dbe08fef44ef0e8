"""A host in memory, which can break at any moment, and a clock that only moves when it is asked."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError
from mlpack.files import write_tree
from mlpack.rollout.values import Holder, Release, Replica, Service

SERVICE = Service(
    name="churn-test", port=8080, address="127.0.0.1", replicas=2, proxy="haproxy:3", keep=2
)


class BrokenError(Exception):
    """What ends a process in the middle: nobody catches it."""


@dataclass
class Memory:
    """What a host remembers, whoever asks it."""

    traffic: object = None
    heard: object = None
    containers: dict = field(default_factory=dict)
    events: list = field(default_factory=list)
    images: set = field(default_factory=lambda: {"image-1", "image-2", "image-3", "image-4"})
    models: dict = field(default_factory=dict)
    samples: dict = field(default_factory=dict)
    lock: Holder | None = None
    under_way: int = 0
    awake: bool = True
    deaf: bool = False
    network: bool = False


class FakeHost:
    """See `mlpack.rollout.host.Host`.

    Args:
        memory: what is kept.
        breaks: at which call it breaks, counted from 0, before or after it did what was asked.
        sick: releases that never become ready.
    """

    def __init__(self, memory, breaks=None, *, after=False, sick=(), error=BrokenError):
        self.memory, self.breaks, self.after = memory, breaks, after
        self.sick, self.error, self.calls = sick, error, []

    def _call(self, name, do):
        number = len(self.calls)
        self.calls.append(name)
        if number == self.breaks and not self.after:
            raise self.error(name)
        answer = do()
        if number == self.breaks:
            raise self.error(name)
        return answer

    def lock(self, who, at, until):
        def do():
            holder = self.memory.lock
            if holder is not None and holder.until >= at:
                return holder
            self.memory.lock = Holder(who, at, until)
            return None

        return self._call("lock", do)

    def unlock(self):
        def do():
            self.memory.lock = None

        return self._call("unlock", do)

    def traffic(self):
        return self._call("traffic", lambda: self.memory.traffic)

    def replicas(self):
        def do():
            return [
                Replica(number, index, running)
                for (number, index), (_, running) in sorted(self.memory.containers.items())
            ]

        return self._call("replicas", do)

    def releases(self):
        def do():
            found = {
                number: release for (number, _), (release, _) in self.memory.containers.items()
            }
            return [found[number] for number in sorted(found)]

        return self._call("releases", do)

    def events(self):
        return self._call("events", lambda: list(self.memory.events))

    def record(self, event):
        def do():
            if self.memory.traffic is not None:
                self.memory.events.append(event)

        return self._call("record", do)

    def has_image(self, image):
        return self._call("has_image", lambda: image in self.memory.images)

    def bring(self, release, into):
        def do():
            write_tree(into / "lib", self.memory.models[release.image])

        return self._call("bring", do)

    def samples(self, release, last):
        kept = self.memory.samples.get(release, b"")
        return self._call("samples", lambda: kept if last is None else kept[-last:])

    def start(self, release: Release):
        def do():
            if release.image not in self.memory.images:
                raise OutsideError("no such image")
            self.memory.network = True
            for index in range(1, release.replicas + 1):
                self.memory.containers[release.number, index] = (release, True)

        return self._call("start", do)

    def ready(self, release, index):
        def do():
            assert self.memory.containers[release, index][1]
            return release not in self.sick

        return self._call("ready", do)

    def last_words(self, release, index):
        return self._call("last_words", lambda: f"{release}-{index} says goodbye")

    def direct(self, traffic):
        def write():
            for number in traffic.answering:
                mine = [on for (n, _), (_, on) in self.memory.containers.items() if n == number]
                assert mine, "requests would go to what is not there"
                assert all(mine), "requests would go to what does not run"
            self.memory.traffic = traffic

        def reload():
            self.memory.heard, self.memory.under_way = traffic, 3

        self._call("direct, the file", write)
        self._call("direct, the reload", reload)

    def awake(self):
        return self._call("awake", lambda: self.memory.awake)

    def shaped(self):
        return self._call("shaped", lambda: True)

    def wake(self):
        def do():
            if self.memory.deaf:
                raise OutsideError("the proxy did not take its configuration")
            self.memory.awake = True
            if self.memory.heard != self.memory.traffic:
                self.memory.heard, self.memory.under_way = self.memory.traffic, 3

        return self._call("wake", do)

    def drained(self):
        def do():
            self.memory.under_way = max(0, self.memory.under_way - 1)
            return not self.memory.under_way

        return self._call("drained", do)

    def stop(self, replica):
        def do():
            traffic = self.memory.heard
            answers = traffic is not None and replica.release in traffic.answering
            assert not answers, "it answers"
            was = traffic is not None and replica.release in traffic.before[:1]
            assert not (was and self.memory.under_way), "requests are under way to it"
            key = replica.release, replica.index
            if key in self.memory.containers:
                self.memory.containers[key] = (self.memory.containers[key][0], False)

        return self._call("stop", do)

    def remove(self, replica):
        def do():
            traffic = self.memory.heard
            assert traffic is None or replica.release not in traffic.answering
            self.memory.containers.pop((replica.release, replica.index), None)

        return self._call("remove", do)

    def discard(self, image):
        def do():
            used = {release.image for release, _ in self.memory.containers.values()}
            if image not in used:
                self.memory.images.discard(image)

        return self._call("discard", do)

    def logs(self, releases, lines, *, follow):
        return iter(())

    def bare(self):
        def do():
            memory = self.memory
            there = memory.traffic, memory.containers, memory.events, memory.lock, memory.network
            return not any(there)

        return self._call("bare", do)

    def erase(self):
        def do():
            self.memory.traffic = self.memory.heard = None
            self.memory.events, self.memory.under_way = [], 0
            if not self.memory.containers:
                self.memory.network = False

        return self._call("erase", do)


class Silent:
    """A reporter that keeps what it is warned of.

    Attributes:
        warned: it.
    """

    def __init__(self):
        self.warned = []

    @contextmanager
    def stage(self, title):
        yield self

    def advance(self, done, total=None):
        pass

    def result(self, text):
        pass

    note = result

    def warn(self, text):
        self.warned.append(text)


def clock():
    """A clock that starts at 1000."""
    now = [1000.0]

    def sleep(seconds):
        now[0] += seconds

    return Clock(now=lambda: now[0], sleep=sleep)


def release(number, *, image=None, replicas=2):
    """A release."""
    return Release(
        number=number,
        version=f"1.{number}.0",
        image=image or f"image-{number}",
        digest=f"sha256:{number:064x}",
        bundle="bundle",
        settings="settings",
        replicas=replicas,
        at=1000,
    )
