"""Many rows at once are read, judged, counted, encoded and written as a few are."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import struct
from itertools import chain

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime import columns, csv_bulk, decimals, tables
from mlpack.runtime.contract import Codes, Column, Encoding, Output, Signature
from mlpack.runtime.encode import Encoder
from mlpack.runtime.malformed import MalformedError
from mlpack.runtime.predictions import Answers, Predictions
from mlpack.runtime.problems import ProblemError
from mlpack.runtime.protocols import arrow_read
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.validate import Validator
from mlpack.runtime.values import Clean
from mlpack.runtime.vocabulary import LONGEST, Texts, Vocabulary
from mlpack.runtime.watch import Counter
from mlpack.runtime.words import Said, Words

LONG = "between the first and the last eight bytes of it "
CITIES = (
    "",
    "Aachen",
    "Berlin",
    "Köln",
    "Ürzig an der Mosel",
    LONG + "a",
    LONG.replace("last", "very") + "a",
)
SIGNATURE = Signature(
    task="classification",
    columns=(
        Column(name="age", type="number", dtype="float64", minimum=18.0, maximum=90.0),
        Column(name="size", type="number", dtype="float32", nullable=False, maximum=7.5),
        Column(name="visits", type="integer", dtype="int64", minimum=0, maximum=50),
        Column(name="tiny", type="integer", dtype="uint8", categories=(1, 2, 3)),
        Column(name="city", type="string", dtype="str", categories=CITIES),
        Column(name="street", type="string", dtype="str", nullable=False, categories=("a", "b")),
        Column(name="vip", type="boolean", dtype="bool", categories=(False, True)),
        Column(name="note", type="string", dtype="str"),
        Column(name="since", type="date", dtype="object", held="date"),
    ),
    outputs=(Output(name="label", type="string"),),
    labels=("no", "yes"),
    rows=100,
)
# Without a date, rows of JSON have a compiled type.
TIMELESS = msgspec.structs.replace(SIGNATURE, columns=SIGNATURE.columns[:-1])
ENCODING = Encoding(
    numbers=("size", "visits", "age"),
    codes=(
        Codes(column="city", categories=(*CITIES[:4], "Zwickau")),
        Codes(column="street", categories=("b", "a"), refuse_unknown=True),
        Codes(column="tiny", categories=(1, 3)),
    ),
)
VOCABULARY = Vocabulary({"city": (*CITIES, "Zwickau"), "street": ("b", "a")})
STRICT = Schema(
    columns={
        "age": Constraint(minimum=0, maximum=120),
        "size": Constraint(maximum=10),
        "visits": Constraint(minimum=-(2**53) - 2, maximum=2**53 + 2, required=True),
        "tiny": Constraint(minimum=1),
        "city": Constraint(required=True),
        "street": Constraint(categories=("a", "b", "c")),
        "note": Constraint(pattern="[^x]*"),
    }
)
SCHEMAS = [
    Schema(),
    STRICT,
    *(
        Schema(
            columns={
                name: msgspec.structs.replace(each, violation=violation)
                for name, each in STRICT.columns.items()
                if violation == "count" or each.minimum is not None
            }
        )
        for violation in ("count", "clip")
    ),
]

NUMBERS = [0.0, -0.0, 0.1, 33.5, 18.0, 90.25, -7.0, 1e-300, 1e39, 2.0**128, 2.0**53 + 2]
WHOLES = [0, -1, 3, 50, 51, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
STRINGS = [
    *CITIES[1:],
    LONG.replace("first", "third") + "a",
    "Zwickau",
    "Bonn",
    "x",
    "a,b",
    "'",
    "%s",
    "]",
    "\u2028",
    " Köln",
    LONG * 2,
]
VALUES = {
    "age": [None, math.inf, *NUMBERS],
    "size": [None, *NUMBERS],
    "visits": WHOLES,
    "tiny": [None, -1, 0, 1, 2, 3, 255, 256],
    "city": [None, *STRINGS],
    "street": ["a", "b", "a", "b", "a", "c", None],
    "vip": [None, True, False],
    "note": [None, *STRINGS],
}
# Most columns of most tables are in order: a table in which all are not says little.
ORDERLY = {
    "age": [33.5, 18.0, 90.25, 0.1],
    "size": [1.0, -0.5],
    "visits": [0, 7, 50],
    "tiny": [1, 2, 3],
    "city": CITIES[1:],
    "street": ["a", "b"],
    "vip": [True, False],
    "note": ["n", "m n"],
}
# What is read, and refused, counted or moved by the author's demands, or counted as unusual.
MILD = {
    "age": [None, -7.0, 130.0, 33.5],
    "size": [9.0, 11.0, -3.0],
    "visits": [-5, 60, 2**53 + 1],
    "tiny": [0, 1, 4],
    "city": [None, *STRINGS],
    "street": ["a", "b", "c"],
    "vip": [None, True],
    "note": [None, *STRINGS],
}
MISSING = {**ORDERLY, "size": [None, 1.0], "tiny": [None, 1], "street": [None, "a"]}


def table_of(chance: random.Random) -> dict[str, list]:
    """Columns of 260 to 300 rows: enough to be looked at as a whole."""
    rows = chance.randint(260, 300)
    odd = chance.choice([MILD, MILD, MISSING, VALUES])
    kinds = [ORDERLY, ORDERLY, odd]
    return {name: chance.choices(chance.choice(kinds)[name], k=rows) for name in VALUES}


def plain(value):
    """A cell, told apart from others that are equal."""
    if value is None or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return (type(value).__name__, str(value))


def cells(values) -> list:
    return list(map(plain, values))


def joined(parts: list[Clean]) -> Clean:
    """What was read in parts, as one."""
    starts = np.cumsum([0, *(part.rows for part in parts)]).tolist()
    return Clean(
        [list(chain.from_iterable(each)) for each in zip(*(p.columns for p in parts), strict=True)],
        starts[-1],
        tuple(
            msgspec.structs.replace(refusal, row=refusal.row + start)
            for part, start in zip(parts, starts, strict=False)
            for refusal in part.refusals
        ),
    )


def ten_by_ten(validator: Validator, data: dict) -> Clean:
    """What is read of ten rows at a time, which are too few to be looked at as a whole."""
    rows = max(map(len, data.values()))
    return joined(
        [
            validator.columns({name: values[at : at + 10] for name, values in data.items()})
            for at in range(0, rows, 10)
        ]
    )


def same(many: Clean, few: Clean, signature: Signature = SIGNATURE) -> None:
    """Check that what was read in two ways is the same to all who look at it."""
    assert many.rows == few.rows
    assert list(map(str, many.refusals)) == list(map(str, few.refusals))
    for column, one, other in zip(signature.columns, many.columns, few.columns, strict=True):
        told = cells(one)
        if column.type == "number":  # in a list as it came, in an array as floats
            assert [each and float(each[1]) for each in told] == [
                each and float(each[1]) for each in cells(other)
            ]
            assert [str(v) for v in np.asarray(one, float)] == [
                str(v) for v in np.asarray(other, float)
            ]
        else:
            assert told == cells(other)
        assert cells(one[3:9]) == cells(other[3:9])
    if many.refusals:
        return
    encoder = Encoder(signature, ENCODING)
    (one, refused), (other, told) = (
        encoder.many(each.columns, each.rows) for each in (many, Clean(list(few.columns), few.rows))
    )
    assert refused == told
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in other)
    labels = np.zeros(many.rows, dtype=np.int64)
    counter = Counter(signature)
    tally, expected = (
        counter.columns(each, Predictions(many.rows, labels=labels))
        for each in (many.columns, list(few.columns))
    )
    for name in tally.__struct_fields__:
        one, other = getattr(tally, name), getattr(expected, name)
        assert np.array_equal(one, other, equal_nan=True), name


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("seed", range(50))
def test_rows_of_json(schema, seed):
    data = table_of(random.Random(seed))
    data["age"] = [None if value == math.inf else value for value in data["age"]]
    rows = [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]
    validators = Validator(TIMELESS, schema), Validator(TIMELESS, schema)
    whole = validators[0].decode(json.dumps({"instances": rows}).encode())
    parts = [
        validators[1].decode(json.dumps({"instances": rows[start : start + 10]}).encode())
        for start in range(0, len(rows), 10)
    ]
    same(whole, joined(parts), TIMELESS)
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    same(validators[0].lines(lines), joined(parts), TIMELESS)


def arrow(data: dict[str, list], kinds: dict[str, pa.DataType], rows: int) -> bytes:
    """A stream with so many rows a batch."""
    own = {name: pa.array(values, kinds[name]) for name, values in data.items()}
    out = io.BytesIO()
    table = pa.table(own)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table.slice(1), max_chunksize=rows)
    return out.getvalue()


TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
KINDS = {
    "age": [pa.float64(), pa.float64(), pa.float32()],
    "size": [pa.float64(), pa.float32()],
    "visits": [pa.int64()],
    "tiny": [pa.int64(), pa.int16()],
    "city": TEXTS,
    "street": TEXTS,
    "vip": [pa.bool_()],
    "note": TEXTS,
}


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("seed", range(50))
def test_batches_of_arrow(schema, seed):
    chance = random.Random(seed)
    data = table_of(chance)
    kinds = {name: chance.choice(some) for name, some in KINDS.items()}
    if kinds["tiny"] == pa.int16() and None in data["tiny"]:
        kinds["tiny"] = pa.int64()
    data = {name: [values[0], *values] for name, values in data.items()}
    validators = Validator(SIGNATURE, schema), Validator(SIGNATURE, schema)
    once, often = (arrow(data, kinds, rows) for rows in (1000, 10))
    many = arrow_read.read(once, 1000, lambda _: None, VOCABULARY)
    few = arrow_read.read(often, 1000, lambda _: None)
    assert {name: cells(values) for name, values in many.items()} == {
        name: cells(values) for name, values in few.items()
    }
    whole = validators[0].columns(many)
    same(whole, ten_by_ten(validators[1], few))
    # Where a row is refused none is answered, and only what is answered is counted.
    if not whole.refusals:
        assert validators[0].lenient.counted == validators[1].lenient.counted


def test_known_words_are_not_decoded_and_unknown_ones_are_the_same():
    data = {"city": [*CITIES, "Zwickau", "Bonn", None, "Bonn"] * 200}
    found = arrow_read.read(
        arrow(data, {"city": pa.string()}, 10_000), 10_000, lambda _: None, VOCABULARY
    )["city"]
    assert isinstance(found, Words)
    assert set(found.more) <= {"Bonn", ""}  # what stands at the very end is decoded too
    assert list(found) == data["city"][1:]
    assert found.missing() == 200


def test_columns_with_many_unknown_words_are_decoded_as_a_whole():
    data = {"city": [f"city {number}" for number in range(2401)]}
    found = arrow_read.read(
        arrow(data, {"city": pa.string()}, 10_000), 10_000, lambda _: None, VOCABULARY
    )["city"]
    assert not isinstance(found, Words)
    assert found == data["city"][1:]


@pytest.mark.parametrize("place", [0, 17, 2299])
def test_what_is_no_utf_8_is_refused_as_before(place):
    raw = [b"Berlin"] * 2300
    raw[place] = b"K\xc3"
    errors = []
    for rows, vocabulary in ((10_000, VOCABULARY), (10_000, None)):
        column = pa.array([b"", *raw], pa.binary())
        told = pa.Array.from_buffers(pa.string(), 2301, column.buffers())
        out = io.BytesIO()
        table = pa.table({"city": told})
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
        with pytest.raises(MalformedError, match="utf-8") as caught:
            arrow_read.read(out.getvalue(), 10_000, lambda _: None, vocabulary)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def damaged(body: bytes, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    made = bytearray(body)
    for _ in range(chance.integers(1, 4)):
        made[chance.integers(chance.choice([1200, len(made)]))] = chance.choice(
            [0, 1, 8, 0x7F, 0x80, 0xFF]
        )
    return bytes(made)


def test_damaged_batches_are_read_as_without_a_vocabulary_or_refused_alike():
    data = {
        "age": [1.5, None] * 300,
        "visits": list(range(600)),
        "city": ["Berlin", None, "Bonn", "Aachen"] * 150,
        "street": ["a", "b"] * 300,
    }
    kinds = {"age": pa.float64(), "visits": pa.int64(), "city": pa.string(), "street": pa.string()}
    body = arrow(data, kinds, 1000)
    outcomes = set()
    for seed in range(1000):
        told = []
        for vocabulary in (VOCABULARY, None):
            try:
                found = arrow_read.read(damaged(body, seed), 1000, lambda _: None, vocabulary)
            except (MalformedError, ProblemError) as error:
                told.append(str(error))
            else:
                told.append({name: cells(values) for name, values in found.items()})
        assert told[0] == told[1]
        outcomes.add(type(told[0]))
    assert outcomes == {str, dict}


def in_order(rows: int) -> dict[str, list]:
    """Columns of which nothing is in doubt."""
    return {name: [some[row % len(some)] for row in range(rows)] for name, some in ORDERLY.items()}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("visits", np.full(300, 1.5)),
        ("visits", np.full(300, 2.0)),
        ("visits", np.full(300, 2**63 + 5, dtype=np.uint64)),
        ("visits", np.full(300, 5, dtype=np.uint64)),
        ("visits", np.full(300, 2**31 - 1, dtype=np.int32)),
        ("visits", np.ones(300, dtype=np.bool_)),
        ("tiny", np.full(300, -1)),
        ("tiny", np.full(300, 256)),
        ("size", np.full(300, 1e39)),
        ("size", np.full(300, -1e39)),
        ("size", np.full(300, 3)),
        ("size", np.full(300, np.nan)),
        ("age", np.full(300, 2**53 + 1)),
        ("age", np.ones(300, dtype=np.bool_)),
        ("age", np.full(300, np.inf)),
    ],
)
@pytest.mark.parametrize("rows", [1, 300])
def test_arrays_of_every_kind_are_judged_as_a_few_are(name, values, rows):
    usual = np.array(ORDERLY[name])[np.arange(300) % len(ORDERLY[name])]
    odd = np.where(np.arange(300) < rows, values, usual.astype(values.dtype))
    data = {**in_order(300), name: odd}
    validators = Validator(SIGNATURE, Schema()), Validator(SIGNATURE, Schema())
    same(validators[0].columns(data), ten_by_ten(validators[1], data))


def stream_of(data: dict[str, pa.Array], **options) -> bytes:
    """A stream with one batch."""
    out = io.BytesIO()
    table = pa.table(data)
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue()


BATCH = {
    "age": pa.array([1.5, None] * 600),
    "visits": pa.array(range(1200)),
    "city": pa.array(["Berlin", "Aachen", "Bonn"] * 400),
}
# What the batch of these says: where each buffer begins and how long it is; then of each column
# how many values it has, and how many are missing.
BUFFERS = [(0, 150), (152, 9600), (9752, 0), (9752, 9600), (19352, 0), (19352, 4804), (24160, 6400)]
NODES = [(1200, 600), (1200, 0), (1200, 0)]


def lying(body: bytes, true: tuple[int, int], false: tuple[int, int]) -> bytes:
    """The stream with another pair of numbers in its batch's head."""
    return body.replace(struct.pack("<qq", *true), struct.pack("<qq", *false), 1)


