"""A server that is treated badly: it answers or closes, and goes on."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import socket
import threading
import time

import bundles
import httpx
import load
import pytest
from servers import Server, memory
from sleepy import SECONDS
from slow_models import sleepy_package

from mlpack.runtime.connections import Sweeper

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
WHOLE = json.dumps(ROW).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("abused")
    bundles.package(root, schema=bundles.SCHEMA)
    settings = {"MLPACK_STALL_SECONDS": "1", "MLPACK_BODY_SECONDS": "1"}
    with Server(root, MLPACK_ACCESS_LOG="off", **settings) as running:
        yield running
        assert running.process.poll() is None
        assert not [line for line in running.lines if "Traceback" in line], running.lines


@pytest.fixture(autouse=True)
def goes_on(request):
    """After each of these the server answers as before."""
    yield
    if "server" in request.fixturenames:
        url = request.getfixturevalue("server").url
        assert httpx.post(url + "/predict", json=ROW, timeout=10).status_code == 200


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def answered(connection: socket.socket) -> int:
    """The status of the one answer that comes, which is read to its end."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1])


NESTED = 100_000
BODIES = {
    "NaN": b'{"age": NaN, "visits": 1, "plan": "pro"}',
    "infinity": b'{"age": Infinity, "visits": 1, "plan": "pro"}',
    "minus infinity": b'{"age": -Infinity}',
    "beyond a float": b'{"age": 1e999, "visits": 1, "plan": "pro"}',
    "beyond 64 bits": b'{"visits": 18446744073709551616, "plan": "pro"}',
    "many digits": b'{"visits": ' + b"9" * 20_000 + b', "plan": "pro"}',
    "many decimals": b'{"age": 0.' + b"1" * 20_000 + b"}",
    "nested lists": b"[" * NESTED,
    "nested and closed": b"[" * NESTED + b"]" * NESTED,
    "nested objects": b'{"age":' * NESTED,
    "nested instances": b'{"instances":' * 1000 + b"1" + b"}" * 1000,
    "a key twice": b'{"visits": 1, "visits": "x", "plan": "pro"}',
    "instances twice": b'{"instances": [], "instances": [1]}',
    "not UTF-8": b'{"plan": "\xff\xfe"}',
    "half a surrogate": b'{"visits": 1, "plan": "\\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"visits": 1}'.encode("utf-16"),
    "NUL": b'{"visits": 1, "plan": "a\\u0000b", "note": "\x00"}',
    "nothing": b"",
    "blanks": b" " * 10_000,
    "a number": b"1",
    "null": b"null",
    "no end": b'{"visits": 1',
    "after the end": b'{"visits": 1, "plan": "pro"} {}',
    "many unknown columns": json.dumps({f"c{i}": i for i in range(20_000)}).encode(),
    "many bad rows": json.dumps({"instances": [{}] * 20_000}).encode(),
}


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_nobody_should_send(server, name, kind):
    answer = httpx.post(
        server.url + "/predict",
        content=BODIES[name],
        headers={"content-type": kind},
        timeout=20,
    )
    assert answer.status_code in (400, 413, 422)
    told = answer.json()
    assert told["status"] == answer.status_code
    assert len(answer.content) < 100_000
    assert len(told.get("errors", ())) <= 100


def test_a_long_string_is_a_string(server):
    row = {"visits": 1, "plan": "x" * 1_000_000}
    assert httpx.post(server.url + "/predict", json=row, timeout=20).status_code in (200, 422)


def test_a_compressed_bomb_is_not_opened(server):
    before = memory(server.process.pid)
    bomb = gzip.compress(b" " * 50_000_000)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = httpx.post(server.url + "/predict", content=bomb, headers=headers)
    assert answer.status_code == 415
    assert memory(server.process.pid) - before < 10_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"POST /predict HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\r\n" * 1000,
    ],
)
def test_heads_that_are_none(server, head):
    with connect(server) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        said = everything(connection)
    assert not said or int(said.split()[1]) in (400, 404, 413, 415)


def test_a_head_that_grows_without_end(server):
    with connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"x-more: " + b"y" * 60_000 + b"\r\n")
        except OSError:
            pass
        assert sent < 10_000_000
    with connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nx: " + b"y" * 200_000)
        assert b" 431 " in everything(connection)


def test_a_head_that_never_ends(server):
    with connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n")
        start = time.monotonic()
        closed = threading.Event()

        def drip():
            try:
                while not closed.wait(0.1):
                    connection.sendall(b"x: y\r\n")
            except OSError:
                pass

        writer = threading.Thread(target=drip)
        writer.start()
        said = everything(connection)
        seconds = time.monotonic() - start
        closed.set()
        writer.join()
    assert not said
    assert seconds < 10


