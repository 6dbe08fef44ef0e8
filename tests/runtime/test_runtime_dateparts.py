"""Parts of dates and times, held against pandas itself."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime.contract import (
    Clock,
    Column,
    Encoding,
    Moment,
    Output,
    Signature,
    decode,
    encode,
)
from mlpack.runtime.dateparts import CYCLE, LAST, PARTS, Ahead, Local
from mlpack.runtime.encode import Encoder
from mlpack.runtime.values import Reader

NEW_YORK = "America/New_York"
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
HOSTILE = [
    "2024-02-28T23:59:59.999999999", "2024-02-29T00:00:00", "2024-03-01", "2023-02-28T23:59:59",
    "2000-02-29", "1900-02-28", "1900-03-01", "2100-02-28T23:00", "2020-12-31T23:59:59.999",
    "2021-01-01", "2021-01-03T23:59", "2018-12-31", "2016-01-03", "2015-12-31", "1970-01-01",
    "1969-12-31T23:59:59.5", "1677-12-31T00:00:01", "2261-12-31T23:59:59", "2024-07-01",
    "2024-06-30T23:59:59", "2024-04-01", "2024-09-30", "2024-10-01", "2024-01-01",
]  # fmt: skip
CHANGES = ["2024-03-10T06:59:59", "2024-03-10T07:00", "2024-11-03T05:59:59.5", "2024-11-03T06:00"]


def signature(dtype, zone=None, kind="datetime"):
    return Signature(
        task="regression",
        columns=(
            Column(name="n", type="number", dtype="float64"),
            Column(name="t", type=kind, dtype=dtype, zone=zone),
        ),
        outputs=(Output(name="value", type="number"),),
    )


def encoding(*parts, clock=None):
    moments = tuple(Moment(column="t", part=part) for part in parts or PARTS)
    return Encoding(numbers=("n",), moments=moments, clocks=() if clock is None else (clock,))


def asked(series, part):
    """What pandas says, as floats."""
    if part.startswith("iso_"):
        found = series.dt.isocalendar()[part[4:]]
    else:
        found = getattr(series.dt, part)
    return found.to_numpy(dtype=np.float64, na_value=np.nan)


@lru_cache
def clock(zone, years):
    """The clock of a zone, of a look at every hour of some years."""
    hours = np.arange(f"{years[0]}-01-01", f"{years[1]}-01-01", dtype="M8[h]")
    seconds = hours.astype("M8[s]").astype(np.int64)
    local = pd.Series(hours.astype("M8[s]")).dt.tz_localize("UTC").dt.tz_convert(zone)
    ahead = local.dt.tz_localize(None).to_numpy().astype("M8[s]").astype(np.int64) - seconds
    turns = np.flatnonzero(np.diff(ahead)) + 1
    return Clock(
        column="t",
        since=tuple(seconds[turns].tolist()),
        offsets=(int(ahead[0]), *ahead[turns].tolist()),
    )


@pytest.mark.parametrize("held", UNITS)
def test_parts_are_those_of_pandas(held):
    series = pd.Series(pd.to_datetime(HOSTILE, format="ISO8601")).dt.as_unit(held)
    local = Local(series.to_numpy().astype(np.int64), held)
    for name, part in PARTS.items():
        assert part(local).astype(float).tolist() == asked(series, name).tolist(), name


@settings(deadline=None)
@given(
    held=st.sampled_from(["s", "ms", "us"]),
    moments=st.lists(st.datetimes(), min_size=1),
    rest=st.integers(0, 999),
)
def test_parts_of_any_time_are_those_of_pandas(held, moments, rest):
    ticks = np.array(moments, dtype="M8[us]").astype(f"M8[{held}]") + rest
    ticks = ticks[ticks < np.datetime64("9999-12-31", held)]
    local = Local(ticks.astype(np.int64), held)
    for name, part in PARTS.items():
        assert part(local).astype(float).tolist() == asked(pd.Series(ticks), name).tolist(), name


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1))
def test_nanoseconds(ticks):
    series = pd.Series(np.array(ticks, dtype="M8[ns]"))
    local = Local(np.array(ticks), "ns")
    for name, part in PARTS.items():
        assert part(local).astype(float).tolist() == asked(series, name).tolist(), name


@pytest.mark.parametrize("held", UNITS)
def test_the_clock_of_a_zone_is_put_where_pandas_puts_it(held):
    times = pd.Series(pd.to_datetime([*CHANGES, "2024-12-31T23:30"], format="ISO8601"))
    series = times.dt.as_unit(held).dt.tz_localize("UTC").dt.tz_convert(NEW_YORK)
    ticks = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype(np.int64)
    local = Local(ticks, held, Ahead(clock(NEW_YORK, (2024, 2026))))
    assert PARTS["hour"](local).tolist() == [1, 3, 1, 1, 18]
    for name, part in PARTS.items():
        assert part(local).astype(float).tolist() == asked(series, name).tolist(), name


@settings(deadline=None)  # the first look at a zone takes its time
@given(st.integers(LAST - 10**9, 253_402_214_400))
def test_a_clock_goes_on_behind_its_table(seconds):
    ahead = Ahead(clock(NEW_YORK, (2090, 2500)))
    at = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=seconds)
    offset = at.astimezone(ZoneInfo(NEW_YORK)).utcoffset()
    assert ahead(np.array([seconds])).tolist() == [offset.total_seconds()]


def test_the_years_repeat_after_the_cycle():
    days = np.arange("2100", "2500", dtype="M8[D]").astype(np.int64)
    now, then = Local(days, "D"), Local(days + CYCLE // 86_400, "D")
    for name in ("month", "day", "day_of_week", "day_of_year", "iso_week"):
        assert np.array_equal(PARTS[name](now), PARTS[name](then))


@pytest.mark.parametrize(
    ("dtype", "zone", "told"),
    [
        ("datetime64[us]", None, ["2024-02-29T12:30:00.25", None, "1969-12-31T23:59:59"]),
        ("datetime64[ns, UTC+05:30]", "UTC+05:30", ["2024-02-29T20:30:00Z", None]),
        ("datetime64[s]", None, ["2024-02-29"]),
    ],
)
def test_rows_become_moments_one_by_one_and_together(dtype, zone, told):
    known = signature(dtype, zone)
    put = None if zone is None else Clock(column="t", offsets=(19_800,))
    encoder = Encoder(known, encoding(clock=put))
    rows = [{"n": 1.0, "t": each} for each in told]
    clean = Reader(known).rows(rows)
    inputs, refusals = encoder.many(clean.columns, clean.rows)
    assert not refusals
    assert inputs["moments"].dtype == np.float64
    series = pd.Series(pd.to_datetime(told, format="ISO8601"))
    if zone is not None:
        series = series.dt.tz_convert(zone)
    for place, part in enumerate(PARTS):
        wanted = np.where(series.isna(), np.nan, asked(series, part))
        assert np.array_equal(inputs["moments"][:, place], wanted, equal_nan=True), part
    for row in range(len(told)):
        one, _ = encoder.one([column[row] for column in clean.columns])
        assert one["moments"].tobytes() == inputs["moments"][row : row + 1].tobytes()


def test_dates_without_a_time_have_parts():
    known = signature("date32[day][pyarrow]", kind="date")
    clean = Reader(known).rows([{"n": 1.0, "t": "2024-02-29"}, {"n": 1.0, "t": None}])
    encoder = Encoder(known, encoding("year", "hour", "day_of_week"))
    found = encoder.many(clean.columns, clean.rows)[0]["moments"]
    assert found[0].tolist() == [2024, 0, 3]
    assert np.isnan(found[1]).all()


def test_no_rows():
    encoder = Encoder(signature("datetime64[us]"), encoding("hour"))
    assert encoder.many([np.empty(0), []], 0)[0]["moments"].shape == (0, 1)


def test_an_older_encoding_has_no_moments():
    older = b'{"format": 1, "numbers": ["n"], "codes": [], "texts": []}'
    assert decode(older, Encoding, "encoding.json") == Encoding(numbers=("n",))
    put = encoding("hour", clock=Clock(column="t", since=(5,), offsets=(0, 3600)))
    assert decode(encode(put), Encoding, "encoding.json") == put
    assert "moments" not in Encoder(signature("datetime64[us]"), Encoding()).one([1.0, None])[0]