LIES = [
    (NODES[0], (1199, 600)),
    (NODES[1], (1199, 0)),
    (BUFFERS[1], (0, 9600)),  # the numbers are what says which are missing
    (BUFFERS[3], BUFFERS[1]),  # two columns of the same bytes
    (BUFFERS[3], (BUFFERS[3][0] - 8, 9600)),
    (BUFFERS[3], (-8, 9600)),
    (BUFFERS[3], (BUFFERS[3][0], -1)),
    (BUFFERS[3], (BUFFERS[3][0], 9599)),
    (BUFFERS[3], (BUFFERS[3][0], 1 << 40)),
    (BUFFERS[3], (1 << 62, 9600)),
    (BUFFERS[5], (BUFFERS[5][0], 4800)),
    (BUFFERS[6], (BUFFERS[6][0], 6399)),
    (BUFFERS[6], (BUFFERS[6][0], 0)),
    (BUFFERS[6], (BUFFERS[6][0], 6409)),
]


@pytest.mark.parametrize(("true", "false"), LIES)
@pytest.mark.parametrize("vocabulary", [VOCABULARY, None])
def test_a_batch_that_lies_about_its_bytes_is_refused(vocabulary, true, false):
    body = stream_of(BATCH)
    assert list(arrow_read.read(body, 1200, lambda _: None, vocabulary)["visits"]) == [*range(1200)]
    told = lying(body, true, false)
    assert told != body
    with pytest.raises(MalformedError):
        arrow_read.read(told, 1200, lambda _: None, vocabulary)


