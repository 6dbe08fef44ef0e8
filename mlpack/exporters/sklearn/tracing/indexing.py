"""Which cells a key means: the rows are all there or chosen by a truth, never counted."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlpack.exporters.sklearn.tracing.elementwise import Traced
from mlpack.exporters.sklearn.tracing.errors import TraceError

BRANCH = "np.where(condition, a, b) chooses row by row without a branch"


class Key(NamedTuple):
    """A key of an array.

    Attributes:
        cells: the key of the cells, which have no axis of rows.
        axis: where the rows stand in what is found.
        mask: the truth that chooses rows, if one does.
    """

    cells: tuple[Any, ...]
    axis: int
    mask: Traced | None


def parse(array: Traced, key: Any) -> Key:
    """The parts of a key of `array`.

    Raises:
        TraceError: it takes single rows.
    """
    if isinstance(key, Traced) and key.dtype == np.bool_ and key.ndim == array.ndim > 1:
        return Key((), array.axis, key)
    parts = list(key) if isinstance(key, tuple) else [key]
    axes = sum(_axes(part) for part in parts)
    at = [index for index, part in enumerate(parts) if part is Ellipsis]
    fill: list[Any] = [slice(None)] * max(array.ndim - axes, 0)
    if at:
        parts[at[0] : at[0] + 1] = fill
    else:
        parts += fill
    cells: list[Any] = []
    mask: Traced | None = None
    axis = place = 0
    for part in parts:
        if part is None:
            cells.append(None)
            axis += 1 if place <= array.axis else 0
            continue
        if place == array.axis:
            mask = _rows(array, part)
        else:
            cells.append(_columns(part))
            if place < array.axis:
                axis += _made(part)
        place += _axes(part)
    return Key((*cells, Ellipsis), axis, mask)


def _axes(part: Any) -> int:
    """How many axes of the array a part of a key takes."""
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, np.ndarray) and part.dtype == np.bool_:
        return part.ndim
    return 1


def _made(part: Any) -> int:
    """How many axes a part of a key leaves."""
    if isinstance(part, slice):
        return 1
    return np.ndim(part)


def _columns(part: Any) -> Any:
    if isinstance(part, Traced):
        raise TraceError("columns are chosen by data: take them with np.where instead")
    return part


def _rows(array: Traced, part: Any) -> Traced | None:
    rows = array.tape.rows
    if isinstance(part, slice):
        if part.step in (None, 1) and part.start in (None, 0) and part.stop in (None, rows):
            return None
        raise TraceError("it takes some of the rows by their position, or turns their order")
    if isinstance(part, Traced):
        if part.dtype == np.bool_ and part.ndim == 1:
            return part
        raise TraceError("rows are chosen by their position, which depends on the other rows")
    if isinstance(part, np.ndarray) and part.dtype == np.bool_ and part.all():
        return None
    raise TraceError(
        f"it takes single rows ({part!r}): one row may not depend on another. {BRANCH}"
    )
