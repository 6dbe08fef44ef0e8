"""What two versions promise to those who call them, and what of it is broken.

Breaking is what may make a caller of the earlier version fail, or understand an answer wrongly:
less is accepted, or something else is answered. What was merely observed in training promises
nothing, and is not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from mlpack.gate.values import Change
from mlpack.runtime.contract import Column, Signature
from mlpack.runtime.schema import Constraint, Schema

_WIDER = frozenset((("integer", "number"), ("date", "datetime")))
"""A type, and one that takes every value of it."""


def changes(
    before: Signature, before_schema: Schema, after: Signature, after_schema: Schema
) -> tuple[Change, ...]:
    """All differences of the two promises, the breaking ones first."""
    found = [
        *_columns(before, before_schema, after, after_schema),
        *_answers(before, after),
    ]
    return tuple(sorted(found, key=lambda each: not each.breaking))


def version_kept(before: str, after: str, *, breaking: bool) -> str | None:
    """What is wrong with a version number, in words; None where nothing is.

    A breaking change wants a new first number, or while that is 0 a new second one
    (https://semver.org/#spec-item-4).
    """
    try:
        old, new = Version(before), Version(after)
    except InvalidVersion:
        return None
    if not breaking:
        return None
    if (old.major, new.major) == (0, 0):
        return None if new.minor > old.minor else f"{before} to {after} wants 0.{old.minor + 1}.0"
    return None if new.major > old.major else f"{before} to {after} wants {old.major + 1}.0.0"


def _columns(
    before: Signature, before_schema: Schema, after: Signature, after_schema: Schema
) -> Iterator[Change]:
    old = {each.name: each for each in before.columns}
    new = {each.name: each for each in after.columns}
    for name in [each for each in old if each not in new]:
        # Who still sends it is refused, unless unknown columns are ignored.
        ignored = after_schema.unknown_columns == "ignore"
        told = "is not read any more" if ignored else "is gone: requests that have it are refused"
        yield Change(where=f"columns.{name}", what=told, breaking=not ignored)
    for name in [each for each in new if each not in old]:
        needed = not new[name].nullable or after_schema.columns.get(name, Constraint()).required
        told = "is new, and required" if needed else "is new, and may be left out"
        yield Change(where=f"columns.{name}", what=told, breaking=needed)
    for name, column in old.items():
        if name in new:
            demanded = before_schema.columns.get(name, Constraint())
            yield from _column(
                column, demanded, new[name], after_schema.columns.get(name, Constraint())
            )
    if (before_schema.unknown_columns, after_schema.unknown_columns) == ("ignore", "refuse"):
        yield Change(where="schema", what="unknown columns are refused now", breaking=True)


def _column(
    old: Column, demanded: Constraint, new: Column, demands: Constraint
) -> Iterator[Change]:
    where = f"columns.{old.name}"
    if old.type != new.type:
        wider = (old.type, new.type) in _WIDER
        yield Change(where=where, what=f"was {old.type}, is {new.type}", breaking=not wider)
        if not wider:
            return
    if old.zone != new.zone:
        told = f"its zone was {old.zone or 'none'}, is {new.zone or 'none'}"
        yield Change(where=where, what=told, breaking=True)
    optional = old.nullable and not demanded.required
    if optional != (new.nullable and not demands.required):
        told = "is required now" if optional else "may be missing now"
        yield Change(where=where, what=told, breaking=optional)
    if not old.finite and new.finite:
        yield Change(where=where, what="infinities are refused now", breaking=True)
    yield from _demands(where, demanded, demands)


def _demands(where: str, old: Constraint, new: Constraint) -> Iterator[Change]:
    refuses = new.violation == "refuse"
    bounds = (("least", old.minimum, new.minimum, 1), ("largest", old.maximum, new.maximum, -1))
    for name, was, now, sign in bounds:
        if was == now:
            continue
        tighter = now is not None and (was is None or (now - was) * sign > 0)
        told = f"its {name} value was {_told(was)}, is {_told(now)}"
        yield Change(where=where, what=told, breaking=tighter and refuses)
    if old.categories != new.categories:
        gone = sorted(set(map(str, old.categories or ())) - set(map(str, new.categories or ())))
        fewer = new.categories is not None and (old.categories is None or bool(gone))
        told = f"its categories were {_listed(old.categories)}, are {_listed(new.categories)}"
        yield Change(where=where, what=told, breaking=fewer and refuses)
    if old.pattern != new.pattern:
        told = f"its pattern was {_told(old.pattern)}, is {_told(new.pattern)}"
        yield Change(where=where, what=told, breaking=new.pattern is not None and refuses)
    if old.violation != new.violation:
        told = f"what it forbids was met with {old.violation}, now with {new.violation}"
        yield Change(where=where, what=told, breaking=refuses)


def _answers(before: Signature, after: Signature) -> Iterator[Change]:
    if before.task != after.task:
        told = f"was {before.task}, is {after.task}"
        yield Change(where="task", what=told, breaking=True)
        return
    old = {each.name: each for each in before.outputs}
    new = {each.name: each for each in after.outputs}
    for name in [each for each in old if each not in new]:
        yield Change(where=f"answer.{name}", what="is gone", breaking=True)
    for name in [each for each in new if each not in old]:
        yield Change(where=f"answer.{name}", what="is new", breaking=False)
    for name, output in old.items():
        other = new.get(name)
        if other is None or name == "probabilities":  # of each label one: told there
            continue
        if (output.type, output.size) != (other.type, other.size):
            told = f"was {output.size} {output.type}, is {other.size} {other.type}"
            yield Change(where=f"answer.{name}", what=told, breaking=True)
    if before.labels != after.labels:
        gone = [each for each in before.labels if each not in after.labels]
        added = [each for each in after.labels if each not in before.labels]
        told = "; ".join(
            [f"{_listed(gone)} will not be answered any more"] * bool(gone)
            + [f"{_listed(added)} may be answered, which nobody expects"] * bool(added)
            or ["their order is another"]
        )
        # What is looked up by a label's name does not mind the order of the names.
        yield Change(where="labels", what=told, breaking=bool(gone or added))
    if before.groups != after.groups:
        yield Change(where="labels", what="a row gets other groups of them", breaking=True)
    if before.positive != after.positive:
        told = f"the positive one was {before.positive}, is {after.positive}"
        yield Change(where="labels", what=told, breaking=True)


def _told(value: object) -> str:
    return "none" if value is None else str(value)


def _listed(values: object) -> str:
    if values is None:
        return "any"
    told = list(map(str, values)) if isinstance(values, (list, tuple)) else [str(values)]
    more = f" and {len(told) - 8} more" if len(told) > 8 else ""
    return ", ".join(told[:8]) + more