@pytest.mark.parametrize(
    ("place", "offset"), [(0, -1), (0, -(2**31)), (600, 6401), (1200, 6401), (1200, 2**31 - 1)]
)
@pytest.mark.parametrize("vocabulary", [VOCABULARY, None])
def test_texts_that_lie_outside_of_their_buffer_are_refused(vocabulary, place, offset):
    body = bytearray(stream_of(BATCH))
    offsets = np.array([0, *np.cumsum([6, 6, 4] * 400)], dtype="<i4").tobytes()
    start = bytes(body).index(offsets) + 4 * place
    body[start : start + 4] = struct.pack("<i", offset)
    with pytest.raises(MalformedError):
        arrow_read.read(bytes(body), 1200, lambda _: None, vocabulary)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_batches_of_many_rows_are_refused_too(compression):
    body = stream_of(BATCH, compression=compression)
    with pytest.raises(MalformedError, match="compressed"):
        arrow_read.read(body, 1200, lambda _: None, VOCABULARY)


HOSTILE = [
    *["", "nan", "NaN", "inf", "-inf", "1e5", "1E-7", "1_000", " 5", "5 ", "+5", "-", ".", "-.5"],
    *["5.", "-0", "-0.0", "0x10", "١", "9007199254740993", "123456789.123456789", "1.5", "1.0"],
    *["true", "False", "TRUE", "2020-01-02", "12345678901234567890", "Infinity", "1e400", '"'],
    *["'", "a b", "\u2028", "\x1c5", "\x85", "\0", "a\rb", "a\nb", "x" * 200, *STRINGS],
]
FINE = {
    "age": ["", "33.5", "18", "-4.25", "12.658579999999999", "nan", "1e2"],
    "size": ["1.0", "0.5"],
    "visits": ["0", "-5", "60", "007"],
    "tiny": ["1", "2", "3"],
    "city": CITIES,
    "street": ["a", "b"],
    "vip": ["true", "false", ""],
    "note": ["n", "", "é"],
    "since": ["2020-01-02", ""],
    "strange": ["1", ""],
}


