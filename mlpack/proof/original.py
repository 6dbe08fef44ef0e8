"""What the original pipeline answers: for each row a value or a refusal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack.proof.rows import Row
from mlpack.runtime.contract import Signature
from mlpack.runtime.frames import frame
from mlpack.runtime.halves import SHORT

Array = NDArray[Any]


@dataclass(frozen=True)
class Outcomes:
    """One side's answers. The entries of refused rows mean nothing.

    Attributes:
        refused: bool [rows].
        labels: int64 [rows], indices into the signature's labels, or None.
        numbers: float64 [rows, outputs]: probabilities, values or scores, or None.
    """

    refused: Array
    labels: Array | None
    numbers: Array | None


def ask(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> Outcomes:
    """Ask the original, all rows at once and, where it raises, in halves down to single rows.

    A prediction that is NaN or infinite cannot be told in JSON and counts as a refusal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _ask(pipeline, signature, rows)


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
        halves = [_ask(pipeline, signature, part) for part in parts]
        return Outcomes(
            refused=np.concatenate([half.refused for half in halves]),
            labels=_join([half.labels for half in halves]),
            numbers=_join([half.numbers for half in halves]),
        )
    return answer


def _join(parts: Sequence[Array | None]) -> Array | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def has_probabilities(pipeline: Any) -> bool:
    """Whether the pipeline's last step answers probabilities."""
    return hasattr(pipeline, "predict_proba")


def _refused(signature: Signature, pipeline: Any) -> Outcomes:
    width = len(signature.labels) if signature.labels else signature.outputs[0].size
    if signature.has("score"):
        width = 1
    scored = signature.task == "regression" or signature.has("score")
    numbers = scored or has_probabilities(pipeline)
    return Outcomes(
        refused=np.array([True]),
        labels=np.zeros(1, np.int64) if signature.labels else None,
        numbers=np.zeros((1, width)) if numbers else None,
    )


def _predict(pipeline: Any, signature: Signature, rows: Sequence[Row]) -> Outcomes:
    table = frame(signature, rows)
    if signature.task == "regression":
        values = np.asarray(pipeline.predict(table), np.float64).reshape(len(rows), -1)
        return Outcomes(refused=_not_finite(values), labels=None, numbers=values)
    index = {label: place for place, label in enumerate(signature.labels)}
    said = np.asarray(pipeline.predict(table)).reshape(-1).tolist()
    labels = np.array([index[label] for label in said], np.int64)
    if signature.has("score"):
        scores = np.asarray(pipeline.decision_function(table), np.float64).reshape(len(rows), 1)
        return Outcomes(refused=_not_finite(scores), labels=labels, numbers=scores)
    if not has_probabilities(pipeline):
        return Outcomes(refused=np.zeros(len(rows), bool), labels=labels, numbers=None)
    shares = np.asarray(pipeline.predict_proba(table), np.float64)
    return Outcomes(refused=_not_finite(shares), labels=labels, numbers=shares)


def _not_finite(numbers: Array) -> Array:
    return np.asarray(~np.isfinite(numbers).all(axis=1))
