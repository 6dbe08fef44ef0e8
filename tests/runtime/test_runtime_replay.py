"""Sampled requests, asked again."""

from __future__ import annotations

import json
import subprocess
import sys

import bundles
import msgspec
import pytest
from asking import asked
from servers import Server

from mlpack.runtime.app import App
from mlpack.runtime.faults import FileError, ServerError
from mlpack.runtime.model import Model
from mlpack.runtime.replay import at_url, differences, in_process, lines, replay
from mlpack.runtime.samples import Sample, Writer, read
from mlpack.runtime.sampling import Sampling
from mlpack.runtime.settings import Settings

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
NO = {"visits": 0, "plan": "basic", "vip": False}
CSV = b"visits,plan,vip\n5,pro,true\n0,basic,false\n"


@pytest.fixture(scope="module")
def recorded(churn, tmp_path_factory):
    """A file with requests of many kinds."""
    path = tmp_path_factory.mktemp("replay") / "samples.jsonl"
    settings = Settings(sample_rate=1.0, sample_errors=1.0)
    app = App(churn, settings)
    writer = Writer(path, 10_000_000)
    sampling = Sampling(app, app.asked, writer, churn, settings)
    requests = [
        (ROW, b"application/json"),
        ({"instances": [ROW, NO]}, b"application/json"),
        (CSV, b"text/csv"),
        (json.dumps(ROW).encode() + b"\n" + json.dumps(NO).encode(), b"application/x-ndjson"),
        ({**ROW, "age": "x"}, b"application/json"),
        (b'{"age": \xff}', b"application/json"),
        (ROW, b"image/png"),
    ]
    for number, (body, kind) in enumerate(requests):
        headers = {b"content-type": kind, b"x-request-id": b"r-%d" % number}
        asked(sampling, body=body, headers=headers)
    writer.close()
    return path


def changed(path, target, **changes):
    """The same samples with something else in them."""
    samples = [msgspec.structs.replace(sample, **changes) for sample in read(path)]
    target.write_bytes(b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples))
    return target


def told(outcome) -> list[str]:
    return list(lines(outcome, "this"))


def test_the_same_model_answers_the_same(churn, recorded):
    outcome = replay(recorded, in_process(churn, Settings(keys=("k",))), sha256=None)
    assert told(outcome) == ["7 asked again, 0 answered otherwise"]
    assert [sample.status for sample in read(recorded)] == [200, 200, 200, 200, 422, 400, 415]


def test_another_model_is_told_and_its_answers_are_compared(recorded, tmp_path):
    schema = bundles.Schema(columns={"age": bundles.Constraint(maximum=20)})
    # yes and no have changed their places
    labels = msgspec.structs.replace(bundles.SIGNATURE, labels=("yes", "no"))
    model = bundles.bundle(tmp_path, labels, schema=schema)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["version"] = "2.0.0"
    (model / "manifest.json").write_text(json.dumps(manifest))
    ask = in_process(Model(model), Settings())
    before = changed(recorded, tmp_path / "s", sha256="f" * 64)
    outcome = replay(before, ask, sha256="0" * 64)
    text = told(outcome)
    assert text[0] == f"recorded with churn 1.2.0 ({'f' * 12}), asked is this"
    assert "r-0 /predict status: recorded 200, now 422" in text
    assert 'r-2 /predict row 0 prediction: recorded "yes", now "no"' in text
    assert 'r-2 /predict row 1 prediction: recorded "no", now "yes"' in text
    assert not [line for line in text if "r-5" in line or "r-6" in line]
    assert text[-1] == "7 asked again, 4 answered otherwise"


def test_only_one_request(churn, recorded):
    ask = in_process(churn, Settings())
    outcome = replay(recorded, ask, sha256=None, request_id="r-4")
    assert outcome.asked == 1
    with pytest.raises(FileError, match="no request r-9"):
        replay(recorded, ask, sha256=None, request_id="r-9")


def test_what_told_of_the_server_is_left_out(churn, recorded, tmp_path):
    path = changed(recorded, tmp_path / "s", status=503)
    outcome = replay(path, in_process(churn, Settings()), sha256=None)
    assert (outcome.asked, outcome.left_out) == (0, 7)
    assert "7 left out" in told(outcome)[0]


