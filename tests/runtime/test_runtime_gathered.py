"""Rows that come in at the same moment are answered together, each as if it were alone."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import threading

import msgspec
import numpy as np
import pytest
from servers import Server

from mlpack.runtime.app import App
from mlpack.runtime.predictions import Predictions, Refusal
from mlpack.runtime.session import Session
from mlpack.runtime.settings import Settings
from mlpack.runtime.together import Together

ROW = {"age": 40, "visits": 3, "plan": "pro", "vip": True, "note": None}
KIND = [(b"content-type", b"application/json")]


class Engine:
    """Doubles its only value; remembers how it was asked."""

    blocking = False

    def __init__(self, together, error=None):
        self.together = together
        self.error = error
        self.asked = []

    def one(self, values):
        self.asked.append(1)
        return self.some([values])

    def few(self, rows):
        self.asked.append(len(rows))
        return self.some(rows)

    def some(self, rows):
        if self.error is not None:
            raise self.error
        refusals = tuple(Refusal(i, "a", "x", "y") for i, (a,) in enumerate(rows) if a < 0)
        return Predictions(
            len(rows), values=np.array([[2.0 * a] for (a,) in rows]), refusals=refusals
        )

    def many(self, columns, rows):
        raise AssertionError


def gathered(engine, values, most=64):
    """What each is answered, and how many went together."""
    told, answers = [], {}

    async def ask():
        together = Together(engine, most=most, told=told.append)
        for value in values:
            together.ask((value,), lambda found, value=value: answers.__setitem__(value, found))
        waiting = len(together)
        await asyncio.sleep(0)
        return waiting, len(together)

    return asyncio.run(ask()), told, answers


def test_all_of_a_turn_go_together_and_none_waits_longer():
    engine = Engine(together=2)
    (waiting, left), told, answers = gathered(engine, [1.0, 2.0, -3.0])
    assert (waiting, left, told, engine.asked) == (3, 0, [3], [3])
    assert {value: found.values[0, 0] for value, found in answers.items()} == {
        1.0: 2.0,
        2.0: 4.0,
        -3.0: -6.0,
    }
    assert [found.refusals for found in answers.values()] == [
        (),
        (),
        (Refusal(0, "a", "x", "y"),),
    ]


def test_one_by_one_as_long_as_that_is_faster():
    engine = Engine(together=3)
    _, told, answers = gathered(engine, [1.0, 2.0])
    assert (told, engine.asked, len(answers)) == ([2], [1, 1], 2)


def test_no_more_at_once_than_may_be():
    engine = Engine(together=2)
    (waiting, _), told, answers = gathered(engine, [1.0, 2.0, 3.0, 4.0, 5.0], most=2)
    assert (waiting, told, engine.asked) == (1, [2, 2, 1], [2, 2, 1])
    assert sorted(answers) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_where_one_is_the_most_nothing_is_put_off():
    engine = Engine(together=2)
    (waiting, _), told, _ = gathered(engine, [1.0, 2.0], most=1)
    assert (waiting, told, engine.asked) == (0, [1, 1], [1, 1])


def test_an_answer_that_cannot_be_sent_keeps_nobody_else_waiting(caplog):
    heard = []

    async def ask():
        together = Together(Engine(together=2), most=64, told=lambda _: None)
        together.ask((1.0,), lambda _: heard[0])
        together.ask((2.0,), heard.append)
        await asyncio.sleep(0)

    asyncio.run(ask())
    assert [found.values[0, 0] for found in heard] == [4.0]
    assert "an answer could not be sent" in caplog.text


def test_everybody_hears_what_the_model_raises():
    error = ValueError("no")
    _, _, answers = gathered(Engine(together=2, error=error), [1.0, 2.0])
    assert answers == {1.0: error, 2.0: error}


def asked(app, bodies):
    """What each body is answered when all come in one turn."""
    answers = {}

    async def ask():
        for number, body in enumerate(bodies):
            app.at_once(
                b"/predict",
                KIND,
                body,
                lambda reply, _, number=number: answers.__setitem__(number, reply),
            )
        await asyncio.sleep(0)

    asyncio.run(ask())
    return [answers[number] for number in range(len(bodies))]


def test_each_is_answered_as_it_is_alone(churn):
    bodies = [
        b'{"age": "old"}',
        json.dumps({"instances": [ROW, ROW]}).encode(),
        b"{",
        json.dumps(ROW).encode(),
        json.dumps({**ROW, "age": 71, "plan": "basic"}).encode(),
        json.dumps({**ROW, "visits": 9}).encode(),
    ]
    app = App(churn, Settings())
    together = asked(app, bodies)
    alone = [asked(App(churn, Settings()), [body])[0] for body in bodies]
    assert [reply.status for reply in together] == [422, 200, 400, 200, 200, 200]
    for one, other in zip(together, alone, strict=True):
        if one.status == 200:
            assert one.body == other.body
        assert one.status == other.status
    assert app.metrics.rows == 5
    assert sum(app.metrics.snapshot().batches) == 1


def test_who_is_alone_is_answered_before_anything_else(churn):
    app, said = App(churn, Settings()), []

    async def ask():
        body = json.dumps(ROW).encode()
        app.at_once(b"/predict", KIND, body, lambda *_: said.append("first"))
        # Whoever was put off before goes first all the same.
        app.at_once(b"/predict", KIND, body, lambda *_: said.append("alone"), alone=True)
        return list(said)

    assert asyncio.run(ask()) == ["first", "alone"]


def test_no_more_wait_than_may_be_in_work(churn):
    app = App(churn, Settings(max_concurrency=1))

    async def ask():
        body, answers = json.dumps(ROW).encode(), []

        def done(reply, _):
            answers.append(reply.status)

        first = app.at_once(b"/predict", KIND, body, done)
        second = app.at_once(b"/predict", KIND, body, done)
        app.settle()
        return first, second, answers

    assert asyncio.run(ask()) == (True, False, [200])


def test_a_failure_is_everybody_s_and_has_an_id(churn):
    model = copy.copy(churn)
    model.session = Session(churn.signature, Engine(together=2, error=ValueError("secret")))
    app = App(model, Settings())
    replies = asked(app, [json.dumps(ROW).encode()] * 2)
    assert [json.loads(reply.body)["status"] for reply in replies] == [500, 500]
    assert b"secret" not in replies[0].body
    assert app.metrics.requests == {("/predict", 500): 2}


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as running:
        yield running


def head(body, path=b"/predict", method=b"POST"):
    return (
        b"%s %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (method, path, len(body), body)
    )


def answers(port, data, count):
    """The bodies that are answered to what is sent in one piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        file = connection.makefile("rb")
        found = []
        for _ in range(count):
            status = int(file.readline().split()[1])
            length = 0
            while line := file.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            found.append((status, file.read(length)))
        return found


