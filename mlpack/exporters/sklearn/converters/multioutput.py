"""Models with several outputs, made of a model for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import present
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, join


def _outputs(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = [
        walk.predict(join(path, str(index)), member, features, context)
        for index, member in enumerate(step.estimators_)
    ]
    values = present(path, step, [each.value for each in answers], "value")
    return Outputs(value=context.graph.concat(values))


def _chain(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """Each model is given the answers of those before it, behind the columns."""
    graph = context.graph
    # The whole chain looks at its columns, whatever its models take.
    context.refusals.append(graph.not_finite(context.matrix(features, path)))
    values: list[str] = []
    for index, member in enumerate(step.estimators_):
        answer = walk.predict(join(path, str(index)), member, features, context)
        values += present(path, step, [answer.value], "value")
        features = (*features, *context.made(values[-1], [None]))
    places = np.argsort(np.asarray(step.order_)).tolist()
    return Outputs(value=graph.concat([values[place] for place in places]))


TRANSFORMERS: Transformers = {}
MODELS: Models = {"MultiOutputRegressor": _outputs, "RegressorChain": _chain}
