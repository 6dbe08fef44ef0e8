"""How the predictions of training are spread, to compare with those that are served."""

from __future__ import annotations

import numpy as np

from mlpack.proof.original import Outcomes
from mlpack.runtime.contract import Distribution, Signature
from mlpack.training.spread import of_counts, of_numbers


def distribution(outcomes: Outcomes, signature: Signature) -> Distribution | None:
    """The shares of the labels, or of bins that hold a tenth of the predicted values each.

    None for too few answered rows, and for a regression with several outputs.
    """
    answered = ~outcomes.refused
    rows = int(answered.sum())
    if outcomes.labels is not None:
        counts = np.bincount(outcomes.labels[answered].reshape(-1), minlength=len(signature.labels))
        return of_counts(counts, rows)
    if outcomes.numbers is None or outcomes.numbers.shape[1] != 1:
        return None
    return of_numbers(outcomes.numbers[answered, 0].astype(np.float64))
