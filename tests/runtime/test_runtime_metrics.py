"""What the server counts, how it adds up over workers, and how Prometheus reads it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path

import bundles
import httpx
import msgspec
import numpy as np
import pytest
from asking import ask, asked
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from servers import Server

from mlpack.runtime.app import App
from mlpack.runtime.contract import Column, Distribution, Output, Signature
from mlpack.runtime.gathering import ROUND_SECONDS, Gathering, Link
from mlpack.runtime.model import Model
from mlpack.runtime.predictions import Predictions
from mlpack.runtime.settings import Settings
from mlpack.runtime.snapshot import (
    POINTS,
    Snapshot,
    merged,
    pieces,
    quantiles,
    stability,
    without_moment,
)
from mlpack.runtime.watch import EACH, PAUSE, TOGETHER, WINDOW, Counter, Watch

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}


def exposed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by its name and labels, as Prometheus' own parser reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(app) -> dict:
    return exposed(asked(app, "GET", "/metrics").body.decode())


def with_spread(folder, signature, spread, **parts) -> Model:
    known = msgspec.structs.replace(signature, predictions=spread)
    return Model(bundles.bundle(folder, known, **parts))


def test_columns(churn):
    app = App(churn, Settings())
    for row in (ROW, {**ROW, "age": 95}, {**ROW, "age": None, "plan": "gold"}):
        assert asked(app, body=row).status == 200
    assert asked(app, body={"instances": [ROW, {"visits": 99, "plan": "x"}]}).status == 200
    found = told(app)

    def column(name: str) -> list[float]:
        columns = ("age", "visits", "plan", "vip", "note")
        return [found.get((f"mlpack_column_{name}_total", (("column", c),)), -1) for c in columns]

    assert column("values") == [5] * 5
    assert column("missing") == [2, 0, 0, 1, 1]
    assert column("out_of_range") == [1, 1, -1, -1, -1]
    assert column("unknown") == [-1, -1, 2, 0, 0]
    assert found["mlpack_rows_total", ()] == 5


def test_requests_and_problems(churn):
    app = App(churn, Settings())
    asked(app, body=ROW)
    asked(app, body={**ROW, "age": "x", "made-up": 1})
    asked(app, body=b"{")
    asked(app, "GET", "/nowhere")
    asked(app, "GET", "/predict")
    found = told(app)
    kinds = ("invalid-input", "malformed-body", "not-found", "method-not-allowed")
    assert [found["mlpack_problems_total", (("kind", kind),)] for kind in kinds] == [1, 1, 1, 1]
    assert found["mlpack_refused_total", (("column", ""),)] == 1
    assert found["mlpack_refused_total", (("column", "age"),)] == 1
    assert found["mlpack_requests_total", (("route", "other"), ("status", "404"))] == 1


def test_the_text_is_what_prometheus_expects(churn, tmp_path):
    spread = Distribution(shares=(0.5, 0.5), rows=100)
    app = App(with_spread(tmp_path, churn.signature, spread), Settings())

    async def story():
        for age in range(300):
            await ask(app, body={**ROW, "age": age % 80 + 18})
        return (await ask(app, "GET", "/metrics")).body.decode()

    text = asyncio.run(story())
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = [sample for family in families.values() for sample in family.samples]
    assert len({(s.name, tuple(sorted(s.labels.items()))) for s in samples}) == len(samples)
    for name, family in families.items():
        assert re.fullmatch(r"(mlpack|process)_[a-z_]+", name), name
        assert family.documentation.endswith((".", "all.")), name
        assert family.type in ("counter", "gauge", "histogram"), name
        # The parser takes the ending of a counter off; only counters have it.
        ending = re.search(rf"^# TYPE {name}(_total)? ", text, re.MULTILINE)
        assert ending, name
        assert (ending[1] is not None) == (family.type == "counter"), name
        if family.type == "histogram":
            buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
            assert buckets == sorted(buckets) or len({*map(_route, family.samples)}) > 1
    assert "mlpack_predictions_stability_index" in families


def _route(sample) -> str | None:
    return sample.labels.get("route")


def test_every_metric_has_its_line_in_the_documents(churn, tmp_path):
    spread = Distribution(shares=(0.5, 0.5), rows=100)
    apps = [App(with_spread(tmp_path / "a", churn.signature, spread), Settings())]
    numbers = Distribution(shares=(0.5, 0.5), edges=(7.0,), rows=100)
    price = {"model": bundles.regression_graph(), "encoding": bundles.REGRESSION_ENCODING}
    model = with_spread(tmp_path / "b", bundles.REGRESSION, numbers, **price)
    apps.append(App(model, Settings()))
    names = set()
    for app in apps:
        row = ROW if app is apps[0] else {"size": 2, "rooms": 1}

        async def story(app=app, row=row):
            for _ in range(TOGETHER):
                await ask(app, body=row)
            return (await ask(app, "GET", "/metrics")).body.decode()

        names |= set(re.findall(r"^# TYPE (\w+) ", asyncio.run(story()), re.MULTILINE))
    documents = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    table = set(re.findall(r"^\| `((?:mlpack|process)_\w+)", documents, re.MULTILINE))
    assert table == names


def one_row(counter, values, label=0):
    return values, Predictions(1, labels=np.array([label]))


def test_above_a_rate_a_part_of_the_rows_is_looked_at(churn):
    now = 0.0
    counter = Counter(churn.signature)
    watch = Watch(counter, 5, lambda: now)
    seen = one_row(counter, (None, 1, "pro", True, None))
    for _ in range(TOGETHER * 3):
        watch.note(seen)
    watch.count()
    assert watch.rows == TOGETHER
    assert watch.missing.tolist() == [TOGETHER, 0, 0, 0, TOGETHER]
    for _ in range(3):
        now += PAUSE
        for _ in range(TOGETHER):
            watch.note(seen)
    watch.count()
    assert watch.rows == TOGETHER * 4


def test_quantiles_move_and_a_large_file_does_not_take_their_place(churn):
    counter = Counter(churn.signature)
    watch = Watch(counter, 5, lambda: 0.0)

    def batch(age: float, rows: int) -> None:
        columns = [np.full(rows, age), [1] * rows, ["pro"] * rows, [True] * rows, [None] * rows]
        predictions = Predictions(rows, labels=np.ones(rows, dtype=np.int64))
        watch.note(counter.columns(columns, predictions))

    def ages() -> list[float]:
        return quantiles(pieces(watch.numbers())[0], (0.05, 0.5, 0.95))

    for _ in range(WINDOW // 100):
        batch(30.0, 100)
    assert ages() == [30, 30, 30]
    batch(70.0, 100_000)
    assert watch.rows == WINDOW + 100_000
    assert watch.predicted.tolist() == [0, WINDOW + 100_000]
    assert (watch.numbers()[0] == 70).sum() == EACH
    assert ages() == [30, 30, 70]
    for _ in range(WINDOW // 100):
        batch(50.0, 100)
    assert ages() == [50, 50, 50]
    assert watch.recent().tolist() == [0, WINDOW]


def test_predicted_values_stand_in_the_bins_of_training(tmp_path):
    spread = Distribution(shares=(0.25, 0.5, 0.25), edges=(10.0, 20.0), rows=80)
    parts = {"model": bundles.regression_graph(), "encoding": bundles.REGRESSION_ENCODING}
    app = App(with_spread(tmp_path, bundles.REGRESSION, spread, **parts), Settings())
    for size in (5, 5, 9.5, 30):  # twice of which is predicted
        assert asked(app, body={"size": size, "rooms": 1}).status == 200
    found = told(app)
    buckets = [
        found["mlpack_predicted_value_bucket", (("le", le),)] for le in ("10.0", "20.0", "+Inf")
    ]
    assert buckets == [2, 3, 4]
    assert found["mlpack_predicted_value_sum", ()] == 99


MOMENT = Column(name="when", type="datetime", dtype="datetime64[s]")
TWO = (Output(name="value", type="number", size=2),)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("signature", "column", "predictions", "predicted"),
    [
        (bundles.OUTLIERS, [1.5] * 3, {"labels": np.array([0, 1, 0])}, {1: [1, 0], 3: [2, 1]}),
        (
            Signature(task="regression", columns=(MOMENT,), outputs=TWO),
            [np.datetime64("2026-01-01", "s"), None, np.datetime64("2026-01-02", "s")],
            {"values": np.ones((3, 2))},
            {1: [], 3: []},
        ),
        (
            Signature(task="regression", columns=(MOMENT,), outputs=bundles.REGRESSION.outputs),
            [np.datetime64("2026-01-01", "s"), None, None],
            {"values": np.array([[1.0], [np.inf], [np.nan]])},
            {1: [1], 3: [3]},
        ),
    ],
    ids=["outliers", "two outputs", "no known spread"],
)
def test_models_of_every_kind(signature, column, predictions, predicted, rows):
    counter = Counter(signature)
    watch = Watch(counter, 1)
    for row in range(rows):
        one = {name: array[row : row + 1] for name, array in predictions.items()}
        watch.note(((column[row],), Predictions(1, **one)))
    watch.count()
    some = {name: array[:rows] for name, array in predictions.items()}
    tally = counter.columns([column[:rows]], Predictions(rows, **some))
    assert watch.predicted.tolist() == watch.recent().tolist() == predicted[rows]
    assert watch.missing.tolist() == tally.missing.tolist()
    assert watch.missing.tolist() == [column[:rows].count(None)]
    assert watch.total == tally.total == (1.0 if predicted[rows] in ([1], [3]) else 0.0)


def test_the_stability_index_tells_a_shift(tmp_path, churn):
    spread = Distribution(shares=(0.5, 0.5), rows=100)
    app = App(with_spread(tmp_path, churn.signature, spread), Settings())
    no = {"visits": 0, "plan": "basic", "vip": False}
    name = ("mlpack_predictions_stability_index", ())
    asked(app, body={"instances": [no, ROW]})
    assert name not in told(app)
    for _ in range(2):
        asked(app, body={"instances": [no, ROW] * 50})
    assert told(app)[name] == pytest.approx(0, abs=1e-9)
    for _ in range(5):
        asked(app, body={"instances": [ROW] * EACH})
    # 102 + ... of 1202: far from one half.
    assert told(app)[name] > 0.25
    assert told(app)["mlpack_predictions_expected_ratio", (("label", "no"),)] == 0.5


def test_the_index_is_the_sum_that_everybody_takes():
    assert stability([100, 300], (0.5, 0.5)) == pytest.approx(
        (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    )
    assert stability([0, 400], (0.5, 0.5)) > 1
    assert stability([1, 1], (0.5, 0.5)) is None
    assert stability([200, 200], (0.2, 0.3, 0.5)) is None


def test_batches_and_the_line(pickled):
    app = App(pickled, Settings())

    async def story():
        row = {"age": 20, "plan": "basic"}
        await asyncio.gather(*(ask(app, body=row) for _ in range(9)))
        return exposed((await ask(app, "GET", "/metrics")).body.decode())

    found = asyncio.run(story())
    assert found["mlpack_batch_rows_sum", ()] == 9
    assert 1 < found["mlpack_batch_rows_count", ()] < 9
    assert found["mlpack_batch_rows_bucket", (("le", "1"),)] >= 1
    assert found["mlpack_line_length", ()] == 0


def test_figures_of_the_process(churn):
    found = told(App(churn, Settings()))
    assert 10e6 < found["process_resident_memory_bytes", ()] < 10e9
    assert found["process_cpu_seconds_total", ()] > 0
    assert time.time() - 3600 < found["process_start_time_seconds", ()] < time.time()
    assert found["mlpack_workers", ()] == 1


# Several workers


counts = st.integers(0, 1000)
numbers = st.lists(st.floats(allow_nan=False, width=32), max_size=POINTS)


@st.composite
def snapshots(draw) -> Snapshot:
    def listed(size: int) -> list[int]:
        return draw(st.lists(counts, min_size=size, max_size=size))

    keyed = {name: draw(counts) for name in draw(st.sets(st.sampled_from("abc")))}
    values = draw(numbers)
    return Snapshot(
        requests={(name, 200): count for name, count in keyed.items()},
        latency={name: (listed(3), draw(st.floats(0, 10))) for name in keyed},
        problems=keyed,
        refused=keyed,
        violated=keyed,
        rows=draw(counts),
        seen=draw(counts),
        batches=listed(2),
        batched=draw(counts),
        missing=listed(2),
        outside=listed(2),
        predicted=listed(2),
        total=draw(st.floats(-10, 10)),
        sampled=draw(counts),
        dropped=draw(counts),
        cpu=draw(st.floats(0, 10)),
        active=draw(counts),
        waiting=draw(counts),
        recent=listed(2),
        numbers=[[(len(values), sorted(values))]],
        memory=draw(counts),
        started=draw(st.floats(1, 10)),
        workers=1,
    )


@given(snapshots(), snapshots())
def test_snapshots_add_up_and_the_gone_keep_their_counts(one, other):
    both = merged([one, other])
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(both), type=Snapshot)
    assert again == both
    assert both.rows == one.rows + other.rows
    assert both.workers == 2
    assert both.started == min(one.started, other.started)
    for key in {*one.requests, *other.requests}:
        assert both.requests[key] == one.requests.get(key, 0) + other.requests.get(key, 0)
    after = merged([one, without_moment(other)])
    for name in ("requests", "latency", "problems", "rows", "seen", "missing", "predicted", "cpu"):
        assert getattr(after, name) == getattr(both, name)
    assert (after.workers, after.active, after.recent) == (1, one.active, one.recent)
    assert after.started == one.started


@given(st.lists(st.lists(st.integers(0, 500), max_size=400), min_size=1, max_size=3))
def test_quantiles_of_pieces_are_near_those_of_the_whole(parts):
    given_pieces = []
    for part in parts:
        given_pieces += pieces(np.array([part], dtype=np.float64))[0]
    whole = sorted(value for part in parts for value in part)
    found = quantiles(given_pieces, (0.05, 0.5, 0.95))
    if len(whole) < 20:
        assert found == []
        return
    for value, wanted in zip(found, (0.05, 0.5, 0.95), strict=True):
        below = sum(each < value for each in whole) / len(whole)
        upto = sum(each <= value for each in whole) / len(whole)
        assert below - 0.02 <= wanted <= upto + 0.02


def test_a_column_of_which_all_is_missing_has_no_quantiles():
    assert quantiles(pieces(np.full((1, 300), np.nan))[0], (0.5,)) == []


def figures(churn, rows: int) -> Snapshot:
    metrics = App(churn, Settings()).metrics
    metrics.rows = rows
    return metrics.snapshot()


def test_whoever_asks_gets_the_sum(churn):
    async def story():
        gathering = Gathering()
        rows = {"one": 1, "two": 10}
        pipes = [gathering.join() for _ in rows]
        links = [
            Link(pipe, lambda name=name: figures(churn, rows[name]))
            for pipe, name in zip(pipes, rows, strict=True)
        ]
        links[0].start()
        assert (await links[0].collect()).rows == 1  # nobody waits for who is not ready yet
        links[1].start()
        await _until(lambda total: total.workers == 2, links[0])
        assert (await links[0].collect()).rows == (await links[1].collect()).rows == 11
        several = await asyncio.gather(*(link.collect() for link in links * 3))
        assert {total.rows for total in several} == {11}
        rows["two"] = 20
        # On a busy machine a round may end before everybody has told; the next one has it.
        await _until(lambda total: total.rows == 21, links[0])

    asyncio.run(story())


async def _until(true, link):
    for _ in range(100):
        total = await link.collect()
        if true(total):
            return total
        await asyncio.sleep(0.02)
    raise AssertionError(total)


def test_who_hangs_is_not_waited_for_and_keeps_its_counts(churn):
    async def story():
        gathering = Gathering()
        link = Link(gathering.join(), lambda: figures(churn, 1))
        link.start()
        hanging = gathering.join()
        hanging.send_bytes(b"h")
        loop = asyncio.get_running_loop()
        asking = asyncio.ensure_future(link.collect())
        assert await loop.run_in_executor(None, hanging.recv_bytes) == b"t"
        hanging.send_bytes(b"f" + msgspec.msgpack.encode(figures(churn, 5)))
        assert (await asking).rows == 6
        start = time.monotonic()
        assert (await link.collect()).rows == 6
        assert ROUND_SECONDS * 0.9 < time.monotonic() - start < ROUND_SECONDS + 1
        hanging.close()
        left = await _until(lambda total: total.workers == 1, link)
        assert left.rows == 6

    asyncio.run(story())


def test_without_an_answer_there_is_a_503_and_no_wrong_figures(churn):
    async def nobody():
        raise TimeoutError

    app = App(churn, Settings())
    app.collect = nobody
    answer = asked(app, "GET", "/metrics")
    assert answer.status == 503
    assert answer.json["type"] == "urn:mlpack:problem:busy"


def workers_of(pid: int) -> list[int]:
    """The processes that were spawned by another one to work."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(process.name))
    return found


