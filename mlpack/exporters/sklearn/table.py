"""Which converter answers for which class; a family is one file of `converters`."""

from __future__ import annotations

from mlpack.exporters.sklearn.converters import (
    adaboost,
    bayes,
    calibrate,
    catboost_steps,
    clusters,
    combine,
    curves,
    embed,
    functions,
    gradient,
    hashing,
    histograms,
    impute,
    kernels,
    lightgbm_steps,
    linear,
    multiclass,
    multioutput,
    neighbours,
    network,
    outliers,
    platt,
    prepare,
    reduce,
    select,
    shape,
    skorch_nets,
    stock,
    structure,
    text,
    trees,
    trivial,
    wrappers,
    xgboost_steps,
)
from mlpack.exporters.sklearn.steps import Models, Transformers

_FAMILIES = (
    adaboost,
    bayes,
    calibrate,
    catboost_steps,
    clusters,
    combine,
    curves,
    embed,
    functions,
    gradient,
    hashing,
    histograms,
    impute,
    kernels,
    lightgbm_steps,
    linear,
    multiclass,
    multioutput,
    neighbours,
    network,
    outliers,
    platt,
    prepare,
    reduce,
    select,
    shape,
    skorch_nets,
    structure,
    text,
    trees,
    trivial,
    wrappers,
    xgboost_steps,
)

TRANSFORMERS: Transformers = {
    name: converter for family in _FAMILIES for name, converter in family.TRANSFORMERS.items()
}
_OWN: Models = {
    name: converter for family in _FAMILIES for name, converter in family.MODELS.items()
}
MODELS: Models = {**stock.MODELS, **_OWN}
STOCK = frozenset(stock.MODELS) - frozenset(_OWN)
"""What only skl2onnx converts."""
