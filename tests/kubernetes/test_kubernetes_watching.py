"""When a workload counts as ready, and when as given up."""

from __future__ import annotations

import pytest
from bundling import Remembering

from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError
from mlpack.kubernetes.values import Service
from mlpack.kubernetes.watching import Watcher, finished

GAVE_UP = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": "late",
}


def deployment(generation=2, replicas=2, **status):
    return {
        "kind": "Deployment",
        "metadata": {"name": "x", "generation": generation, "resourceVersion": "1"},
        "spec": {"replicas": replicas},
        "status": status,
    }


def counts(seen, updated, available, all_of_them):
    return {
        "observedGeneration": seen,
        "updatedReplicas": updated,
        "availableReplicas": available,
        "replicas": all_of_them,
    }


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        (counts(2, 2, 2, 2), True),
        (counts(1, 2, 2, 2), False),  # of what was before
        (counts(2, 1, 2, 3), False),  # one is still the old one
        (counts(2, 2, 1, 2), False),  # one is not ready yet
        (counts(2, 2, 3, 3), False),  # an old one has not gone yet
        ({}, False),
    ],
)
def test_a_deployment_is_ready_when_nothing_else_runs(status, ready):
    assert finished(deployment(**status)) == ready


def service(made, ready, condition="True", seen=None):
    status = {
        "components": {"predictor": {"latestCreatedRevision": made, "latestReadyRevision": ready}},
        "conditions": [{"type": "Ready", "status": condition}],
        **({"observedGeneration": seen} if seen is not None else {}),
    }
    metadata = {"name": "x", "generation": 2}
    return {"kind": "InferenceService", "metadata": metadata, "status": status}


@pytest.mark.parametrize(
    ("there", "waited", "ready"),
    [
        (service("b", "b", seen=2), 0, True),
        (service("b", "b", seen=1), 99, False),
        (service("b", "a", seen=2), 99, False),
        (service("b", "b", "False", seen=2), 99, False),
        # Of a version that says of no generation: only when it had the time to look.
        (service("b", "b"), 0, False),
        (service("b", "b"), 9, True),
    ],
)
def test_an_inference_service_is_ready_when_its_newest_revision_is(there, waited, ready):
    assert finished(there, 2, waited) == ready


class Seen:
    """A cluster in which one thing after the other is seen."""

    def __init__(self, *seen):
        self.seen, self.left = seen, list(seen)

    def read(self, kind, name):
        found = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(found, OutsideError):
            raise found
        return found

    def wait(self, kind, name, version, seconds):
        pass

    def listed(self, kind, selector="", fields=""):
        return []


class Time:
    def __init__(self):
        self.seconds = 0.0

    def now(self):
        self.seconds += 5  # each look takes its time
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


def until_ready(*seen):
    time, alive = Time(), []
    clock = Clock(time.now, time.sleep)
    watcher = Watcher(Service(name="x"), Seen(*seen), clock, lambda: alive.append(1))
    reporter = Remembering()
    with reporter.stage("Rolling out") as stage:
        watcher.until_ready(deployment(), 1, stage)
    return alive


def test_what_gave_up_before_is_not_what_was_asked_for_now():
    before = {**counts(1, 2, 2, 2), "conditions": [GAVE_UP]}
    alive = until_ready(deployment(**before), deployment(**counts(2, 2, 2, 2)))
    assert len(alive) == 2  # the lock is renewed at each look


def test_what_gives_up_is_told():
    with pytest.raises(OutsideError, match="late"):
        until_ready(deployment(**counts(2, 1, 1, 2), conditions=[GAVE_UP]))


def test_nobody_waits_for_ever():
    with pytest.raises(OutsideError, match="it was not ready after"):
        until_ready(deployment(**counts(2, 1, 1, 2)))


def test_what_somebody_deletes_is_told():
    with pytest.raises(OutsideError, match="Deployment x is gone"):
        until_ready(deployment(**counts(2, 1, 1, 2)), None)


def test_a_cluster_that_is_silent_for_long_is_told():
    with pytest.raises(OutsideError, match="silent"):
        until_ready(deployment(**counts(2, 1, 1, 2)), OutsideError("silent"))
    until_ready(OutsideError("silent"), deployment(**counts(2, 2, 2, 2)))
