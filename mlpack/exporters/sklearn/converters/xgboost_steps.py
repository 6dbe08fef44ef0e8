"""XGBoost: its trees compare float32 with float32 and sum in float32, and so does the graph.

The arithmetic is that of XGBoost's ``src/predictor/cpu_predictor.cc``, ``src/gbm`` and
``src/objective``: the base score comes first, the trees after it in their order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LT, Ensemble, Tree
from mlpack.exporters.sklearn.converters.xgboost_model import Told, told
from mlpack.exporters.sklearn.features import NAN, Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, INT64
from mlpack.exporters.sklearn.steps import Models, Outputs, Transformers, Walk, describe
from mlpack.ports import NotExportableError

_PLAIN = frozenset(
    [
        *("reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror"),
        *("reg:quantileerror", "reg:expectileerror", "reg:linear", "binary:logitraw"),
        *("rank:pairwise", "rank:ndcg", "rank:map"),
    ]
)
"""Objectives whose answer is the sum itself."""
_SIGMOID = frozenset({"binary:logistic", "reg:logistic"})
_EXP = frozenset({"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"})
_SOFTMAX = frozenset({"multi:softprob", "multi:softmax"})


def _classifier(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    model = told(step)
    if step.n_classes_ < 2 or (step.n_classes_ == 2 and model.outputs > 1):
        raise NotExportableError(
            path, f"{describe(step)} learned {model.outputs} labels a row: train one model for each"
        )
    sums = _sums(path, step, model, features, context)
    answers = _answers(path, step, model, sums, context)
    graph = context.graph
    if model.outputs > 1:
        # Two shares may be equal in float32 though their sums are not; the first of them wins.
        voted = sums if model.objective == "multi:softmax" else answers
        return Outputs(label=graph.argmax(voted), probabilities=graph.cast(answers, DOUBLE))
    above = graph.node("Greater", [answers, graph.constant(np.float32(0.5))])
    other = graph.subtract(graph.constant(np.float32(1)), answers)
    return Outputs(
        label=graph.reshape(graph.cast(above, INT64), [-1]),
        probabilities=graph.cast(graph.concat([other, answers]), DOUBLE),
    )


def _regressor(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> Outputs:
    model = told(step)
    sums = _sums(path, step, model, features, context)
    return Outputs(value=context.graph.cast(_answers(path, step, model, sums, context), DOUBLE))


def _sums(
    path: str, step: Any, model: Told, features: tuple[Feature, ...], context: Context
) -> str:
    """What comes before the objective's link: float32 [rows, outputs]."""
    matrix = _matrix(path, step, model, features, context)
    if model.weights is not None:
        return _linear(model, matrix, context)
    ensemble = Ensemble(targets=model.outputs, element=FLOAT)
    for output, start in enumerate(model.base):
        ensemble.add_one(_LEAF, np.array([start]), output)
    for grown in model.trees:
        if grown.output is None:
            ensemble.add(grown.tree, grown.leaves)
        else:
            ensemble.add_one(grown.tree, grown.leaves[:, 0], grown.output)
    return ensemble.node(matrix, context)


_LEAF = Tree(
    left=np.array([-1]),
    right=np.array([-1]),
    feature=np.array([0]),
    threshold=np.array([0.0]),
    missing_left=np.array([0]),
    # Where all nodes compare in one way ONNX Runtime is faster.
    mode=np.array([BRANCH_LT]),
)


def _matrix(
    path: str, step: Any, model: Told, features: tuple[Feature, ...], context: Context
) -> str:
    """The columns as XGBoost reads them: float32 [rows, columns], what is missing NaN."""
    graph = context.graph
    columns = [
        _coded(path, feature, model.categories[index] if model.categories else (), context)
        if model.coded[index]
        else feature
        for index, feature in enumerate(features)
    ]
    matrix = context.matrix(columns, path)
    if any(feature.sparse for feature in features):
        # What a sparse matrix does not store is missing to XGBoost.
        zero = graph.node("Equal", [matrix, graph.constant(np.float64(0))])
        matrix = graph.where(zero, graph.constant(np.float64(NAN)), matrix)
    matrix = graph.cast(matrix, FLOAT)
    missing = np.float32(step.missing)
    nothing = graph.constant(np.float32(NAN))
    if model.weights is not None and not np.isinf(missing):
        # Only a linear model's way to its data looks for infinities.
        wide = graph.cast(matrix, DOUBLE)
        context.refusals.append(graph.not_finite(wide, allow_nan=True))
    if not np.isnan(missing):
        marked = graph.node("Equal", [matrix, graph.constant(missing)])
        matrix = graph.where(marked, nothing, matrix)
    if model.coded.any():
        # A category is the whole part of its code; below zero there is none.
        whole = graph.node("Floor", [matrix])
        matrix = graph.where(graph.constant(model.coded.reshape(1, -1)), whole, matrix)
    return matrix


