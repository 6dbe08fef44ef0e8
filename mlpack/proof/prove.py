"""Asks the original and the form that will serve the same rows, and reports where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack.export import Check, Exported, Parity, WorstRow
from mlpack.proof.by_step import ROWS, Seen, by_step
from mlpack.proof.original import Array, Outcomes, ask, joined
from mlpack.proof.rows import Batch, Row
from mlpack.runtime.contract import Signature
from mlpack.runtime.predictions import Predictions
from mlpack.runtime.session import Session

SINGLY = 40
"""So many rows of each kind are also asked one at a time: the server's shortest path; all of them
where that path has a program of its own."""

SLOWLY = 8
"""The same where one row takes milliseconds, because the pipeline serves as Python."""

ALONE = 1e-4
"""What a row alone may be answered otherwise than in a batch by a pipeline that ships as itself: a
thousand roundings to float32."""

FEW = 50
"""All rows are asked in pieces of so many too: of a few rows a graph may compute in another way."""

WORST = 5

WHERE = 5
"""So many rows that differ are looked at step by step, to say where that begins."""


def prove(
    pipeline: Any,
    session: Session,
    signature: Signature,
    exported: Exported,
    batches: Iterable[Batch],
) -> tuple[Parity, tuple[WorstRow, ...]]:
    """Compare both sides on every row.

    Args:
        pipeline: the original.
        session: the form that will serve, through the very class that serves it.
        signature: the columns and labels.
        exported: what the session runs.
        batches: the rows, kind by kind.

    Returns:
        The report, which has figures only, and the worst rows, for the author's eyes only.
    """
    checks: list[Check] = []
    worst: list[WorstRow] = []
    seen: list[Seen] = []
    programmed = exported.encoding is not None and exported.encoding.program is not None
    for batch in batches:
        served = serve(session, batch.rows)
        singly = serve_singly(session, batch.rows, every=programmed)
        # What stays Python sums in the same pieces as the original only if both are halved alike.
        doubtful = served.refused if exported.form == "onnx" else None
        original = ask(pipeline, signature, batch.rows, doubtful)
        alone = original.taken(np.arange(len(singly.refused)))
        if exported.form == "python":
            _take_alone(pipeline, signature, batch.rows, alone)
        answers = [(original, served), (alone, singly)]
        if exported.form == "onnx":
            answers.append((original, serve_in_pieces(session, batch.rows)))
        check, rows = compare(batch, answers, signature, exported.tolerance)
        checks.append(check)
        worst.extend(rows)
        if not seen:
            seen.append(_head(batch, original, served))
    if exported.probes:
        seen += [
            Seen((row,), ask(pipeline, signature, [row]), serve(session, [row]))
            for row in (each.row for each in worst[:WHERE])
        ]
    parity = Parity(
        equal=all(check.equal for check in checks),
        form=exported.form,
        tolerance=exported.tolerance,
        checks=tuple(checks),
        steps=by_step(pipeline, signature, exported, seen),
    )
    return parity, tuple(worst)


def _head(batch: Batch, original: Outcomes, served: Outcomes) -> Seen:
    """The first rows of a kind that both sides answer."""
    taken = np.flatnonzero(~original.refused & ~served.refused)[:ROWS]
    rows = tuple(batch.rows[row] for row in taken.tolist())
    return Seen(rows, original.taken(taken), served.taken(taken))


def _take_alone(
    pipeline: Any, signature: Signature, rows: Sequence[Row], together: Outcomes
) -> None:
    """The rows' numbers as the original answers for each alone: it is asked so too.

    A pipeline that computes in float32 sums a single row in another order than a batch. What goes
    beyond that, another label or a refusal, stays as it was and shows as a difference: the answer
    for a row may not depend on the others.
    """
    for index, row in enumerate(rows[: len(together.refused)]):
        alone = ask(pipeline, signature, [row])
        if together.numbers is None or alone.numbers is None:
            continue
        if alone.refused[0] or together.refused[index]:
            continue
        if (
            together.labels is not None
            and alone.labels is not None
            and (alone.labels[0] != together.labels[index]).any()
        ):
            continue
        if _distance(together.numbers[index : index + 1], alone.numbers, signature)[0] <= ALONE:
            together.numbers[index] = alone.numbers[0]


def serve(session: Session, rows: Sequence[Row]) -> Outcomes:
    """Ask the served form: all rows at once, as columns."""
    names = [column.name for column in session.signature.columns]
    return _outcomes(session.columns({name: [row[name] for row in rows] for name in names}))


def serve_in_pieces(session: Session, rows: Sequence[Row]) -> Outcomes:
    """Ask the served form for a few rows at a time, as those are that come together."""
    pieces = [rows[start : start + FEW] for start in range(0, len(rows), FEW)]
    return joined([_outcomes(session.few(piece)) for piece in pieces])


def serve_singly(session: Session, rows: Sequence[Row], *, every: bool = False) -> Outcomes:
    """Ask the served form for the first of the rows, one by one, as most requests do.

    For every one of them where a lone row is answered by a program of its own.
    """
    count = SLOWLY if session.engine.blocking else SINGLY
    count = len(rows) if every else count
    return joined([_outcomes(session.rows([row])) for row in rows[:count]])


def _outcomes(predictions: Predictions) -> Outcomes:
    numbers = predictions.values if predictions.values is not None else predictions.probabilities
    refused = predictions.refused
    if numbers is not None and len(numbers) != predictions.rows:
        numbers = None  # answers that belong to no row: the comparison finds them missing
    if numbers is not None:
        refused = refused | ~np.isfinite(numbers).all(axis=1)
    return Outcomes(
        refused=refused,
        labels=None if predictions.labels is None else np.array(predictions.labels),
        numbers=None if numbers is None else np.array(numbers, np.float64),
    )


def compare(
    batch: Batch,
    answers: Sequence[tuple[Outcomes, Outcomes]],
    signature: Signature,
    tolerance: float,
) -> tuple[Check, list[WorstRow]]:
    """Both sides' answers to one kind of rows, in aggregate, and the worst of the rows.

    Args:
        batch: the rows.
        answers: the original's and the served form's, to all rows or to the first of them, for
            each way in which they are asked. A row is wrong if it is in any of them.
        signature: what the original learned.
        tolerance: the largest difference of numbers that is none.
    """
    count = len(batch.rows)
    labels_wrong, outcome_wrong = np.zeros(count, bool), np.zeros(count, bool)
    refused, distance = np.zeros(count, bool), np.zeros(count)
    shown: list[tuple[Outcomes, Outcomes]] = [answers[0]] * count
    for original, served in answers:
        found = _differences(original, served, signature)
        asked = len(found.distance)
        worse = found.labels | found.outcomes | (found.distance > distance[:asked])
        for row in np.flatnonzero(worse).tolist():
            shown[row] = (original, served)
        labels_wrong[:asked] |= found.labels
        outcome_wrong[:asked] |= found.outcomes
        refused[:asked] |= original.refused & served.refused
        distance[:asked] = np.maximum(distance[:asked], found.distance)
    beyond = distance > tolerance
    check = Check(
        name=batch.name,
        rows=count,
        labels_wrong=int(labels_wrong.sum()),
        outcomes_wrong=int(outcome_wrong.sum()),
        refused=int(refused.sum()),
        largest=float(distance.max(initial=0.0)),
        beyond=int(beyond.sum()),
    )
    wrong = np.flatnonzero(labels_wrong | outcome_wrong | beyond)
    order = sorted(wrong.tolist(), key=lambda row: -distance[row])[:WORST]
    rows = [
        WorstRow(
            check=batch.name,
            row=batch.rows[row],
            original=_told(shown[row][0], row, signature),
            served=_told(shown[row][1], row, signature),
        )
        for row in order
    ]
    return check, rows


@dataclass(frozen=True)
class _Differences:
    """Row by row: another label, an answer by one side only, and how far numbers are apart."""

    labels: Array
    outcomes: Array
    distance: Array


def _differences(original: Outcomes, served: Outcomes, signature: Signature) -> _Differences:
    outcomes = original.refused != served.refused
    both = ~original.refused & ~served.refused
    labels = np.zeros(len(both), bool)
    if _shape(original.labels) != _shape(served.labels):
        outcomes = np.ones(len(both), bool)
    elif original.labels is not None and served.labels is not None:
        other = original.labels != served.labels
        labels = both & (other if other.ndim == 1 else other.any(axis=1))
    distance = np.zeros(len(both))
    if _shape(original.numbers) != _shape(served.numbers):
        outcomes = np.ones(len(both), bool)
    elif original.numbers is not None and served.numbers is not None:
        distance = np.where(both, _distance(original.numbers, served.numbers, signature), 0.0)
    return _Differences(labels, outcomes, distance)


def _shape(array: Array | None) -> tuple[int, ...] | None:
    return None if array is None else array.shape


def _distance(original: Array, served: Array, signature: Signature) -> Array:
    """The largest difference per row: absolute of probabilities, relative of other numbers."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(original - served)
        if signature.task == "regression" or signature.has("score"):
            difference = difference / np.maximum(1.0, np.abs(original))
    return np.asarray(np.nan_to_num(difference, nan=0.0, posinf=np.inf).max(axis=1, initial=0.0))


def _told(outcomes: Outcomes, row: int, signature: Signature) -> str:
    if outcomes.refused[row]:
        return "refused"
    parts = []
    if outcomes.labels is not None:
        places = np.atleast_1d(outcomes.labels[row]).tolist()
        parts.append(", ".join(repr(signature.labels[place]) for place in places))
    if outcomes.numbers is not None:
        parts.append("[" + ", ".join(f"{number:.17g}" for number in outcomes.numbers[row]) + "]")
    return " ".join(parts)
