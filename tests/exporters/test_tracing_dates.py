"""Parts of dates in the user's own code: traced and exact, or told why not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from exporting import assert_equal, proved
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.training.observe import observe

CHANCE = np.random.default_rng(0)
ROWS = 70
TICKS = CHANCE.integers(-(10**9), 2 * 10**9, ROWS) * 10**6 + CHANCE.integers(0, 10**6, ROWS)
AT = pd.Series(TICKS.view("M8[us]"))
Y = np.where(AT.dt.hour + CHANCE.integers(0, 6, ROWS) > 14, "late", "early")
EVERY = [
    *("year", "month", "day", "hour", "minute", "second", "microsecond", "nanosecond"),
    *("dayofweek", "weekday", "day_of_week", "dayofyear", "day_of_year", "quarter"),
    *("days_in_month", "daysinmonth", "is_leap_year", "is_month_start", "is_month_end"),
    *("is_quarter_start", "is_quarter_end", "is_year_start", "is_year_end"),
]


def framed(at):
    return pd.DataFrame({"at": at, "size": CHANCE.normal(size=ROWS).round(2)})


def gone(at):
    return at.where(np.arange(ROWS) % 7 != 0)


def behind(function, frame):
    return make_pipeline(
        FunctionTransformer(function), SimpleImputer(), StandardScaler(), LogisticRegression()
    ).fit(frame, Y)


PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
TOLD_OTHERWISE = (
    *("datetime64[us, America/New_York]", "timestamp[us][pyarrow]"),
    "timestamp[ns, tz=UTC][pyarrow]",
)
"""Of these pandas 2 tells other hours in a frame, or far from today, than one by one."""


def every(df):
    made = pd.DataFrame({"size": df["size"]})
    for part in EVERY:
        made[part] = getattr(df["at"].dt, part)
    return made


def engineered(df):
    df = df.copy()
    hour = df["at"].dt.hour
    week = df["at"].dt.isocalendar()
    df["night"] = (hour >= 22) | (hour < 6)
    df["sine"] = np.sin(2 * np.pi * hour / 24)
    df["weekend"] = df["at"].dt.day_of_week.isin([5, 6]).astype(int)
    df["half"] = (df["at"].dt.month - 1) // 6
    df["week"] = week.week * 7 + week.day
    df["season"] = df["at"].dt.month.map({12: 0, 1: 0, 2: 0, 6: 2, 7: 2, 8: 2}).fillna(1)
    df["known"] = df["at"].notna()
    return df.drop(columns="at")


def small(df):
    return np.c_[df["at"].dt.hour, df["size"], df["at"].dt.is_month_end]


@pytest.mark.parametrize(
    "at",
    [
        AT,
        gone(AT),
        gone(AT.dt.as_unit("ns")),
        gone(AT.dt.as_unit("s")),
        AT.dt.tz_localize("UTC").dt.tz_convert("America/New_York"),
        gone(AT.dt.as_unit("ns").dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")),
        gone(AT.dt.tz_localize(dt.timezone(dt.timedelta(hours=5, minutes=30)))),
        gone(AT).astype(pd.ArrowDtype(pa.timestamp("us"))),
        AT.dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
    ],
    ids=lambda at: f"{at.dtype}{' with gaps' * bool(at.isna().any())}",
)
def test_every_part_is_exact(at):
    frame = framed(at)
    if not PANDAS_3 and str(at.dtype) in TOLD_OTHERWISE:
        with pytest.raises(NotExportableError, match="another number in this version of pandas"):
            proved(behind(every, frame), frame)
        return
    _, exported = assert_equal(behind(every, frame), frame)
    assert exported.form == "onnx"
    assert {moment.column for moment in exported.encoding.moments} == {"at"}


@pytest.mark.parametrize("at", [AT, gone(AT)], ids=["whole", "gaps"])
@pytest.mark.parametrize("function", [engineered, small])
def test_parts_are_computed_with_as_pandas_does(function, at):
    frame = framed(at)
    assert_equal(behind(function, frame), frame)


def test_parts_of_days_of_arrow():
    days = gone(AT).dt.date.astype("date32[day][pyarrow]")

    def of_days(df):
        return pd.DataFrame({"year": df["at"].dt.year, "day": df["at"].dt.day_of_week})

    frame = framed(days)
    assert_equal(behind(of_days, frame), frame)


class Since(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):  # noqa: N803
        self.first_ = X["at"].dt.year.min()
        return self

    def transform(self, X):  # noqa: N803
        return X.assign(at=X["at"].dt.year - self.first_, hour=X["at"].dt.hour)


def test_a_class_of_ones_own_that_learned_from_dates():
    frame = framed(AT)
    pipeline = make_pipeline(Since(), DecisionTreeClassifier(random_state=0)).fit(frame, Y)
    assert_equal(pipeline, frame)


def test_whole_numbers_of_32_bits_run_over():
    def over(df):
        return pd.DataFrame({"over": df["at"].dt.year * 2_000_000, "size": df["size"]})

    frame = framed(AT)
    pipeline = make_pipeline(FunctionTransformer(over), StandardScaler(), LogisticRegression())
    assert_equal(pipeline.fit(frame, Y), frame)


@pytest.mark.parametrize("at", [AT, gone(AT)], ids=["whole", "gaps"])
@pytest.mark.parametrize("strange", ["ignore", "error"])
def test_a_part_is_encoded(at, strange):
    def parts(df):
        return pd.DataFrame({"month": df["at"].dt.month, "day": df["at"].dt.day_of_week})

    columns = ColumnTransformer(
        [
            (
                "parts",
                make_pipeline(FunctionTransformer(parts), OneHotEncoder(handle_unknown=strange)),
                ["at"],
            ),
            ("size", SimpleImputer(), ["size"]),
        ]
    )
    frame = framed(at)
    assert_equal(make_pipeline(columns, LogisticRegression()).fit(frame, Y), frame)


def test_a_date_is_handed_on():
    frame = framed(AT)
    doubled = FunctionTransformer(lambda df: df.assign(size=df["size"] * 2))
    pipeline = make_pipeline(doubled, FunctionTransformer(small), StandardScaler())
    pipeline = make_pipeline(pipeline, LogisticRegression()).fit(frame, Y)
    assert_equal(pipeline, frame)


def test_the_zone_is_frozen_in_the_encoding():
    frame = framed(AT.dt.as_unit("ns").dt.tz_localize("UTC").dt.tz_convert("America/New_York"))
    _, _, exported = proved(behind(small, frame), frame)
    (clock,) = exported.encoding.clocks
    assert clock.column == "at"
    assert int(pd.Timestamp("2024-03-10T07:00").timestamp()) in clock.since
    # The sun's own time, which pandas 2 rounds to minutes.
    assert clock.offsets[0] == (-17762 if PANDAS_3 else -17760)
    assert len(clock.offsets) == len(clock.since) + 1


def test_a_pipeline_without_dates_has_no_such_input():
    frame = framed(AT)
    _, _, exported = proved(behind(lambda df: df[["size"]] * 2, frame), frame)
    assert not exported.encoding.moments
    inputs = {each.name for each in onnx.load_from_string(exported.model).graph.input}
    assert inputs == {"numbers"}


@pytest.mark.parametrize(
    ("function", "at", "reason"),
    [
        (lambda df: df["at"].dt.day_name().map({"Monday": 1.0}).to_frame(), AT, "day_name"),
        (lambda df: df[["at"]].astype("int64"), AT, "dates or times are computed with"),
        (lambda df: (df["at"] > df["at"]).to_frame(), AT, "dates or times are computed with"),
        (lambda df: df[["at"]].map(lambda each: each.hour), AT, "dates or times are computed"),
        (lambda df: df[["at"]].map(lambda each: each.year), AT.dt.date, "dates or times are"),
        (lambda df: df["at"].dt.normalize().dt.day.to_frame(), AT, "normalize"),
    ],
)
def test_what_stays_python_says_why(function, at, reason):
    frame = framed(at)
    pipeline = behind(function, frame)
    with pytest.raises(NotExportableError) as caught:
        proved(pipeline, frame)
    assert reason in caught.value.reason


def test_numbers_have_no_parts():
    frame = framed(AT)
    pipeline = behind(small, frame)
    other = frame.assign(at=1.5)
    signature = observe(frame, pipeline, target="y", source="train")
    wrong = observe(other, behind(lambda df: df, other), target="y", source="train")
    assert SklearnExporter().export(pipeline, signature).form == "onnx"
    with pytest.raises(NotExportableError, match=r"Series\.dt is not traced"):
        SklearnExporter().export(pipeline, wrong)