def _coded(path: str, feature: Feature, categories: tuple[Any, ...], context: Context) -> Feature:
    """A column of pandas' categories as the codes that the model learned; of codes, itself."""
    column = None if feature.raw is None else context.signature.column(feature.raw)
    if column is None or column.dtype != "category" or feature.values is None:
        if not categories:
            return feature
        raise NotExportableError(
            path,
            f"it learned categories from {feature.name!r}, which is no raw column of pandas' "
            "category type: encode the categories by a step before it, as numbers",
        )
    # XGBoost before 3.1 does not remember categories: the data frame's own order are its codes.
    categories = categories or column.categories or ()
    context.learn(feature, categories)
    places = {category: float(code) for code, category in enumerate(categories)}
    table = np.array([[places.get(_key(value), NAN)] for value in feature.values])
    made = context.made(context.lookup(column.name, table), [feature.name])[0]
    return replace(made, sparse=feature.sparse)


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else None


def _linear(model: Told, matrix: str, context: Context) -> str:
    """The products one after the other, from the base on, each sum rounded to float32."""
    graph = context.graph
    absent = graph.node("IsNaN", [matrix])
    present = graph.where(absent, graph.constant(np.float32(0)), matrix)
    axis = graph.constant(np.int64(1))
    sums = []
    for output in range(model.outputs):
        weights = np.asarray(model.weights)[:, output].reshape(1, -1)
        products = graph.multiply(present, graph.constant(weights))
        first = graph.columns(products, [0])
        start = graph.add(
            graph.multiply(first, graph.constant(np.float32(0))),
            graph.constant(model.base[[output]].reshape(1, 1)),
        )
        running = graph.node("CumSum", [graph.concat([start, products]), axis])
        sums.append(graph.columns(running, [model.columns]))
    return graph.concat(sums)


def _answers(path: str, step: Any, model: Told, sums: str, context: Context) -> str:
    """What the objective makes of the sums: float32 [rows, outputs].

    Exponentials are taken in double and rounded, which is what float32's own are at best.
    """
    graph = context.graph
    one = graph.constant(np.float32(1))
    if model.objective in _PLAIN:
        return sums
    if model.objective in _EXP:
        return _exp(sums, context)
    if model.objective in _SIGMOID:
        return graph.divide(one, graph.add(_exp(graph.node("Neg", [sums]), context), one))
    if model.objective in _SOFTMAX:
        axis = graph.constant(np.array([1], np.int64))
        highest = graph.node("ReduceMax", [sums, axis], keepdims=1)
        shares = _exp(graph.subtract(sums, highest), context)
        total = graph.node("ReduceSum", [graph.cast(shares, DOUBLE), axis], keepdims=1)
        return graph.divide(shares, graph.cast(total, FLOAT))
    if model.objective == "binary:hinge":
        above = graph.node("Greater", [sums, graph.constant(np.float32(0))])
        return graph.cast(above, FLOAT)
    known = ", ".join(sorted(_PLAIN | _EXP | _SIGMOID | _SOFTMAX))
    raise NotExportableError(
        path,
        f"{describe(step)} has the objective {model.objective!r}, whose link is not known here; "
        f"exportable are {known}",
    )


def _exp(exponent: str, context: Context) -> str:
    graph = context.graph
    return graph.cast(graph.node("Exp", [graph.cast(exponent, DOUBLE)]), FLOAT)


MODELS: Models = {
    "xgboost.XGBClassifier": _classifier,
    "xgboost.XGBRFClassifier": _classifier,
    "xgboost.XGBRegressor": _regressor,
    "xgboost.XGBRFRegressor": _regressor,
}
TRANSFORMERS: Transformers = {}