def sheet_of(chance: random.Random) -> bytes:
    """A CSV, most of whose columns are in order."""
    names = chance.sample(list(FINE), chance.randint(1, len(FINE)))
    rows = chance.choice([14, 20, 250, 300, 400])
    odd = chance.choice([None, None, *names])
    found = [chance.choices(FINE[name], k=rows) for name in names]
    for name, values in zip(names, found, strict=True):
        if name == odd:
            for _ in range(chance.choice([1, 3, rows])):
                values[chance.randrange(rows)] = chance.choice(HOSTILE)
    stream = io.StringIO()
    end = chance.choice(["\n", "\r\n", "\n", "\r"])
    quoted = chance.choice([csv.QUOTE_MINIMAL] * 5 + [csv.QUOTE_ALL])
    lines = [names, *zip(*found, strict=True)]
    if chance.random() < 0.5:
        csv.writer(stream, lineterminator=end, quoting=quoted).writerows(lines)
    else:  # nothing is quoted, and so cells may be torn
        stream.write(end.join(map(",".join, lines)))
    text = stream.getvalue()
    if chance.random() < 0.5:
        text = text.rstrip("\r\n")
    if chance.random() < 0.2:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(["\n", ",", '"', "\ufeff", "\r"]) + text[place:]
    return chance.choice([b"", b"\xef\xbb\xbf"]) + text.encode()


