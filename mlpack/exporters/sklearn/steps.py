"""How one step of a pipeline is converted: the two signatures that every converter has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlpack.exporters.sklearn.features import Context, Feature


@dataclass(frozen=True)
class Outputs:
    """What a model answers, as tensors; see `mlpack.runtime.contract.Encoding`.

    Attributes:
        label: int64 [rows], an index into the classes.
        probabilities: float64 [rows, classes].
        value: float64 [rows, outputs].
    """

    label: str | None = None
    probabilities: str | None = None
    value: str | None = None


class Walk(Protocol):
    """Converts the steps inside a step."""

    def transform(
        self,
        path: str,
        step: Any,
        features: tuple[Feature, ...],
        context: Context,
    ) -> tuple[Feature, ...]:
        """The columns that a transformer makes of `features`."""
        ...

    def predict(
        self,
        path: str,
        step: Any,
        features: tuple[Feature, ...],
        context: Context,
    ) -> Outputs:
        """What a model answers for `features`."""
        ...


Transformer = Callable[[str, Any, tuple[Feature, ...], Context, Walk], tuple[Feature, ...]]
Model = Callable[[str, Any, tuple[Feature, ...], Context, Walk], Outputs]
Transformers = Mapping[type, Transformer]
Models = Mapping[type, Model]
"""By the estimator's exact class: a subclass may do something else."""


def join(path: str, name: str) -> str:
    """The path of a step inside another."""
    return f"{path} → {name}" if path else name


def describe(step: Any, *parameters: str) -> str:
    """A step as the user would write it, with the parameters that matter."""
    values = step.get_params(deep=False) if hasattr(step, "get_params") else {}
    shown = ", ".join(f"{name}={values[name]!r}" for name in parameters if name in values)
    return f"{type(step).__name__}({shown})" if shown else type(step).__name__
