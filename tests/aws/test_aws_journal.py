"""What was done is kept in tags, whose values take few characters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import pytest
from bundling import Remembering
from hypothesis import given
from hypothesis import strategies as st

from mlpack.aws.journal import KEEP, Event, Journal, added, before, happened, read
from mlpack.aws.releases import Release
from mlpack.delivery.clock import Clock

EVENT = Event(7, "deploy", 3, "1.2.0", "sha256:" + "a" * 64, "user/alice", "the gate said no")
VALUE = re.compile(r"[A-Za-z0-9 +=._:/@-]{1,256}")
TEXTS = st.text(max_size=400)


def put(tags, event):
    more, gone = added(tags, event)
    return {key: value for key, value in {**tags, **more}.items() if key not in gone}


def test_it_comes_back():
    assert read(put({"team": "ml"}, EVENT)) == [EVENT]


@given(TEXTS, TEXTS, TEXTS)
def test_any_text_becomes_a_value_that_is_read_again(version, by, why):
    event = Event(1, "failed", 12, version or "1", "sha256:" + "b" * 64, by.replace(" ", ""), why)
    tags = put({}, event)
    assert all(VALUE.fullmatch(value) for value in tags.values())
    if len(version) < 30 and len(by) < 60:
        [found] = read(tags)
        assert (found.at, found.verb, found.release, found.digest) == (
            1,
            "failed",
            12,
            event.digest,
        )


def test_the_last_ones_stay():
    tags: dict[str, str] = {"team": "ml"}
    for number in range(KEEP + 20):
        tags = put(tags, Event(number, "deploy", number, "1", "-", "me"))
    assert [event.at for event in read(tags)] == list(range(20, KEEP + 20))
    assert len(tags) == KEEP + 1


def test_they_are_told_in_their_order_whatever_order_tags_have():
    tags: dict[str, str] = {}
    for number in range(1, 4):
        tags = put(tags, Event(number, "deploy", number, "1", "-", "me"))
    turned = dict(reversed(tags.items()))
    assert [event.at for event in read(turned)] == [1, 2, 3]


def test_of_a_long_reason_the_beginning_is_kept():
    [value] = put({}, replace(EVENT, why="x" * 400)).values()
    assert len(value) == 256
    [found] = read({"mlpack:event:000001": value})
    assert (found.digest, found.why) == (EVENT.digest, "x" * len(found.why))
    assert found.why


def test_what_has_no_digest_is_told_without_one():
    events = read(put({}, replace(EVENT, digest="")))
    assert [each.digest for each in happened(events, {})] == [""]


def test_what_others_wrote_is_not_read():
    assert read({"mlpack:event:000001": "nonsense", "mlpack:other": "1 deploy 1 1 - me"}) == []


def events(*words):
    return [Event(i, verb, release, "1", "-", "me") for i, (verb, release) in enumerate(words)]


def test_what_answered_before():
    assert before([], 1) is None
    assert before(events(("deploy", 1)), 1) is None
    assert before(events(("deploy", 1), ("failed", 2)), 1) is None
    assert before(events(("deploy", 1), ("deploy", 2)), 2) == 1
    assert before(events(("deploy", 1), ("deploy", 2), ("rollback", 1)), 1) == 2
    assert before(events(("deploy", 1), ("deploy", 2), ("deploy", 3)), 3) == 2
    assert before(events(("deploy", 1), ("canary", 2)), 1) is None
    assert before(events(("deploy", 1), ("canary", 2), ("promote", 2)), 2) == 1


def test_what_became_of_it():
    told = happened(events(("deploy", 1), ("failed", 2), ("deploy", 3)), {1: "kept", 3: "live"})
    assert [each.state for each in told] == ["kept", "failed", "live"]


@dataclass
class Resource:
    """What answers, and its tags."""

    live: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    arn: str = "arn:aws:ecs:eu-central-1:123456789012:service/churn"

    def tag(self, arn, more, gone):
        assert arn == self.arn
        self.tags = {k: v for k, v in {**self.tags, **more}.items() if k not in gone}


@pytest.mark.parametrize(
    ("said", "live", "canary", "wanted"),
    [
        ([("deploy", 1)], 1, 0, None),
        ([("deploy", 1)], 2, 0, ("deploy", 2)),
        ([("deploy", 1)], 1, 2, ("canary", 2)),
        ([("deploy", 1), ("canary", 2)], 1, 2, None),
        ([("deploy", 1), ("canary", 2)], 2, 0, ("promote", 2)),
        ([("deploy", 1), ("canary", 2)], 1, 0, ("rollback", 1)),
    ],
)
def test_what_a_run_that_was_broken_off_did_is_written_down_once(said, live, canary, wanted):
    there, reporter = Resource(live), Remembering()
    for event in events(*said):
        there.tags = put(there.tags, event)
    journal = Journal(lambda: there, there.tag, Clock(lambda: 9.0, lambda _: None))

    def release(number):
        return Release(number, f"1.{number}", f"sha256:{number}")

    def settled():
        return journal.settle(there, release, lambda: "me", reporter, canary)

    assert settled() == (wanted[0] if wanted else "")
    assert settled() == ""
    added_to = read(there.tags)[len(said) :]
    if wanted is None:
        assert (added_to, reporter.told) == ([], [])
        return
    verb, number = wanted
    assert added_to == [Event(9, verb, number, f"1.{number}", f"sha256:{number}", "me", "found")]
    assert f"release {number} answers, and nobody wrote it down: {verb}" in str(reporter.told)