@pytest.mark.parametrize(
    ("kind", "before", "now", "found"),
    [
        ("application/json", b'{"a": 1.0}', b'{"a": 1}', []),
        ("application/json", b'{"a": 1.0}', b'{"a": 1.0000000000001}', []),
        ("application/json", b'{"a": 1.0}', b'{"a": 1.00001}', [(None, "a", 1.0, 1.00001)]),
        ("application/json", b'{"a": true}', b'{"a": 1}', [(None, "a", True, 1)]),
        ("application/json", b'{"a": [1, 2]}', b'{"a": [1]}', [(None, "a.1", 2, None)]),
        ("application/json", b'{"model": 1, "model_name": 2}', b"{}", []),
        (
            "application/json",
            b'{"predictions": [{"label": "a"}, {"label": "b", "probabilities": {"b": 0.5}}]}',
            b'{"predictions": [{"label": "a"}, {"label": "c", "probabilities": {"b": 0.7}}]}',
            [(1, "label", "b", "c"), (1, "probabilities.b", 0.5, 0.7)],
        ),
        (
            "application/x-ndjson",
            b'{"value": 1}\n{"value": 2}\n',
            b'{"value": 1}\n{"value": 3}\n',
            [(1, "value", 2, 3)],
        ),
        ("text/csv", b"value\n1\n2\n", b"value\n1.0\n3\n", [(1, "value", 2.0, 3.0)]),
        ("text/csv", b"label\na\n", b"label\nb\n", [(0, "label", "a", "b")]),
        ("application/octet-stream", b"ab", b"ab", []),
        (
            "application/octet-stream",
            b"ab",
            b"abc",
            [(None, "body", "2 bytes", "3 other bytes")],
        ),
        ("application/json", b"{", b"{", []),
        ("application/json", b"{", b"}", [(None, "body", "1 bytes", "1 other bytes")]),
    ],
)
def test_how_answers_are_compared(kind, before, now, found):
    assert list(differences((200, kind, before), (200, kind, now))) == found


def test_another_status_and_another_type():
    assert list(differences((200, "text/csv", b"a\n"), (422, "application/json", b"{}"))) == [
        (None, "status", 200, 422),
        (None, "content type", "text/csv", "application/json"),
    ]


@pytest.mark.parametrize(
    "line", [b"{", b"{}", b"[]", b"\xff", b'{"time": 1}', b"", None], ids=range(7)
)
def test_files_that_are_none(churn, recorded, tmp_path, line):
    path = tmp_path / "s"
    if line is None:
        match = "cannot be read: No such file"
    else:
        first = recorded.read_bytes().splitlines(keepends=True)[0]
        path.write_bytes(first + line + b"\n" if line else b"")
        match = "line 2: no sampled request" if line else "holds no request"
    with pytest.raises(FileError, match=match):
        replay(path, in_process(churn, Settings()), sha256=None)


def test_a_body_in_broken_base64(churn, tmp_path):
    sample = Sample(
        time="", request_id="", method="POST", path="/predict", body_base64="?", status=200,
        answer="", model="", version="", sha256="",
    )  # fmt: skip
    path = tmp_path / "s"
    path.write_bytes(msgspec.json.encode(sample))
    with pytest.raises(FileError, match="line 1"):
        replay(path, in_process(churn, Settings()), sha256=None)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", ""])
def test_urls_that_are_none(url):
    with pytest.raises(ServerError, match="no URL of a server"):
        at_url(url, None)


def test_the_command(recorded, tmp_path):
    bundles.package(tmp_path, schema=bundles.SCHEMA)

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "churn", "replay", *arguments],
            env={"PYTHONPATH": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    same = run(str(recorded))
    assert (same.returncode, same.stdout) == (0, "7 asked again, 0 answered otherwise\n")
    wrong = changed(recorded, tmp_path / "wrong", answer='{"predictions":[{"label":"no"}]}')
    other = run(str(wrong), "--request-id", "r-0")
    assert other.returncode == 1
    assert other.stdout.splitlines()[0] == 'r-0 /predict row 0 label: recorded "no", now "yes"'
    bad = run(str(tmp_path / "churn" / "__init__.py"))
    assert bad.returncode == 3
    assert "line 1: no sampled request" in bad.stderr
    with Server(tmp_path, MLPACK_API_KEYS="hush") as server:
        known = run(str(recorded), "--url", server.url, MLPACK_API_KEYS="hush")
        assert (known.returncode, known.stdout) == (0, "7 asked again, 0 answered otherwise\n")
        unknown = run(str(recorded), "--url", server.url, "--request-id", "r-0")
        assert unknown.returncode == 1
        assert "recorded 200, now 401" in unknown.stdout
        assert server.stop() == 0
    nobody = run(str(recorded), "--url", server.url)
    assert nobody.returncode == 4
    assert "does not answer" in nobody.stderr
