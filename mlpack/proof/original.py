"""What the original pipeline answers: for each row a value or a refusal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.proof.rows import Row
from mlpack.runtime.asked import Labels, shares
from mlpack.runtime.contract import Signature
from mlpack.runtime.frames import frame
from mlpack.runtime.halves import SHORT

Array = NDArray[Any]


@dataclass(frozen=True)
class Outcomes:
    """One side's answers. The entries of refused rows mean nothing.

    Attributes:
        refused: bool [rows].
        labels: int64 [rows], indices into the signature's labels, [rows, groups] where it has
            groups, or None.
        numbers: float64 [rows, outputs]: probabilities, values or scores, or None.
    """

    refused: Array
    labels: Array | None
    numbers: Array | None

    def taken(self, rows: Array) -> Outcomes:
        """The answers for some of the rows."""
        return Outcomes(
            refused=self.refused[rows],
            labels=None if self.labels is None else self.labels[rows],
            numbers=None if self.numbers is None else self.numbers[rows],
        )


def ask(
    pipeline: Any, signature: Signature, rows: Sequence[Row], doubtful: Array | None = None
) -> Outcomes:
    """Ask the original, all rows at once and, where it raises, in halves down to single rows.

    A prediction that is NaN or infinite cannot be told in JSON and counts as a refusal.

    Args:
        pipeline: the original.
        signature: what it learned.
        rows: what it is asked.
        doubtful: bool [rows], for which it probably raises: each of them is asked alone at once,
            which spares the halves. Whatever is expected, every row is asked.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if doubtful is None or not doubtful.any():
            return _ask(pipeline, signature, rows)
        alone, others = np.flatnonzero(doubtful), np.flatnonzero(~doubtful)
        pieces = [[rows[index]] for index in alone.tolist()]
        if len(others):
            pieces.append([rows[index] for index in others.tolist()])
        found = joined([_ask(pipeline, signature, piece) for piece in pieces])
        return found.taken(np.argsort(np.concatenate([alone, others])))


def once(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> None:
    """Let the original work on all rows at once, for somebody who watches its steps.

    Raises:
        Exception: whatever the original raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _predict(pipeline, signature, rows)


def raises(pipeline: Any, signature: Signature, row: Row) -> bool:
    """Whether the original raises for a row, rather than answer something that cannot be told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _predict(pipeline, signature, [row])
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - a pipeline may raise anything
            return True
    return False


def _ask(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> Outcomes:
    try:
        answer = _predict(pipeline, signature, rows)
    except MemoryError:
        raise
    except Exception:
        if not rows:
            raise  # there is nothing to halve
        if len(rows) == 1:
            return _refused(signature, pipeline)
        # Refused rows come in runs: a short one is asked row by row at once.
        step = 1 if len(rows) <= SHORT else -(-len(rows) // 2)
        parts = [rows[start : start + step] for start in range(0, len(rows), step)]
        return joined([_ask(pipeline, signature, part) for part in parts])
    return answer


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """The answers one after the other."""
    return Outcomes(
        refused=np.concatenate([part.refused for part in parts]),
        labels=_join([part.labels for part in parts]),
        numbers=_join([part.numbers for part in parts]),
    )


def _join(parts: Sequence[Array | None]) -> Array | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def has_probabilities(pipeline: Any) -> bool:
    """Whether the pipeline's last step answers probabilities."""
    return hasattr(pipeline, "predict_proba")


def _refused(signature: Signature, pipeline: Any) -> Outcomes:
    several = (len(signature.groups),) if signature.groups else ()
    width = len(signature.labels) if signature.labels else signature.outputs[0].size
    if signature.has("score"):
        width = 1
    scored = signature.task == "regression" or signature.has("score")
    numbers = scored or (signature.has("probabilities") and has_probabilities(pipeline))
    return Outcomes(
        refused=np.array([True]),
        labels=np.zeros((1, *several), np.int64) if signature.labels else None,
        numbers=np.zeros((1, width)) if numbers else None,
    )


def _predict(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> Outcomes:
    table = frame(signature, rows)
    if signature.task == "regression":
        values = np.asarray(pipeline.predict(table), np.float64).reshape(len(rows), -1)
        return Outcomes(refused=_not_finite(values), labels=None, numbers=values)
    labels = Labels(signature).places(pipeline.predict(table))
    if signature.has("score"):
        scores = np.asarray(pipeline.decision_function(table), np.float64).reshape(len(rows), 1)
        return Outcomes(refused=_not_finite(scores), labels=labels, numbers=scores)
    if not (signature.has("probabilities") and has_probabilities(pipeline)):
        return Outcomes(refused=np.zeros(len(rows), bool), labels=labels, numbers=None)
    probabilities = shares(pipeline.predict_proba(table), signature)
    return Outcomes(refused=_not_finite(probabilities), labels=labels, numbers=probabilities)


def _not_finite(numbers: Array) -> Array:
    return np.asarray(~np.isfinite(numbers).all(axis=1))
