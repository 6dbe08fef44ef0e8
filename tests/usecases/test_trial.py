"""A canary under watch, at a target in memory and with a clock of its own."""

from __future__ import annotations

import pytest
from bundling import Remembering
from canaries import SAMPLES, WELL, Environments, Target, clock, counts, sample

from mlpack.errors import CheckFailedError, InputError
from mlpack.gate.limits import Limits
from mlpack.usecases.trial import LAST, SOON, TICK, Watch


def watch(target, tmp_path):
    return Watch(target, Limits(), clock(), {}, tmp_path / "canary", Environments())


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
    target.canary = 0
    with pytest.raises(InputError, match="no canary"):
        watch(target, tmp_path).canary(10, Remembering())
    with pytest.raises(InputError, match="has no counted"):
        watch(Target(WELL, verbs=()), tmp_path).canary(10, Remembering())


def test_answers_are_judged_before_the_end_only_by_many_rows(tmp_path):
    some = [sample(number, float(number), 2.0 * number) for number in range(SOON - 1)]
    target = Target(WELL, some, factor=-3.0)
    assert watch(target, tmp_path).canary(60, Remembering()).seconds == 60.0
    many = Target(WELL, [*some, sample(SOON, 1.0, 2.0)], factor=-3.0)
    result = watch(many, tmp_path / "many").canary(60, Remembering())
    assert (result.ended, result.seconds) == (True, TICK)
    assert set(many.sampled) == {LAST}, "all of it may be a hundred megabytes, every five seconds"


@pytest.mark.parametrize("failed", [0, 20])
def test_where_somebody_else_moved_the_requests_nothing_more_is_moved(tmp_path, failed):
    target = Target([(counts(0), counts(0)), (counts(900), counts(100, failed=failed))])
    watching = watch(target, tmp_path)
    watching.target.lines = []
    look = target.counted

    def counted(release):
        target.canary = 3  # another one stands there by now
        return look(release)

    target.counted = counted
    with pytest.raises(CheckFailedError, match="somebody else has moved the requests"):
        watching.canary(10, Remembering())
    assert target.did == []
