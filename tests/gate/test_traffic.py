"""Requests of production, asked again."""

from __future__ import annotations

import json

from canaries import SAMPLES, sample

from mlpack.errors import OutsideError
from mlpack.gate.limits import Limits
from mlpack.gate.traffic import Copies, findings
from mlpack.gate.trial import Tally, errors, since
from mlpack.operating import Counted


def doubled(path, body):
    assert path == "/predict"
    rows = json.loads(body)["instances"]
    return 200, json.dumps({"predictions": [{"value": 2 * row["size"]} for row in rows]}).encode()


def test_each_request_is_asked_once_however_often_it_is_read():
    copies = Copies()
    assert copies.take(b"".join(SAMPLES[:3]), doubled) == 3
    assert copies.take(b"".join(SAMPLES[:4]), doubled) == 1
    assert [dict(row) for row in copies.rows] == [{"size": float(n)} for n in range(4)]
    assert {each.verdict for each in findings(copies, Limits())} <= {"fine", "told"}


def test_half_a_line_and_what_is_no_request_for_predictions_are_left():
    other = SAMPLES[2].replace(b"/predict", b"/v2/models/churn/infer")
    refused = SAMPLES[3].replace(b'"status": 200', b'"status": 422')
    copies = Copies()
    odd = [SAMPLES[0][20:], b'{"no": "sample"}\n', SAMPLES[1], other, refused, SAMPLES[4][:40]]
    assert copies.take(b"".join(odd), doubled) == 1
    # What was half a line is whole the next time.
    assert copies.take(SAMPLES[4], doubled) == 1


def test_what_the_other_version_refuses_counts_as_refused_and_a_failure_as_one():
    copies = Copies()
    copies.take(SAMPLES[0], lambda path, body: (422, b"{}"))
    copies.take(SAMPLES[1], lambda path, body: (500, b""))

    def gone(path, body):
        raise OutsideError("it does not answer")

    copies.take(SAMPLES[2], gone)
    _, before, after = copies.sides()
    assert (before.refused.tolist(), after.refused.tolist()) == ([False] * 3, [True] * 3)
    assert copies.failed == 2
    stops = [each.what for each in findings(copies, Limits()) if each.verdict == "stop"]
    assert "2 requests failed" in stops


def test_an_answer_with_another_number_of_rows_is_none():
    copies = Copies()
    copies.take(SAMPLES[0], lambda path, body: (200, b'{"predictions": []}'))
    assert copies.sides()[2].refused.tolist() == [True]
    wrong = sample(9, 1.0, 2.0).replace(b'[{\\"size\\"', b'[{\\"size\\": 3.0}, {\\"size\\"')
    assert copies.take(wrong, doubled) == 0


def test_a_request_of_which_a_part_is_no_row_is_left():
    two = b'{\\"value\\": 2.0}, {\\"value\\": 2.0}'
    for odd in (b'[{\\"size\\": 3.0}, 3]', b"[3, 3]"):
        wrong = sample(9, 1.0, 2.0).replace(b'[{\\"size\\": 1.0}]', odd)
        wrong = wrong.replace(b'{\\"value\\": 2.0}', two)
        assert odd in wrong
        assert two in wrong
        copies = Copies()
        assert copies.take(wrong, doubled) == 0
        assert copies.rows == []


def test_who_looks_often_must_be_surer():
    live = Tally(requests=900, failed=9, mean_ms=1.0)
    canary = Tally(requests=100, failed=6, mean_ms=1.0)
    assert [each.verdict for each in errors(live, canary, 1)] == ["stop"]
    assert [each.verdict for each in errors(live, canary, 180)] == ["fine"]
    broken = Tally(requests=100, failed=60, mean_ms=1.0)
    assert [each.verdict for each in errors(live, broken, 180)] == ["stop"]
    assert list(errors(live, Tally(requests=49, failed=49, mean_ms=1.0), 1)) == []


def test_counts_of_a_server_that_started_anew_begin_at_nothing():
    found = since({"a": Counted(10, 1, 0.1)}, {"a": Counted(4, 2, 0.2), "b": Counted(6, 0, 0.3)})
    assert (found.requests, found.failed) == (10, 2)
    assert since({}, {}).mean_ms is None