def test_answers_go_out_in_the_order_of_their_requests(server):
    """Of those at once and those in turn that come in one piece, however they are mixed."""
    bodies = [json.dumps({**ROW, "age": 20 + age}).encode() for age in range(6)]
    single = [answers(server.port, head(body), 1)[0] for body in bodies]
    piece = b"".join(part for body in bodies for part in (head(body), head(b"", b"/livez", b"GET")))
    found = answers(server.port, piece, 12)
    assert found[::2] == single
    assert {status for status, _ in found[1::2]} == {200}
    assert all(b"alive" in body for _, body in found[1::2])


def test_what_is_answered_at_once_waits_for_what_was_asked_before_it(server):
    """A refusal and a batch are no rows that wait, and may not overtake those that do."""
    rows = [json.dumps({**ROW, "age": 20 + age}).encode() for age in range(3)]
    batch = json.dumps({"instances": [ROW, ROW]}).encode()
    bodies = [rows[0], b'{"age": "old"}', rows[1], batch, b"{", rows[2], rows[0]]
    alone = [answers(server.port, head(body), 1)[0] for body in bodies]
    found = answers(server.port, b"".join(map(head, bodies)), len(bodies))
    assert [status for status, _ in found] == [200, 422, 200, 200, 400, 200, 200]
    good = [place for place, (status, _) in enumerate(found) if status == 200]
    assert [found[place] for place in good] == [alone[place] for place in good]


def test_many_at_once_hear_their_own_answer(server):
    bodies = [json.dumps({**ROW, "age": 20 + age, "visits": age % 7}).encode() for age in range(40)]
    expected = [answers(server.port, head(body), 1)[0] for body in bodies]
    wrong = []

    def ask(place):
        for turn in range(25):
            number = (place * 7 + turn) % 40
            if answers(server.port, head(bodies[number]), 1)[0] != expected[number]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_few_rows_have_the_inputs_of_many(churn):
    rows = [{**ROW, "age": age, "note": "a b" if age % 2 else None} for age in (20, 30, 41)]
    clean = churn.validator.rows(rows)
    engine = churn.session.engine
    values = list(zip(*clean.columns, strict=True))
    few, many = engine.few(values), engine.many(clean.columns, 3)
    for name in ("labels", "probabilities"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name))
    assert msgspec.structs.replace(few, labels=None, probabilities=None) == msgspec.structs.replace(
        many, labels=None, probabilities=None
    )
