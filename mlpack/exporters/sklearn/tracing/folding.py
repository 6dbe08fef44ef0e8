"""Nodes that need no graph: constants among themselves, and choices that are made already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KERNELS: dict[str, Callable[..., Any]] = {
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Floor": np.floor,
    "Where": np.where,
    "IsNaN": np.isnan,
    "IsInf": np.isinf,
    "Max": np.maximum,
    "Min": np.minimum,
}
_TYPES = {1: np.float32, 7: np.int64, 9: np.bool_, 11: np.float64}


def folded(
    operator: str, values: Sequence[NDArray[Any]], attributes: Mapping[str, Any]
) -> NDArray[Any] | None:
    """What an operator makes of constants; None where that is left to the graph."""
    with np.errstate(all="ignore"):
        if operator == "Cast" and attributes.get("to") in _TYPES:
            return values[0].astype(_TYPES[attributes["to"]])
        if operator == "Div" and values[0].dtype.kind == "f":
            return np.asarray(values[0] / values[1])
        kernel = _KERNELS.get(operator)
        return None if kernel is None or attributes else np.asarray(kernel(*values))


def chosen(operator: str, inputs: Sequence[str], known: Mapping[str, NDArray[Any]]) -> str | None:
    """The input that an operator answers unchanged, because another is a constant."""
    scalars = {name: bool(known[name]) for name in inputs if _is_truth(known.get(name))}
    if operator == "Where" and inputs[0] in scalars:
        taken = inputs[1] if scalars[inputs[0]] else inputs[2]
        left = inputs[2] if scalars[inputs[0]] else inputs[1]
        # The other one may have told how many rows there are.
        return taken if taken not in known or left in known else None
    if operator in ("And", "Or") and scalars:
        name, value = next(iter(scalars.items()))
        rest = inputs[1] if inputs[0] == name else inputs[0]
        if value == (operator == "And"):
            return rest
    return None


def _is_truth(value: NDArray[Any] | None) -> bool:
    return value is not None and value.ndim == 0 and value.dtype == np.bool_
