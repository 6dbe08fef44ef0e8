"""Parts of dates in the portable graph, held against those that the runtime takes."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from exporting import proved
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlpack.exporters.portable import MISSING, compose
from mlpack.exporters.portable_dates import NAT
from mlpack.ports import NotExportableError
from mlpack.proof.portable import PortableEngine, PortableSession
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.contract import Clock, Codes, Column, Encoding, Moment, Output, Signature
from mlpack.runtime.dateparts import CYCLE, LAST, PARTS, Moments
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

UNITS = {
    "D": ("date", "date32[day][pyarrow]", 1 / 86_400),
    "s": ("datetime", "datetime64[s]", 1),
    "ms": ("datetime", "datetime64[ms]", 10**3),
    "us": ("datetime", "datetime64[us]", 10**6),
    "ns": ("datetime", "datetime64[ns]", 10**9),
}
CLOCKS = {
    "no zone": None,
    "one offset": Clock(column="t", offsets=(19_800,)),
    "two changes": Clock(column="t", since=(0, 10**9), offsets=(-18_000, -14_400, 3_600)),
}
FIRST = int(np.datetime64("0001-01-02", "s").astype(np.int64))
FINAL = int(np.datetime64("9999-12-30", "s").astype(np.int64))
CALENDAR = ["2024-02-29", "2024-03-01", "1900-02-28", "1900-03-01", "2000-12-31", "1969-12-31"]


@functools.cache
def passed_on(held, zone):
    """The portable graph of a core that answers its moments, and the runtime's way to them."""
    kind, dtype, _ = UNITS[held]
    clock = CLOCKS[zone]
    column = Column(name="t", type=kind, dtype=dtype, zone=None if clock is None else "x/y")
    signature = Signature(
        task="regression",
        columns=(column,),
        outputs=(Output(name="value", type="number", size=len(PARTS)),),
    )
    # Backwards: the order is the encoding's, not that of the table of parts.
    moments = tuple(Moment(column="t", part=part) for part in reversed(PARTS))
    encoding = Encoding(moments=moments, clocks=() if clock is None else (clock,))
    shape = ["rows", len(PARTS)]
    core = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["moments"], ["value"])],
            "core",
            [helper.make_tensor_value_info("moments", TensorProto.DOUBLE, shape)],
            [helper.make_tensor_value_info("value", TensorProto.DOUBLE, shape)],
        ),
        opset_imports=[helper.make_opsetid("", 19)],
        ir_version=9,
    )
    made = compose(core.SerializeToString(), encoding, signature)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return session, Moments(signature, encoding), made


@pytest.mark.parametrize(
    ("held", "zone"),
    [*((held, "no zone") for held in UNITS), ("us", "one offset"), ("ns", "two changes")],
)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.none()
        | st.integers(FIRST, FINAL)
        | st.sampled_from([0, -1, LAST - 1, LAST, LAST + CYCLE, 10**9 - 1, 10**9])
        | st.sampled_from([int(np.datetime64(day, "s").astype(int)) for day in CALENDAR]),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 10**9 - 1),
)
def test_every_part_of_any_moment_is_the_runtimes(held, zone, seconds, fraction):
    session, moments, _ = passed_on(held, zone)
    per = UNITS[held][2]
    low, high = -(2**62) / per, 2**62 / per
    within = [each for each in seconds if each is None or low < each < high]
    ticks = np.array(
        [
            NAT if each is None else each // 86_400 if held == "D" else each * per + fraction % per
            for each in within
        ],
        np.int64,
    )
    (value,) = session.run(["value"], {"t": ticks.reshape(-1, 1)})
    expected = moments.of([ticks.view(f"M8[{held}]")], len(ticks))
    np.testing.assert_array_equal(value, expected)


def test_nothing_is_computed_twice():
    _, _, made = passed_on("ns", "two changes")
    nodes = onnx.load_from_string(made).graph.node
    seen = [(node.op_type, *node.input, *map(str, node.attribute)) for node in nodes]
    assert len(seen) == len(set(seen))


def test_inputs_say_what_they_count_and_what_is_missing():
    told = {
        held: onnx.load_from_string(passed_on(held, "no zone")[2]).graph.input[0].doc_string
        for held in UNITS
    }
    assert told["D"] == f"date; days since 1970; missing: {NAT}"
    assert told["ns"] == f"datetime; nanoseconds since 1970; missing: {NAT}"
    zoned = onnx.load_from_string(passed_on("s", "one offset")[2]).graph.input[0].doc_string
    assert zoned == f"datetime; seconds since 1970 in UTC; missing: {NAT}"


PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
CHANCE = np.random.default_rng(0)
ROWS = 70
AT = pd.Series((CHANCE.integers(-(10**9), 2 * 10**9, ROWS) * 10**6).view("M8[us]"))
GAPS = AT.where(np.arange(ROWS) % 7 != 0)
Y = np.where(AT.dt.hour + CHANCE.integers(0, 6, ROWS) > 14, "late", "early")


def engineered(df):
    at = df["at"].dt
    return pd.DataFrame(
        {
            "hour": at.hour,
            "weekday": at.day_of_week,
            "week": at.isocalendar().week.astype("float64"),
            "end": at.is_month_end.astype(float),
            "known": df["at"].notna().astype(float),
            "size": df["size"],
        }
    )


@pytest.mark.parametrize(
    "at",
    [
        AT,
        GAPS.dt.as_unit("ns"),
        AT.dt.as_unit("ns").dt.tz_localize("UTC").dt.tz_convert("America/New_York"),
        # With pandas 2 this is no graph: see test_tracing_dates.py.
        *[GAPS.dt.as_unit("s").dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")] * PANDAS_3,
    ],
    ids=lambda at: str(at.dtype),
)
def test_pipelines_pass_the_gate_from_raw_ticks(at):
    frame = pd.DataFrame({"at": at, "size": CHANCE.normal(size=ROWS)})
    pipeline = make_pipeline(
        FunctionTransformer(engineered), SimpleImputer(), StandardScaler(), LogisticRegression()
    ).fit(frame, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, exported = proved(pipeline, frame)
        signature = observe(frame, pipeline, target="y", source="train")
        made = compose(exported.model, exported.encoding, signature)
        session = PortableSession(signature, PortableEngine(made, MISSING, signature))
        rows = batches(signature, real_rows(frame), exported)
        report, worst = prove(pipeline, session, signature, exported, rows)
    assert report.equal, worst[:3]
    # As anybody would feed it: what numpy and pandas have in their memory.
    bare = at.dt.tz_convert(None) if at.dt.tz is not None else at
    feeds = {
        "at": bare.to_numpy().view("int64").reshape(-1, 1),
        "size": frame[["size"]].to_numpy(),
    }
    runner = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    label, refused = runner.run(["label", "refused"], feeds)
    assert label.tolist() == pipeline.predict(frame).tolist()
    assert not refused.any()


def test_dates_that_are_categories_have_no_portable_form():
    column = Column(name="t", type="date", dtype="object")
    signature = Signature(
        task="regression", columns=(column,), outputs=(Output(name="value", type="number"),)
    )
    codes = (Codes(column="t", categories=("2024-01-01",)),)
    with pytest.raises(NotExportableError, match="categories of t are dates"):
        compose(onnx.ModelProto().SerializeToString(), Encoding(codes=codes), signature)
