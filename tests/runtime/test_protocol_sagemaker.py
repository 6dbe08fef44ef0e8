"""SageMaker's container contract."""

from __future__ import annotations

import pytest
from asking import get, post

from mlpack.runtime.app import App
from mlpack.runtime.settings import Settings, from_environment

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
HEADER = b"age,visits,plan,vip,note\n"
LINES = b'42,5,pro,true,hi\n,0,basic,,"a\nb"\n'
ROWS = [ROW, {"visits": 0, "plan": "basic", "note": "a\nb"}]


@pytest.fixture
def app(churn) -> App:
    # Its schema has a pattern for the note, which the lines break: here nothing is demanded.
    return App(churn, Settings(max_rows=50))


def lines(text: bytes) -> bytes:
    return text.replace(b"a\nb", b"ab")


def test_ping(app):
    assert get(app, "/ping").status == 200
    assert get(app, "/ping", "HEAD").status == 200
    app.drain()
    assert get(app, "/ping").status == 503


def test_json_and_lines(app):
    expected = post(app, "/predict", {"instances": [ROW]}).json["predictions"]
    headers = [(b"x-amzn-sagemaker-custom-attributes", b"a=b"), (b"accept", b"application/json")]
    answer = post(app, "/invocations", {"instances": [ROW]}, headers)
    assert answer.json["predictions"] == expected
    body = b'{"visits":5,"plan":"pro"}\n' * 2
    answer = post(app, "/invocations", body, kind=b"application/jsonlines")
    assert answer.type == b"application/x-ndjson"
    assert len(answer.body.splitlines()) == 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_without_a_header_is_read_by_position_and_answered_alike(app, mark, end):
    body = lines(LINES).replace(b"\n", end)
    bare = post(app, "/invocations", mark + body, kind=b"text/csv")
    named = post(app, "/invocations", HEADER + body, kind=b"text/csv")
    assert bare.status == named.status == 200
    header, _, rest = named.body.partition(b"\n")
    assert header.startswith(b"prediction,probability_no")
    assert bare.body == rest
    assert len(rest.splitlines()) == 2


def test_a_line_end_within_the_first_cell(tmp_path, churn):
    first = b'42,5,pro,true,"a\nb"\n'
    answer = post(App(churn, Settings()), "/invocations", first, kind=b"text/csv")
    assert answer.status == 422
    assert answer.json["errors"][0]["column"] == "note"  # read by position; the schema refuses it


def test_accept_is_honoured_for_rows_without_a_header(app):
    accept = [(b"accept", b"application/json")]
    answer = post(app, "/invocations", lines(LINES), accept, kind=b"text/csv; charset=utf-8")
    assert len(answer.json["predictions"]) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\n", 400),
        (b"1,2,3\n", 400),  # neither a header nor a value for every column
        (b'1,"2\n', 400),
        (b"\xff\xfe\n", 400),
        (b"x,5,pro,true,hi\n", 422),
        (b"42,5,pro,true,hi\n1\n", 400),
        (b"42,visits,pro,true,hi\n", 422),  # a header, since it names a column: no row
    ],
)
def test_what_is_no_csv_of_the_model_is_refused(app, body, status):
    assert post(app, "/invocations", body, kind=b"text/csv").status == status


def test_predict_itself_wants_a_header(app):
    assert post(app, "/predict", lines(LINES), kind=b"text/csv").status == 400


def test_the_port_that_sagemaker_names():
    assert from_environment({"SAGEMAKER_BIND_TO_PORT": "8081", "PORT": "1"}).port == 8081


def test_only_ping_needs_no_key(churn):
    app = App(churn, Settings(keys=("secret",)))
    assert get(app, "/ping").status == 200
    assert post(app, "/invocations", ROW).status == 401
