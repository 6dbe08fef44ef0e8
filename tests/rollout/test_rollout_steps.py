"""A rollout may end at any call: then the old version answers or the new one, never neither."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hosts import SERVICE, BrokenError, FakeHost, Memory, Silent, clock, release

from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.rollout.steps import Rollout
from mlpack.rollout.values import Traffic


def rollout(host, who="me@here"):
    return Rollout(SERVICE, host, clock(), who)


def deployed(*numbers):
    """What a host remembers after some releases."""
    memory = Memory()
    for number in numbers:
        deploy(FakeHost(memory), number)
    return memory


def deploy(host, number, share=0):
    with rollout(host).held():
        made = rollout(host)
        made.settle(Silent())
        made.roll_out(release(number), share, Silent())


def running(memory):
    return sorted({number for (number, _), (_, on) in memory.containers.items() if on})


def standing(memory):
    return sorted({number for number, _ in memory.containers})


def test_the_first_and_the_next_release():
    memory = deployed(1)
    assert memory.traffic == Traffic(live=1, replicas=2)
    assert memory.lock is None
    deploy(FakeHost(memory), 2)
    assert memory.traffic == Traffic(live=2, replicas=2, before=(1,))
    assert (running(memory), standing(memory)) == ([2], [1, 2])
    deploy(FakeHost(memory), 3)
    assert (running(memory), standing(memory)) == ([3], [2, 3])
    assert [(event.verb, event.release.number) for event in memory.events] == [
        ("deploy", 1),
        ("deploy", 2),
        ("deploy", 3),
    ]


def test_images_that_are_too_old_to_go_back_to_are_discarded():
    memory = deployed(1, 2, 3, 4)
    assert memory.images == {"image-2", "image-3", "image-4"}


ACTIONS = {
    "deploy": lambda host: deploy(host, 3),
    "rollback": lambda host: held(host, lambda made: made.roll_back(None, Silent())),
    "canary": lambda host: deploy(host, 3, share=10),
}


def held(host, do):
    made = rollout(host)
    with made.held():
        made.settle(Silent())
        do(made)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_it_may_break_at_every_call(action, after):
    begun = deployed(1, 2)
    planned = copy.deepcopy(begun)
    whole = FakeHost(planned)
    ACTIONS[action](whole)
    for number in range(len(whole.calls)):
        memory = copy.deepcopy(begun)
        host = FakeHost(memory, number, after=after)
        with pytest.raises(BrokenError):
            ACTIONS[action](host)
        assert memory.traffic in (begun.traffic, planned.traffic), whole.calls[number]
        assert set(memory.traffic.answering) <= set(running(memory)), whole.calls[number]
        assert set(memory.heard.answering) <= set(running(memory)), whole.calls[number]
        # A process that was killed leaves its lock; when its time is over, the next one settles.
        memory.lock = None
        held(FakeHost(memory), lambda made: None)
        assert memory.heard == memory.traffic
        assert running(memory) == sorted(memory.traffic.answering), whole.calls[number]
        told = {event.release.number for event in memory.events}
        assert memory.traffic.answering <= told, "history knows what answers"
        if memory.traffic == begun.traffic:
            assert standing(memory) == [1, 2]
            ACTIONS[action](FakeHost(memory))
        assert memory.traffic == planned.traffic
        assert (running(memory), standing(memory)) == (running(planned), standing(planned))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_first_deploy_may_break_at_every_call(after):
    whole = FakeHost(Memory())
    deploy(whole, 1)
    for number in range(len(whole.calls)):
        memory = Memory()
        with pytest.raises(BrokenError):
            deploy(FakeHost(memory, number, after=after), 1)
        memory.lock = None
        if memory.traffic is None:
            held(FakeHost(memory), lambda made: None)
            assert standing(memory) == []
            deploy(FakeHost(memory), 1)
        assert memory.traffic == whole.memory.traffic
        assert running(memory) == [1]


def test_what_never_becomes_ready_changes_nothing():
    memory = deployed(1, 2)
    with pytest.raises(OutsideError, match="release 2 goes on") as caught:
        deploy(FakeHost(memory, sick=(3,)), 3)
    assert "3-1 says goodbye" in caught.value.hint
    assert memory.traffic == Traffic(live=2, replicas=2, before=(1,))
    assert (running(memory), standing(memory)) == ([2], [1, 2])
    assert memory.events[-1].verb == "failed"
    assert memory.lock is None


def test_an_engine_that_refuses_changes_nothing_either():
    memory = deployed(1)
    memory.images = {"image-1"}
    with pytest.raises(OutsideError, match="no such image"):
        deploy(FakeHost(memory), 2)
    assert (memory.traffic.live, running(memory), standing(memory)) == (1, [1], [1])


class Refusing(FakeHost):
    """Its proxy takes nothing new, as where its port is taken."""

    def direct(self, traffic):
        raise InputError("the port is taken at the host")


def test_a_first_deploy_that_the_proxy_refuses_leaves_nothing():
    memory = Memory()
    host = Refusing(memory)
    with pytest.raises(InputError, match="port is taken"):
        deploy(host, 1)
    assert (standing(memory), memory.traffic, memory.lock) == ([], None, None)
    assert host.calls[-2:] == ["erase", "unlock"], "the network too"
    deploy(FakeHost(memory), 1)
    assert memory.traffic.live == 1


def test_a_first_deploy_that_never_becomes_ready_leaves_nothing():
    memory = Memory()
    host = FakeHost(memory, sick=(1,))
    with pytest.raises(OutsideError, match="nothing was changed"):
        deploy(host, 1)
    assert standing(memory) == []
    assert "erase" in host.calls


def test_a_next_deploy_that_the_proxy_refuses_is_taken_away():
    memory = deployed(1, 2)
    with pytest.raises(InputError, match="port is taken"):
        deploy(Refusing(memory), 3)
    assert (memory.traffic.live, running(memory), standing(memory)) == (2, [2], [1, 2])
    assert (memory.events[-1].verb, memory.events[-1].why) == (
        "failed",
        "the port is taken at the host",
    )


def test_a_canary_whose_promotion_the_proxy_refuses_goes_on():
    memory = deployed(1)
    deploy(FakeHost(memory), 2, share=10)
    with pytest.raises(InputError, match="port is taken"):
        held(Refusing(memory), lambda made: made.promote(Silent()))
    assert running(memory) == [1, 2]
    assert [event.verb for event in memory.events] == ["deploy", "canary"]


def test_the_way_back_and_further_back():
    memory = deployed(1, 2, 3)
    held(FakeHost(memory), lambda made: made.roll_back(None, Silent()))
    assert memory.traffic == Traffic(live=2, replicas=2, before=(1,))
    assert running(memory) == [2]
    held(FakeHost(memory), lambda made: made.roll_back(None, Silent()))
    assert memory.traffic == Traffic(live=1, replicas=2)
    with pytest.raises(InputError, match="no release before"):
        held(FakeHost(memory), lambda made: made.roll_back(None, Silent()))
    held(FakeHost(memory), lambda made: made.roll_back(3, Silent()))
    assert memory.traffic == Traffic(live=3, replicas=2, before=(1,))
    assert [event.verb for event in memory.events[-3:]] == ["rollback"] * 3


@pytest.mark.parametrize(
    ("to", "said"), [(3, "is the one that answers"), (9, "no release 9"), (1, "not at the host")]
)
def test_there_may_be_nothing_to_go_back_to(to, said):
    memory = deployed(1, 2, 3)
    memory.images.discard("image-1")
    with pytest.raises(InputError, match=said):
        held(FakeHost(memory), lambda made: made.roll_back(to, Silent()))
    assert memory.traffic.live == 3


def test_a_way_back_that_does_not_become_ready_keeps_the_containers_of_the_release_before():
    memory = deployed(1, 2)
    host = FakeHost(memory, sick=(1,))
    with pytest.raises(OutsideError, match="release 2 goes on"):
        held(host, lambda made: made.roll_back(None, Silent()))
    assert (running(memory), standing(memory)) == ([2], [1, 2])


def test_a_canary_is_promoted_or_ended():
    memory = deployed(1, 2)
    deploy(FakeHost(memory), 3, share=10)
    assert memory.traffic == Traffic(
        live=2, replicas=2, canary=3, canary_replicas=2, share=10, before=(1,)
    )
    assert running(memory) == [2, 3]
    with pytest.raises(CheckFailedError, match="canary with 10%"):
        deploy(FakeHost(memory), 4)
    ended = copy.deepcopy(memory)
    held(FakeHost(ended), lambda made: made.roll_back(None, Silent()))
    assert ended.traffic == Traffic(live=2, replicas=2, before=(1,))
    assert running(ended) == [2]
    held(FakeHost(memory), lambda made: made.promote(Silent()))
    assert memory.traffic == Traffic(live=3, replicas=2, before=(2, 1))
    assert (running(memory), standing(memory)) == ([3], [2, 3])
    with pytest.raises(InputError, match="no canary"):
        held(FakeHost(memory), lambda made: made.promote(Silent()))


def test_a_canary_needs_something_to_stand_beside():
    with pytest.raises(InputError, match="stand beside"):
        deploy(FakeHost(Memory()), 1, share=10)


def test_two_are_kept_apart_until_the_time_of_the_first_is_over():
    memory = deployed(1)
    first = rollout(FakeHost(memory), "she@there")
    second = FakeHost(memory)
    with first.held():
        with pytest.raises(CheckFailedError, match="she@there is at churn-test"):
            deploy(second, 2)
        memory.lock = replace(memory.lock, until=999)
        deploy(FakeHost(memory), 2)
    assert memory.traffic.live == 2


def test_what_died_is_started_again():
    memory = deployed(1)
    del memory.containers[1, 2]
    memory.awake = False
    held(FakeHost(memory), lambda made: None)
    assert sorted(memory.containers) == [(1, 1), (1, 2)]
    assert memory.awake


def test_requests_that_do_not_end_are_not_waited_for_for_ever():
    memory = deployed(1)

    class Busy(FakeHost):
        def drained(self):
            return False

        def stop(self, replica):
            self.memory.under_way = 0
            return super().stop(replica)

    said = Silent()
    made = rollout(Busy(memory))
    made.roll_out(release(2), 0, said)
    assert memory.traffic.live == 2
    assert running(memory) == [2]
    assert said.warned == ["some requests were still under way when their time was over"]


def test_a_canary_that_does_not_become_ready_is_not_promoted_and_goes_on():
    memory = deployed(1)
    deploy(FakeHost(memory), 2, share=10)
    host = FakeHost(memory, sick=(2,))
    with pytest.raises(OutsideError, match="release 1 goes on"):
        held(host, lambda made: made.promote(Silent()))
    assert memory.traffic.share == 10
    assert running(memory) == [1, 2]


def test_what_is_made_anew_for_a_way_back_is_made_with_todays_settings():
    memory = deployed(1, 2, 3)
    made = Rollout(SERVICE, FakeHost(memory), clock(), "me", "today's")
    made.roll_back(1, Silent())
    assert memory.containers[1, 1][0].settings == "today's"


def test_while_the_proxy_has_not_heard_of_its_configuration_nothing_stops():
    memory = deployed(1)
    host = FakeHost(memory)
    made = rollout(host)
    host.start(release(2))
    memory.traffic = Traffic(live=2, replicas=2, before=(1,))
    memory.deaf = True
    said = Silent()
    made.settle(said)
    assert running(memory) == [1, 2], "requests still go to the first"
    assert said.warned == ["the proxy did not take its configuration"]
    memory.deaf = False
    made.settle(said)
    assert memory.heard == memory.traffic
    assert running(memory) == [2]


def test_there_is_a_way_back_from_what_cannot_be_started():
    memory = deployed(1, 2)
    del memory.containers[2, 1]
    memory.images.discard("image-2")
    said = Silent()
    made = rollout(FakeHost(memory))
    made.settle(said)
    made.roll_back(None, said)
    assert set(said.warned) == {"no such image"}
    assert (memory.traffic.live, running(memory)) == (1, [1])


def test_what_went_wrong_first_is_told_when_the_lock_cannot_be_given_back_either():
    memory = deployed(1)

    class Gone(FakeHost):
        def unlock(self):
            raise OutsideError("the engine is gone")

    made = rollout(Gone(memory))
    with pytest.raises(InputError, match="no canary"), made.held():
        made.promote(Silent())