def by_row(body: bytes, max_rows: int = 350):
    """The columns as the reader of files has them, or what it says is wrong."""
    try:
        lines = io.StringIO(body.decode("utf-8-sig"), newline="")
        batch = next(tables.CsvReader(lines, SIGNATURE).batches(max_rows + 1), None)
    except (MalformedError, UnicodeDecodeError) as error:
        return str(error)
    return {} if batch is None else batch.columns


def test_sheets_of_csv():
    at_once = 0
    for seed in range(800):
        body = sheet_of(random.Random(seed))
        many, few = csv_bulk.read(body, SIGNATURE, 350, VOCABULARY), by_row(body)
        if many is None:
            continue
        at_once += 1
        assert isinstance(few, dict)
        assert list(many) == list(few)
        one, other = Validator(SIGNATURE, STRICT), Validator(SIGNATURE, STRICT)
        known = {name: values for name, values in few.items() if name != "strange"}
        told = ten_by_ten(other, known)
        if "strange" in few:
            del many["strange"]
        same(one.columns(many), told)
    assert at_once > 100


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_ordinary_sheet_is_read_at_once(end, mark):
    rows = [f"{number / 4},{number},Köln,,a" for number in range(20)]
    body = (mark + end.join(["age,visits,city,note,street", *rows])).encode()
    many = csv_bulk.read(body, SIGNATURE, 20, VOCABULARY)
    assert many is not None
    assert {name: cells(values) for name, values in many.items()} == {
        name: cells(values) for name, values in by_row(body).items()
    }
    assert isinstance(many["city"], Words)
    assert csv_bulk.read(body, SIGNATURE, 19, VOCABULARY) is None


