"""The list of ordinary pipelines. A row is never changed or taken away, only added."""

from __future__ import annotations

from cases import (
    bayes,
    boosting,
    calibration,
    code,
    composite,
    encoding,
    ensembles,
    imputing,
    libraries,
    linear,
    neighbours,
    outliers,
    reducing,
    scaling,
    structure,
    text,
    trees,
    types,
    vectors,
)
from cases.case import Case

GROUPS: dict[str, tuple[str, tuple[Case, ...]]] = {
    "structure": ("Columns, unions and searches", structure.CASES),
    "imputing": ("Filling gaps", imputing.CASES),
    "scaling": ("Scaling and transforming numbers", scaling.CASES),
    "encoding": ("Encoding categories", encoding.CASES),
    "text": ("Text", text.CASES),
    "reducing": ("Reducing and selecting", reducing.CASES),
    "linear": ("Linear models", linear.CASES),
    "vectors": ("Support vectors", vectors.CASES),
    "neighbours": ("Nearest neighbours", neighbours.CASES),
    "trees": ("Trees and forests", trees.CASES),
    "boosting": ("Boosting", boosting.CASES),
    "ensembles": ("Bagging, voting and stacking", ensembles.CASES),
    "calibration": ("Calibration and thresholds", calibration.CASES),
    "bayes": ("Networks, naive Bayes, discriminants", bayes.CASES),
    "outliers": ("Outliers and clusters", outliers.CASES),
    "composite": ("Several targets, chains, transformed targets", composite.CASES),
    "libraries": ("XGBoost, LightGBM, CatBoost", libraries.CASES),
    "code": ("The user's own code", code.CASES),
    "types": ("Types of columns", types.CASES),
}
"""The parts of the list in the order of a pipeline: title and rows."""

CASES: tuple[Case, ...] = tuple(case for _, cases in GROUPS.values() for case in cases)

__all__ = ["CASES", "GROUPS", "Case"]
