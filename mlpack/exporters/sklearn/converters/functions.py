"""The user's own code: functions and transformers in numpy or pandas, followed into the graph."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe, join, name_of
from mlpack.exporters.sklearn.tracing.authors import AuthorsGraph
from mlpack.exporters.sklearn.tracing.trace import (
    globals_of,
    name_of_function,
    own_packages,
    trace,
)

HOOK = "__mlpack_export__"
"""What an author may define beside ``transform``: the same for the graph."""


def _function(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """FunctionTransformer: its function is called with what it would be called with."""
    if step.validate:
        features = tuple(replace(feature, holder="array") for feature in features)
        matrix = context.matrix(features, path)
        context.refusals.append(context.graph.not_finite(matrix))
    if step.func is None:
        return features
    given = named(step, features)
    options = copy.deepcopy(dict(step.kw_args or {}))
    made = trace(
        path,
        lambda columns: step.func(columns, **options),
        given,
        context,
        packages=own_packages(step.func),
        more=globals_of(step.func),
        name=name_of_function(step.func),
    )
    if made and made[0].holder in ("array", "vector") and len(made) == len(features):
        made = tuple(replace(m, name=f.name) for m, f in zip(made, features, strict=True))
    return made


def own_transformer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[Feature, ...]:
    """A transformer of a class that is not known: its hook, or its ``transform``, is traced.

    Raises:
        NotExportableError: it cannot be traced; the reason has the line in the user's file.
    """
    hook = getattr(type(step), HOOK, None)

    def transform(X: Any) -> Any:  # noqa: N803 - its name in scikit-learn
        # A copy each time: what it remembers must not reach the original.
        own = copy.deepcopy(step)
        own.__dict__.pop("_sklearn_output_config", None)
        if hook is None:
            return own.transform(X)
        return hook(own, X, AuthorsGraph(X))

    packages = own_packages(type(step))
    method = hook or getattr(type(step), "transform", None)
    return trace(
        join(path, describe(step)),
        transform,
        named(step, features),
        context,
        packages=packages,
        more=globals_of(method),
        name=f"{type(step).__name__}.{HOOK if hook is not None else 'transform'}()",
    )


def traced(step: Any) -> bool:
    """Whether a step's nodes come from following the user's code."""
    if name_of(step) == "FunctionTransformer":
        return step.func is not None
    return name_of(step) is None and (hasattr(step, "transform") or hasattr(type(step), HOOK))


def named(step: Any, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """The columns by the names that the step saw in fit: then it was given a frame."""
    names = getattr(step, "feature_names_in_", None)
    if names is None or len(names) != len(features):
        return features
    if getattr(step, "validate", False):
        return features
    return tuple(
        replace(feature, name=str(name), holder="frame")
        for feature, name in zip(features, np.asarray(names), strict=True)
    )


TRANSFORMERS: Transformers = {"FunctionTransformer": _function}
MODELS: Models = {}
