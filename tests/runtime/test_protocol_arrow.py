"""Arrow IPC streams in and out, against Arrow's own library."""

from __future__ import annotations

import io
import random
import struct

import bundles
import numpy as np
import pyarrow as pa
import pytest
from asking import post
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime.app import App
from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.malformed import MalformedError
from mlpack.runtime.model import Model
from mlpack.runtime.problems import ProblemError
from mlpack.runtime.protocols import arrow_read, arrow_write
from mlpack.runtime.protocols.own import ARROW
from mlpack.runtime.settings import Settings
from mlpack.runtime.tables import Coded

VIEWS = pa.string_view()
LONG = "a text that is too long to stand in a view"


def stream(table: pa.Table, **options) -> bytes:
    out = io.BytesIO()
    wanted = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(out, table.schema, options=wanted) as writer:
        writer.write_table(table)
    return out.getvalue()


def read(table, max_rows=1000, **options):
    found = arrow_read.read(stream(table, **options), max_rows, lambda _: None)
    return {name: list(map(plain, values)) for name, values in found.items()}


def plain(value):
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value != value else value


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> App:
    return App(Model(bundles.bundle(tmp_path_factory.mktemp("plain"))), Settings(max_rows=50))


def ask(app, body, path="/predict", headers=()):
    return post(app, path, body, headers, kind=ARROW)


ROWS = pa.table(
    {
        "age": pa.array([42.0, None, 13.5]),
        "visits": pa.array([5, 0, 3], pa.int32()),
        "plan": pa.array(["pro", None, "é"]),
        "vip": pa.array([True, None, False]),
    }
)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), VIEWS, "dictionary"])
def test_a_table_is_answered_as_its_rows(app, path, text):
    plan = ROWS["plan"].dictionary_encode() if text == "dictionary" else ROWS["plan"].cast(text)
    answer = ask(app, stream(ROWS.set_column(2, "plan", plan)), path)
    assert answer.status == 200
    assert answer.type == ARROW
    table = pa.ipc.open_stream(answer.body).read_all()
    table.validate(full=True)
    told = post(app, "/predict", {"instances": ROWS.to_pylist()}).json["predictions"]
    assert table.column_names == ["prediction", "probability_no", "probability_yes"]
    assert table["prediction"].to_pylist() == [each["label"] for each in told]
    yes = [each["probabilities"]["yes"] for each in told]
    assert table["probability_yes"].to_pylist() == pytest.approx(yes)


def test_other_formats_on_either_side(app):
    rows = ROWS.to_pylist()
    answer = ask(app, stream(ROWS), headers=[(b"accept", b"application/json")])
    assert answer.json == post(app, "/predict", {"instances": rows}).json
    answer = post(app, "/predict", {"instances": rows}, [(b"accept", ARROW)])
    assert pa.ipc.open_stream(answer.body).read_all().num_rows == 3


@pytest.mark.parametrize(
    ("table", "options", "column", "status"),
    [
        (ROWS.append_column("x", pa.array([1, 2, 3])), {}, "x", 422),
        (ROWS.append_column("x", pa.array([[1], [2], [3]])), {}, "x", 422),
        (ROWS.select(["age"]), {}, "visits", 422),
        (ROWS.slice(0, 0), {}, None, 422),
        (pa.table({}), {}, None, 422),
        (pa.concat_tables([ROWS] * 17), {}, None, 413),
        (ROWS.set_column(1, "visits", pa.array(["a", "b", "c"])), {}, "visits", 422),
        (ROWS.set_column(1, "visits", pa.array([[1], [2], [3]])), {}, None, 400),
        (ROWS, {"compression": "lz4"}, None, 400),
        (ROWS, {"compression": "zstd"}, None, 400),
    ],
)
def test_what_is_wrong_is_named(app, table, options, column, status):
    answer = ask(app, stream(table, **options))
    assert answer.status == status, answer.body
    if column is not None:
        assert column in {error["column"] for error in answer.json["errors"]}


