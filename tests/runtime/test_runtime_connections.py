"""Requests that come whole are answered at once, and exactly as the application answers them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from unittest.mock import Mock

import pytest
import uvicorn
from servers import Server
from uvicorn.server import ServerState

from mlpack.runtime.app import App
from mlpack.runtime.connections import MOST_HEAD, Connection
from mlpack.runtime.immediate import TOGETHER
from mlpack.runtime.problems import CLOSE
from mlpack.runtime.routes import Reply
from mlpack.runtime.settings import Settings

ROW = {"age": 40, "visits": 3, "plan": "pro", "vip": True, "note": None}
BODY = json.dumps(ROW).encode()


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as running:
        yield running


class Client:
    """A connection on which bytes are sent as they are given, and answers are read."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Status, headers in lower case, and body of the next answer; None at the end."""
        line = self.file.readline()
        if not line:
            return None
        headers = {}
        while (header := self.file.readline().strip()) != b"":
            name, _, value = header.partition(b": ")
            headers[name.lower()] = value
        body = self.file.read(int(headers[b"content-length"]))
        return int(line.split()[1]), headers, body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


def request(body=BODY, path=b"/predict", extra=b"", method=b"POST"):
    return (
        method + b" " + path + b" HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n" % len(body) + extra + b"\r\n" + body
    )


def in_pieces(data, at):
    return [data[:at], data[at:]]


def test_a_request_in_one_piece_and_in_two_are_answered_alike(server):
    whole = request(extra=b"x-request-id: one\r\n")
    with Client(server) as client:
        client.send(whole)
        wanted = client.answer()
        assert wanted[0] == 200
        for at in (5, whole.index(b"\r\n\r\n"), whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
            for piece in in_pieces(whole, at):
                client.send(piece)
                time.sleep(0.02)
            status, headers, body = client.answer()
            assert (status, body) == (wanted[0], wanted[2])
            assert headers.keys() == wanted[1].keys()
            assert {**headers, b"date": b""} == {**wanted[1], b"date": b""}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(b"{"), 400),
        (request(b'{"age": "old"}'), 422),
        (request(extra=b"content-encoding: gzip\r\n"), 415),
        (request(extra=b"content-type: text/plain\r\n"), 415),
        (request(path=b"/v1/models/churn:predict"), 422),
    ],
)
def test_problems_are_the_same_in_both_ways(server, sent, status):
    answers = []
    for pieces in ([sent], in_pieces(sent, len(sent) - 1)):
        with Client(server) as client:
            for piece in pieces:
                client.send(piece)
                time.sleep(0.02)
            answers.append(client.answer())
    (one, headers, body), (other, its, text) = answers
    assert one == other == status
    assert headers.keys() == its.keys()
    mine, theirs = json.loads(body), json.loads(text)
    assert mine.pop("request_id") != theirs.pop("request_id")
    assert mine == theirs


def test_requests_sent_together_are_answered_in_order(server):
    # Short ways, long ways and short ways again: a GET, a URL with a query, a large body.
    rows = [{**ROW, "age": age} for age in (20, 60, 30)]
    large = json.dumps({"instances": [ROW] * 900}).encode()
    sent = [
        request(json.dumps(rows[0]).encode()),
        b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
        request(json.dumps(rows[1]).encode()),
        request(json.dumps(rows[2]).encode(), path=b"/predict?x=1"),
        request(large),
        request(json.dumps(rows[0]).encode()),
    ]
    with Client(server) as client:
        client.send(b"".join(sent))
        found = [client.answer() for _ in sent]
    assert [status for status, _, _ in found] == [200] * len(sent)
    assert found[1][2] == b'{"status":"alive"}'
    assert found[0][2] == found[5][2]
    assert len({found[0][2], found[2][2], found[3][2]}) == len(rows)
    assert len(json.loads(found[4][2])["predictions"]) == 900


def test_many_requests_on_one_connection_have_heads_of_their_own(server):
    one = request(extra=b"x-filler: " + b"f" * 500 + b"\r\n")
    count = 3 * MOST_HEAD // len(one)
    with Client(server) as client:
        for _ in range(count):
            client.send(one)
            assert client.answer()[0] == 200
        # And many in one piece, of which the last is not whole yet.
        client.send(one * 50 + one[:40])
        assert [client.answer()[0] for _ in range(50)] == [200] * 50
        client.send(one[40:])
        assert client.answer()[0] == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_connection_that_is_to_be_closed_is_closed(server, version):
    extra = b"connection: close\r\n" if version == b"1.1" else b""
    with Client(server) as client:
        client.send(request(extra=extra).replace(b"HTTP/1.1", b"HTTP/" + version))
        assert client.answer()[0] == 200
        assert client.answer() is None