@pytest.mark.parametrize(
    "text",
    [
        "age\n" + "1\n" * 20 + "\n" + "2\n",  # an empty line is no row
        "age,age\n" + "1,2\n" * 20,
        "age,visits\n" + "1,2\n" * 20 + "1,2,3\n",
        "age,visits\n" + "1,2\n" * 20 + "1\n2,3,4\n",
        "age,visits\n" + '1,"2"\n' * 20,
        "age,visits\n" + "1,2\n" * 20 + "1,\0\n",
        "age,visits\r" + "1,2\r" * 20,
        "other\n" + "1\n" * 20,
        "note,visits\n" + f"{'x' * (csv.field_size_limit() + 1)},2\n" * 20,
        "\n" + "1\n" * 20,
    ],
)
def test_doubtful_sheets_are_read_row_by_row(text):
    assert csv_bulk.read(text.encode(), SIGNATURE, 1000, VOCABULARY) is None


@pytest.mark.parametrize("name", ["age", "visits", "city", "vip"])
@pytest.mark.parametrize("cell", [each for each in HOSTILE if not set(each) & set('",\0\r\n')])
def test_one_odd_cell_of_a_sheet_is_read_as_in_a_row_of_its_own(name, cell):
    values = [*FINE[name][:2], cell] * 7
    body = "\n".join([f"{name},street", *(f"{value},a" for value in values)]).encode()
    many, few = csv_bulk.read(body, SIGNATURE, 350, VOCABULARY), by_row(body)
    assert many is not None
    one, other = Validator(SIGNATURE, Schema()), Validator(SIGNATURE, Schema())
    same(one.columns(many), ten_by_ten(other, few))


