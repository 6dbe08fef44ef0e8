"""A command in a container: how long is waited for it, and with which login."""

from __future__ import annotations

from subprocess import CompletedProcess

import pytest
import scripted_cluster
from kubernetes.client import Configuration
from websocket import WebSocketBadStatusException, WebSocketException

from mlpack.errors import OutsideError
from mlpack.kubernetes.channel import Bounds, run

POD = {
    "kind": "Pod",
    "metadata": {"name": "one"},
    "spec": {"containers": [{"name": "server"}]},
}
PATH = "/api/v1/namespaces/models/pods"


@pytest.fixture
def api():
    with scripted_cluster.serve(machine=lambda *_: CompletedProcess([], 0, b"", b"")) as running:
        running.objects["pods", "one"] = POD
        yield running
        running.dead = True


LITTLE = Bounds(100)


def asked(api, bounds=LITTLE, pod="one", token="token", container="server", **more):
    configuration = Configuration(host=api.host)
    configuration.api_key["authorization"] = f"Bearer {token}"
    return run(configuration, f"{PATH}/{pod}", container, ["a", "b c&d=é", ""], bounds, **more)


def test_the_words_arrive_as_they_are(api):
    api.machine = lambda *told: CompletedProcess([], 0, repr(told).encode(), b"")
    assert asked(api).decode() == repr(("one", "server", ["a", "b c&d=é", ""]))


def test_a_silence_ends_it(api):
    api.manner = "silent"
    with pytest.raises(WebSocketException, match="timed out"):
        asked(api, Bounds(100, silent=0.05))


def test_so_does_an_answer_that_never_ends(api):
    api.manner = "endless"
    with pytest.raises(OutsideError, match=r"took longer than 0\.2 s"):
        asked(api, Bounds(1 << 40, whole=0.2))


def test_more_than_was_asked_for_is_not_taken(api):
    api.machine = lambda *_: CompletedProcess([], 0, b"x" * 101, b"")
    with pytest.raises(OutsideError, match="more than the 100 bytes"):
        asked(api)
    api.machine = lambda *_: CompletedProcess([], 0, b"x" * 100, b"")
    assert asked(api) == b"x" * 100


@pytest.mark.parametrize(
    ("wrong", "status"), [({"token": "no"}, 401), ({"pod": "two"}, 404), ({"container": "x"}, 400)]
)
def test_who_is_refused_is_told_the_status(api, wrong, status):
    with pytest.raises(WebSocketBadStatusException) as caught:
        asked(api, **wrong)
    assert caught.value.status_code == status


def test_a_server_that_chose_no_protocol_is_not_understood_by_chance(api):
    api.manner = "old"
    with pytest.raises(WebSocketException, match="Invalid WebSocket Header"):
        asked(api)
