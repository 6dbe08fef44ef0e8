"""What ``make bench`` says of servers: ratios within rounds, and whether a bar is held."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def report():
    spec = importlib.util.spec_from_file_location(
        "benchmark_report", BENCHMARKS / "serving" / "report.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def found(report):
    """Three rounds; the machine was ten times slower in the last."""
    return report.Found(
        "A pipeline",
        loads={
            "constant": {
                1: [(1000, 1, 2, 9), (1100, 1, 2, 9), (100, 10, 20, 90)],
                32: [(9000, 3, 6, 9), (9000, 3, 6, 9), (900, 30, 60, 90)],
            },
            "mlpack": {
                1: [(800, 1, 2, 9), (880, 1, 2, 9), (90, 10, 20, 90)],
                32: [(3600, 3, 9, 9), (3600, 3, 15, 9), (450, 30, 150, 90)],
            },
            "MLflow": {
                1: [(20, 50, 60, 9), (20, 50, 60, 9), (2, 500, 600, 90)],
                32: [(90, 300, 400, 9), (90, 300, 400, 9), (9, 3000, 4000, 90)],
            },
        },
        many={
            "mlpack": {"JSON": [60_000.0, 6_000.0], "CSV": [50_000.0, 5_000.0]},
            "MLflow": {"JSON": [10_000.0, 1_000.0], "CSV": [8_000.0, 800.0]},
        },
        first={"constant": [100.0, 120.0, 110.0], "mlpack": [340.0, 330.0, 320.0]},
        memory={"constant": 30.0, "mlpack": 75.0, "MLflow": 500.0},
        out={"LitServe": "it ended with 1"},
    )


def test_shares_are_medians_of_the_ratios_of_each_round(report, found):
    assert report.share(found, "mlpack", "constant", 1) == pytest.approx(0.8)
    assert report.share(found, "mlpack", "constant", 32) == pytest.approx(0.4)
    assert report.share(found, "mlpack", "MLflow", 1) == pytest.approx(44)
    assert report.share(found, "LitServe", "constant", 1) is None


def test_the_fastest_peer_is_taken_in_its_fastest_format(report, found):
    assert report.fastest(found)[0] == "MLflow, JSON"
    assert report.many_times(found, "JSON") == pytest.approx(6)
    assert report.many_times(found, "CSV") == pytest.approx(5)
    assert report.many_times(found, "Arrow") is None


def test_each_bar_is_held_or_not(report, found):
    held = {what: held for what, _, _, held in report.bars(found)}
    assert held == {
        "of the constant answer, 1 connection": True,
        "of the constant answer, 32 connections": False,
        "times MLflow, 1 connection": True,
        "times MLflow, 32 connections": False,
        "p99 / p50, 32 connections": False,
        "of the constant application's start": True,
        "MB resident": True,
        "times the fastest peer's rows, JSON": True,
        "times the fastest peer's rows, CSV": False,
    }


def test_the_tables_are_markdown_and_name_who_was_left_out(report, found):
    text = report.markdown({"a-pipeline": found, "alone": report.Found("Nobody came")})
    assert "- LitServe was left out: it ended with 1" in text
    own = "| mlpack | 800 | 0.80 | 1.00 / 2.00 | 3,600 | 0.40 | 3.00 / 15 | 9 | 330 | 3.0 | 75 |"
    assert own in text
    assert "| of the constant answer, 32 connections | 0.5 | **0.40** |  |" in text
    rows = [line.count("|") for line in text.splitlines() if line.startswith("| mlpack |")]
    assert len(rows) == 2
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_peers_are_pinned_and_have_what_the_pipelines_were_fitted_with():
    lock = (ROOT / "requirements-dev.lock.txt").read_text()
    wanted = {
        name: re.search(rf"^{name}==([^ ;\\]+)", lock, re.MULTILINE)[1]
        for name in ("scikit-learn", "pandas")
    }
    for name in ("bentoml", "fastapi", "litserve", "mlflow", "mlserver"):
        path = BENCHMARKS / "peers" / f"{name}.txt"
        lines = [line for line in path.read_text().splitlines() if line]
        assert all(re.match(r"[a-z0-9][a-z0-9._-]*==[^ ]+( ; .+)?$", line) for line in lines), path
        pins = dict(line.split(" ;")[0].split("==") for line in lines)
        assert {name: pins[name] for name in wanted} == wanted
        assert path.stem in pins
