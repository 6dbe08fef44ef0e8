"""Requests that are noted with their answers."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time

import bundles
import httpx
import pytest
from asking import ask, asked
from servers import Server

from mlpack.runtime.app import App
from mlpack.runtime.faults import FileError
from mlpack.runtime.samples import FILES, MOST_WAITING, Sample, Writer, read
from mlpack.runtime.sampling import Sampling
from mlpack.runtime.settings import Settings

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


def sampled(model, path, draws=None, **settings):
    """An application whose requests are noted, and the writer."""
    chosen = Settings(sample_file=path, **settings)
    app = App(model, chosen)
    writer = Writer(path, chosen.sample_max_bytes)
    numbers = iter(draws) if draws is not None else None
    draw = (lambda: 0.5) if numbers is None else (lambda: next(numbers))
    clock = lambda: 1_700_000_000.25  # noqa: E731
    return Sampling(app, app.asked, writer, model, chosen, draw, clock), writer


def test_a_request_and_its_answer(churn, tmp_path):
    path = tmp_path / "samples.jsonl"
    app, writer = sampled(churn, path, sample_rate=1.0)
    headers = {b"authorization": b"Bearer hush", b"cookie": b"hush", b"x-request-id": b"r-1"}
    answer = asked(app, body=ROW, headers={**headers, b"accept": b"text/csv"})
    writer.close()
    (sample,) = read(path)
    assert sample == Sample(
        time="2023-11-14T22:13:20.250Z",
        request_id="r-1",
        method="POST",
        path="/predict",
        headers={"content-type": "application/json", "accept": "text/csv"},
        body=json.dumps(ROW),
        status=200,
        answer_type="text/csv",
        answer=answer.body.decode(),
        model="churn",
        version="1.2.0",
        sha256=churn.manifest.model.sha256,
    )
    assert "hush" not in path.read_text()
    assert (writer.written, writer.dropped) == (1, 0)


def test_rates_of_answers_and_of_errors(churn, tmp_path):
    path = tmp_path / "s"
    # Two draws a request: for the case that it is answered, and for the case that it is not.
    draws = [0.1, 0.9, 0.3, 0.0, 0.1, 0.9, 0.9, 0.3, 0.1, 0.6]
    app, writer = sampled(churn, path, draws, sample_rate=0.2, sample_errors=0.5)
    for number, body in enumerate((ROW, ROW, {}, {}, {})):
        asked(app, body=body, headers={b"x-request-id": b"%d" % number})
    writer.close()
    assert [(sample.request_id, sample.status) for sample in read(path)] == [("0", 200), ("3", 422)]


def test_what_is_never_noted(churn, tmp_path):
    path = tmp_path / "s"
    app, writer = sampled(churn, path, sample_rate=1.0, sample_errors=1.0, keys=("hush",))
    assert asked(app, body=ROW).status == 401
    key = {b"x-api-key": b"hush"}
    assert asked(app, "GET", "/metrics", headers=key).status == 200
    assert asked(app, "GET", "/livez").status == 200
    assert asked(app, "POST", "/nowhere", body=ROW, headers=key).status == 404
    assert asked(app, body=ROW, headers=key).status == 200
    writer.close()
    assert [sample.status for sample in read(path)] == [200]


def test_bytes_that_are_no_text(churn, tmp_path):
    path = tmp_path / "s"
    app, writer = sampled(churn, path, sample_rate=0.0, sample_errors=1.0)
    assert asked(app, body=b'{"note": "\xff"}').status == 400
    writer.close()
    (sample,) = read(path)
    assert sample.body is None
    assert sample.body_bytes == b'{"note": "\xff"}'
    assert json.loads(sample.answer_bytes)["status"] == 400


def test_by_default_nothing_is_noted():
    assert Settings().sample_file is None
    assert Settings().sample_errors == 0


def sample(text: str) -> Sample:
    return Sample(
        time="t", request_id="r", method="POST", path="/predict", body=text, status=200,
        answer="a", model="m", version="1", sha256="0",
    )  # fmt: skip


def test_files_are_rotated_and_bounded(tmp_path):
    path = tmp_path / "s"
    most = 40_000
    writer = Writer(path, most)
    for number in range(200):
        writer.add(1000, lambda number=number: sample(f"{number:03d}" + "x" * 900))
    writer.close()
    assert writer.written == 200
    files = [path, *(tmp_path / f"s.{number}" for number in range(1, FILES))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert sum(file.stat().st_size for file in files) <= most
    kept = [int(each.body[:3]) for file in reversed(files) for each in read(file)]
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) > 25
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_several_write_and_rotate_the_same_file(tmp_path):
    path = tmp_path / "s"
    writers = [Writer(path, 400_000) for _ in range(3)]

    def work(writer: Writer, name: str) -> None:
        for number in range(200):
            text = f"{name}{number}" + "x" * 300
            writer.add(1, lambda text=text: sample(text))
            if number % 20 == 0:
                time.sleep(0.01)
        writer.close()

    threads = [
        threading.Thread(target=work, args=each) for each in zip(writers, "abc", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [each.body for file in tmp_path.iterdir() for each in read(file)]
    assert len(found) == len(set(found)) == 600  # every line is whole, and none is lost
    assert len(list(tmp_path.iterdir())) > 1


def test_what_is_too_much_is_dropped_and_counted(tmp_path):
    path = tmp_path / "s"
    writer = Writer(path, 100_000)
    writer.add(MOST_WAITING + 1, lambda: sample("never"))
    writer.add(1, lambda: sample("x" * 30_000))  # more than a file may have
    writer.add(1, lambda: sample("small"))
    writer.close()
    assert [each.body for each in read(path)] == ["small"]
    assert (writer.written, writer.dropped) == (1, 2)


def test_a_disk_that_fails_is_told_once_and_not_given_up(tmp_path, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "s"
    writer = Writer(path, 100_000)
    moved = folder.rename(tmp_path / "moved")
    for _ in range(3):
        writer.add(1, lambda: sample("lost"))
    _until(lambda: writer.dropped == 3)
    moved.rename(folder)
    writer.add(1, lambda: sample("kept"))
    writer.close()
    assert [each.body for each in read(path)] == ["kept"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} cannot be written: No such file or directory"
    ]


def _until(true) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError


def test_a_full_disk_leaves_no_half_line(tmp_path):
    # A limit on the size of files, in a process of its own, stands for a disk that fills up.
    code = (
        "import resource, signal, sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_runtime_sampling import Writer, sample\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "writer = Writer(pathlib.Path(sys.argv[1]), 1_000_000)\n"
        "for _ in range(20): writer.add(1, lambda: sample('x' * 900))\n"
        "writer.close()\n"
        "print(writer.written, writer.dropped)\n"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s"), here],
        capture_output=True,
        text=True,
        check=True,
    )
    written, dropped = map(int, done.stdout.split())
    assert len(list(read(tmp_path / "s"))) == written == 20 - dropped
    assert 0 < written < 6
    assert done.stderr.count("cannot be written") == 1


def test_to_sample_never_waits_for_the_disk(churn, tmp_path):
    app, writer = sampled(churn, tmp_path / "s", sample_rate=1.0)
    busy = threading.Event()
    writer.add(1, lambda: busy.wait(20) and sample("first"))
    time.sleep(0.7)  # its thread hangs now

    async def story():
        for _ in range(50):
            assert (await ask(app, body=ROW)).status == 200

    start = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - start < 5
    assert writer.written == 0
    busy.set()
    writer.close()
    assert writer.written == 51


@pytest.mark.parametrize("what", ["folder", "no folder", "a pipe"])
def test_a_file_that_cannot_be(tmp_path, what):
    path = {"folder": tmp_path, "no folder": tmp_path / "a" / "b", "a pipe": tmp_path / "pipe"}[
        what
    ]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="cannot be written"):
        Writer(path, 1_000_000)


def test_the_server_samples(tmp_path):
    bundles.package(tmp_path, schema=bundles.SCHEMA)
    path = tmp_path / "samples.jsonl"
    rates = {"MLPACK_SAMPLE_RATE": "1", "MLPACK_SAMPLE_ERRORS": "1"}
    with Server(tmp_path, "--workers", "2", MLPACK_SAMPLE_FILE=str(path), **rates) as server:
        for body in (ROW, ROW, {}):
            httpx.post(server.url + "/predict", json=body)
        _until(lambda: len(list(read(path))) == 3)
        metrics = httpx.get(server.url + "/metrics").text
        assert server.stop() == 0
    assert sorted(each.status for each in read(path)) == [200, 200, 422]
    assert "mlpack_samples_total 3.0" in metrics


def test_a_server_that_cannot_sample_does_not_start(tmp_path):
    bundles.package(tmp_path)
    for workers in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "churn", "serve", "--port", "0", "--workers", workers],
            env={"PYTHONPATH": str(tmp_path), "MLPACK_SAMPLE_FILE": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 3
        (line,) = map(json.loads, done.stderr.splitlines())
        assert (line["level"], line["event"]) == (
            "error",
            f"{tmp_path} cannot be written: Is a directory",
        )
