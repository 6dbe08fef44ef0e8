"""How values are spread: the shares of bins, from which no row can be told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpack.runtime.contract import Distribution

FEWEST = 50
"""Of fewer rows nothing is told: shares would be chance, and the bounds of bins single rows'."""

BINS = 10


def of_numbers(values: NDArray[np.float64]) -> Distribution | None:
    """The shares of bins that hold a tenth of the values each, or None for too few values.

    Args:
        values: all of them; none is NaN.
    """
    if len(values) < FEWEST:
        return None
    found = edges(values)
    counts = np.bincount(np.searchsorted(found, values), minlength=len(found) + 1)
    return Distribution(shares=shares(counts), edges=tuple(found.tolist()), rows=len(values))


def of_counts(counts: NDArray[np.int64], rows: int) -> Distribution | None:
    """The shares of counts, or None for too few rows."""
    if rows < FEWEST or not counts.sum():
        return None
    return Distribution(shares=shares(counts), rows=rows)


def edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds between values that occur: what serves may differ from them by a last place."""
    different = np.unique(values)
    tenths = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    # A value that many rows share, as of a shallow tree, has one bound above it; the last none.
    places = np.unique(np.searchsorted(different, tenths))
    places = places[places < len(different) - 1]
    between = (different[places] + different[places + 1]) / 2
    return np.asarray(np.unique(between))


def shares(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """Counts as parts of their sum."""
    return tuple((counts / counts.sum()).tolist())