def test_who_waits_for_leave_to_send_gets_it(server):
    with Client(server) as client:
        head, body = request(extra=b"expect: 100-continue\r\n").split(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.file.readline().split()[1] == b"100"
        client.file.readline()
        client.send(body)
        assert client.answer()[0] == 200


def test_a_body_in_chunks_is_a_body(server):
    chunked = request(b"", extra=b"transfer-encoding: chunked\r\n").replace(
        b"content-length: 0\r\n", b""
    )
    with Client(server) as client:
        client.send(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert client.answer()[0] == 200
        # In several chunks, which come together; and the end of them later.
        several = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in in_pieces(BODY, 9))
        client.send(chunked + several + b"0\r\n\r\n")
        assert client.answer()[0] == 200
        client.send(chunked + several)
        time.sleep(0.02)
        client.send(b"0\r\n\r\n")
        assert client.answer()[0] == 200


def test_only_what_is_posted_is_a_request_for_predictions(server):
    with Client(server) as client:
        client.send(request(method=b"PUT"))
        assert client.answer()[0] == 405


def test_the_answer_at_once_is_the_application_s(churn):
    app = App(churn, Settings(keys=("hush",)))
    kind = (b"content-type", b"application/json")
    said = []

    def done(reply, _request_id):
        said.append(reply.status)

    async def ask():
        assert app.at_once(b"/predict", [kind, (b"x-api-key", b"hush")], BODY, done)
        assert app.at_once(b"/predict", [kind], BODY, done)
        app.settle()

    asyncio.run(ask())
    assert said == [200, 401]
    assert app.metrics.requests == {("/predict", 200): 1, ("/predict", 401): 1}
    assert app.metrics.rows == 1


def test_what_needs_more_than_a_moment_is_not_answered_at_once(churn):
    kind = (b"content-type", b"application/json")
    asked = (b"/predict", [kind], b"{}", lambda *_: None)
    assert not App(churn, Settings(max_body=1)).at_once(*asked)
    crowded = App(churn, Settings(max_concurrency=1))
    crowded.metrics.active = 1
    assert not crowded.at_once(*asked)
    closing = App(churn, Settings())
    assert closing.at_once(*asked) is True
    closing.drain()
    assert not closing.at_once(*asked)


def test_a_model_that_is_slow_is_never_asked_at_once(pickled):
    assert not App(pickled, Settings()).at_once_urls


class Told:
    """An application that counts which way it is asked."""

    at_once_urls = frozenset((b"/predict",))

    def __init__(self):
        self.ways = []
        self.reply = Reply(b"{}")

    def at_once(self, _url, _headers, _body, done, *, alone):
        self.ways.append("at once")
        done(self.reply, b"one")
        return True

    async def __call__(self, _scope, _receive, send):
        self.ways.append("in turn")
        head = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b""})


def connected(app):
    """A connection to nobody."""
    config = uvicorn.Config(app, http=Connection, lifespan="off", ws="none", log_config=None)
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={})
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = False
    transport.get_extra_info.return_value = None
    connection.connection_made(transport)
    return connection


def test_an_answer_at_once_that_ends_the_connection_does_so():
    app = Told()

    async def ask(reply):
        app.reply = reply
        connection = connected(app)
        connection.data_received(request())
        return connection.transport.close.called

    assert not asyncio.run(ask(Reply(b"{}")))
    assert asyncio.run(ask(Reply(b"{}", status=401, headers=(CLOSE,))))


def test_of_many_requests_in_one_piece_others_have_a_turn_after_some():
    app = Told()

    async def ask():
        connection = connected(app)
        connection.data_received(request() * (TOGETHER + 1))
        assert app.ways == ["at once"] * TOGETHER
        for _ in range(100):  # until it was answered in its turn
            await asyncio.sleep(0)
        assert connection.cycle.response_complete
        # What comes next is counted anew.
        connection.data_received(request() * 2)
        connection.connection_lost(None)

    asyncio.run(asyncio.wait_for(ask(), 10))
    assert app.ways == [*["at once"] * TOGETHER, "in turn", "at once", "at once"]
