"""From which numbers on a module answers no number: found by asking it.

What a module makes of numbers at the end of its precision, or of none, depends on the kernels: one
library's GELU runs over where another's does not, one's pooling hands NaN on and another's drops
it. So the module itself is asked, column by column, and the graph refuses what it cannot answer.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MOST = 512
"""With more columns than this none is asked: each asks for some dozens of rows."""

_BASE = 2


@dataclass(frozen=True, eq=False)
class _Asked:
    """A module, and rows that it answers.

    Attributes:
        base: [rows, columns]. Its numbers are the index 0 where forward takes them for one.
        whole: the type of whole numbers that orders the floats as they are.
    """

    module: Any
    base: NDArray[Any]
    whole: Any

    def refuses(self, columns: NDArray[Any], values: NDArray[Any]) -> NDArray[Any] | None:
        """Whether each value, in its column, gets no number, whatever the base; None: it raises."""
        rows = np.repeat(self.base[None], len(columns), axis=0)
        rows[np.arange(len(columns)), :, columns] = values[:, None]
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = self.module(torch.from_numpy(rows.reshape(-1, rows.shape[2])))
        except Exception:  # noqa: BLE001 - a module may raise anything
            return None
        said = said[0] if isinstance(said, tuple) else said
        numbers = said.reshape(len(columns), len(self.base), -1)
        finite: NDArray[Any] = torch.isfinite(numbers).all(dim=2).any(dim=1).numpy()
        return ~finite


def limits(module: Any, width: int, dtype: str) -> NDArray[Any] | None:
    """The lowest and the highest number that each column may hold, and whether NaN may stand there.

    Args:
        module: in eval mode; of several answers the first counts.
        width: of the array that it takes.
        dtype: of that.

    Returns:
        Of its dtype, [3, width]: the last row is 1 where NaN gets no number, else 0. None where
        nothing is known to be refused.
    """
    kind = np.dtype(dtype)
    if kind.kind != "f" or width > MOST:
        return None
    base = np.random.default_rng(0).uniform(0.1, 0.9, (_BASE, width)).astype(kind)
    asked = _Asked(module, base, np.dtype(f"i{kind.itemsize}"))
    found = np.array([[-np.inf] * width, [np.inf] * width, [0] * width], kind)
    none = asked.refuses(np.array([0]), base[:1, 0])
    if none is None or none.any():
        return None
    for place, (sign, end) in enumerate([(-1, np.inf), (1, np.inf), (1, np.nan)]):
        columns = _ending(asked, kind.type(sign * end))
        if np.isnan(end):
            found[place, columns] = 1
        elif len(columns):
            found[place, columns] = _edges(asked, columns, sign)
    known = np.isfinite(found[:2]).any() or found[2].any()
    return found if known else None


def _ending(asked: _Asked, value: Any) -> NDArray[Any]:
    """The columns in which a value gets no number. Where it raises, an index is guarded."""
    return np.array(
        [
            column
            for column in range(asked.base.shape[1])
            if (answer := asked.refuses(np.array([column]), np.array([value]))) is not None
            and answer[0]
        ],
        np.int64,
    )


def _edges(asked: _Asked, columns: NDArray[Any], sign: int) -> NDArray[Any]:
    """The last number before infinity that each column may hold, by bisection."""
    kind = asked.base.dtype
    low = np.ones(len(columns), kind).view(asked.whole)
    high = np.full(len(columns), np.inf, kind).view(asked.whole)
    while (high - low > 1).any():
        middle = low + (high - low) // 2
        refused = asked.refuses(columns, sign * middle.view(kind))
        if refused is None:
            return np.full(len(columns), sign * np.inf, kind)
        low, high = np.where(refused, low, middle), np.where(refused, middle, high)
    edges: NDArray[Any] = sign * low.view(kind)
    return edges
