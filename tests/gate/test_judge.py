"""What stops, what is looked at, and what passes."""

from __future__ import annotations

import msgspec
import pytest

from mlpack.gate import judge
from mlpack.gate.limits import Limits
from mlpack.gate.values import Calibration, Change, Changed, Drift, Measured, Metric
from mlpack.runtime.contract import Blob, Column, Distribution, Manifest, Signature

LIMITS = Limits()


def manifest(version="1.0.0", **metrics):
    blob = Blob(file="model.onnx", sha256="0" * 64, size=1)
    return Manifest(
        name="churn",
        version=version,
        package="churn",
        form="onnx",
        python="3.11",
        model=blob,
        files=(),
        runtime="r",
        lock="l",
        metrics=metrics,
    )


def signature(rows=1000, columns=()):
    return Signature(task="classification", columns=columns, outputs=(), rows=rows)


def verdicts(findings):
    return [(each.verdict, each.where) for each in findings]


def test_a_breaking_change_stops_unless_the_version_says_so():
    broken = [Change(where="columns.age", what="is gone", breaking=True)]
    of = judge.of_contract
    assert verdicts(of(broken, manifest("1.0.0"), manifest("1.1.0"))) == [("stop", "columns.age")]
    assert verdicts(of(broken, manifest("1.0.0"), manifest("2.0.0"))) == [("warn", "columns.age")]
    kept = [Change(where="columns.age", what="may be missing", breaking=False)]
    assert verdicts(of(kept, manifest("1.0.0"), manifest("1.1.0"))) == [("told", "columns.age")]
    assert verdicts(of([], manifest(), manifest())) == [("fine", "")]


def test_much_less_to_learn_from_stops():
    def of(rows):
        return verdicts(
            judge.of_training((manifest(), signature()), (manifest(), signature(rows)), LIMITS)
        )

    assert (of(499), of(500)) == ([("stop", "")], [("fine", "")])


def test_categories_that_many_rows_had_and_that_are_gone_stop():
    def column(*categories):
        share = 1 / len(categories)
        spread = Distribution(shares=(share,) * len(categories), rows=100)
        return Column(name="sex", type="string", dtype="str", categories=categories, spread=spread)

    def of(after):
        sides = [(manifest(), signature(columns=(each,))) for each in (column("f", "m"), after)]
        return verdicts(judge.of_training(*sides, LIMITS))

    assert of(column("F", "M")) == [("fine", ""), ("stop", "sex")]
    assert of(column("f", "m", "x")) == [("fine", "")]


def test_what_training_measured_itself_may_not_fall_far():
    def of(**metrics):
        sides = (manifest(accuracy=0.95, rmse=2.0), signature()), (manifest(**metrics), signature())
        return [
            (each.where, each.verdict) for each in judge.of_training(*sides, LIMITS) if each.where
        ]

    assert of(accuracy=0.6, rmse=2.0) == [("accuracy", "stop")]
    assert of(accuracy=0.93, rmse=2.5) == []
    assert of(accuracy=0.95, rmse=3.5) == [("rmse", "stop")]


def changed(**more):
    given = {
        "of": "labels",
        "rows": 100,
        "refused_before": 0,
        "refused_after": 0,
        "newly_refused": 0,
        "changed": 0,
        "moved": None,
    }
    return Changed(**{**given, **more})


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (changed(changed=7), ["fine"]),
        (changed(changed=8), ["warn"]),
        (changed(changed=16), ["stop"]),
        (changed(of="values", changed=90, moved=0.2), ["told", "fine"]),
        (changed(of="values", changed=90, moved=0.6), ["told", "stop"]),
        (changed(newly_refused=1), ["warn", "fine"]),
        (changed(newly_refused=2), ["stop", "fine"]),
        (changed(rows=0), ["stop"]),
    ],
)
def test_changed_answers_are_graded(found, wanted):
    assert [each.verdict for each in judge.of_predictions(found, LIMITS)] == wanted


