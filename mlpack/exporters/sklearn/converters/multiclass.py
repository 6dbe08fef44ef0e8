"""Classifiers made of one binary classifier per class, or per pair of classes.

The arithmetic is that of ``sklearn/multiclass.py``, in float64.
"""

from __future__ import annotations

import copy
import sys
from itertools import combinations
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.answers import (
    SCORES,
    SHARES,
    above,
    certainty,
    present,
    repeated,
    shares_of,
)
from mlpack.exporters.sklearn.converters.linear import two_sided
from mlpack.exporters.sklearn.converters.multioutput import several
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError


def _each(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> list[Outputs]:
    return [
        walk.predict(join(path, str(index)), member, features, context)
        for index, member in enumerate(step.estimators_)
    ]


def _certainties(
    path: str, step: Any, answers: list[Outputs], context: Context
) -> list[tuple[str, float]]:
    return [
        certainty(path, member, answer, context)
        for member, answer in zip(step.estimators_, answers, strict=True)
    ]


def _rest(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The class whose classifier is the most certain."""
    graph = context.graph
    answers = _each(path, step, features, context, walk)
    sure = _certainties(path, step, answers, context)
    if step.multilabel_:
        return _several(path, step, answers, sure, context)
    if len(sure) == 1:
        label = above(*sure[0], context)
    else:
        every = graph.concat([said for said, _ in sure])
        last = int(_last_of_equals(step))
        label = graph.node("ArgMax", [every], axis=1, keepdims=0, select_last_index=last)
    shares = None
    if hasattr(step, SHARES):
        seconds = [
            graph.columns(each, [1])
            for each in present(path, step, [a.probabilities for a in answers], "probabilities")
        ]
        whole = two_sided(seconds[0], context) if len(seconds) == 1 else graph.concat(seconds)
        # Where every class has none, the original leaves the zeros.
        shares = shares_of(whole, max(2, len(seconds)), context, otherwise=None)
    scores = None
    if hasattr(step, SCORES) and all(answer.scores is not None for answer in answers):
        scores = graph.concat([answer.scores or "" for answer in answers])
    return Outputs(label=label, probabilities=shares, scores=scores)


def _several(
    path: str,
    step: Any,
    answers: list[Outputs],
    sure: list[tuple[str, float]],
    context: Context,
) -> Outputs:
    """Every label of which its classifier is certain enough, and how sure it is of each."""
    graph = context.graph
    shares = None
    if hasattr(step, SHARES):
        seconds = [
            graph.columns(each, [1])
            for each in present(path, step, [a.probabilities for a in answers], "probabilities")
        ]
        shares = graph.concat([two_sided(second, context) for second in seconds])
    made = [Outputs(label=above(said, middle, context)) for said, middle in sure]
    labels = several(path, step, made, [2] * len(made), context)
    return Outputs(label=labels.label, probabilities=shares)


def _last_of_equals(step: Any) -> bool:
    """Which of two classes that are equally certain wins: older releases take the last one.

    The very method of the original is asked, with two classifiers that always say the same.
    """
    even = sys.modules[type(step).__module__]._ConstantPredictor()  # noqa: SLF001
    even.y_ = np.array([0])
    equals = copy.copy(step)
    equals.estimators_ = [even, even]
    return bool(equals.predict(np.zeros((1, 1)))[0] == step.classes_[1])


def _one(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """A vote of every pair, and the certainties to decide between equals."""
    if step.pairwise_indices_ is not None:
        raise NotExportableError(
            path, f"{describe(step.estimator, 'kernel')} on a matrix of kernels is not exported"
        )
    graph = context.graph
    answers = _each(path, step, features, context, walk)
    sure = _certainties(path, step, answers, context)
    labels = present(path, step, [answer.label for answer in answers], "label")
    count = len(step.classes_)
    pairs = list(combinations(range(count), 2))
    first, second = np.zeros((len(pairs), count)), np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        first[row, i] = second[row, j] = 1
    said = graph.concat([graph.reshape(label, [-1, 1]) for label in labels])
    for_second = graph.cast(said, DOUBLE)
    for_first = graph.subtract(graph.constant(np.float64(1)), for_second)
    votes = graph.add(
        graph.matmul(for_first, graph.constant(first)),
        graph.matmul(for_second, graph.constant(second)),
    )
    # A product with -1, 0 and 1 adds in the order of the pairs, as the original does.
    balance = graph.matmul(graph.concat([each for each, _ in sure]), graph.constant(second - first))
    size = graph.add(graph.node("Abs", [balance]), graph.constant(np.float64(1)))
    third = graph.divide(balance, graph.multiply(graph.constant(np.float64(3)), size))
    decision = graph.add(votes, third)
    if count > 2:
        return Outputs(label=graph.argmax(decision), scores=decision)
    score = graph.columns(decision, [1])
    return Outputs(label=above(score, sure[0][1], context), scores=score)


def _code(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, walk: Walk
) -> Outputs:
    """The class whose code is the nearest, the first of equals: ``EuclideanArgKmin``."""
    graph = context.graph
    answers = _each(path, step, features, context, walk)
    said = graph.concat([each for each, _ in _certainties(path, step, answers, context)])
    codes = np.asarray(step.code_book_, np.float64)
    squares = graph.matmul(graph.multiply(said, said), graph.constant(np.ones((codes.shape[1], 1))))
    middle = graph.matmul(said, graph.constant(np.ascontiguousarray(-2 * codes.T)))
    sizes = graph.constant((codes * codes).sum(axis=1).reshape(1, -1))
    distance = graph.add(graph.add(squares, middle), sizes)
    distance = graph.node("Max", [distance, graph.constant(np.float64(0))])
    nearest = graph.node("ArgMin", [distance], axis=1, keepdims=0, select_last_index=0)
    return Outputs(label=nearest)


def _constant(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    """What stands for a class that every row of the training had, or none."""
    said = float(np.ravel(step.y_)[0])
    column = repeated(path, [said], features, context)
    return Outputs(
        label=context.graph.reshape(context.graph.cast(column, INT64), [-1]),
        probabilities=repeated(path, [1 - said, said], features, context),
        scores=column,
    )


TRANSFORMERS: Transformers = {}
MODELS: Models = {
    "OneVsOneClassifier": _one,
    "OneVsRestClassifier": _rest,
    "OutputCodeClassifier": _code,
    "_ConstantPredictor": _constant,
}