@pytest.mark.parametrize("body", [b"", b"ARROW1\0\0", b"\xff" * 4, b"\xff" * 4 + b"\0" * 4])
def test_what_is_no_stream_is_refused(app, body):
    assert ask(app, body).status == 400


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1.5, None, 2.0], pa.float32()), [1.5, None, 2.0]),
        (pa.array(np.array([1.5, 2.0], np.float16)), [1.5, 2.0]),
        (pa.array([1, None, -(2**63)]), [1, None, -(2**63)]),
        (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
        (pa.array([True, None, False] * 5), [True, None, False] * 5),
        (pa.array(["é", None, "", LONG, LONG], VIEWS), ["é", None, "", LONG, LONG]),
        (pa.array(["x", None, "é", "x"]).dictionary_encode(), ["x", None, "é", "x"]),
        (pa.array([1.5, None, 1.5]).dictionary_encode(), [1.5, None, 1.5]),
        (pa.nulls(2), [None, None]),
        (pa.array([1, None], pa.date32()).cast(pa.date64()).cast(pa.date32()), None),
    ],
)
def test_types(array, expected):
    table = pa.table({"a": array})
    found = read(table)["a"]
    assert found == (array.to_pylist() if expected is None else expected)
    assert read(table.slice(1))["a"] == found[1:]


def test_dates_and_times():
    day = [19_000, None]
    table = pa.table(
        {
            "day": pa.array(day, pa.date32()),
            "milliseconds": pa.array([19_000 * 86_400_000, None], pa.date64()),
            "naive": pa.array([1_000_001, None], pa.timestamp("us")),
            "zoned": pa.array([1_000, None], pa.timestamp("ms", "Europe/Berlin")),
        }
    )
    found = arrow_read.read(stream(table), 10, lambda _: None)
    assert str(found["day"][0]) == "2022-01-08"
    assert np.isnat(found["day"][1])
    assert str(found["milliseconds"][0]) == "2022-01-08T00:00:00.000"
    assert str(found["naive"][0]) == "1970-01-01T00:00:01.000001"
    assert found["zoned"] == ["1970-01-01T00:00:01.000Z", None]


def test_batches_and_dictionaries_that_change():
    first, second = pa.array(["x", "y"]), pa.array(["z", None, "y"])
    chunks = pa.chunked_array([each.dictionary_encode() for each in (first, second)])
    table = pa.table({"a": chunks, "b": pa.chunked_array([[1, 2], [3, None, 5]])})
    expected = {"a": ["x", "y", "z", None, "y"], "b": [1, 2, 3, None, 5]}
    assert read(table) == read(table, emit_dictionary_deltas=True) == expected


def test_dictionaries_of_what_is_no_text(app):
    """A dictionary says nothing of what its words are: they are checked as if they stood there."""
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array([True, False]))
    assert read(pa.table({"a": coded}))["a"] == [True, False, None]
    vip = ROWS.set_column(3, "vip", coded)
    assert ask(app, stream(vip)).status == 200
    answer = ask(app, stream(ROWS.set_column(2, "plan", coded)))
    assert {error["column"] for error in answer.json["errors"]} == {"plan"}
    none = pa.DictionaryArray.from_arrays(
        pa.array([None, None], pa.int8()), pa.array([], pa.utf8())
    )
    assert read(pa.table({"a": none}))["a"] == [None, None]
    outside = pa.DictionaryArray.from_arrays(pa.array([0, 2]), pa.array(["x", "y"]), safe=False)
    with pytest.raises(MalformedError, match="outside of its dictionary"):
        read(pa.table({"a": outside}))


