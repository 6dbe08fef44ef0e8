"""A command in a container: how long is waited for it, and with which login."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from subprocess import CompletedProcess

import pytest
import scripted_cluster
from kubernetes.client import Configuration
from loopback import certificate
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
    for name, value in more.items():
        setattr(configuration, name, value)
    configuration.api_key["authorization"] = f"Bearer {token}"
    return run(configuration, f"{PATH}/{pod}", container, ["a", "b c&d=é", ""], bounds)


def test_the_words_arrive_as_they_are(api):
    api.machine = lambda *told: CompletedProcess([], 0, repr(told).encode(), b"")
    assert asked(api).decode() == repr(("one", "server", ["a", "b c&d=é", ""]))


def test_a_silence_ends_it(api):
    api.manner = "silent"
    with pytest.raises(WebSocketException, match="timed out"):
        asked(api, Bounds(100, silent=0.05))


def test_a_silence_is_not_waited_for_longer_than_the_whole_may_take(api):
    api.manner, began = "silent", time.monotonic()
    with pytest.raises(OutsideError, match=r"took longer than 0\.05 s"):
        asked(api, Bounds(100, silent=5, whole=0.05))
    assert time.monotonic() - began < 2


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


def test_the_address_may_end_with_a_slash(api):
    assert asked(api, host=f"{api.host}/") == b""


def test_of_what_a_failed_command_said_the_last_words_are_kept(api):
    api.machine = lambda *_: CompletedProcess([], 1, b"", b"a" * 200_000 + b" the end")
    with pytest.raises(OutsideError, match="the command failed") as caught:
        asked(api)
    assert len(caught.value.hint) == 1 << 16
    assert caught.value.hint.endswith("a the end")


@contextlib.contextmanager
def answering(answer):
    """An address that says one thing to the first who asks; that, and what was asked first."""
    told = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once():
            near, _ = server.accept()
            with near:
                told.append(near.recv(1 << 16).split(b"\r\n")[0])
                near.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", told
        thread.join()


def test_a_login_is_sent_nowhere_else(api):
    with socket.create_server(("127.0.0.1", 0)) as other:
        there = f"ws://127.0.0.1:{other.getsockname()[1]}/"
        answer = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\n\r\n".encode()
        with answering(answer) as (host, told), pytest.raises(WebSocketException):
            asked(api, Bounds(100, silent=0.5), host=host)
        assert told[0].startswith(f"GET {PATH}/one/exec?".encode())
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_it_goes_through_the_proxy_that_the_kubeconfig_names(api):
    with (
        answering(b"HTTP/1.1 403 Not today\r\n\r\n") as (proxy, told),
        pytest.raises(WebSocketException, match="403"),
    ):
        asked(api, host="http://cluster.example:6443", proxy=proxy)
    assert told == [b"CONNECT cluster.example:6443 HTTP/1.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A private authority's certificate for a name that is not this machine's, and its key."""
    return certificate(tmp_path_factory.mktemp("tls"), "DNS:cluster.example")


@pytest.mark.parametrize(
    ("settings", "trusted"),
    [
        ({"ssl_ca_cert": "it", "tls_server_name": "cluster.example"}, True),
        ({"ssl_ca_cert": "it", "assert_hostname": False}, True),
        ({"verify_ssl": False}, True),
        ({"ssl_ca_cert": "it"}, False),
        ({"ssl_ca_cert": "it", "tls_server_name": "other.example"}, False),
        ({"tls_server_name": "cluster.example"}, False),
    ],
)
def test_a_cluster_is_trusted_as_the_kubeconfig_says(authority, settings, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    given = {key: authority[0] if value == "it" else value for key, value in settings.items()}
    ends = lambda *_: CompletedProcess([], 0, b"done", b"")  # noqa: E731
    with scripted_cluster.serve(context, machine=ends) as api:
        api.objects["pods", "one"] = POD
        if trusted:
            assert asked(api, **given) == b"done"
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                asked(api, **given)


def test_who_has_a_certificate_shows_it(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    context.load_verify_locations(authority[0])
    context.verify_mode = ssl.CERT_REQUIRED
    ends = lambda *_: CompletedProcess([], 0, b"done", b"")  # noqa: E731
    mine = {"cert_file": authority[0], "key_file": authority[1], "verify_ssl": False}
    with scripted_cluster.serve(context, machine=ends) as api:
        api.objects["pods", "one"] = POD
        assert asked(api, **mine) == b"done"
        with pytest.raises((OSError, WebSocketException)):
            asked(api, verify_ssl=False)
