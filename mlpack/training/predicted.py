"""How the predictions of training are spread, to compare with those that are served."""

from __future__ import annotations

import numpy as np

from mlpack.proof.original import Outcomes
from mlpack.runtime.contract import Distribution, Signature

FEWEST = 50
"""Of fewer rows nothing is told: shares would be chance, and the bounds of bins single rows'."""

BINS = 10


def distribution(outcomes: Outcomes, signature: Signature) -> Distribution | None:
    """The shares of the labels, or of bins that hold a tenth of the predicted values each.

    None for fewer than `FEWEST` answered rows, and for a regression with several outputs.
    """
    answered = ~outcomes.refused
    rows = int(answered.sum())
    if rows < FEWEST:
        return None
    if outcomes.labels is not None:
        counts = np.bincount(outcomes.labels[answered].reshape(-1), minlength=len(signature.labels))
        return Distribution(shares=_shares(counts), rows=rows)
    if outcomes.numbers is None or outcomes.numbers.shape[1] != 1:
        return None
    values = outcomes.numbers[answered, 0].astype(np.float64)
    edges = _edges(values)
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return Distribution(shares=_shares(counts), edges=tuple(edges.tolist()), rows=rows)


def _edges(values: np.ndarray) -> np.ndarray:
    """Bounds between values that occur: what serves may differ from them by a last place."""
    different = np.unique(values)
    tenths = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    # A value that many rows share, as of a shallow tree, has one bound above it; the last none.
    places = np.unique(np.searchsorted(different, tenths))
    places = places[places < len(different) - 1]
    between = (different[places] + different[places + 1]) / 2
    return np.asarray(np.unique(between))


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).tolist())