def test_any_worker_tells_the_figures_of_all_of_them(tmp_path):
    bundles.package(tmp_path, schema=bundles.SCHEMA)
    name = ("mlpack_requests_total", (("route", "/predict"), ("status", "200")))

    def scraped() -> dict:
        answer = httpx.get(server.url + "/metrics")  # each on a connection of its own
        assert answer.status_code == 200
        return exposed(answer.text)

    def wait_for(workers: int) -> dict:
        for _ in range(200):
            found = scraped()
            if found["mlpack_workers", ()] == workers:
                return found
            time.sleep(0.1)
        raise AssertionError(found)

    with Server(tmp_path, "--workers", "2", MLPACK_ACCESS_LOG="off") as server:
        wait_for(2)
        for _ in range(30):
            assert httpx.post(server.url + "/predict", json=ROW).status_code == 200
        assert {scraped()[name] for _ in range(6)} == {30}
        before = workers_of(server.process.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        for _ in range(10):
            try:
                assert scraped()[name] >= 30
            except httpx.TransportError:
                time.sleep(0.1)  # it was asked for by the one that was killed
        assert wait_for(2)[name] == 30
        assert httpx.post(server.url + "/predict", json=ROW).status_code == 200
        assert scraped()[name] == 31
        assert server.stop() == 0
    assert not [line for line in server.lines if "Traceback" in line]
    assert [json.loads(line)["event"] for line in server.lines if '"error"' in line] == [
        f"worker {before[0]} ended with code -9"
    ]
