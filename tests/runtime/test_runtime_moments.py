"""Dates and times: what is read, into which ticks, and what is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.kinds import DATE, TIME, ZONED, unit
from mlpack.runtime.moments import moment
from mlpack.runtime.openapi import document, example
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.tables import CsvReader
from mlpack.runtime.validate import Validator
from mlpack.runtime.values import Reader

DAY = Column(name="day", type="date", dtype="object", held="date")
AT = Column(name="at", type="datetime", dtype="datetime64[us]")
FINE = Column(name="fine", type="datetime", dtype="datetime64[ns]")
COARSE = Column(name="coarse", type="datetime", dtype="datetime64[s]")
BERLIN = Column(
    name="berlin", type="datetime", dtype="datetime64[us, Europe/Berlin]", zone="Europe/Berlin"
)
SIGNATURE = Signature(
    task="regression",
    columns=(DAY, AT, BERLIN, Column(name="n", type="number", dtype="float64")),
    outputs=(Output(name="value", type="number"),),
)
MIDNIGHT = dt.datetime(2026, 1, 31)  # noqa: DTZ001 - a time without a zone
GOOD = {"day": "2026-01-31", "at": "2026-01-31T12:30:00", "berlin": "2026-01-31T12:30:00+01:00"}


@pytest.mark.parametrize(
    ("value", "column", "clean"),
    [
        ("2026-01-31", DAY, "2026-01-31"),
        (dt.date(2026, 1, 31), DAY, "2026-01-31"),
        (MIDNIGHT, DAY, "2026-01-31"),
        (pd.Timestamp("2026-01-31"), DAY, "2026-01-31"),
        (np.datetime64("2026-01-31T00:00:00", "us"), DAY, "2026-01-31"),
        ("2026-01-31T12:30:05", AT, "2026-01-31T12:30:05"),
        ("2026-01-31 12:30", AT, "2026-01-31T12:30:00"),
        ("2026-01-31", AT, "2026-01-31T00:00:00"),
        (dt.date(2026, 1, 31), AT, "2026-01-31T00:00:00"),
        ("1969-12-31T23:59:59.5", AT, "1969-12-31T23:59:59.5"),
        ("2026-01-31T12:30:05.123456789", AT, "2026-01-31T12:30:05.123456"),
        ("2026-01-31T12:30:05.123456789", FINE, "2026-01-31T12:30:05.123456789"),
        ("1969-12-31T23:59:59.9", COARSE, "1969-12-31T23:59:59"),
        (pd.Timestamp("2026-01-31T12:30:05.000000001"), FINE, "2026-01-31T12:30:05.000000001"),
        (np.datetime64("2026-01-31T12:30", "ms"), AT, "2026-01-31T12:30:00"),
        ("2026-01-31T12:30:00+01:00", BERLIN, "2026-01-31T11:30:00"),
        ("2026-01-31t12:30:00z", BERLIN, "2026-01-31T12:30:00"),
        ("2026-01-31T00:30:00-05:30", BERLIN, "2026-01-31T06:00:00"),
        (pd.Timestamp("2026-07-31T12:30", tz="Asia/Tokyo"), BERLIN, "2026-07-31T03:30:00"),
        ("9999-12-31T23:59:59", AT, "9999-12-31T23:59:59"),
        ("0001-01-01", DAY, "0001-01-01"),
    ],
)
def test_what_is_read(value, column, clean):
    found = moment(value, column)
    assert found.dtype == f"datetime64[{unit(column)}]"
    assert found == np.datetime64(clean, unit(column))


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("2026-02-30", DAY),
        ("2026-1-31", DAY),
        ("31.01.2026", DAY),
        ("2026-01-31T00:00:00", DAY),
        (MIDNIGHT + dt.timedelta(hours=1), DAY),
        (20260131, DAY),
        (np.datetime64("2026-01-31T12:00", "us"), DAY),
        ("0000-01-01", DAY),
        ("", AT),
        ("today", AT),
        ("2026-01-31T24:00:00", AT),
        ("2026-01-31T12:30:60", AT),
        ("2026-01-31T12:30:00Z", AT),
        ("2026-01-31T12:30:00.1234567890", AT),
        (" 2026-01-31", AT),
        ("2026-01-31\n", AT),
        ("２０２６-01-31", AT),
        (1.5e9, AT),
        (True, AT),
        ("2262-04-12T00:00:00", FINE),
        ("1677-01-01T00:00:00", FINE),
        ("2026-01-31T12:30:00", BERLIN),
        ("2026-01-31", BERLIN),
        ("2026-01-31T12:30:00+25:00", BERLIN),
        (MIDNIGHT, BERLIN),
        (np.datetime64("2026-01-31", "us"), BERLIN),
        ("9999-12-31T23:59:59Z", BERLIN),
    ],
)
def test_what_is_refused(value, column):
    with pytest.raises(ValueError):  # noqa: PT011 - the text of it goes nowhere
        moment(value, column)


@given(st.text(max_size=30) | st.integers() | st.floats() | st.none())
def test_nothing_else_than_a_value_error(value):
    for column in (DAY, AT, FINE, BERLIN):
        with contextlib.suppress(ValueError):
            moment(value, column)


@given(
    st.datetimes(timezones=st.sampled_from([zoneinfo.ZoneInfo("Europe/Berlin"), dt.timezone.utc]))
)
def test_an_offset_means_the_same_instant(value):
    try:
        found = moment(value.isoformat(), BERLIN)
    except ValueError:
        assert value.year in (1, 9999)
        return
    assert found.item() == value.astimezone(dt.timezone.utc).replace(tzinfo=None)


def test_every_way_in_says_row_column_and_what_was_expected():
    bad = {"day": "31.1.2026", "at": "2026-01-31T12:30:00Z", "berlin": "2026-01-31T12:30:00"}
    validator = Validator(SIGNATURE, Schema())
    body = b'{"day": "31.1.2026", "at": "2026-01-31T12:30:00Z", "berlin": "2026-01-31T12:30:00"}'
    for clean in (
        validator.decode(body),
        validator.lines(body),
        validator.one(bad),
        validator.columns({name: [value] for name, value in bad.items()}),
        validator.columns(pd.DataFrame([bad])),
        Reader(SIGNATURE).rows([bad]),
    ):
        told = [(refusal.row, refusal.column, refusal.expected) for refusal in clean.refusals]
        assert told == [(0, "day", DATE), (0, "at", TIME), (0, "berlin", ZONED)]


def test_missing_ones_are_missing():
    rows = [{"day": None, "at": pd.NaT, "berlin": np.datetime64("NaT")}, {}]
    clean = Validator(SIGNATURE, Schema()).rows(rows)
    assert not clean.refusals
    assert [list(column) for column in clean.columns] == [[None, None]] * 4


def test_a_data_frame_and_a_file_read_as_json_does():
    validator = Validator(SIGNATURE, Schema())
    expected = [list(column) for column in validator.rows([GOOD]).columns]
    table = pd.DataFrame([GOOD]).assign(
        day=[dt.date(2026, 1, 31)],
        at=pd.to_datetime(["2026-01-31T12:30:00"]).as_unit("ns"),
        berlin=pd.to_datetime([GOOD["berlin"]]).tz_convert("Asia/Tokyo"),
    )
    for columns in (
        {name: table[name] for name in table.columns},
        {name: table[name].astype(object).to_numpy() for name in table.columns},
        next(CsvReader([",".join(GOOD), ",".join(GOOD.values())], SIGNATURE).batches(9)).columns,
    ):
        clean = validator.columns(columns)
        assert not clean.refusals
        assert [list(column) for column in clean.columns] == expected
    empty = next(CsvReader(["day,n", ",1"], SIGNATURE).batches(9))
    assert empty.columns["day"] == [None]


def test_the_documents_say_what_a_date_looks_like():
    row = example(SIGNATURE, Schema())
    assert row["day"] == "2026-01-31"
    assert not isinstance(Validator(SIGNATURE, Schema()).rows([row]).refusals, list)
    assert Validator(SIGNATURE, Schema()).rows([row]).refusals == ()
    every = document("m", "1", SIGNATURE, Schema(columns={"day": Constraint(required=True)}))
    told = every["components"]["schemas"]["Row"]["properties"]
    assert told["day"] == {"type": "string", "format": "date", "description": f"A{DATE[1:]}"}
    assert told["at"] == {"type": ["string", "null"], "description": f"A{TIME[1:]}"}
    assert told["berlin"]["format"] == "date-time"