def test_dates_reach_the_model(tmp_path):
    columns = (
        Column(name="day", type="date", dtype="object", held="date"),
        Column(name="at", type="datetime", dtype="datetime64[us, UTC]", zone="UTC"),
        Column(name="size", type="number", dtype="float64", nullable=False),
    )
    signature = Signature(
        task="regression", columns=columns, outputs=(Output(name="value", type="number"),)
    )
    model = Model(
        bundles.bundle(
            tmp_path,
            signature,
            model=bundles.made_graph(
                [bundles.helper.make_node("Identity", ["numbers"], ["value"])],
                [("numbers", 11, [None, 1])],
                [("value", 11, [None, 1])],
                {},
            ),
            encoding=bundles.Encoding(numbers=("size",)),
        )
    )
    table = pa.table(
        {
            "day": pa.array([19_000], pa.date32()),
            "at": pa.array([1_000_001], pa.timestamp("us", "UTC")),
            "size": pa.array([2.5]),
        }
    )
    answer = ask(App(model, Settings()), stream(table))
    assert pa.ipc.open_stream(answer.body).read_all().to_pydict() == {"prediction": [2.5]}
    naive = table.set_column(1, "at", pa.array([1], pa.timestamp("us")))
    assert ask(App(model, Settings()), stream(naive)).json["errors"][0]["column"] == "at"


def test_what_is_written_arrows_own_library_reads():
    columns = {
        "text": Coded(("a", "é"), np.array([1, 0, 1])),
        "whole": np.array([1, -2, 2**62]),
        "number": np.array([1.5, np.inf, -0.0]),
        "truth": np.array([True, False, True]),
    }
    table = pa.ipc.open_stream(arrow_write.written(columns, 3)).read_all()
    table.validate(full=True)
    assert table.to_pydict() == {
        "text": ["é", "a", "é"],
        "whole": [1, -2, 2**62],
        "number": [1.5, np.inf, -0.0],
        "truth": [True, False, True],
    }


# Whatever comes, there is an answer or a refusal.

MANY = pa.table(
    {
        "number": [1.0, None] * 20,
        "whole": [1, None] * 20,
        "truth": [True, None] * 20,
        "text": ["x", None] * 20,
        "large": pa.array(["x", None] * 20, pa.large_string()),
        "view": pa.array([LONG, None] * 20, VIEWS),
        "coded": pa.array(["x", "y"] * 20).dictionary_encode(),
        "time": pa.array([1, None] * 20, pa.timestamp("us", "UTC")),
        "day": pa.array([1, None] * 20, pa.date32()),
        "none": pa.nulls(40),
    }
)
SEED = stream(MANY)


def damaged(seed: int) -> bytes:
    chance = random.Random(seed)
    body = bytearray(SEED)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(body) // 8) * 8
        kind = chance.random()
        if kind < 0.6:
            body[chance.randrange(len(body))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, 0x10])
        elif kind < 0.8:
            value = chance.choice([2**63 - 1, 2**62, 2**31, 1000, 0, 2**64 - 1])
            body[place : place + 8] = struct.pack("<Q", value)
        else:
            del body[max(place, 8) :]
    return bytes(body)


def test_damaged_streams_are_answered_or_refused():
    outcomes = {"read": 0, "refused": 0}
    for seed in range(3000):
        try:
            found = arrow_read.read(damaged(seed), 1000, lambda _: None)
        except (MalformedError, ProblemError):
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert len({len(values) for values in found.values()}) <= 1
    assert min(outcomes.values()) > 100, outcomes


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_bytes_are_refused(body):
    with pytest.raises(MalformedError):
        arrow_read.read(b"\xff\xff\xff\xff" + body, 1000, lambda _: None)


def test_a_stream_does_not_grow_by_being_read():
    """Texts may all be the same long one; columns of null need no bytes at all."""
    text = "a" * 100_000
    views = pa.array([text], pa.large_string()).dictionary_encode()
    views = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), views.dictionary)
    assert read(pa.table({"a": views}))["a"] == [text] * 1000  # one and the same text
    data = pa.py_buffer(text.encode())
    shifted = [struct.pack("<i4sii", 90_000, b"aaaa", 0, start) for start in range(1000)]
    array = pa.Array.from_buffers(VIEWS, 1000, [None, pa.py_buffer(b"".join(shifted)), data])
    with pytest.raises(MalformedError, match="outside"):
        read(pa.table({"a": array}))
    null_words = pa.DictionaryArray.from_arrays(pa.array([0]), pa.nulls(10**9))
    with pytest.raises(MalformedError):
        read(pa.table({"a": null_words}))
    with pytest.raises(ProblemError) as caught:
        read(pa.table({"a": pa.nulls(10**9)}))
    assert caught.value.status == 413
