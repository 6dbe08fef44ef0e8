"""Columns in every dtype: the frame has it again, and both ways of reading agree on its limits."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlpack.runtime.contract import Codes, Column, Encoding, Output, Signature
from mlpack.runtime.encode import Encoder
from mlpack.runtime.frames import frame
from mlpack.runtime.kinds import FLOAT32_EDGE
from mlpack.runtime.openapi import document
from mlpack.runtime.schema import Schema
from mlpack.runtime.validate import Validator
from mlpack.runtime.values import Reader
from mlpack.training.columns import column, real_rows

BERLIN = "Europe/Berlin"
TIMES = ["2026-01-31T12:30:05.25", None, "1969-12-31T23:59:59.5", "2026-10-25T02:30:00"]
DAYS = [dt.date(2026, 1, 31), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)]
NOON = dt.datetime(2026, 1, 31, 12)  # noqa: DTZ001 - a time without a zone
MONEY = [decimal.Decimal("12.34"), None, decimal.Decimal("-0.5"), decimal.Decimal("1E+3")]


def at(name, **options):
    return pd.Series(pd.to_datetime(TIMES, format="ISO8601"), **options).dt.as_unit(name)


def signature(*columns):
    return Signature(
        task="regression", columns=columns, outputs=(Output(name="value", type="number"),)
    )


SERIES = {
    "datetime64[s]": at("s"),
    "datetime64[ms]": at("ms"),
    "datetime64[us]": at("us"),
    "datetime64[ns]": at("ns"),
    "berlin": at("ns").dt.tz_localize("UTC").dt.tz_convert(BERLIN),
    "fixed": at("us").dt.tz_localize(dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "utc": at("us").dt.tz_localize(dt.timezone.utc),
    "dates": pd.Series(DAYS, dtype=object),
    "datetimes": pd.Series([NOON, None], dtype=object),
    "Timestamps": pd.Series([pd.Timestamp("2026-01-31T12:00"), pd.NaT], dtype=object),
    "decimals": pd.Series(MONEY, dtype=object),
    "decimal128": pd.Series(MONEY, dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
    "date32": pd.Series(DAYS, dtype="date32[day][pyarrow]"),
    "timestamp": at("ms").astype("timestamp[ms][pyarrow]"),
    "timestamp zone": at("us")
    .dt.tz_localize("UTC")
    .astype(pd.ArrowDtype(pa.timestamp("us", tz=BERLIN))),
    "Float32": pd.Series([0.1, None, 3e38], dtype="Float32"),
    "Float64": pd.Series([0.1, None], dtype="Float64"),
    "float32": pd.Series([0.1, None, -1e-45], dtype="float32"),
    "float": pd.Series([0.1, None], dtype="float[pyarrow]"),
    "double": pd.Series([0.1, None], dtype="double[pyarrow]"),
    "Int8": pd.Series([-128, None, 127], dtype="Int8"),
    "uint8": pd.Series([0, 255], dtype="uint8"),
    "int16": pd.Series([-(2**15), 2**15 - 1], dtype="int16[pyarrow]"),
    "uint64": pd.Series([0, 2**63 - 1], dtype="uint64"),
    "bool": pd.Series([True, None, False], dtype="bool[pyarrow]"),
    "string": pd.Series(["a", None, "nan"], dtype="string[python]"),
    "string arrow": pd.Series(["a", None, "nan"], dtype="string[pyarrow]"),
    "arrow string": pd.Series(["a", None, "nan"], dtype=pd.ArrowDtype(pa.string())),
    "large_string": pd.Series(["a", None, "nan"], dtype="large_string[pyarrow]"),
    "dictionary": pd.Series(
        ["b", None, "a"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))
    ),
    "ordered": pd.Series(
        pd.Categorical(["b", None, "a"], categories=["b", "a", "c"], ordered=True)
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_frame_from_rows_of_json_has_the_very_dtype(name):
    before = SERIES[name].rename("c").to_frame()
    found = signature(column(before["c"]))
    rows = json.loads(json.dumps(real_rows(before)))
    clean = Reader(found).rows([dict(row) for row in rows])
    assert not clean.refusals
    for after in (
        frame(found, rows),
        frame(found, {"c": clean.columns[0]}),
        frame(found, {"c": Reader(found).columns({"c": before["c"]}).columns[0]}),
    ):
        assert after["c"].dtype == before["c"].dtype
        assert getattr(after["c"].dtype, "storage", "") == getattr(before["c"].dtype, "storage", "")
        assert after["c"].isna().tolist() == before["c"].isna().tolist()
        there = before["c"].notna()
        assert after["c"][there].tolist() == before["c"][there].tolist()
        assert [*map(type, after["c"][there])] == [*map(type, before["c"][there])]
    frame(found, [])
    frame(found, [{}])


def test_more_digits_than_training_had_stay_decimals():
    found = signature(column(SERIES["decimal128"].rename("c")))
    assert frame(found, [{"c": 0.12345}])["c"].tolist() == [decimal.Decimal("0.12345")]


DTYPES = ("int8", "UInt8", "int16[pyarrow]", "uint32", "Int64", "uint64", "float32", "Float32")
VALUES = (
    0, 1, -1, 127, 128, -128, -129, 255, 256, 32767, 32768, 2**32 - 1, 2**32, 2**63 - 1, 2**63,
    -(2**63), 1e300, -1e39, 0.1, FLOAT32_EDGE, math.nextafter(FLOAT32_EDGE, 0), -FLOAT32_EDGE,
)  # fmt: skip


def test_from_the_edge_on_a_number_rounds_to_an_infinity():
    with np.errstate(over="ignore"):
        assert np.float32(FLOAT32_EDGE) == np.inf
    assert np.isfinite(np.float32(math.nextafter(FLOAT32_EDGE, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_ways_know_the_same_limits(dtype):
    kind = "number" if "loat" in dtype else "integer"
    one = signature(Column(name="c", type=kind, dtype=dtype))
    ranges = {"int8": (-128, 127), "UInt8": (0, 255), "int16[pyarrow]": (-(2**15), 2**15 - 1)}
    ranges |= {"uint32": (0, 2**32 - 1), "uint64": (0, 2**63 - 1)}
    low, high = ranges.get(dtype, (-(2**63), 2**63 - 1))
    if kind == "number":
        low = high = None
    for value in VALUES:
        if kind == "integer" and isinstance(value, float):
            continue
        fits = abs(value) < FLOAT32_EDGE if kind == "number" else low <= value <= high
        compiled, precise = Validator(one, Schema()), Validator(one, Schema())
        precise._row = precise._decode_row = precise._decode_batch = None
        body = json.dumps({"c": value}).encode()
        for validator in (compiled, precise):
            clean = validator.decode(body)
            assert (isinstance(clean, tuple) or not clean.refusals) == fits, (value, validator)
            assert bool(validator.columns({"c": [value]}).refusals) != fits
            if abs(value) < 2**63:
                array = np.array([value, value])
                assert bool(validator.columns({"c": array}).refusals) != fits


def test_a_refusal_names_the_limits():
    one = signature(Column(name="c", type="integer", dtype="Int8"))
    (refusal,) = Validator(one, Schema()).rows([{"c": 200}]).refusals
    assert refusal.expected == "a whole number from -128 to 127"
    told = document("m", "1", one, Schema())["components"]["schemas"]["Row"]["properties"]["c"]
    assert (told["minimum"], told["maximum"]) == (-128, 127)


def test_where_the_original_takes_infinities_float32_may_overflow():
    one = signature(Column(name="c", type="number", dtype="float32", finite=False))
    for value in (1e39, math.inf):
        assert not Reader(one).rows([{"c": value}]).refusals
        assert frame(one, [{"c": value}])["c"].tolist() == [math.inf]


def test_a_category_of_float32_is_found_by_its_rounded_value():
    one = signature(Column(name="c", type="number", dtype="float32"))
    codes = Codes(column="c", categories=(0.5, float(np.float32(0.1))))
    encoder = Encoder(one, Encoding(codes=(codes,)))
    assert [encoder.one([v])[0]["codes"].item() for v in (0.1, 0.5, 0.2, None)] == [1, 0, 2, 3]
    inputs, _ = encoder.many([np.array([0.1, 0.5, 0.2, np.nan])], 4)
    assert inputs["codes"].ravel().tolist() == [1, 0, 2, 3]
