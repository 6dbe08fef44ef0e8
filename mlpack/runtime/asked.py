"""What a fitted estimator of scikit-learn's kind says, in the form of `Predictions`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .contract import Category, Signature


def for_each(said: Any, dimensions: int) -> bool:  # noqa: ANN401 - whatever an estimator says
    """Whether it is a list with an array for each answer to a row.

    So scikit-learn's models that learn several targets have their classes (1 dimension) and their
    probabilities (2), even if they learned one.
    """
    return isinstance(said, list) and all(np.ndim(each) == dimensions for each in said)


def groups(signature: Signature) -> list[tuple[int, tuple[Category, ...]]]:
    """The labels of each group, and how many stand before them."""
    found = []
    start = 0
    for size in signature.groups or (len(signature.labels),):
        found.append((start, signature.labels[start : start + size]))
        start += size
    return found


class Labels:
    """Finds labels' places in the signature's."""

    def __init__(self, signature: Signature) -> None:
        self._several = bool(signature.groups)
        self._places = [
            {label: place for place, label in enumerate(labels, start=start)}
            for start, labels in groups(signature)
        ]

    def places(self, said: Any) -> np.ndarray:  # noqa: ANN401 - any array, sparse ones too
        """Int64 [rows], or [rows, groups], of what `predict` said.

        Raises:
            KeyError: a label is none of the signature's.
            ValueError: there are not as many labels a row as groups.
        """
        answer = np.asarray(said.toarray() if hasattr(said, "toarray") else said)
        if not self._several:
            [known] = self._places
            return np.array([known[label] for label in answer.reshape(-1).tolist()], np.int64)
        shape = (len(answer), len(self._places))
        found = [
            [known[label] for known, label in zip(self._places, row, strict=True)]
            for row in answer.reshape(shape).tolist()
        ]
        return np.array(found, np.int64).reshape(shape)


def shares(said: Any, signature: Signature) -> np.ndarray:  # noqa: ANN401 - an array or a list of them
    """Float64 [rows, labels] of what ``predict_proba`` said, in the estimator's order.

    For several labels it is a list with the probabilities of each group, or an array with those of
    the second label of each, as of ``OneVsRestClassifier``.

    Raises:
        ValueError: it is none of them.
    """
    if for_each(said, 2):
        return np.hstack([np.asarray(part, dtype=np.float64) for part in said])
    seconds = np.asarray(said, dtype=np.float64)
    if not signature.groups:
        return seconds
    if set(signature.groups) != {2} or seconds.shape[1:] != (len(signature.groups),):
        raise ValueError("the probabilities of several labels are not one for each")
    return np.stack([1 - seconds, seconds], axis=2).reshape(len(seconds), -1)
