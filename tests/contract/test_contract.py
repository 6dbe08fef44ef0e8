"""What every target promises; its process ends before and after each call that changes things."""

from __future__ import annotations

from contextlib import suppress

import aws_worlds
import outside_worlds
import pytest
import worlds
from bundling import Remembering
from hosts import BrokenError
from worlds import EndedError

from mlpack.cli.targets import TARGETS
from mlpack.errors import OutsideError

OLDEST, OLD, NEW = "0.9.0", "1.0.0", "1.1.0"
WORLDS = {**worlds.WORLDS, **aws_worlds.WORLDS, **outside_worlds.WORLDS}
ENDS = (BrokenError, EndedError, OutsideError)


@pytest.fixture(params=sorted(WORLDS))
def make(request, tmp_path):
    """Makes worlds of one target, each its own."""
    opened = []
    number = iter(range(10_000))

    def made():
        folder = tmp_path / str(next(number))
        folder.mkdir()
        context = WORLDS[request.param](folder)
        opened.append(context)
        return context.__enter__()

    def close():
        while opened:
            opened.pop().__exit__(None, None, None)

    made.close = close
    yield made
    close()


def deployed(make, *versions):
    """A world in which some versions were deployed, one after the other."""
    world = make()
    for version in versions:
        world.target().apply(world.built(version), Remembering())
    return world


def left(world, actions):
    """What is still to be done.

    Who writes down what others shall run (`render`), and cannot ask them what runs (`status`),
    writes and runs it again each time, which has to change nothing; of all else it knows.
    """
    verbs = world.target().verbs
    again = {"write", "run"} if "render" in verbs and "status" not in verbs else set()
    return [each for each in actions if each.needed and each.verb not in again]


def test_every_target_is_held_to_it():
    assert set(WORLDS) == set(TARGETS)


def test_a_plan_changes_nothing_and_says_whether_anything_would(make):
    world = make()
    before = world.state()
    assert any(each.needed for each in world.target().plan(world.built(OLD)))
    assert world.state() == before
    world.target().apply(world.built(OLD), Remembering())
    assert world.running() == OLD
    assert not left(world, world.target().plan(world.built(OLD)))
    assert any(each.needed for each in world.target().plan(world.built(NEW)))


def test_what_is_there_is_left_alone(make):
    world = deployed(make, OLD)
    before = world.state()
    again = world.target().apply(world.built(OLD), Remembering())
    assert not left(world, again.actions)
    assert world.state() == before


def test_a_new_version_takes_the_place_of_the_old_one(make):
    world = deployed(make, OLD, NEW)
    assert world.running() == NEW


def counted(world, do):
    """How many calls it takes that may break."""
    world.running()
    first = world.calls
    do()
    world.running()
    return world.calls - first


def moments(steps):
    """Before and after each of so many calls."""
    assert steps > 1
    return [(number, after) for number in range(steps) for after in (False, True)]


def broken(world, number, do, *, after):
    """Begin, and be ended at a call."""
    world.running()
    world.break_at(number, after=after)
    with suppress(*ENDS):
        do()
    world.mend()


def told(world):
    """What the history tells of, where there is one; what was undone is told as failed."""
    if "history" not in world.target().verbs:
        return None
    happened = world.target().history()
    return [(each.verb, each.version) for each in happened if each.verb != "failed"]


@pytest.mark.parametrize("before", [(), (OLD,)], ids=["the first one", "the next one"])
def test_broken_off_anywhere_what_was_there_answers_or_the_new_one_and_the_next_run_ends_it(
    make, before
):
    def begun():
        world = deployed(make, *before)
        world.built(NEW)
        world.otherwise()
        return world

    def roll_out(world):
        world.target().apply(world.built(NEW), Remembering())

    whole = begun()
    steps = counted(whole, lambda: roll_out(whole))
    shape, history = whole.shape(), told(whole)
    if history is not None:
        assert history == [("deploy", version) for version in (*before, NEW)]
    make.close()
    for number, after in moments(steps):
        world = begun()
        broken(world, number, lambda: roll_out(world), after=after)  # noqa: B023 - called at once
        assert world.running() in (before[-1] if before else None, NEW), (number, after)
        roll_out(world)
        assert world.running() == NEW, (number, after)
        assert not left(world, world.target().plan(world.built(NEW))), (number, after)
        assert told(world) == history, (number, after)
        assert world.shape() == shape, (number, after)
        make.close()


def test_who_changes_nothing_stops_nobody(make, tmp_path):
    world = deployed(make, OLD)
    new = world.built(NEW)
    asking = {
        "status": lambda target: target.status(),
        "history": lambda target: target.history(),
        "samples": lambda target: target.samples(None),
        "policy": lambda target: target.policy(),
        "render": lambda target: target.render(new, tmp_path / "rendered"),
    }
    for verb, ask in asking.items():
        if verb in world.target().verbs:
            before = world.state()
            ask(world.target())
            assert world.state() == before, verb
            assert world.running() == OLD, verb


def test_what_is_written_down_names_the_built_image(make, tmp_path):
    world = make()
    if "render" not in world.target().verbs:
        return
    new = world.built(NEW)
    files = world.target().render(new, tmp_path / "rendered")
    digest = new.artifacts["image"].digest
    assert any(digest in each.read_text() for each in files)
    assert world.running() is None


def running(make):
    """A world with a way back, or None where the target has none."""
    world = deployed(make, OLD, NEW)
    return world if "rollback" in world.target().verbs else None


def test_the_way_back_needs_no_build_and_is_remembered(make):
    world = running(make)
    if world is None:
        return
    status = world.target().rollback(None, Remembering())
    assert world.running() == OLD
    live = next(each for each in status.releases if each.state == "live")
    assert (live.version, status.well) == (OLD, True)
    verbs = [each.verb for each in world.target().history()]
    assert verbs[:2] == ["deploy", "deploy"]
    assert verbs[-1] == "rollback"


def test_a_way_back_that_is_broken_off_anywhere_can_be_gone_again(make):
    """It leads no further than it did, as long as the history does not tell of it."""
    if "rollback" not in make().target().verbs:
        return
    versions = OLDEST, OLD, NEW
    world = deployed(make, *versions)

    def go_back(world):
        world.target().rollback(None, Remembering())

    steps = counted(world, lambda: go_back(world))
    shape, history = world.shape(), told(world)
    assert history == [*(("deploy", version) for version in versions), ("rollback", OLD)]
    make.close()
    for number, after in moments(steps):
        world = deployed(make, *versions)
        broken(world, number, lambda: go_back(world), after=after)  # noqa: B023 - called at once
        assert world.running() in (OLD, NEW), (number, after)
        if told(world) != history:
            go_back(world)
        assert world.running() == OLD, (number, after)
        assert told(world) == history, (number, after)
        world.target().apply(world.built(OLD), Remembering())
        assert world.shape() == shape, (number, after)
        make.close()


def test_nothing_is_left_of_what_is_removed(make):
    world = make()
    before = world.there()
    target = world.target()
    if "remove" not in target.verbs:
        return
    target.apply(world.built(OLD), Remembering())
    world.target().remove(Remembering())
    assert world.running() is None
    assert world.target().status().releases == ()
    assert world.there() == before
    world.target().apply(world.built(NEW), Remembering())
    assert world.running() == NEW


def test_why_the_gate_was_overruled_is_remembered(make):
    world = make()
    target = world.target()
    target.apply(world.built(OLD), Remembering(), why="the labels were wrong before")
    if "history" in target.verbs:
        assert world.target().history()[-1].why == "the labels were wrong before"
