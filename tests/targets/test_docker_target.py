"""What the docker target says and does, at a host in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hosts import SERVICE, FakeHost, Memory, Silent, clock, release

from mlpack.bundle import Artifact, PlatformImage
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.ports import Built
from mlpack.targets.docker import DockerTarget

CONFIG = "sha256:" + "c" * 64


class Engine:
    """Takes images."""

    def __init__(self, memory, gives=None):
        self.memory, self.gives, self.loaded = memory, gives, []

    def load(self, archive):
        self.loaded.append(archive.name)
        found = self.gives or Path(archive).stem
        self.memory.images.add(found)
        return found


def built(version="1.2.0", config=CONFIG, **more):
    image = Artifact(
        kind="image",
        file=f"{config}.tar",
        sha256="0" * 64,
        size=57_600_000,
        digest="sha256:" + "d" * 64,
        image=f"churn:{version}",
        config=config,
        **more,
    )
    return Built("churn", version, "onnx", "lock", "bundle", {"image": image}, Path("dist"))


def target(memory, **options):
    service = options.pop("service", SERVICE)
    engine = options.pop("engine", None) or Engine(memory)
    host = FakeHost(memory, **options)
    return DockerTarget(service, "http://127.0.0.1:8080", host, engine, clock(), "me@here")


def told(actions):
    return [(each.verb, each.needed) for each in actions]


def test_a_plan_changes_nothing_and_says_what_would_change():
    memory = Memory()
    plan = target(memory).plan(built())
    assert told(plan) == [("load", True), ("start", True), ("move", True)]
    assert (plan[0].detail, plan[2].detail) == ("57.6 MB", "from nothing")
    assert memory == Memory()
    target(memory).apply(built(), Silent())
    assert told(target(memory).plan(built())) == [("keep", False), ("keep", False)]
    after = target(memory).plan(built("1.3.0", "sha256:" + "e" * 64))
    assert told(after) == [("load", True), ("start", True), ("move", True), ("stop", True)]
    assert after[2].detail == "from release 1 (1.2.0)"


def test_what_is_there_is_not_deployed_again():
    memory = Memory()
    engine = Engine(memory)
    first = target(memory, engine=engine).apply(built(), Silent())
    assert first.reference == "http://127.0.0.1:8080"
    again = target(memory, engine=engine).apply(built(), Silent())
    assert not any(action.needed for action in again.actions)
    assert (engine.loaded, memory.traffic.live) == ([f"{CONFIG}.tar"], 1)


@pytest.mark.parametrize(
    "changed", [{"replicas": 3}, {"memory": 1 << 20}, {"env": {"A": "1"}}, {"secrets": {"a": "b"}}]
)
def test_other_settings_are_another_release(changed):
    memory = Memory()
    target(memory).apply(built(), Silent())
    service = replace(SERVICE, **changed)
    target(memory, service=service).apply(built(), Silent())
    assert memory.traffic.live == 2


def test_secrets_are_not_in_what_the_host_remembers():
    memory = Memory()
    service = replace(SERVICE, secrets={"key": "very-secret"})
    target(memory, service=service).apply(built(), Silent())
    assert "very-secret" not in repr(memory)


def test_status_and_history():
    memory = Memory()
    assert target(memory).status().releases == ()
    assert not target(memory).status().well
    for version, letter in (("1.2.0", "c"), ("1.3.0", "e")):
        target(memory).apply(built(version, f"sha256:{letter * 64}"), Silent())
    status = target(memory).status()
    assert [(each.release, each.state, each.share) for each in status.releases] == [
        (2, "live", 100),
        (1, "kept", 0),
    ]
    assert status.well
    back = target(memory).rollback(None, Silent())
    assert [(each.release, each.state) for each in back.releases] == [(1, "live")]
    history = [(each.verb, each.release, each.state) for each in target(memory).history()]
    assert history == [("deploy", 1, "live"), ("deploy", 2, "gone"), ("rollback", 1, "live")]
    memory.awake = False
    assert not target(memory).status().well


def test_what_was_begun_and_broken_off_is_told_as_that():
    memory = Memory()
    FakeHost(memory).start(release(1))
    assert [(each.state, each.running) for each in target(memory).status().releases] == [
        ("begun", 2)
    ]
    memory.containers.clear()
    target(memory).apply(built(), Silent())
    FakeHost(memory).start(release(2))
    found = [(each.release, each.state) for each in target(memory).status().releases]
    assert found == [(1, "live"), (2, "begun")]


def test_history_and_status_agree_on_what_is_kept():
    memory = Memory()
    for letter in "abc":
        target(memory).apply(built(config=f"sha256:{letter * 64}"), Silent())
    target(memory).rollback(None, Silent())
    assert memory.traffic.before == (1,)
    standing = {each.release: each.state for each in target(memory).status().releases}
    told = {each.release: each.state for each in target(memory).history()}
    assert standing == {2: "live"}
    assert told == {1: "gone", 2: "live", 3: "gone"}


def test_a_canary_and_its_end():
    memory = Memory()
    target(memory).apply(built(), Silent())
    target(memory).canary(built("1.3.0", "sha256:" + "e" * 64), 10, Silent())
    shares = {each.state: each.share for each in target(memory).status().releases}
    assert shares == {"live": 90, "canary": 10}
    with pytest.raises(CheckFailedError, match="canary"):
        target(memory).apply(built("1.4.0", "sha256:" + "f" * 64), Silent())
    assert target(memory).promote(Silent()).releases[0].release == 2


def test_nothing_is_left_when_it_is_removed():
    memory = Memory()
    target(memory).apply(built(), Silent())
    target(memory).remove(Silent())
    assert (memory.traffic, memory.containers, memory.events) == (None, {}, [])
    assert memory.lock is None
    target(memory).apply(built(), Silent())
    assert memory.traffic.live == 1


def test_removing_nothing_needs_no_lock_and_says_so():
    said = []

    class Telling(Silent):
        def result(self, text):
            said.append(text)

    made = target(Memory())
    made.remove(Telling())
    assert (made.host.calls, said) == (["bare"], ["was not there"])


def test_what_was_broken_off_is_removed_too():
    memory = Memory()
    FakeHost(memory).start(release(1))
    target(memory).remove(Silent())
    assert memory.containers == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "no image is built"),
        (
            {
                "config": None,
                "platforms": {"linux/amd64": PlatformImage(config=CONFIG, digest="d", unpacked=1)},
            },
            "several platforms",
        ),
    ],
)
def test_what_a_host_cannot_run(changed, said):
    given = built()
    if not changed:
        given = Built("churn", "1.2.0", "onnx", "lock", "bundle", {}, Path("dist"))
    else:
        image = msgspec.structs.replace(given.artifacts["image"], **changed)
        given = Built("churn", "1.2.0", "onnx", "lock", "bundle", {"image": image}, Path("dist"))
    for do in (target(Memory()).plan, lambda what: target(Memory()).apply(what, Silent())):
        with pytest.raises(InputError, match=said):
            do(given)


def test_an_engine_that_calls_the_image_otherwise_is_told():
    memory = Memory()
    with pytest.raises(OutsideError, match="calls the image other"):
        target(memory, engine=Engine(memory, "other")).apply(built(), Silent())
    assert (memory.traffic, memory.lock) == (None, None)


def test_logs_of_nothing():
    with pytest.raises(InputError, match="nothing is deployed"):
        target(Memory()).logs(10, follow=False)


def test_what_answers_is_fetched_or_a_release_of_the_history(tmp_path):
    memory = Memory()
    other = "sha256:" + "e" * 64
    memory.models = {CONFIG: {"churn/__init__.py": b"1"}, other: {"churn/__init__.py": b"2"}}
    assert target(memory).fetch(None, tmp_path / "none", Silent()) is None
    target(memory).apply(built(), Silent())
    target(memory).apply(built("1.3.0", other), Silent())
    found = target(memory).fetch(None, tmp_path / "live", Silent())
    assert (found.version, found.release) == ("1.3.0", 2)
    assert (found.folder / "lib" / "churn" / "__init__.py").read_bytes() == b"2"
    before = target(memory).fetch(1, tmp_path / "before", Silent())
    assert (before.folder / "lib" / "churn" / "__init__.py").read_bytes() == b"1"
    with pytest.raises(InputError, match="no release 7: there are 1, 2"):
        target(memory).fetch(7, tmp_path / "never", Silent())
    assert not (tmp_path / "never").exists()


def test_the_plan_of_a_canary_stops_nothing():
    memory = Memory()
    target(memory).apply(built(), Silent())
    plan = target(memory).plan(built("1.3.0", "sha256:" + "e" * 64), 10)
    assert told(plan) == [("load", True), ("start", True), ("move", True)]
    assert plan[2].what == "10% of the requests"


def test_why_the_gate_was_overruled_stands_in_the_history():
    memory = Memory()
    target(memory).apply(built(), Silent(), why="the chief said so")
    target(memory).canary(built("1.3.0", "sha256:" + "e" * 64), 10, Silent(), why="once more")
    assert [each.why for each in target(memory).history()] == ["the chief said so", "once more"]
