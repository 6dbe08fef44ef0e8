"""Splitting, fitting and measuring."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import train_test_split

from mlpack.errors import InputError
from mlpack.runtime.asked import for_each
from mlpack.training.observe import CLUSTERS, OUTLIERS, estimator_kind

HELD_OUT = 0.2


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows held out.

    Attributes:
        stratified: whether each class has the same share in both.
    """

    train: pd.DataFrame
    train_target: Any
    test: pd.DataFrame
    test_target: Any
    stratified: bool


def split(columns: pd.DataFrame, target: Any, *, stratify: bool, seed: int) -> Split:
    """Four fifths to learn from, one fifth held out, chosen by `seed`.

    A class with a single row cannot be in both: then the split is not stratified; of several
    targets all that a row has are its class. Without a target (None) there is none on either side.

    Raises:
        InputError: there are not even two rows.
    """
    if len(columns) < 2:
        with_target = "" if target is None else " with a target"
        raise InputError(
            f"there is {len(columns)} row{with_target}: too few to learn from and to hold out"
        )
    if target is None:
        train, test = train_test_split(columns, test_size=HELD_OUT, random_state=seed)
        return Split(train, None, test, None, stratified=False)
    counts = pd.DataFrame(np.asarray(target).reshape(len(columns), -1)).value_counts()
    held_out = int(np.ceil(len(columns) * HELD_OUT))
    possible = (
        stratify and counts.min() > 1 and min(held_out, len(columns) - held_out) >= len(counts)
    )
    train, test, train_target, test_target = train_test_split(
        columns,
        target,
        test_size=HELD_OUT,
        random_state=seed,
        stratify=target if possible else None,
    )
    return Split(train, train_target, test, test_target, stratified=possible)


def classifies(pipeline: Any) -> bool:
    """Whether the unfitted pipeline ends with a classifier."""
    return estimator_kind(pipeline) == "classifier"


def needs_target(pipeline: Any) -> bool:
    """Whether there must be something to predict: outliers and clusters are found without."""
    return estimator_kind(pipeline) not in (OUTLIERS, *CLUSTERS)


def measure(pipeline: Any, columns: pd.DataFrame, target: Any) -> dict[str, float]:
    """The usual metrics of a fitted pipeline on rows that it has not seen, by name.

    One that so few rows leave undefined is not among them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = _measured(pipeline, columns, target)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _measured(pipeline: Any, columns: pd.DataFrame, target: Any) -> dict[str, float]:
    predicted = pipeline.predict(columns)
    if not needs_target(pipeline):
        return _shares(pipeline, np.asarray(predicted))
    if not hasattr(pipeline, "classes_"):
        return {
            "mae": float(metrics.mean_absolute_error(target, predicted)),
            "rmse": float(metrics.root_mean_squared_error(target, predicted)),
            "r2": float(metrics.r2_score(target, predicted)),
        }
    wanted = np.asarray(target)
    if for_each(pipeline.classes_, 1) or (wanted.ndim > 1 and wanted.shape[1] > 1):
        rows = len(wanted)
        return _of_several(wanted.reshape(rows, -1), np.asarray(predicted).reshape(rows, -1))
    found = {
        "accuracy": float(metrics.accuracy_score(target, predicted)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(target, predicted)),
        "f1_macro": float(metrics.f1_score(target, predicted, average="macro")),
    }
    if hasattr(pipeline, "predict_proba"):
        shares = pipeline.predict_proba(columns)
        labels = list(pipeline.classes_)
        found["log_loss"] = float(metrics.log_loss(target, shares, labels=labels))
        if len(labels) == 2 and len(set(target)) == 2:
            positive = np.asarray(target) == labels[1]
            found["roc_auc"] = float(metrics.roc_auc_score(positive, shares[:, 1]))
    return found


def _of_several(wanted: Any, predicted: Any) -> dict[str, float]:
    """How often all labels of a row are right, and the usual metrics, each a mean of the labels."""
    pairs = [(wanted[:, i].tolist(), predicted[:, i].tolist()) for i in range(wanted.shape[1])]
    return {
        "accuracy": float(np.mean((wanted == predicted).all(axis=1))),
        "accuracy_each": float(np.mean([metrics.accuracy_score(*pair) for pair in pairs])),
        "f1_macro": float(np.mean([metrics.f1_score(*pair, average="macro") for pair in pairs])),
    }


def _shares(pipeline: Any, predicted: Any) -> dict[str, float]:
    """Nobody knows what would be right: how many rows are outliers, or in the largest cluster."""
    if estimator_kind(pipeline) == OUTLIERS:
        return {"outliers": float(np.mean(predicted == -1))}
    counts = np.unique(predicted, return_counts=True)[1]
    return {"largest_cluster": float(counts.max() / counts.sum())}
