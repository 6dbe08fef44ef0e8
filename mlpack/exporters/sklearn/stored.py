"""How the original stores a matrix between two steps: all of it, or only what is not zero.

To most steps that is the same. XGBoost takes what a sparse matrix does not store for missing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlpack.exporters.sklearn.features import Feature
from mlpack.exporters.sklearn.steps import name_of

_ALWAYS = frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer", "FeatureHasher"})
_WITHIN = frozenset({"FeatureUnion", "Pipeline"})
"""What they make is made by the steps that they hold; a union of both kinds is sparse."""
_KEEPING = frozenset(
    [
        *("Binarizer", "FunctionTransformer", "MaxAbsScaler", "Normalizer", "PolynomialFeatures"),
        *("RobustScaler", "SimpleImputer", "StandardScaler", "TfidfTransformer"),
        *("GenericUnivariateSelect", "RFE", "RFECV", "SelectFdr", "SelectFpr", "SelectFromModel"),
        *("SelectFwe", "SelectKBest", "SelectPercentile", "SequentialFeatureSelector"),
        "VarianceThreshold",
    ]
)
"""What they are given sparse they make sparse; all other steps make dense matrices."""


def stored(
    step: Any, before: tuple[Feature, ...], made: tuple[Feature, ...]
) -> tuple[Feature, ...]:
    """The columns that a step made, with a note whether they are those of a sparse matrix."""
    sparse = _is_sparse(step, before, made)
    return tuple(each if each.sparse == sparse else replace(each, sparse=sparse) for each in made)


def _is_sparse(step: Any, before: tuple[Feature, ...], made: tuple[Feature, ...]) -> bool:
    name = name_of(step)
    if name == "ColumnTransformer":
        return bool(step.sparse_output_)
    if name == "KBinsDiscretizer":
        return bool(step.encode == "onehot")
    if name in _WITHIN:
        return any(each.sparse for each in made)
    if name in _KEEPING:
        return any(each.sparse for each in before)
    return name in _ALWAYS or bool(getattr(step, "sparse_output", False))