def test_a_second_head_that_never_ends_and_a_connection_without_any(server):
    with connect(server) as used, connect(server) as silent:
        used.sendall(load.request(WHOLE))
        assert answered(used) == 200
        used.sendall(b"POST /pre")
        assert everything(used) == b""
        assert everything(silent) == b""


def test_a_connection_between_two_requests_is_left_alone(server):
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(load.request(WHOLE))
            assert answered(connection) == 200
            time.sleep(2.5)


def test_a_body_that_comes_in_drops(server):
    with connect(server) as connection:
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        connection.sendall(head + b"content-length: 1000\r\n\r\n{")
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 408")


def test_answers_that_nobody_reads(server):
    body = b'{"instances":[' + b",".join([b'{"visits":1,"plan":"p"}'] * 50_000) + b"]}"
    with connect(server) as connection:
        connection.sendall(load.request(body) * 5)
        time.sleep(4)
        said = everything(connection)
    # It was cut off: all of it is longer than what the two ends hold.
    length = int(said.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert len(said) < 5 * length


def test_clients_that_leave(server):
    for cut in (1, 30, 120, len(load.request(WHOLE))):
        for _ in range(20):
            with connect(server) as connection:
                connection.sendall(load.request(WHOLE)[:cut])
    active = httpx.get(server.url + "/metrics").text
    assert "\nmlpack_requests_active 1.0\n" in active


def test_many_requests_in_one_piece(server):
    with connect(server) as connection:
        connection.sendall(load.request(WHOLE) * 199 + load.request(WHOLE, close=True))
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 200


def test_many_idle_connections(server):
    idle = []
    try:
        for _ in range(1000):
            connection = connect(server)
            connection.sendall(load.request(WHOLE))
            idle.append(connection)
        start = time.monotonic()
        assert httpx.post(server.url + "/predict", json=ROW, timeout=10).status_code == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in idle:
            connection.close()


def test_memory_stays_flat(server):
    data = load.request(WHOLE)
    asyncio.run(load.rounds(server.port, data, 2_000, 8))
    before = memory(server.process.pid)
    figures = asyncio.run(load.rounds(server.port, data, 6_000, 8))
    assert figures.statuses == {200: 6_000}
    assert memory(server.process.pid) - before < 2_000_000


@pytest.fixture(scope="module")
def sleepy(tmp_path_factory):
    """A server that can answer fifty requests a second, one by one."""
    root = tmp_path_factory.mktemp("sleepy")
    sleepy_package(root)
    return root


def test_ten_times_its_capacity(sleepy):
    with Server(sleepy, MLPACK_MAX_BATCH="1", MLPACK_ACCESS_LOG="off") as server:
        data = load.request(b'{"a": 1}')
        asyncio.run(load.steady(server.port, data, 20, 1))
        before = memory(server.process.pid)
        figures = asyncio.run(load.steady(server.port, data, 10 / SECONDS, 4))
        assert set(figures.statuses) == {200, 503}
        assert figures.statuses[200] >= 1 / SECONDS
        # A second is how long it lets anybody wait, as far as it can tell beforehand.
        assert figures.percentile(0.99) < 3
        assert memory(server.process.pid) - before < 20_000_000
        assert asyncio.run(load.steady(server.port, data, 10, 1)).statuses == {200: 10}


def test_those_who_wait_together_are_answered_together(sleepy):
    with Server(sleepy, MLPACK_ACCESS_LOG="off") as server:
        data = load.request(b'{"a": 1}')
        figures = asyncio.run(load.steady(server.port, data, 5 / SECONDS, 2))
        assert figures.statuses == {200: 500}


def test_a_drain_under_load_loses_nothing(sleepy):
    with Server(sleepy, MLPACK_ACCESS_LOG="off") as server:
        data = load.request(b'{"a": 1}')
        threading.Timer(1.0, server.process.send_signal, [signal.SIGTERM]).start()
        figures = asyncio.run(load.steady(server.port, data, 100, 4))
        assert server.process.wait(20) == 0
    assert set(figures.statuses) == {200}, figures.statuses
    assert figures.statuses[200] >= 80
    assert figures.unsent > 0


class Fake:
    """A connection of which a test says how it stands."""

    def __init__(self, begun=None, unread=0) -> None:
        self.begun, self.unread, self.aborted = begun, unread, False
        self.transport = self

    def abort(self) -> None:
        self.aborted = True


def test_what_stands_still_is_closed_and_nothing_else():
    head, other = object(), object()
    stuck, busy, idle = Fake(head), Fake(), Fake()
    slow, reading = Fake(unread=100_000), Fake(unread=100_000)
    changing = Fake(head)
    connections = {stuck, busy, idle, slow, reading, changing}
    sweeper = Sweeper(connections, seconds=10)
    for number in range(3):
        changing.begun = (head, other)[number % 2]
        reading.unread -= 10_000
        slow.unread -= 100
        sweeper.sweep()
    assert {each for each in connections if each.aborted} == {stuck, slow}