def metric(name="accuracy", before=0.9, after=0.8, low=-0.15, high=-0.05, more=True, **ends):
    given = {
        "before_low": before - 0.02,
        "before_high": before + 0.02,
        "after_low": after - 0.02,
        "after_high": after + 0.02,
    }
    return Metric(
        name=name,
        more_is_better=more,
        before=before,
        after=after,
        low=low,
        high=high,
        **{**given, **ends},
    )


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (metric(), "stop"),
        (metric(high=0.01), "fine"),  # not surely
        (metric(after=0.89, low=-0.015, high=-0.005), "warn"),  # surely, by little
        (metric(after=0.95, low=0.02, high=0.08), "fine"),
        (metric("log_loss", 0.3, 0.5, 0.1, 0.3, more=False), "warn"),  # it is not what decides
        (metric("rmse", 2.0, 2.5, 0.3, 0.7, more=False), "stop"),
        (metric("rmse", 2.0, 2.05, 0.01, 0.09, more=False), "warn"),
        (metric("rmse", 2.0, 1.5, -0.7, -0.3, more=False), "fine"),
    ],
)
def test_what_is_surely_worse_by_more_than_it_may_stops(found, wanted):
    assert [each.verdict for each in judge.of_metrics([found], {}, LIMITS)] == [wanted]


def test_rows_that_the_version_before_has_learned_from_are_no_measure():
    found = metric(before=1.0, after=0.9, low=-0.15, high=-0.05, before_high=1.0)
    assert [e.verdict for e in judge.of_metrics([found], {"accuracy": 0.9}, LIMITS)] == ["fine"]
    assert [e.verdict for e in judge.of_metrics([found], {"accuracy": 0.99}, LIMITS)] == ["stop"]
    # The later one is far worse than the earlier one ever was: no rows explain that.
    poor = msgspec.structs.replace(found, after=0.5, after_low=0.48, after_high=0.52)
    assert [e.verdict for e in judge.of_metrics([poor], {"accuracy": 0.9}, LIMITS)] == ["stop"]


def drifted(psi, p=1e-9, name="age"):
    return Drift(
        name=name,
        psi=psi,
        p=p,
        bins=("low", "high"),
        before=(0.5, 0.5),
        after=(0.2, 0.8),
        rows_before=100,
        rows_after=100,
    )


def test_a_drift_stops_where_it_is_large_and_no_chance():
    def of(*found):
        return verdicts(judge.of_inputs(found, LIMITS))

    assert of(drifted(0.3)) == [("stop", "age")]
    assert of(drifted(0.2)) == [("warn", "age")]
    assert of(drifted(0.3, p=0.01)) == [("fine", "")]
    # Of many columns one is always unlikely.
    many = [drifted(0.0, p=1.0, name=f"c{i}") for i in range(99)]
    assert of(drifted(0.3, p=5e-4), *many) == [("fine", "")]
    assert verdicts(judge.of_outputs(drifted(0.3), LIMITS)) == [("stop", "")]


def test_an_error_of_calibration_that_surely_grew_stops():
    def of(after, low):
        found = Calibration(
            before=0.02, after=after, low=low, high=0.2, curve_before=(), curve_after=()
        )
        return [each.verdict for each in judge.of_calibration(found, LIMITS)]

    assert (of(0.1, 0.01), of(0.1, -0.01), of(0.05, 0.01)) == (["stop"], ["fine"], ["warn"])


def test_a_server_that_got_slower_larger_or_later_stops():
    before = Measured(start_ms=200, p50_ms=0.3, p99_ms=1, megabytes=80, size=1_000_000)

    def of(**more):
        after = msgspec.structs.replace(before, **more)
        found = judge.of_speed((before, after), LIMITS)
        return [each.what.split()[0] for each in found if each.verdict == "stop"]

    assert of() == []
    assert of(p50_ms=0.6) == ["a"]
    assert of(p50_ms=0.39) == []  # by less than anybody feels
    assert of(start_ms=900) == ["the"]
    assert of(megabytes=150) == ["memory"]
    assert of(size=10_000_000) == ["the"]


def test_the_gravest_come_first():
    found = judge.of_speed(
        (
            Measured(start_ms=200, p50_ms=0.3, p99_ms=1, megabytes=80, size=1),
            Measured(start_ms=200, p50_ms=0.3, p99_ms=1, megabytes=280, size=1),
        ),
        LIMITS,
    )
    assert [each.verdict for each in judge.ordered(list(found))] == ["stop", *["fine"] * 3]


def test_a_second_and_more_is_told_in_whole_milliseconds():
    slow = Measured(start_ms=1013.4, p50_ms=0.3004, p99_ms=1, megabytes=1203.2, size=1)
    told = [each.what for each in judge.of_speed((slow, slow), LIMITS)]
    assert told[:3] == [
        "a row takes 0.3 → 0.3 ms",
        "the start takes 1,013 → 1,013 ms",
        "memory 1,203 → 1,203 MB",
    ]
