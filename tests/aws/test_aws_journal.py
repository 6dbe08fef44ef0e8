"""What was done is kept in tags, whose values take few characters."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mlpack.aws.journal import KEEP, Event, added, before, happened, read

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
    assert before(events(("deploy", 1), ("canary", 2)), 1) is None
    assert before(events(("deploy", 1), ("canary", 2), ("promote", 2)), 2) == 1


def test_what_became_of_it():
    told = happened(events(("deploy", 1), ("failed", 2), ("deploy", 3)), {1: "kept", 3: "live"})
    assert [each.state for each in told] == ["kept", "failed", "live"]