def test_whole_numbers_that_a_float_does_not_hold_are_exact():
    wanted = [2**53 + 1, 2**53 - 1, -(2**53) - 1, 2**63 - 1, 7] * 5
    body = "\n".join(["visits", *map(str, wanted)]).encode()
    found = csv_bulk.read(body, SIGNATURE, 1000, VOCABULARY)
    assert list(found["visits"]) == wanted
    alone = csv_bulk.read(b"visits\n" + b"9007199254740993\n" * 20, SIGNATURE, 1000, VOCABULARY)
    assert list(alone["visits"]) == [2**53 + 1] * 20


def test_sheets_that_are_no_utf_8_are_read_row_by_row():
    body = b"note,visits\n" + b"\xc3,2\n" * 20
    assert csv_bulk.read(body, SIGNATURE, 1000, VOCABULARY) is None


@settings(max_examples=500, deadline=None)
@given(
    texts=st.lists(
        st.one_of(
            st.text("0123456789.-", max_size=18),
            st.text("0123456789.-+eE_ \0/:\xff", max_size=18),
            st.floats(allow_nan=False).map(repr),
            st.integers(-(2**54), 2**54).map(str),
        ),
        min_size=1,
    )
)
def test_decimals_are_read_as_python_reads_them(texts):
    raw = [text.encode("latin-1") for text in texts]
    lengths = np.array(list(map(len, raw)))
    starts = decimals.LONGEST + np.cumsum([0, *lengths[:-1]])
    data = bytes(decimals.LONGEST) + b"".join(raw)
    found, known = decimals.parsed(data, starts, lengths)
    for text, number, read in zip(texts, found.tolist(), known.tolist(), strict=True):
        if read:
            assert set(text) <= set("0123456789.-")
            assert repr(number) == repr(float(text))
        elif len(text) < 15 and set(text) <= set("0123456789.-"):
            with pytest.raises(ValueError, match="float"):
                float(text)


@pytest.mark.parametrize("length", range(1, decimals.LONGEST + 3))
def test_a_decimal_with_one_other_character_anywhere_is_not_read(length):
    digits = "9876543210123456789"[:length]
    odd = [
        digits[:place] + other + digits[place + 1 :]
        for place in range(length)
        for other in "/:+-eE_ x\0\x7f\x80\xb0\xff,"
        if (place, other) != (0, "-")
    ]
    odd += [
        digits[:one] + "." + digits[one + 1 : two] + "." + digits[two + 1 :]
        for one in range(length)
        for two in range(one + 1, length)
    ]
    good = [digits, *(digits[:at] + "." + digits[at + 1 :] for at in range(length) if length > 1)]
    good += [f"-{each[1:]}" for each in good if length > 2 and each[1:] != "."]
    raw = [text.encode("latin-1") for text in (*odd, *good)]
    lengths = np.array(list(map(len, raw)))
    starts = decimals.LONGEST + np.cumsum([0, *lengths[:-1]])
    data = bytes(decimals.LONGEST) + b"".join(raw)
    found, known = decimals.parsed(data, starts, lengths)
    assert not known[: len(odd)].any()
    if length < decimals.LONGEST:
        assert known[len(odd) :].all()
        assert list(map(repr, found[len(odd) :].tolist())) == [repr(float(text)) for text in good]


def test_a_word_with_one_other_byte_anywhere_is_another():
    words = [("abcdefgh" * 10)[:length] for length in range(1, LONGEST + 10)]
    vocabulary = Vocabulary({"c": words})
    others = [
        word[:place] + "x" + word[place + 1 :] for word in words for place in range(len(word))
    ]
    texts = [*words, *others, "the end, which is too close"]
    lengths = np.array([list(map(len, texts))])
    starts = np.array([np.cumsum([0, *lengths[0, :-1]])])
    places = vocabulary.find(Texts("".join(texts).encode(), starts, lengths), ["c"])[0]
    assert places[:LONGEST].tolist() == list(range(LONGEST))
    assert (places[LONGEST:] == -1).all()


