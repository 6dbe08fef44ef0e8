"""The target and the real client, at an API and a registry on loopback that can misbehave."""

from __future__ import annotations

import json
import re
import sys
import threading
from dataclasses import replace
from itertools import product
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import scripted_cluster
import scripted_registry
import yaml
from bundling import Remembering, onnx_bundle
from images import SLIM, image_of
from scripted_cluster import Failure, kubeconfig

from mlpack.bundle import Artifact
from mlpack.delivery.clock import Clock
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.kubernetes.book import Book
from mlpack.kubernetes.lease import Lock
from mlpack.oci.archive import write_archive
from mlpack.ports import Built
from mlpack.targets.kubernetes import make
from mlpack.wheelfile import installed

NAME = "churn-test"
AROUND = {
    *(f"serviceaccounts/{NAME}", f"services/{NAME}", f"poddisruptionbudgets/{NAME}"),
    *(f"networkpolicies/{NAME}", f"deployments/{NAME}", f"configmaps/{NAME}-mlpack"),
}


class Time:
    """Goes on only when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(scope="module")
def registry():
    with scripted_registry.serve() as running:
        yield running


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    made = {}

    def built(version="1.2.0"):
        if version not in made:
            folder = tmp_path_factory.mktemp(f"dist-{version}")
            model = {f"app/lib/{name}": data for name, data in installed(onnx_bundle()).items()}
            files = {**model, "app/lib/version": version.encode()}
            image = image_of(folder, SLIM, files, entrypoint=("/usr/bin/python3", "-m", "churn"))
            file = folder / "churn.oci.tar"
            written = write_archive(image, file, "churn", version)
            artifact = Artifact(
                kind="image", file=file.name, sha256=written.sha256, size=written.size,
                digest=image.digest, image=f"churn:{version}",
            )  # fmt: skip
            made[version] = Built(
                "churn", version, "onnx", "lock", "bundle", {"image": artifact}, folder
            )
        return made[version]

    return built


@pytest.fixture
def api():
    with scripted_cluster.serve() as running:
        yield running


@pytest.fixture
def target(tmp_path, registry):
    def made(api, who="me@here", time=None, **config):
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(kubeconfig(api)))
        settings = {
            "target": "kubernetes",
            "repository": f"{registry.host}/team/churn",
            "service": NAME,
            "namespace": "models",
            "kubeconfig": str(file),
            **config,
        }
        time = time or Time()
        env = {"MLPACK_CACHE": str(tmp_path / "cache")}
        return replace(make(settings, env), clock=Clock(time.now, time.sleep), who=who)

    return made


def image(registry, built) -> str:
    return f"{registry.host}/team/churn@{built.artifacts['image'].digest}"


def running(api, name=NAME) -> str:
    """The image of a Deployment."""
    return api.get("deployments", name)["spec"]["template"]["spec"]["containers"][0]["image"]


def state(api) -> dict:
    return json.loads(api.get("configmaps", f"{NAME}-mlpack")["data"]["state.json"])


def told(actions) -> list[tuple[str, str]]:
    return [(each.verb, each.what) for each in actions if each.needed]


def stands(target) -> list[tuple[int, str, int]]:
    return [(each.release, each.state, each.share) for each in target.status().releases]


def test_a_first_deploy(api, target, builds, registry):
    deployment = target(api).apply(builds(), Remembering())
    assert deployment.reference == f"http://{NAME}.models.svc"
    assert deployment.digest == builds().artifacts["image"].digest
    assert running(api) == image(registry, builds())
    assert api.names() == AROUND
    status = target(api).status()
    assert (status.well, stands(target(api))) == (True, [(1, "live", 100)])
    assert [status.releases[0].replicas, status.releases[0].healthy] == [2, 2]
    assert [(each.verb, each.by) for each in target(api).history()] == [("deploy", "me@here")]


def test_what_is_there_is_not_touched_again(api, target, builds):
    target(api).apply(builds(), Remembering())
    before = api.get("deployments", NAME)
    again = target(api).apply(builds(), Remembering())
    assert told(again.actions) == []
    assert api.get("deployments", NAME) == before
    assert len(target(api).history()) == 1


def test_what_others_changed_is_put_right_without_a_release(api, target, builds):
    target(api).apply(builds(), Remembering())
    service = api.get("services", NAME)
    service["spec"]["ports"][0]["port"] = 81
    again = target(api).apply(builds(), Remembering())
    assert told(again.actions) == [("change", f"Service/{NAME}")]
    assert again.actions[-1].needed is False
    assert "spec.ports[http].port: 81 → 80" in [each.detail for each in again.actions]
    assert api.get("services", NAME)["spec"]["ports"][0]["port"] == 80
    assert len(target(api).history()) == 1


def test_a_plan_changes_nothing_and_says_it_field_by_field(api, target, builds, registry):
    plan = target(api).plan(builds())
    kinds = [what.partition("/")[0] for verb, what in told(plan) if verb == "create"]
    assert kinds == [
        *("ServiceAccount", "Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment")
    ]
    assert (api.objects, api.changing) == ({}, 0)
    target(api).apply(builds(), Remembering())
    done = api.changing
    assert told(target(api).plan(builds())) == []
    other = target(api, replicas=3).plan(builds("1.3.0"))
    details = [each.detail for each in other if each.what == f"Deployment/{NAME}"]
    assert "spec.replicas: 2 → 3" in details
    path = "spec.template.spec.containers[server].image"
    assert any(each.startswith(f'{path}: "{image(registry, builds())[:40]}') for each in details)
    assert api.changing == done
    assert not any("mlpack.io/release" in each for each in details)


def test_who_may_only_look_can_plan(api, target, builds):
    target(api).apply(builds(), Remembering())
    for plural in ("deployments", "services", "serviceaccounts", "networkpolicies"):
        api.failures.append(Failure("PATCH", plural, 403, "cannot patch", times=9))
    api.failures.append(Failure("PATCH", "poddisruptionbudgets", 403, "cannot patch", times=9))
    assert told(target(api).plan(builds())) == []
    changed = target(api, replicas=5).plan(builds())
    assert ("change", f"Deployment/{NAME}") in told(changed)


def test_an_update_and_a_way_back_without_a_build(api, target, builds, registry):
    target(api).apply(builds(), Remembering())
    target(api).apply(builds("1.3.0"), Remembering(), why="a metric was forgotten")
    assert running(api) == image(registry, builds("1.3.0"))
    assert stands(target(api)) == [(2, "live", 100), (1, "kept", 0)]
    status = target(api).rollback(None, Remembering())
    assert [(each.release, each.state) for each in status.releases] == [(1, "live")]
    assert running(api) == image(registry, builds())
    history = [(each.verb, each.release, each.why) for each in target(api).history()]
    assert history == [
        *(("deploy", 1, ""), ("deploy", 2, "a metric was forgotten"), ("rollback", 1, "from 2"))
    ]
    target(api).rollback(2, Remembering())
    assert running(api) == image(registry, builds("1.3.0"))
    with pytest.raises(InputError, match="there is no release 9 to go to: there are 1"):
        target(api).rollback(9, Remembering())
    target(api).apply(builds("1.4.0"), Remembering())
    for number in (2, 1):  # each time one further back
        assert target(api).rollback(None, Remembering()).releases[0].release == number
    with pytest.raises(InputError, match="no release before"):
        target(api).rollback(None, Remembering())
    target(api).rollback(2, Remembering())
    with pytest.raises(InputError, match="release 2 is the one that answers"):
        target(api).rollback(2, Remembering())


def test_there_is_no_way_back_from_the_first(api, target, builds):
    with pytest.raises(InputError, match="nothing is deployed"):
        target(api).rollback(None, Remembering())
    target(api).apply(builds(), Remembering())
    with pytest.raises(InputError, match="no release before"):
        target(api).rollback(None, Remembering())


def test_what_crashes_is_rolled_back_and_says_its_last_lines(api, target, builds, registry):
    target(api).apply(builds(), Remembering())
    before = api.get("services", NAME)
    api.sick.add(image(registry, builds("1.3.0")))
    api.lines[f"{NAME}-2-0"] = ["loading", "no such model"]
    warning = {"type": "Warning", "message": "Back-off restarting"}
    about = {"involvedObject": {"name": f"{NAME}-2-0"}, "metadata": {}}
    api.objects["events", "one"] = {**warning, **about}
    with pytest.raises(OutsideError) as caught:
        target(api, port=81).apply(builds("1.3.0"), Remembering())
    assert "release 2 (1.3.0) did not become ready" in caught.value.what
    assert f"{NAME}-2-0: CrashLoopBackOff; release 1 goes on" in caught.value.what
    for words in ("back-off 10s", "Back-off restarting", "no such model"):
        assert words in caught.value.hint
    assert running(api) == image(registry, builds())
    assert api.get("services", NAME) == before
    assert stands(target(api)) == [(1, "live", 100)]
    assert [each.state for each in target(api).history()] == ["live", "failed"]
    assert "leases/churn-test-mlpack" not in api.names()
    assert target(api).status().well


@pytest.mark.parametrize("mode", ["deployment", "kserve"])
def test_a_status_of_what_was_before_is_not_believed(api, target, builds, registry, mode):
    api.lags = True
    made = target(api, mode=mode)
    made.apply(builds(), Remembering())
    made.apply(builds("1.3.0"), Remembering())
    assert made.status().well
    api.sick.add(image(registry, builds("1.4.0")))
    with pytest.raises(OutsideError, match="release 2 goes on"):
        made.apply(builds("1.4.0"), Remembering())
    api.stuck.add(image(registry, builds("1.5.0")))
    if mode == "deployment":
        with pytest.raises(OutsideError, match="timed out progressing"):
            made.apply(builds("1.5.0"), Remembering())
        # The condition of what failed is not held against what comes next.
        made.apply(builds("1.6.0"), Remembering())


def test_what_never_becomes_ready_is_rolled_back(api, target, builds, registry):
    target(api).apply(builds(), Remembering())
    api.stuck.add(image(registry, builds("1.3.0")))
    with pytest.raises(OutsideError, match="timed out progressing"):
        target(api).apply(builds("1.3.0"), Remembering())
    assert running(api) == image(registry, builds())
    target(api).apply(builds("1.4.0"), Remembering())
    assert [each.release for each in target(api).history()] == [1, 2, 3]


def test_of_a_first_deploy_that_fails_nothing_stays(api, target, builds, registry):
    api.sick.add(image(registry, builds()))
    with pytest.raises(OutsideError, match="what was begun is removed"):
        target(api, secrets={"api_keys": "k"}).apply(builds(), Remembering())
    assert api.names() == {f"configmaps/{NAME}-mlpack"}
    assert target(api).status().releases == ()
    assert [each.verb for each in target(api).history()] == ["failed"]


def test_pods_that_take_their_time_are_waited_for(api, target, builds):
    api.hold = True
    timer = threading.Timer(0.2, api.release_pods)
    timer.start()
    target(api).apply(builds(), Remembering())
    assert target(api).status().well
    assert [each for each in api.requests if each[1] == "deployments"].count(
        ("GET", "deployments", "")
    ) >= 1  # it watched


@pytest.mark.parametrize("status", [410, 0])
def test_a_watch_that_is_gone_or_cut_is_no_failure(api, target, builds, status):
    api.hold = True
    broken = Failure("GET", "deployments", status, "too old", watch=True, times=2)
    api.failures.append(broken)
    threading.Timer(0.2, api.release_pods).start()
    target(api).apply(builds(), Remembering())
    assert broken.times == 0
    assert target(api).status().well


def test_an_api_that_is_gone_for_a_moment_fails_no_rollout(api, target, builds):
    api.hold = True
    gone = Failure("GET", "deployments", 503, "upgrading", there=NAME, times=6)
    api.failures.append(gone)
    threading.Timer(0.2, api.release_pods).start()
    target(api).apply(builds(), Remembering())
    assert gone.times == 0
    assert target(api).status().well


def test_an_api_that_is_gone_for_good_is_told(api, target, builds):
    made = target(api)
    api.dead = True
    for ask in (made.status, made.history, lambda: made.plan(builds())):
        with pytest.raises(OutsideError, match="the cluster does not answer"):
            ask()


def test_a_canary_gets_pods_in_proportion_and_is_promoted(api, target, builds, registry):
    target(api, replicas=3).apply(builds(), Remembering())
    plan = target(api, replicas=3).plan(builds("1.3.0"), share=10)
    assert [each.detail for each in plan if each.verb == "create"] == [
        "1 beside 3: 25% of the requests"
    ]
    reporter = Remembering()
    target(api, replicas=3).canary(builds("1.3.0"), 10, reporter)
    assert "the canary gets 25% of the requests: pods are whole" in reporter.told
    assert stands(target(api)) == [(1, "live", 75), (2, "canary", 25)]
    assert running(api) == image(registry, builds())
    assert running(api, f"{NAME}-canary") == image(registry, builds("1.3.0"))
    selector = api.get("services", NAME)["spec"]["selector"].items()
    pods = [each for (kind, _), each in api.objects.items() if kind == "pods"]
    assert len(pods) == 4
    assert all(selector <= pod["metadata"]["labels"].items() for pod in pods)
    for more in (target(api).apply, lambda *a: target(api).canary(builds("1.4.0"), 5, a[1])):
        with pytest.raises(CheckFailedError, match="release 2 is a canary"):
            more(builds("1.4.0"), Remembering())
    status = target(api).promote(Remembering())
    assert [(each.release, each.state, each.share) for each in status.releases] == [
        *((2, "live", 100), (1, "kept", 0))
    ]
    assert running(api) == image(registry, builds("1.3.0"))
    assert api.get("deployments", f"{NAME}-canary") is None
    assert [each.verb for each in target(api).history()] == ["deploy", "canary", "promote"]
    with pytest.raises(InputError, match="there is no canary"):
        target(api).promote(Remembering())


def test_a_canary_is_ended(api, target, builds, registry):
    with pytest.raises(InputError, match="nothing that a canary could stand beside"):
        target(api).canary(builds(), 10, Remembering())
    with pytest.raises(InputError, match="nothing that a canary could stand beside"):
        target(api).plan(builds(), 10)
    target(api).apply(builds(), Remembering())
    target(api).canary(builds("1.3.0"), 50, Remembering())
    target(api).rollback(None, Remembering())
    assert stands(target(api)) == [(1, "live", 100)]
    assert api.names() == AROUND
    assert target(api).history()[-1].why == "without 2"


def test_a_canary_that_crashes_leaves_everything_as_it_was(api, target, builds, registry):
    target(api).apply(builds(), Remembering())
    api.sick.add(image(registry, builds("1.3.0")))
    with pytest.raises(OutsideError, match="release 1 goes on"):
        target(api).canary(builds("1.3.0"), 10, Remembering())
    assert api.names() == AROUND
    assert stands(target(api)) == [(1, "live", 100)]


def test_a_promotion_that_fails_leaves_the_canary(api, target, builds, registry):
    target(api).apply(builds(), Remembering())
    target(api).canary(builds("1.3.0"), 50, Remembering())
    api.sick.add(image(registry, builds("1.3.0")))
    with pytest.raises(OutsideError, match="release 1 goes on"):
        target(api).promote(Remembering())
    assert running(api) == image(registry, builds())
    assert [each[:2] for each in stands(target(api))] == [(1, "live"), (2, "canary")]


def test_two_deploys_are_kept_apart(api, target, builds):
    time = Time()
    api.hold = True
    reporter = Remembering()
    first = threading.Thread(
        target=target(api, who="anna@laptop", time=time).apply, args=(builds(), reporter)
    )
    first.start()
    fallback = threading.Timer(20, api.release_pods)  # so that a broken lock does not hang here
    fallback.daemon = True
    fallback.start()
    while api.get("deployments", NAME) is None:
        threading.Event().wait(0.01)
    with pytest.raises(CheckFailedError, match=f"anna@laptop is at {NAME} since 0 min") as caught:
        target(api, who="ben@ci", time=time).apply(builds("1.3.0"), Remembering())
    assert "ends in 2 min" in caught.value.hint
    api.release_pods()
    first.join()
    target(api, who="ben@ci", time=time).apply(builds("1.3.0"), Remembering())


def test_a_forgotten_lock_ends(api, target, builds):
    time = Time()
    api.dies_at, api.dies_after = 2, True
    with pytest.raises(OutsideError):
        target(api, who="anna@laptop", time=time).apply(builds(), Remembering())
    api.dead, api.dies_at = False, None
    with pytest.raises(CheckFailedError, match="anna@laptop"):
        target(api, who="ben@ci", time=time).apply(builds(), Remembering())
    time.sleep(100)
    target(api, who="ben@ci", time=time).apply(builds(), Remembering())
    assert target(api).status().well


def test_a_lock_that_somebody_else_has_taken_is_not_given_back(api, target):
    made, time = target(api), Time()
    clock = Clock(time.now, time.sleep)
    mine, other = (Lock(made.service, made.connect(), clock, who) for who in ("me", "ben"))

    def holder():
        return api.get("leases", f"{NAME}-mlpack")["spec"]["holderIdentity"]

    with mine.held():
        mine.renew()
        since = api.get("leases", f"{NAME}-mlpack")["spec"]["renewTime"]
        time.sleep(60)
        mine.renew()
        assert api.get("leases", f"{NAME}-mlpack")["spec"]["renewTime"] > since
        with pytest.raises(CheckFailedError, match="me is at churn-test since 1 min"):
            other.held().__enter__()
        time.sleep(91)
        theirs = other.held()
        theirs.__enter__()
        with pytest.raises(CheckFailedError, match="somebody else began"):
            mine.renew()
    assert holder() == "ben"
    theirs.__exit__(None, None, None)
    assert api.get("leases", f"{NAME}-mlpack") is None


def test_whoever_is_faster_changes_what_is_remembered(api, target, builds):
    target(api).apply(builds(), Remembering())
    api.failures.append(Failure("PUT", "configmaps", 409, "modified"))
    with pytest.raises(CheckFailedError, match="somebody else changed churn-test"):
        target(api).apply(builds("1.3.0"), Remembering())
    assert stands(target(api)) == [(1, "live", 100)]


def test_two_that_have_read_the_same_cannot_both_write(api, target, builds):
    made = target(api)
    made.apply(builds(), Remembering())
    one, other = (Book(made.service, made.connect()) for _ in range(2))
    one.write(share=1)
    one.write(share=2)
    with pytest.raises(CheckFailedError):
        other.write(share=3)
    assert Book(made.service, made.connect()).state.share == 2
    api.get("configmaps", f"{NAME}-mlpack")["data"]["state.json"] = '{"live": "x"}'
    with pytest.raises(OutsideError, match="nobody can read what the cluster remembers"):
        made.status()


def test_what_is_not_allowed_is_named(api, target, builds):
    said = 'deployments.apps is forbidden: User "ci" cannot patch resource "deployments"'
    api.failures.append(Failure("PATCH", "deployments", 403, said, times=9))
    with pytest.raises(OutsideError, match="cannot patch resource") as caught:
        target(api).apply(builds(), Remembering())
    assert "the cluster does not allow it" in caught.value.what
    assert "docs/deploy/kubernetes.md" in caught.value.hint
    api.failures = [Failure("GET", "configmaps", 401)]
    with pytest.raises(OutsideError, match="does not know who you are"):
        target(api).status()


def test_a_busy_cluster_is_asked_again(api, target, builds):
    paused = []
    made = target(api)
    client = replace(made.connect(), sleep=paused.append)
    made = replace(made, connect=lambda: client)
    busy = [Failure("PATCH", "services", 429, "busy", times=2), Failure("POST", "leases", 429)]
    api.failures.extend(busy)
    made.apply(builds(), Remembering())
    assert paused == [1, 1, 2]
    assert made.status().well
    api.failures.append(Failure("GET", "configmaps", 429, "still busy", times=9))
    with pytest.raises(OutsideError, match="still busy"):
        made.status()


def test_a_namespace_or_a_kind_that_is_not_there_is_told(api, target, builds):
    with pytest.raises(OutsideError) as caught:
        target(api, namespace="absent").apply(builds(), Remembering())
    assert caught.value.hint == "kubectl create namespace absent"
    api.kinds_without.add("servicemonitors")
    with pytest.raises(OutsideError, match="could not find the requested resource"):
        target(api, service_monitor=True).plan(builds())


def test_what_the_cluster_refuses_is_told_before_anything_changes(api, target, builds):
    target(api).apply(builds(), Remembering())
    before = running(api)
    for ask in (target(api).plan, lambda built: target(api).apply(built, Remembering())):
        api.failures.append(Failure("PATCH", "deployments", 422, "violates PodSecurity"))
        with pytest.raises(OutsideError, match="violates PodSecurity"):
            ask(builds("1.3.0"))
    assert running(api) == before
    assert target(api).status().well


STORIES = {
    "first": ([], lambda made, builds: made.apply(builds(), Remembering())),
    "update": (["apply"], lambda made, builds: made.apply(builds("1.3.0"), Remembering())),
    "canary": (["apply"], lambda made, builds: made.canary(builds("1.3.0"), 50, Remembering())),
    "promote": (["apply", "canary"], lambda made, _: made.promote(Remembering())),
    "end": (["apply", "canary"], lambda made, _: made.rollback(None, Remembering())),
    "rollback": (["apply", "update"], lambda made, _: made.rollback(None, Remembering())),
    "remove": (["apply", "canary"], lambda made, _: made.remove(Remembering())),
}


def prepared(api, made, builds, steps) -> None:
    for step in steps:
        if step == "apply":
            made.apply(builds(), Remembering())
        elif step == "update":
            made.apply(builds("1.3.0"), Remembering())
        else:
            made.canary(builds("1.3.0"), 50, Remembering())


@pytest.mark.parametrize("mode", ["deployment", "kserve"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_any_step_the_next_command_goes_on(target, builds, registry, story, after, mode):
    """Before and after each request that changes something, the cluster hears no more of it."""
    steps, do = STORIES[story]
    ends, number = set(), 0
    while True:
        with scripted_cluster.serve() as api:
            time = Time()
            made = target(api, time=time, mode=mode, secrets={"a": "b"})
            prepared(api, made, builds, steps)
            answered = bool(steps)
            api.dies_at, api.dies_after = api.changing + number, after
            try:
                do(made, builds)
            except OutsideError:
                pass
            else:
                break
            finally:
                api.dead, api.dies_at = False, None
            if story != "remove" and answered:
                assert ready_pods(api) >= 2  # somebody answers all the time
            time.sleep(1000)  # the lock ends
            if story == "remove":
                made.remove(Remembering())
                assert api.objects == {}
            else:
                ends.add(settled(api, made, builds, registry, mode))
            number += 1
    assert number > 3
    expected = {
        "first": {("1.5.0", 1), ("1.5.0", 2)},
        "update": {("1.5.0", 2), ("1.5.0", 3)},
        "end": {("1.5.0", 3)},
    }
    if story in expected:
        assert ends <= expected[story]


@pytest.mark.parametrize("mode", ["deployment", "kserve"])
@pytest.mark.parametrize(
    ("after", "verb", "why", "before"),
    [
        ("configmaps", "failed", "was broken off, and undone", [1]),
        ("workload", "deploy", "was broken off, and concluded later", [2, 1]),
    ],
)
def test_what_was_broken_off_is_undone_or_concluded(
    api, target, builds, registry, mode, after, verb, why, before
):
    time = Time()
    made = target(api, time=time, mode=mode)
    made.apply(builds(), Remembering())
    # A lock and the record come first, then the account, then what runs the pods.
    api.dies_at, api.dies_after = api.changing + (1 if after == "configmaps" else 3), True
    with pytest.raises(OutsideError):
        made.apply(builds("1.3.0"), Remembering())
    api.dead, api.dies_at = False, None
    kind = "deployments" if mode == "deployment" else "inferenceservices"
    applied = image(registry, builds("1.3.0")) in repr(api.get(kind, NAME))
    assert applied == (after == "workload")
    assert ("settle", "release 2") in told(made.plan(builds("1.5.0")))
    time.sleep(1000)
    made.apply(builds("1.5.0"), Remembering())
    history = [(each.verb, each.release, each.why) for each in made.history()]
    assert history == [("deploy", 1, ""), (verb, 2, why), ("deploy", 3, "")]
    assert state(api)["before"] == before


def test_pods_that_were_not_ready_when_it_was_broken_off_are_undone(api, target, builds, registry):
    time = Time()
    target(api, time=time).apply(builds(), Remembering())
    api.hold = True
    api.dies_at, api.dies_after = api.changing + 3, True
    with pytest.raises(OutsideError):
        target(api, time=time).apply(builds("1.3.0"), Remembering())
    api.dead, api.dies_at = False, None
    assert running(api) == image(registry, builds("1.3.0"))
    time.sleep(1000)
    with pytest.raises(InputError, match="no release before"):
        target(api, time=time).rollback(None, Remembering())  # settles first
    assert running(api) == image(registry, builds())
    assert [each.verb for each in target(api).history()] == ["deploy", "failed"]


def ready_pods(api) -> int:
    pods = [each for (kind, _), each in api.objects.items() if kind == "pods"]
    return sum(each["status"]["conditions"][0]["status"] == "True" for each in pods)


def settled(api, made, builds, registry, mode) -> tuple[str, int]:
    """What answers when another version was deployed after the broken command."""
    try:
        made.apply(builds("1.5.0"), Remembering())
    except CheckFailedError:  # the canary stands
        stood = stands(made)[:2]
        well = made.status().well
        made.rollback(None, Remembering())
        made.apply(builds("1.5.0"), Remembering())
    else:
        stood, well = [(1, "live", 50), (2, "canary", 50)], True
    assert (well, [each[:2] for each in stood]) == (True, [(1, "live"), (2, "canary")])
    status = made.status()
    live = status.releases[0]
    assert (status.well, live.state, live.share, live.version) == (True, "live", 100, "1.5.0")
    assert not any(each.state == "canary" for each in status.releases)
    kind = "deployments" if mode == "deployment" else "inferenceservices"
    wanted = image(registry, builds("1.5.0"))
    assert wanted in repr(api.get(kind, NAME))
    assert [name for plural, name in api.objects if plural == kind] == [NAME]
    assert "pending" not in state(api)
    assert made.plan(builds("1.5.0"))
    assert told(made.plan(builds("1.5.0"))) == []
    assert "leases/churn-test-mlpack" not in api.names()
    return live.version, live.release


def test_the_autoscalers_number_stays(api, target, builds):
    scaling = {"autoscaling": {"min": 2, "max": 9}}
    target(api, **scaling).apply(builds(), Remembering())
    assert api.get("deployments", NAME)["spec"]["replicas"] == 2
    there = api.get("deployments", NAME)
    there["spec"]["replicas"] = 7  # by the autoscaler
    api.put("deployments", NAME, there)
    assert told(target(api, **scaling).plan(builds())) == []
    target(api, **scaling).apply(builds("1.3.0"), Remembering())
    assert api.get("deployments", NAME)["spec"]["replicas"] == 7
    assert f"horizontalpodautoscalers/{NAME}" in api.names()
    target(api).apply(builds("1.3.0"), Remembering())
    assert api.get("deployments", NAME)["spec"]["replicas"] == 2
    assert api.names() == AROUND


def test_what_is_not_asked_for_any_more_goes(api, target, builds):
    ingress = {"host": "churn.example.org"}
    deployed = target(api, ingress=ingress).apply(builds(), Remembering())
    assert deployed.reference == "http://churn.example.org"
    assert f"ingresses/{NAME}" in api.names()
    assert ("delete", f"Ingress/{NAME}") in told(target(api).plan(builds()))
    target(api).apply(builds(), Remembering())
    assert api.names() == AROUND


def test_secrets_are_files_and_nowhere_else(api, target, builds):
    def secrets():
        return sorted(name for plural, name in api.objects if plural == "secrets")

    target(api, secrets={"api_keys": "very-secret"}).apply(builds(), Remembering())
    (first,) = secrets()
    assert api.get("secrets", first)["immutable"] is True
    others = {key: value for key, value in api.objects.items() if key[0] != "secrets"}
    assert "very-secret" not in repr(others)
    assert "dmVyeS1zZWNyZXQ=" not in repr(others)
    volume = api.get("deployments", NAME)["spec"]["template"]["spec"]["volumes"][1]
    assert volume["secret"]["secretName"] == first
    target(api, secrets={"api_keys": "another"}, keep=1).apply(builds(), Remembering())
    assert len(secrets()) == 2  # the way back has its own
    assert first in secrets()
    target(api, secrets={"api_keys": "third"}, keep=1).apply(builds(), Remembering())
    assert len(secrets()) == 2
    assert first not in secrets()
    assert not [each for each in api.requests if each[:2] == ("GET", "secrets")]
    plan = target(api, secrets={"api_keys": "third"}, keep=1).plan(builds())
    assert [each.verb for each in plan if each.what.startswith("Secret/")] == ["keep"]


def test_only_so_many_releases_can_be_gone_back_to(api, target, builds):
    for replicas in (1, 2, 3, 4):
        target(api, replicas=replicas, keep=2).apply(builds(), Remembering())
    assert [each[0] for each in stands(target(api))] == [4, 3, 2]
    with pytest.raises(InputError, match="there are 2, 3"):
        target(api, keep=2).rollback(1, Remembering())
    assert [each.release for each in target(api).history()] == [1, 2, 3, 4]


def shares(api) -> list[tuple[str, int | None]]:
    """What was asked of KServe: the release, and its share."""
    return [
        (
            each["metadata"]["annotations"]["mlpack.io/release"],
            each["spec"]["predictor"].get("canaryTrafficPercent"),
        )
        for each in api.patched
        if each["kind"] == "InferenceService"
    ]


def test_kserve_divides_the_requests_itself(api, target, builds, registry):
    made = target(api, mode="kserve")
    made.apply(builds(), Remembering())
    assert api.names() == {
        *(f"serviceaccounts/{NAME}", f"inferenceservices/{NAME}", f"configmaps/{NAME}-mlpack")
    }
    made.canary(builds("1.3.0"), 10, Remembering())
    assert stands(made) == [(1, "live", 90), (2, "canary", 10)]
    made.promote(Remembering())
    assert stands(made) == [(2, "live", 100), (1, "kept", 0)]
    assert shares(api) == [("1", None), ("2", 10), ("2", None)]
    assert made.status().well


def test_a_canary_of_kserve_never_gets_everything_while_it_ends(api, target, builds):
    made = target(api, mode="kserve")
    made.apply(builds(), Remembering())
    made.canary(builds("1.3.0"), 10, Remembering())
    api.patched.clear()
    made.rollback(None, Remembering())
    assert shares(api) == [("2", 0), ("1", 0), ("1", None)]
    assert stands(made) == [(1, "live", 100)]


def test_kserve_goes_on_with_what_was_ready(api, target, builds, registry):
    made = target(api, mode="kserve")
    made.apply(builds(), Remembering())
    api.sick.add(image(registry, builds("1.3.0")))
    api.patched.clear()
    with pytest.raises(OutsideError, match="CrashLoopBackOff; release 1 goes on"):
        made.apply(builds("1.3.0"), Remembering())
    assert shares(api) == [("2", None), ("1", None)]
    assert stands(made) == [(1, "live", 100)]


def test_the_mode_cannot_change_while_something_runs(api, target, builds):
    target(api).apply(builds(), Remembering())
    other = target(api, mode="kserve")
    for ask in (lambda: other.plan(builds("1.3.0")), lambda: other.apply(builds(), Remembering())):
        with pytest.raises(InputError, match="Deployment runs there, not InferenceService"):
            ask()
    assert target(api).status().well


def test_what_runs_is_brought_back_from_the_registry(api, target, builds, tmp_path):
    made = target(api)
    assert made.fetch(None, tmp_path / "none", Remembering()) is None
    made.apply(builds(), Remembering())
    made.apply(builds("1.3.0"), Remembering())
    for release, version in ((None, "1.3.0"), (1, "1.2.0")):
        into = tmp_path / version
        found = made.fetch(release, into, Remembering())
        assert (found.version, found.release) == (version, release or 2)
        assert found.digest == builds(version).artifacts["image"].digest
        assert (into / "lib" / "version").read_text() == version
    with pytest.raises(InputError, match="there is no release 9"):
        made.fetch(9, tmp_path / "nine", Remembering())
    other = target(api, repository="registry.example/other")
    with pytest.raises(InputError, match="its image is in"):
        other.fetch(None, tmp_path / "other", Remembering())


def test_what_the_pods_of_a_release_have_counted(api, target, builds):
    keys = {"MLPACK_API_KEYS_FILE": "/run/secrets/api_keys"}
    made = target(api, secrets={"api_keys": "one\ntwo\n"}, env=keys)
    made.apply(builds(), Remembering())
    made.canary(builds("1.3.0"), 30, Remembering())
    api.key = "one"
    for name, number in ((f"{NAME}-1-0", 7), (f"{NAME}-1-1", 5), (f"{NAME}-canary-2-0", 3)):
        labels = 'route="/predict",status="200"'
        api.metrics[name] = f"mlpack_requests_total{{{labels}}} {number}\n"
    assert {name: each.requests for name, each in made.counted(1).items()} == {
        f"{NAME}-1-0": 7,
        f"{NAME}-1-1": 5,
    }
    assert [each.requests for each in made.counted(2).values()] == [3]
    api.key = "another"
    assert made.counted(1) == {}


def test_logs_of_all_that_answer(api, target, builds):
    with pytest.raises(InputError, match="nothing is deployed"):
        target(api).logs(10, follow=False)
    target(api).apply(builds(), Remembering())
    api.lines = {f"{NAME}-1-0": ["a", "b"], f"{NAME}-1-1": ["c"]}
    assert list(target(api).logs(1, follow=False)) == [f"{NAME}-1-0 b", f"{NAME}-1-1 c"]
    assert sorted(target(api).logs(9, follow=True)) == [
        *(f"{NAME}-1-0 a", f"{NAME}-1-0 b", f"{NAME}-1-1 c")
    ]


def test_lines_of_pods_that_come_later_are_followed_too(api, target, builds):
    target(api).apply(builds(), Remembering())
    api.lines = {f"{NAME}-1-0": ["old"], f"{NAME}-2-0": ["new"]}
    api.streams = True
    lines = target(api).logs(9, follow=True)
    assert next(lines) == f"{NAME}-1-0 old"
    target(api).apply(builds("1.3.0"), Remembering())
    api.streams = False
    assert f"{NAME}-2-0 new" in list(lines)


def test_removed_is_removed(api, target, builds):
    options = {"secrets": {"a": "b"}, "ingress": {"host": "a.example"}, "service_monitor": True}
    target(api, **options).apply(builds(), Remembering())
    target(api, **options).canary(builds("1.3.0"), 10, Remembering())
    target(api).remove(Remembering())
    assert api.objects == {}
    assert target(api).status().releases == ()
    target(api).remove(Remembering())  # once more does no harm


PAGE = Path(__file__).parents[2] / "docs" / "deploy" / "kubernetes.md"


def granted(rules) -> set[tuple[str, str, str]]:
    """Each group, resource and verb that rules of a Role allow."""
    return {
        each
        for rule in rules
        for each in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def written(word: str) -> list[dict]:
    """The rules in the page's block that has a word."""
    blocks = re.findall(r"```(?:yaml|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    [found] = [yaml.safe_load(each) for each in blocks if word in each and "apiGroups" in each]
    return found["rules"] if isinstance(found, dict) else found


WHOLE = {
    "secrets": {"a": "b"},
    "env": {"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl"},
    "keep": 1,
}
AROUND_IT = {"autoscaling": {"max": 3}, "ingress": {"host": "a.example"}}
MODES = {
    "deployment": {**WHOLE, **AROUND_IT},
    "monitored": {**WHOLE, **AROUND_IT, "service_monitor": True},
    "kserve": {**WHOLE, "mode": "kserve"},
}


def whole_story(api, target, builds, registry, folder, **options):
    """Every verb, and what is broken off, takes its time, fails, or is no longer asked for."""
    time = Time()
    api.machine = lambda *_: CompletedProcess([], 0, b"", b"")
    api.dies_at, api.dies_after = 2, True
    with pytest.raises(OutsideError):
        target(api, time=time, **options).apply(builds(), Remembering())
    api.dead, api.dies_at = False, None
    time.sleep(100)  # the lock is forgotten
    made = target(api, time=time, **options)
    made.plan(builds())
    made.apply(builds(), Remembering())
    api.lags = True  # so that something has to be waited for
    made.plan(builds("1.3.0"))
    made.canary(builds("1.3.0"), 10, Remembering())
    made.promote(Remembering())
    made.rollback(None, Remembering())
    number = made.status().releases[0].release
    api.sick.add(image(registry, builds("1.4.0")))
    with pytest.raises(OutsideError):
        made.apply(builds("1.4.0"), Remembering())
    made.history()
    list(made.logs(1, follow=True))
    made.counted(number)
    made.samples(number)
    made.fetch(None, folder / "there", Remembering())
    made.remove(Remembering())


@pytest.mark.parametrize("mode", MODES)
def test_the_role_allows_what_is_asked_for_and_no_more(
    api, target, builds, registry, tmp_path, mode
):
    whole_story(api, target, builds, registry, tmp_path, **MODES[mode])
    assert api.taken == granted(target(api, **MODES[mode]).policy()["rules"])


def test_the_role_is_that_of_the_page(api, target):
    rules = target(api, **MODES["deployment"]).policy()["rules"]
    assert granted(rules) == granted(written("kind: Role")) | granted(written("pods/exec"))
    without = {**MODES["deployment"], "env": {}}
    assert target(api, **without).policy()["rules"] == written("kind: Role")


def test_without_the_client_it_says_how_to_install_it(api, target, builds, tmp_path, monkeypatch):
    made = target(api)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.delitem(sys.modules, "mlpack.kubernetes.client", raising=False)
    with pytest.raises(InputError, match="not installed") as caught:
        made.status()
    assert caught.value.hint == "Run: pip install 'mlpack-builder[kubernetes]'"
    assert made.render(builds(), tmp_path / "out")


def test_a_kubeconfig_that_is_not_there_is_told(api, target, tmp_path):
    with pytest.raises(InputError, match="there is no way to a cluster"):
        target(api, kubeconfig=str(tmp_path / "none")).status()
    with pytest.raises(InputError, match="there is no way to a cluster"):
        target(api, context="other").status()


@pytest.mark.parametrize(
    "text",
    ["", "abc", ": : [", "[]", "\0", "current-context: x\ncontexts: 3\nclusters: []\nusers: []\n"],
)
def test_a_file_that_is_no_kubeconfig_is_told(api, target, tmp_path, text):
    (tmp_path / "other").write_text(text)
    with pytest.raises(InputError, match=r"there is no way|it is no kubeconfig") as caught:
        target(api, kubeconfig=str(tmp_path / "other")).status()
    assert caught.value.where == str(tmp_path / "other")
