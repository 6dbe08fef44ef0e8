"""Some of the rows of a graph's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def taken(inputs: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    """The inputs for these rows, in this order; see `mlpack.runtime.contract.Encoding`."""
    made: dict[str, Array] = {}
    for name, array in inputs.items():
        if name == "rows":
            made[name] = np.array([len(rows)], np.int64)
        elif name.startswith("text_"):
            made[name] = _entries(array, rows)
        else:
            made[name] = array[rows]
    return made


def _entries(entries: Array, rows: Array) -> Array:
    """A text's entries are sorted by row, of which each has any number."""
    starts = np.searchsorted(entries[:, 0], rows, "left")
    lengths = np.searchsorted(entries[:, 0], rows, "right") - starts
    before = np.cumsum(lengths) - lengths
    chosen = entries[np.repeat(starts - before, lengths) + np.arange(lengths.sum())]
    chosen[:, 0] = np.repeat(np.arange(len(rows)), lengths)
    return np.asarray(chosen)
