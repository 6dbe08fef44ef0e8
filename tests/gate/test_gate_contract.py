"""What breaks callers, and which version number it wants."""

from __future__ import annotations

import msgspec
import pytest

from mlpack.gate.contract import changes, version_kept
from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.schema import Constraint, Schema

AGE = Column(name="age", type="integer", dtype="int64", nullable=False)
CITY = Column(name="city", type="string", dtype="str")
LABELS = (Output(name="label", type="string"), Output(name="probabilities", type="number", size=2))
BEFORE = Signature(
    task="classification", columns=(AGE, CITY), outputs=LABELS, labels=("no", "yes"), positive="yes"
)


def replaced(**more):
    return msgspec.structs.replace(BEFORE, **more)


def column(column, **more):
    return msgspec.structs.replace(column, **more)


def found(after, before_schema=None, after_schema=None):
    told = changes(BEFORE, before_schema or Schema(), after, after_schema or Schema())
    return [(each.where, each.breaking) for each in told]


def test_the_same_promises_nothing_new():
    assert found(BEFORE) == []
    seen = column(AGE, minimum=1, maximum=9, missing=0.5, categories=(1, 9))
    assert found(replaced(columns=(seen, CITY))) == []  # observed is not demanded


@pytest.mark.parametrize(
    ("after", "where", "breaking"),
    [
        (replaced(columns=(AGE,)), "columns.city", True),
        (replaced(columns=(AGE, CITY, column(CITY, name="zip"))), "columns.zip", False),
        (
            replaced(columns=(AGE, CITY, column(CITY, name="zip", nullable=False))),
            "columns.zip",
            True,
        ),
        (replaced(columns=(column(AGE, type="number"), CITY)), "columns.age", False),
        (replaced(columns=(column(AGE, type="string"), CITY)), "columns.age", True),
        (replaced(columns=(column(AGE, nullable=True), CITY)), "columns.age", False),
        (replaced(columns=(AGE, column(CITY, nullable=False))), "columns.city", True),
        (replaced(columns=(AGE, column(CITY, finite=True))), None, None),
        (replaced(task="regression"), "task", True),
        (replaced(outputs=LABELS[:1]), "answer.probabilities", True),
        (
            replaced(outputs=(*LABELS, Output(name="score", type="number"))),
            "answer.score",
            False,
        ),
        (replaced(labels=("no", "maybe", "yes")), "labels", True),
        (replaced(labels=("yes", "no")), "labels", False),
        (replaced(positive="no"), "labels", True),
    ],
)
def test_what_is_less_or_something_else_breaks_callers(after, where, breaking):
    assert found(after) == ([] if where is None else [(where, breaking)])


@pytest.mark.parametrize(
    ("old", "new", "breaking"),
    [
        (Constraint(), Constraint(minimum=18), True),
        (Constraint(minimum=18), Constraint(minimum=21), True),
        (Constraint(minimum=18), Constraint(minimum=16), False),
        (Constraint(minimum=18), Constraint(), False),
        (Constraint(maximum=99), Constraint(maximum=90), True),
        (Constraint(maximum=90), Constraint(maximum=99), False),
        (Constraint(), Constraint(minimum=18, violation="count"), False),
        (Constraint(categories=(1, 2)), Constraint(categories=(1, 2, 3)), False),
        (Constraint(categories=(1, 2)), Constraint(categories=(1, 3)), True),
        (Constraint(), Constraint(categories=(1,)), True),
        (Constraint(categories=(1,)), Constraint(), False),
    ],
)
def test_a_tighter_demand_breaks_callers(old, new, breaking):
    told = changes(BEFORE, Schema(columns={"age": old}), BEFORE, Schema(columns={"age": new}))
    assert {each.where for each in told} == {"columns.age"}
    assert any(each.breaking for each in told) is breaking


def test_unknown_columns_that_are_refused_now_break_callers():
    told = changes(BEFORE, Schema(unknown_columns="ignore"), BEFORE, Schema())
    assert [(each.where, each.breaking) for each in told] == [("schema", True)]
    gone = replaced(columns=(AGE,))
    assert found(gone, after_schema=Schema(unknown_columns="ignore")) == [("columns.city", False)]


def test_breaking_ones_come_first():
    after = replaced(columns=(column(AGE, nullable=True), column(CITY, nullable=False)))
    assert found(after) == [("columns.city", True), ("columns.age", False)]


@pytest.mark.parametrize(
    ("before", "after", "fine"),
    [
        ("1.2.0", "2.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("0.2.0", "0.3.0", True),
        ("0.2.0", "0.2.1", False),
        ("0.2.0", "1.0.0", True),
        ("2.0.0", "1.9.0", False),
        ("not a version", "1.0", True),
    ],
)
def test_a_breaking_change_wants_another_first_number(before, after, fine):
    assert (version_kept(before, after, breaking=True) is None) is fine
    assert version_kept(before, after, breaking=False) is None
