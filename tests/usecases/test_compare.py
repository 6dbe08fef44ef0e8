"""Two versions compared, each asked by its own command in a process of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from bundling import RUNTIME, SIGNATURE, Remembering, graph, lock_text, make_project

from mlpack.assembly import assemble
from mlpack.delivery.unpacked import found
from mlpack.errors import CheckFailedError, InputError
from mlpack.files import write_tree
from mlpack.gate.limits import Limits
from mlpack.gate.rows import Rows
from mlpack.process import run
from mlpack.runtime.contract import Column, Distribution, Encoding
from mlpack.runtime.schema import Constraint, Schema
from mlpack.usecases.compare import Outside, compare, refuse, version, write
from mlpack.wheelfile import installed

SPREAD = Distribution(
    shares=(0.1,) * 10, edges=tuple(float(10 * i) for i in range(1, 10)), rows=500
)
SIZES = [i / 2 for i in range(200)]
ROWS = Rows(tuple({"size": each} for each in SIZES), tuple(2 * each for each in SIZES), "a test")


class ThisPython:
    """Environments that are this one."""

    def python(self, model, reporter):
        return Path(sys.executable)


def one(tmp_path, name, factor=2.0, project=None, schema=None, signature=SIGNATURE, lock=""):
    column = msgspec.structs.replace(signature.columns[0], spread=SPREAD)
    bundle = assemble(
        project=project or make_project(),
        form="onnx",
        model=graph(factor),
        signature=msgspec.structs.replace(signature, columns=(column,)),
        schema=schema or Schema(),
        encoding=Encoding(numbers=("size",)),
        parity=b"{}\n",
        openapi=b'{"openapi": "3.1.0"}\n',
        lock_text=lock or lock_text(),
        python="3.11",
        versions={},
        metrics={"mae": 0.5},
        reason=None,
        runtime_dir=RUNTIME,
        user_tree=None,
    )
    write_tree(tmp_path / name / "lib", installed(bundle))
    return version(found(tmp_path / name), name)


def compared(before, after, rows=ROWS, limits=None, measure=False, reference=None):
    outside = Outside(ThisPython(), run, measure)
    return compare(
        before,
        after,
        rows,
        reference or rows,
        limits or Limits(),
        outside=outside,
        reporter=Remembering(),
    )


def stops(report):
    return sorted({(each.check, each.where) for each in report.stops})


def test_the_same_model_passes(tmp_path):
    before, after = one(tmp_path, "before"), one(tmp_path, "after")
    report = compared(before, after)
    assert stops(report) == []
    assert report.changed.changed == 0
    assert {each.name: (each.before, each.after) for each in report.metrics} == {
        "mae": (0.0, 0.0),
        "rmse": (0.0, 0.0),
        "r2": (1.0, 1.0),
    }
    assert report.packages == ()


def test_a_worse_model_is_stopped_with_the_reason(tmp_path):
    before = one(tmp_path, "before")
    after = one(tmp_path, "after", factor=-1.0)
    report = compared(before, after)
    assert {("predictions", ""), ("metrics", "mae"), ("outputs", "")} <= set(stops(report))
    told = next(each for each in report.metrics if each.name == "mae")
    assert told.after == pytest.approx(3 * sum(SIZES) / len(SIZES))
    with pytest.raises(CheckFailedError, match="the gate stopped it: "):
        refuse(report, "dist", "look")
    refuse(compared(before, before), "dist", "look")


@pytest.mark.parametrize("labelled", [True, False])
def test_a_model_that_answers_null_is_stopped(tmp_path, labelled):
    rows = ROWS if labelled else replace(ROWS, target=None)
    before, after = one(tmp_path, "before"), one(tmp_path, "after", factor=float("nan"))
    report = compared(before, after, rows, measure=True)
    assert ("predictions", "") in stops(report)
    assert (report.changed.rows, report.changed.newly_refused) == (0, 200)
    assert report.speed == ()  # no row is answered by both


def test_rows_that_are_spread_otherwise_are_told(tmp_path):
    before = one(tmp_path, "before")
    far = Rows(tuple({"size": 1000 + each} for each in SIZES), None, "far away")
    report = compared(before, before, far)
    assert ("inputs", "size") in stops(report)
    # Rows of production that drift are no fault of the candidate.
    theirs = compared(before, before, far, reference=ROWS)
    assert stops(theirs) == []
    assert ("warn", "size") in {(each.verdict, each.where) for each in theirs.findings}
    assert report.labelled is False
    assert report.metrics == ()


def test_rows_that_are_refused_now_stop(tmp_path):
    before = one(tmp_path, "before")
    strict = Schema(columns={"size": Constraint(maximum=50)})
    after = one(tmp_path, "after", schema=strict)
    report = compared(before, after)
    # 1.2.0 again: a breaking change wants 2.0.0.
    assert stops(report) == [("contract", "columns.size"), ("predictions", "")]
    assert report.changed.newly_refused == 99
    raised = one(tmp_path, "raised", schema=strict, project=make_project(version="2.0.0"))
    assert stops(compared(before, raised)) == [("predictions", "")]


def test_a_column_that_the_rows_do_not_have_ends_the_asking(tmp_path):
    report = compared(_needs(tmp_path), one(tmp_path, "after"))
    assert report.changed is None
    assert any("width" in each.what for each in report.findings)


def _needs(tmp_path):
    before = one(tmp_path, "needs")
    wanted = Column(name="width", type="number", dtype="float64", nullable=False)
    columns = (*before.signature.columns, wanted)
    return replace(before, signature=msgspec.structs.replace(before.signature, columns=columns))


def test_without_rows_what_is_promised_is_compared_all_the_same(tmp_path):
    before, after = one(tmp_path, "before"), one(tmp_path, "after", lock=lock_text(rich="1.0"))
    report = compared(before, after, rows=None)
    assert stops(report) == []
    assert [each.verdict for each in report.findings if each.check == "predictions"] == ["warn"]
    assert report.rows == 0


def test_versions_of_two_projects_are_not_compared(tmp_path):
    other = one(tmp_path, "other", project=make_project(name="other"))
    with pytest.raises(InputError, match="two projects: churn and other"):
        compared(one(tmp_path, "before"), other)


def test_both_servers_are_started_and_timed(tmp_path):
    before, after = one(tmp_path, "before"), one(tmp_path, "after")
    report = compared(before, after, measure=True)
    assert len(report.speed) == 2
    for each in report.speed:
        assert 10 < each.start_ms < 60_000
        assert 0.01 < each.p50_ms <= each.p99_ms
        assert each.megabytes > 20
        assert each.size > 100_000
    assert {each.check for each in report.findings} >= {"speed", "size"}


class Balanced(HTMLParser):
    """Sees that every element that is opened is closed, and what is shown."""

    VOID = frozenset(("meta", "line", "circle", "rect", "polyline"))

    def __init__(self):
        super().__init__()
        self.open, self.text, self.loads = [], [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_escapes_what_it_is_told(tmp_path):
    before = one(tmp_path, "before")
    after = replace(one(tmp_path, "after", factor=-1.0), source="<script>alert(1)</script>")
    report = compared(before, after, measure=True)
    report = msgspec.structs.replace(report, forced="<b>because</b>")
    page = write(report, tmp_path, "gate")
    text = page.read_text()
    assert "<script>" not in text
    assert "<b>because" not in text
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.loads == []  # it needs nothing else
    assert "It goes on all the same" in "".join(parser.text)
    told = json.loads((tmp_path / "gate.json").read_bytes())
    assert told["after"]["version"] == "1.2.0"
    assert told["forced"] == "<b>because</b>"
