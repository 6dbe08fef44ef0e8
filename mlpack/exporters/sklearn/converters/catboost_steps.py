"""CatBoost: numbers are compared in float32, leaves are summed in double, tree by tree.

The arithmetic is that of CatBoost's ``catboost/libs/model/cpu/evaluator_impl.cpp`` and
``catboost/libs/eval_result``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters import shallow
from mlpack.exporters.sklearn.converters.catboost_model import Raw, Told, grown, told, trees
from mlpack.exporters.sklearn.converters.catboost_tables import tables
from mlpack.exporters.sklearn.converters.ensemble import Ensemble
from mlpack.exporters.sklearn.converters.linear import expit, two_sided
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe, join
from mlpack.ports import NotExportableError

_EXP = frozenset({"Poisson", "Tweedie"})
"""Losses whose prediction is the exponential of the sum."""


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    model = told(step)
    sums = _sums(path, step, model, features, context)
    graph = context.graph
    if model.loss == "MultiClass":
        return Outputs(
            label=graph.argmax(sums), probabilities=graph.node("Softmax", [sums], axis=1)
        )
    if model.loss == "MultiClassOneVsAll":
        return Outputs(label=graph.argmax(sums), probabilities=expit(sums, context))
    if model.loss not in ("Logloss", "CrossEntropy") or len(model.bias) > 1:
        raise NotExportableError(
            join(path, describe(step)),
            f"the loss {model.loss} has no exact graph: Logloss, CrossEntropy, MultiClass and "
            "MultiClassOneVsAll would be exportable",
        )
    share = step.get_probability_threshold()
    edge = np.float64(0 if share == 0.5 else np.log(share / (1 - share)))
    above = graph.node("Greater", [sums, graph.constant(edge)])
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=two_sided(expit(sums, context), context),
    )


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    model = told(step)
    sums = _sums(path, step, model, features, context)
    graph = context.graph
    if model.loss in _EXP:
        return Outputs(value=graph.node("Exp", [sums]))
    if model.loss == "RMSEWithUncertainty":
        # The second sum is the logarithm of the standard deviation; the answer is the variance.
        doubled = graph.multiply(graph.columns(sums, [1]), graph.constant(np.float64(2)))
        return Outputs(value=graph.concat([graph.columns(sums, [0]), graph.node("Exp", [doubled])]))
    return Outputs(value=sums)


def _sums(
    path: str, step: Any, model: Told, features: tuple[Feature, ...], context: Context
) -> str:
    """What ``prediction_type="RawFormulaVal"`` answers: float64 [rows, outputs]."""
    graph = context.graph
    for kind in ("text_features", "embedding_features"):
        if model.whole["features_info"].get(kind):
            raise NotExportableError(
                join(path, describe(step)),
                f"{kind} have no exact graph: a vectorizer before it would be exportable",
            )
    numbers = None
    if model.numbers:
        matrix = context.matrix([features[place] for place in model.numbers.values()], path)
        numbers = graph.cast(graph.cast(matrix, FLOAT), DOUBLE)
    asked, columns = tables(path, step, model, features, numbers, context)
    ensemble = Ensemble(targets=len(model.bias))
    order = {number: place for place, number in enumerate(model.numbers)}

    def column(split: Raw) -> tuple[int, float, bool]:
        if split["split_type"] != "FloatFeature":
            place, edge = columns[split["split_index"]]
            return len(order) + place, edge, False
        number = split["float_feature_index"]
        return order[number], float(np.float32(split["border"])), number in model.missing_above

    every = [grown(raw, column, ensemble.targets) for raw in trees(model)]
    for tree, values in every:
        ensemble.add(tree, values)
    parts = [part for part in (numbers, asked) if part is not None]
    if not parts:
        # Categories that no tree looks at: the leaves are all there is.
        first = context.code(str(features[0].raw))
        parts = [graph.cast(graph.reshape(first, [-1, 1]), DOUBLE)]
    found = [tree for tree, _ in every], [values for _, values in every]
    sums = shallow.sums(*found, ensemble, graph.concat(parts), context)
    if model.scale != 1:
        sums = graph.multiply(sums, graph.constant(np.float64(model.scale)))
    return graph.add(sums, graph.constant(model.bias.reshape(1, -1))) if model.bias.any() else sums


MODELS: Models = {
    "catboost.CatBoostClassifier": _classifier,
    "catboost.CatBoostRegressor": _regressor,
}
TRANSFORMERS: Transformers = {}
