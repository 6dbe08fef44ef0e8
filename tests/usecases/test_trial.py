"""A canary under watch, and a shadow, at a target in memory and with a clock of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bundling import Remembering, make_project, onnx_bundle

from mlpack.delivery.clock import Clock
from mlpack.delivery.unpacked import found
from mlpack.errors import InputError
from mlpack.files import write_tree
from mlpack.gate.limits import Limits
from mlpack.operating import Counted, Fetched, Standing, Status
from mlpack.usecases.compare import version
from mlpack.usecases.trial import Watch, shadowed
from mlpack.wheelfile import installed


class Target:
    """What a target tells, look by look.

    Args:
        looks: what live and canary have counted at each look.
        samples: JSON lines that the live release has sampled, by look.
        factor: what the canary's model multiplies by.
    """

    kind = "memory"

    def __init__(self, looks, samples=(), factor=2.0, verbs=("counted", "samples")):
        self.looks, self.lines, self.factor = list(looks), list(samples), factor
        self.verbs = frozenset({"status", "promote", "rollback", "fetch", *verbs})
        self.canary, self.did, self.asked = True, [], 0

    def status(self):
        live = Standing(1, "1.0.0", "sha256:1", "live", 90, 1, 1, 1)
        canary = Standing(2, "1.1.0", "sha256:2", "canary", 10, 1, 1, 1)
        return Status("memory", "churn", "http://", (live, canary) if self.canary else (live,))

    def counted(self, release):
        self.asked += 1
        look = self.looks[min((self.asked - 1) // 2, len(self.looks) - 1)]
        return look[release - 1]

    def samples(self, release):
        assert release == 1, "it is the live one whose requests are copied"
        return b"".join(self.lines)

    def fetch(self, release, into, reporter):
        write_tree(into / "lib", installed(onnx_bundle(make_project(), factor=self.factor)))
        return Fetched(into, "1.1.0", release or 1)

    def promote(self, reporter):
        self.did.append("promote")
        return self.status()

    def rollback(self, to, reporter):
        self.did.append(("rollback", to))
        return self.status()


class Environments:
    def python(self, model, reporter):
        return Path(sys.executable)


def watch(target, tmp_path):
    time = [0.0]

    def sleep(seconds):
        time[0] += seconds

    clock = Clock(now=lambda: time[0], sleep=sleep)
    return Watch(target, Limits(), clock, {}, tmp_path / "canary", Environments())


def counts(requests, failed=0, ms=1.0):
    return {"a": Counted(requests, failed, requests * ms / 1e3)}


def sample(number, size, value):
    body, answer = {"instances": [{"size": size}]}, {"predictions": [{"value": value}]}
    return (
        json.dumps(
            {
                "time": "2026-11-22T00:00:00Z",
                "request_id": str(number),
                "method": "POST",
                "path": "/predict",
                "body": json.dumps(body),
                "status": 200,
                "answer": json.dumps(answer),
                "model": "churn",
                "version": "1.0.0",
                "sha256": "0" * 64,
            }
        ).encode()
        + b"\n"
    )


SAMPLES = [sample(number, float(number), 2.0 * number) for number in range(100)]
WELL = [(counts(0), counts(0)), (counts(900), counts(100)), (counts(1800), counts(200))]


def test_a_canary_that_does_well_is_promoted(tmp_path):
    target = Target(WELL, SAMPLES)
    result = watch(target, tmp_path).canary(10, Remembering())
    assert target.did == ["promote"]
    assert (result.promoted, result.ended, result.release) == (True, False, 2)
    assert (result.live.requests, result.canary.requests, result.copied) == (1800, 200, 100)
    assert result.canary.mean_ms == pytest.approx(1.0)
    assert {each.verdict for each in result.findings} == {"fine", "told"}


def test_a_canary_that_fails_is_ended_at_once(tmp_path):
    looks = [(counts(0), counts(0)), (counts(900), counts(100, failed=20))]
    target = Target(looks, SAMPLES)
    result = watch(target, tmp_path).canary(3600, Remembering())
    assert target.did == [("rollback", None)]
    assert (result.promoted, result.ended, result.seconds) == (False, True, 5.0)
    assert result.findings[0].where == "errors"
    assert result.findings[0].verdict == "stop"


def test_as_many_failures_as_the_live_release_has_are_its_callers(tmp_path):
    looks = [(counts(0), counts(0)), (counts(900, failed=180), counts(100, failed=20))]
    target = Target(looks, SAMPLES)
    assert watch(target, tmp_path).canary(10, Remembering()).promoted


def test_a_canary_that_is_slower_is_ended_when_its_time_is_over(tmp_path):
    looks = [(counts(0), counts(0)), (counts(900), counts(100, ms=4.0))]
    target = Target(looks, SAMPLES)
    result = watch(target, tmp_path).canary(60, Remembering())
    assert (result.ended, result.seconds) == (True, 60.0)
    assert result.findings[0].where == "latency"


def test_a_canary_that_answers_otherwise_is_ended(tmp_path):
    target = Target(WELL, SAMPLES, factor=-3.0)
    result = watch(target, tmp_path).canary(3600, Remembering())
    assert target.did == [("rollback", None)]
    assert result.findings[0].check in ("predictions", "outputs")


def test_too_few_requests_say_nothing_and_it_stays_a_canary(tmp_path):
    target = Target([(counts(0), counts(0)), (counts(90), counts(9))])
    reporter = Remembering()
    result = watch(target, tmp_path).canary(10, reporter)
    assert target.did == []
    assert (result.promoted, result.ended) == (False, False)
    assert "9 requests are too few" in reporter.told[-1]


def test_a_container_that_started_anew_counts_from_nothing(tmp_path):
    looks = [(counts(500), counts(300)), (counts(1400), counts(80))]
    result = watch(Target(looks), tmp_path).canary(5, Remembering())
    assert result.canary.requests == 80


def test_without_samples_errors_and_time_decide(tmp_path):
    target = Target(WELL, verbs=("counted",))
    result = watch(target, tmp_path).canary(10, Remembering())
    assert (result.promoted, result.copied) == (True, 0)


def test_without_a_canary_there_is_nothing_to_watch(tmp_path):
    target = Target(WELL)
    target.canary = False
    with pytest.raises(InputError, match="no canary"):
        watch(target, tmp_path).canary(10, Remembering())
    with pytest.raises(InputError, match="has no counted"):
        watch(Target(WELL, verbs=()), tmp_path).canary(10, Remembering())


def of(tmp_path, name, factor):
    write_tree(tmp_path / name / "lib", installed(onnx_bundle(make_project(), factor=factor)))
    return version(found(tmp_path / name), name)


def test_a_shadow_is_asked_what_production_is_and_compared(tmp_path):
    before = of(tmp_path, "before", 2.0)
    for factor, stopped in ((2.0, False), (-3.0, True)):
        after = of(tmp_path, f"after{factor}", factor)
        target = Target(WELL, SAMPLES)
        copies = watch(target, tmp_path).shadow(after.model, 10, Remembering())
        report = shadowed(before, after, copies, Limits())
        assert (report.rows, bool(report.stops)) == (100, stopped)
        assert target.did == []


def test_half_a_line_and_what_is_not_json_are_left_for_later(tmp_path):
    after = of(tmp_path, "after", 2.0)
    odd = [b'{"no": "sample"}\n', SAMPLES[0], SAMPLES[0], SAMPLES[1][:40]]
    copies = watch(Target(WELL, odd), tmp_path).shadow(after.model, 5, Remembering())
    assert [dict(row) for row in copies.rows] == [{"size": 0.0}]


def test_a_shadow_of_nothing_says_what_to_set(tmp_path):
    after = of(tmp_path, "after", 2.0)
    with pytest.raises(InputError, match="no request was sampled"):
        watch(Target(WELL), tmp_path).shadow(after.model, 5, Remembering())
