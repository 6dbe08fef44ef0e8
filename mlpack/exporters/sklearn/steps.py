"""How one step of a pipeline is converted: the two signatures that every converter has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlpack.exporters.sklearn.features import Context, Feature


@dataclass(frozen=True)
class Outputs:
    """What a model answers, as tensors; see `mlpack.runtime.contract.Encoding`.

    Attributes:
        label: int64 [rows], an index into the classes; [rows, groups] of a model that answers
            several labels a row, into the classes of all of them, one after the other.
        probabilities: float64 [rows, classes].
        value: float64 [rows, outputs].
        scores: what ``decision_function`` of the original says: float64 [rows, scores], one
            column where it has one number a row.
    """

    label: str | None = None
    probabilities: str | None = None
    value: str | None = None
    scores: str | None = None


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

    def through(
        self,
        path: str,
        steps: Sequence[tuple[str, Any]],
        features: tuple[Feature, ...],
        context: Context,
        width: int | None = None,
    ) -> tuple[Feature, ...]:
        """The columns that transformers make, one after the other.

        In a hybrid a step that has no graph stays Python, with all that stand before it.

        Args:
            path: of the step that holds them.
            steps: their names, and they themselves.
            features: what the first of them takes.
            context: of the export.
            width: how many columns the last of them makes, where that is known.
        """
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
Transformers = Mapping[str, Transformer]
Models = Mapping[str, Model]
"""By the name of a class, as `name_of` gives it."""

LIBRARIES = frozenset({"xgboost", "lightgbm", "catboost", "skorch"})
"""Beside scikit-learn, whose classes are known by their bare names."""


def name_of(step: Any) -> str | None:
    """``StandardScaler`` for a class of scikit-learn, ``xgboost.XGBClassifier`` for one of the
    other libraries, None for anybody else's: a subclass may do otherwise.

    By name, so that a converter need not import the library that it converts: that takes seconds,
    and the pickle has imported what the pipeline needs.
    """
    kind = type(step)
    library = kind.__module__.split(".")[0]
    if library == "sklearn":
        return kind.__name__
    return f"{library}.{kind.__name__}" if library in LIBRARIES else None


def join(path: str, name: str) -> str:
    """The path of a step inside another."""
    return f"{path} → {name}" if path else name


def describe(step: Any, *parameters: str) -> str:
    """A step as the user would write it, with the parameters that matter."""
    values = step.get_params(deep=False) if hasattr(step, "get_params") else {}
    shown = ", ".join(f"{name}={values[name]!r}" for name in parameters if name in values)
    return f"{type(step).__name__}({shown})" if shown else type(step).__name__
