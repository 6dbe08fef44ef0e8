"""What the original hands columns on in: a data frame or an array. The user's own code can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sklearn
from sklearn.exceptions import NotFittedError

from mlpack.exporters.sklearn.features import Feature
from mlpack.exporters.sklearn.steps import name_of

_WITHIN = frozenset(
    {
        *("Pipeline", "FunctionTransformer"),
        *("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"),
    }
)
"""What they hand on is decided by the steps or the function that they hold."""


def held(step: Any, made: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """The columns that a step made, by the names and in the container that the original gives."""
    config = getattr(step, "_sklearn_output_config", {}).get("transform")
    output = config or sklearn.get_config().get("transform_output", "default")
    if output != "default" and hasattr(step, "get_feature_names_out"):
        return _as_frame(step, made, output)
    if name_of(step) in _WITHIN or name_of(step) is None:
        return made
    return tuple(each if each.holder == "array" else replace(each, holder="array") for each in made)


def _as_frame(step: Any, made: tuple[Feature, ...], output: str) -> tuple[Feature, ...]:
    try:
        names = [str(name) for name in step.get_feature_names_out()]
    except (ValueError, AttributeError, NotFittedError):
        names = []  # the original cannot name them either: then nobody can ask for them by name
    known = len(names) == len(made)
    return tuple(
        replace(
            each,
            name=names[index] if known else each.name,
            holder="frame" if output == "pandas" else "other",
        )
        for index, each in enumerate(made)
    )
