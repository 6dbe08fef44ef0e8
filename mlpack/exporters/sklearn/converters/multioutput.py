"""Models with several outputs, made of a model for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import present
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError


def _outputs(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    answers = [
        walk.predict(join(path, str(index)), member, features, context)
        for index, member in enumerate(step.estimators_)
    ]
    if hasattr(step, "classes_"):
        return several(path, step, answers, list(map(len, step.classes_)), context)
    values = present(path, step, [each.value for each in answers], "value")
    return Outputs(value=context.graph.concat(values))


def several(
    path: str, step: Any, answers: Sequence[Outputs], sizes: Sequence[int], context: Context
) -> Outputs:
    """Several labels a row: the answers of a classifier for each, of so many classes."""
    if len(answers) == 1:
        return answers[0]
    graph = context.graph
    starts = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
    labels = [
        graph.reshape(label, [-1, 1])
        for label in present(path, step, [each.label for each in answers], "label")
    ]
    shares = [each.probabilities for each in answers if each.probabilities is not None]
    return Outputs(
        label=graph.add(graph.concat(labels), graph.constant(starts.reshape(1, -1))),
        probabilities=graph.concat(shares) if len(shares) == len(answers) else None,
    )


def by_group(path: str, step: Any, votes: str, sizes: Sequence[int], context: Context) -> Outputs:
    """Several labels a row: of each group of so many columns the label with the most votes.

    Args:
        path: of the step.
        step: the model.
        votes: the probabilities of all labels, float64 [rows, labels].
        sizes: how many labels each group has.
        context: of the export.
    """
    graph = context.graph
    ends = np.cumsum(sizes).tolist()
    answers = []
    for end, size in zip(ends, sizes, strict=True):
        part = graph.columns(votes, list(range(end - size, end)))
        answers.append(Outputs(label=graph.argmax(part)))
    return replace(several(path, step, answers, sizes, context), probabilities=votes)


def _chain(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """Each model is given the answers of those before it, behind the columns."""
    graph = context.graph
    classifies = hasattr(step, "classes_")
    if classifies and step.chain_method_ not in ("predict", "predict_proba"):
        raise NotExportableError(path, f"{describe(step, 'chain_method')} is not exported")
    # The whole chain looks at its columns, whatever its models take.
    context.refusals.append(graph.not_finite(context.matrix(features, path)))
    answers: list[Outputs] = []
    for index, member in enumerate(step.estimators_):
        answers.append(walk.predict(join(path, str(index)), member, features, context))
        said = _said(path, step, member, answers[-1], context)
        features = (*features, *context.made(said, [None]))
    places = np.argsort(np.asarray(step.order_)).tolist()
    ordered = [answers[place] for place in places]
    if classifies:
        sizes = [len(step.estimators_[place].classes_) for place in places]
        return several(path, step, ordered, sizes, context)
    values = present(path, step, [each.value for each in ordered], "value")
    return Outputs(value=graph.concat(values))


def _said(path: str, step: Any, member: Any, answer: Outputs, context: Context) -> str:
    """What the models after this one are given of it, [rows, 1]."""
    graph = context.graph
    if not hasattr(step, "classes_"):
        return present(path, step, [answer.value], "value")[0]
    if step.chain_method_ == "predict_proba":
        shares = present(path, step, [answer.probabilities], "probabilities")[0]
        return graph.columns(shares, [len(member.classes_) - 1])
    label = present(path, step, [answer.label], "label")[0]
    classes = graph.constant(np.asarray(member.classes_, np.float64))
    return graph.reshape(graph.node("Gather", [classes, label]), [-1, 1])


TRANSFORMERS: Transformers = {}
MODELS: Models = {
    "ClassifierChain": _chain,
    "MultiOutputClassifier": _outputs,
    "MultiOutputRegressor": _outputs,
    "RegressorChain": _chain,
}
