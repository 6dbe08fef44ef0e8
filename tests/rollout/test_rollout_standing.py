"""What a release is at a Docker host, by its containers, the proxy and what was written down."""

from __future__ import annotations

import pytest
from hosts import release

from mlpack.rollout.host import Event
from mlpack.rollout.standing import Standings
from mlpack.rollout.values import Replica, Traffic

TRAFFIC = Traffic(live=3, replicas=2, canary=4, canary_replicas=1, share=10, before=(2, 6))


def standings(*events, traffic=TRAFFIC):
    """Releases 1 to 6 have containers."""
    told = [Event(verb=verb, release=release(number), at=0) for verb, number in events]
    return Standings([release(number) for number in range(1, 7)], traffic, told)


@pytest.mark.parametrize(
    ("number", "events", "state"),
    [
        (3, (), "live"),
        (4, (), "canary"),
        (2, (), "kept"),
        (2, (("failed", 2),), "kept"),  # it answered, and failed to come back
        (6, (("failed", 6),), "kept"),  # so did it, longer ago
        (5, (), "begun"),
        (5, (("deploy", 3),), "begun"),
        (5, (("failed", 5),), "failed"),
        (1, (("deploy", 1), ("failed", 1)), "kept"),
        (9, (("deploy", 9),), "gone"),
    ],
)
def test_a_word_for_each(number, events, state):
    assert standings(*events).state(number) == state


def test_where_nothing_answers_what_is_there_was_begun():
    assert standings(traffic=None).state(3) == "begun"


def test_the_live_one_comes_first_and_what_failed_last():
    found = standings(("failed", 1)).standings([])
    assert [(each.release, each.state, each.share) for each in found] == [
        (3, "live", 90),
        (4, "canary", 10),
        (6, "kept", 0),
        (2, "kept", 0),
        (5, "begun", 0),
        (1, "failed", 0),
    ]


def test_each_counts_its_own_containers():
    there = [
        Replica(3, 1, True, "healthy"),
        Replica(3, 2, True, "starting"),
        Replica(4, 1, True, "healthy"),
        Replica(2, 1, False, "healthy"),
        Replica(2, 2, True, "healthy"),
    ]
    told = {each.release: each for each in standings().standings(there)}
    counts = {number: (told[number].running, told[number].healthy) for number in (2, 3, 4, 5)}
    assert counts == {2: (1, 1), 3: (2, 1), 4: (1, 1), 5: (0, 0)}
    assert {each.replicas for each in told.values()} == {2}
