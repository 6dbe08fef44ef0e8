"""Models of the user's own class: their ``__mlpack_export__``, followed into the graph."""

from __future__ import annotations

import copy
from typing import Any

from mlpack.exporters.sklearn.converters.functions import HOOK, named
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Outputs, describe, join
from mlpack.exporters.sklearn.tracing.authors import AuthorsGraph
from mlpack.exporters.sklearn.tracing.trace import globals_of, own_packages, trace
from mlpack.ports import NotExportableError


def has_hook(step: Any) -> bool:
    """Whether the class says what it is in a graph."""
    return getattr(type(step), HOOK, None) is not None


def own_model(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> Outputs:
    """What a model of the user's own answers.

    Its hook answers one column for each class, the first largest of which is the label, and which
    are the probabilities if the model has ``predict_proba``; of a regression the values.

    Raises:
        NotExportableError: the hook cannot be traced, or answers something else.
    """
    hook = getattr(type(step), HOOK)

    def answer(X: Any) -> Any:  # noqa: N803 - its name in scikit-learn
        # A copy each time: what it remembers must not reach the original.
        return hook(copy.deepcopy(step), X, AuthorsGraph(X))

    place = join(path, describe(step))
    made = trace(
        place,
        answer,
        named(step, features),
        context,
        packages=own_packages(type(step)),
        more=globals_of(hook),
        name=f"{type(step).__name__}.{HOOK}()",
    )
    tensor = context.matrix(made, place)
    classes = getattr(step, "classes_", None)
    if classes is None:
        return Outputs(value=tensor)
    if len(made) != len(classes):
        raise NotExportableError(
            place,
            f"{HOOK} answers {len(made)} columns for {len(classes)} classes: one for each is "
            "wanted, as predict_proba has them",
        )
    shares = tensor if hasattr(step, "predict_proba") else None
    return Outputs(label=context.graph.argmax(tensor), probabilities=shares)