@pytest.mark.parametrize("column", ["{}sameends", "sameends{}", "{}", "same{}ends"])
def test_a_word_that_falls_into_the_place_of_another_is_not_it(column):
    # Of one word there is a table of few places: some of so many texts fall into its own.
    vocabulary = Vocabulary({"c": [column.format("know!known")]})
    texts = [column.format(f"{number:010}") for number in range(500)]
    lengths = np.array([list(map(len, texts))])
    starts = np.array([np.cumsum([0, *lengths[0, :-1]])])
    data = "".join(texts).encode() + bytes(8)
    assert (vocabulary.find(Texts(data, starts, lengths), ["c"]) == -1).all()


def test_what_is_said_of_words_is_said_of_the_words_that_are_asked():
    said = Said(lambda word: -1 if word is None else len(word))
    places = np.array([0])
    assert said(Words(("a", None), (), places)).tolist() == [1, -1]
    assert said(Words(("abc", None), ("de",), places)).tolist() == [3, -1, 2]
    assert said(Words(("a", None), (), places)).tolist() == [1, -1]


@settings(max_examples=300, deadline=None)
@given(
    known=st.lists(st.lists(st.text("abé\0", max_size=20), unique=True), min_size=1, max_size=3),
    others=st.lists(st.text("abé\0", max_size=20)),
    tail=st.binary(max_size=9),
)
def test_a_word_is_found_in_its_own_column_and_nothing_else_is(known, others, tail):
    names = [f"c{number}" for number in range(len(known))]
    vocabulary = Vocabulary(dict(zip(names, known, strict=True)))
    texts = [*chain.from_iterable(known), *others, "", LONG * 2]
    raw = [text.encode() for text in texts]
    lengths = np.array([list(map(len, raw))] * len(names))
    starts = np.array([np.cumsum([0, *lengths[0, :-1]])] * len(names))
    data = b"".join(raw) + tail
    places = vocabulary.find(Texts(data, starts, lengths), names)
    for name, own in zip(names, places.tolist(), strict=True):
        for text, place, start in zip(texts, own, starts[0].tolist(), strict=True):
            if place >= 0:
                assert vocabulary.known[name][place] == text
            elif start + 8 <= len(data) and len(text.encode()) <= LONGEST:
                assert text not in vocabulary.known[name]


LABELS = ["no", "a,b", 'q"', "[x]", "%s", "é", "\n", "true", "back\\slash"]


@settings(max_examples=300, deadline=None)
@given(
    labels=st.lists(
        st.sampled_from([*LABELS, 1, 2.5, True]), min_size=2, max_size=4, unique_by=str
    ),
    shares=st.lists(
        st.floats() | st.sampled_from([1e-5, 1e16, -0.0, 5e-324, 9.9e-5]), min_size=80, max_size=80
    ),
    rows=st.sampled_from([1, 3, 20]),
)
def test_answers_are_written_as_one_by_one(labels, shares, rows):
    answers = Answers(msgspec.structs.replace(TIMELESS, labels=tuple(labels)))
    places = np.arange(rows) % len(labels)
    probabilities = np.resize(np.array(shares), (rows, len(labels)))
    predictions = Predictions(rows, labels=places, probabilities=probabilities)
    assert answers.json(predictions) == msgspec.json.encode(answers.objects(predictions))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(tables.header(answers, predictions))
    writer.writerows(tables.cells(answers, predictions))
    assert tables.written(answers, predictions) == stream.getvalue().encode()


def test_figures_of_columns_in_which_all_is_missing():
    table = np.array([[math.nan] * 20, [1.0] * 19 + [math.nan], [2.0] * 20])
    found = columns.figures(table)
    assert found.missing.tolist() == [20, 1, 0]
    assert found.low.tolist()[1:] == found.high.tolist()[1:] == [1.0, 2.0]
    assert math.isnan(found.low[0])
    assert math.isnan(found.high[0])
