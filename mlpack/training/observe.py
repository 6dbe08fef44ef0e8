"""Learns a signature: the columns from data, the rest by asking the fitted pipeline."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from mlpack.errors import InputError
from mlpack.proof.original import ask, has_probabilities, raises
from mlpack.runtime.asked import for_each
from mlpack.runtime.contract import Category, ColumnType, Output, Signature
from mlpack.runtime.values import plain
from mlpack.training.agreement import agree
from mlpack.training.columns import column, real_rows

PROBES = 2
SOME = 20

OUTLIERS = "outlier_detector"
CLUSTERS = ("clusterer", "density_estimator")
"""Kinds of estimators that need no target; of the densities those that predict are mixtures."""


def observe(
    frame: pd.DataFrame,
    pipeline: Any,
    *,
    target: str | None,
    source: Literal["train", "sample", "estimator"],
) -> Signature:
    """The signature of a fitted pipeline.

    Args:
        frame: rows as the pipeline takes them, without the target.
        pipeline: the fitted estimator.
        target: the name of the column that it predicts.
        source: where the frame came from.

    Raises:
        InputError: there are no rows, a column has a type that cannot be served, or the pipeline
            is neither a classifier nor a regressor.
    """
    if not len(frame):
        raise InputError("there are no rows to learn the signature from")
    signature = Signature(
        columns=tuple(column(frame[name]) for name in frame.columns),
        target=target,
        source=source,
        rows=len(frame),
        **_answers(pipeline, frame),
    )
    return probed(signature, pipeline, frame)


def _answers(pipeline: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """Task, labels and outputs, as keyword arguments of Signature."""
    classes = getattr(pipeline, "classes_", None)
    # CatBoost gives a regressor an empty list of classes.
    if classes is not None and len(classes):
        return _classes(pipeline, classes, frame)
    kind = estimator_kind(pipeline)
    if kind in (OUTLIERS, *CLUSTERS) and hasattr(pipeline, "predict"):
        return _outliers(pipeline) if kind == OUTLIERS else _clusters(pipeline, frame)
    if not hasattr(pipeline, "predict"):
        raise InputError(
            f"the model is a {type(pipeline).__name__}, which cannot predict",
            hint="Let the pipeline end with a classifier or a regressor.",
        )
    predicted = np.asarray(pipeline.predict(frame.head(1)))
    if predicted.dtype.kind not in "fiu":
        raise InputError(
            f"{type(pipeline).__name__} predicts {predicted.dtype}, but has no classes_",
            hint="Let the pipeline end with a classifier or a regressor.",
        )
    size = int(predicted.reshape(1, -1).shape[1])
    return {
        "task": "regression",
        "outputs": (Output(name="value", type="number", size=size),),
    }


def estimator_kind(estimator: Any) -> str | None:
    """What scikit-learn calls it, such as ``classifier``; None for what says nothing of the kind.

    Of a pipeline it is what its last step is, fitted or not.
    """
    try:
        kind: str | None = estimator.__sklearn_tags__().estimator_type
    except AttributeError:
        # No estimator of scikit-learn's kind: it may have fit and predict and say no more.
        kind = getattr(estimator, "_estimator_type", None)
    return kind


def _outliers(pipeline: Any) -> dict[str, Any]:
    """What tells outliers from others answers -1 or 1, and mostly how sure it is."""
    outputs = [Output(name="label", type="integer")]
    if hasattr(pipeline, "decision_function"):
        outputs.append(Output(name="score", type="number"))
    return {"task": "outliers", "labels": (-1, 1), "outputs": tuple(outputs)}


def _clusters(pipeline: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """The numbers of all clusters: those that the rows are in, and those that it knows of."""
    found = np.asarray(pipeline.predict(frame))
    if found.dtype.kind not in "iu":
        raise InputError(
            f"{type(pipeline).__name__} predicts {found.dtype}, not the numbers of clusters"
        )
    labels = set(found.reshape(-1).tolist())
    last = last_step(pipeline)
    for name in ("cluster_centers_", "means_"):
        labels.update(range(len(getattr(last, name, ()))))
    for name in ("subcluster_labels_", "labels_"):
        labels.update(np.unique(np.asarray(getattr(last, name, ()), np.int64)).tolist())
    outputs = [Output(name="label", type="integer")]
    if has_probabilities(pipeline):
        outputs.append(Output(name="probabilities", type="number", size=len(labels)))
    return {"task": "clusters", "labels": tuple(sorted(labels)), "outputs": tuple(outputs)}


def last_step(estimator: Any) -> Any:
    """What answers at the end of pipelines and searches."""
    for name in ("best_estimator_", "steps"):
        inner = getattr(estimator, name, None)
        if inner is not None:
            return last_step(inner[-1][1] if name == "steps" else inner)
    return estimator


def _width(pipeline: Any, frame: pd.DataFrame) -> int:
    """How many labels it answers a row: of a few rows, since some cannot answer for one alone.

    1 if it raises for them, which is found out later: scikit-learn's IterativeImputer, for one,
    writes into the arrays of pandas 3, which may not be written to.
    """
    rows = frame.head(SOME)
    try:
        labels = pipeline.predict(rows)
    except Exception:  # noqa: BLE001 - a pipeline may raise anything
        return 1
    return np.size(labels) // len(rows)


def _classes(pipeline: Any, classes: Any, frame: pd.DataFrame) -> dict[str, Any]:
    width = 1 if for_each(classes, 1) else _width(pipeline, frame)
    groups = label_groups(pipeline, classes, width)
    labels = tuple(label for group in groups for label in group)
    kinds = {_kind_of(group[0]) for group in groups}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    outputs = [
        Output(
            name="label",
            type=kinds.pop() if len(kinds) == 1 else "string",
            size=len(groups),
        )
    ]
    several = tuple(map(len, groups)) if len(groups) > 1 else ()
    if has_probabilities(pipeline) and (not several or agree(pipeline, labels, several, frame)):
        outputs.append(Output(name="probabilities", type="number", size=len(labels)))
    return {
        "task": "classification",
        "labels": labels,
        "groups": several,
        "positive": labels[1] if len(groups) == 1 and len(labels) == 2 else None,
        "outputs": tuple(outputs),
    }


def label_groups(pipeline: Any, classes: Any, width: int) -> list[tuple[Category, ...]]:
    """The labels that each of the answers for a row is one of: mostly there is one answer.

    Args:
        pipeline: a fitted classifier.
        classes: its ``classes_``.
        width: how many labels it predicts a row.
    """
    if for_each(classes, 1):
        # A chain has them in the order in which it asks its members.
        order = getattr(last_step(pipeline), "order_", None)
        if order is not None and len(order) == len(classes):
            classes = [classes[place] for place in np.argsort(np.asarray(order)).tolist()]
        return [_plain(each) for each in classes]
    # The numbers of the labels that a row may have: each of them it has, 1, or not, 0.
    return [(0, 1)] * width if width > 1 else [_plain(classes)]


def _plain(classes: Any) -> tuple[Category, ...]:
    return tuple(plain(label) for label in np.asarray(classes).tolist())


def _kind_of(label: Category) -> ColumnType:
    if isinstance(label, bool):
        return "boolean"
    if isinstance(label, int):
        return "integer"
    return "number" if isinstance(label, float) else "string"


def probed(signature: Signature, pipeline: Any, frame: pd.DataFrame) -> Signature:
    """The signature with `nullable` and `finite` of each column, found by asking the pipeline."""
    rows = real_rows(frame.head(200))
    complete = [row for row in rows if None not in row.values()] or rows
    base = complete[:PROBES]

    def refused(name: str, value: Any) -> bool:
        return bool(ask(pipeline, signature, [{**row, name: value} for row in base]).refused.all())

    def raised(name: str, value: Any) -> bool:
        # An answer that cannot be told for these rows may be one for others, as of linear leaves.
        return all(raises(pipeline, signature, {**row, name: value}) for row in base)

    return msgspec.structs.replace(
        signature,
        columns=tuple(
            msgspec.structs.replace(
                column,
                nullable=not refused(column.name, None),
                # A pipeline that cuts values off may take the one and refuse the other.
                finite=column.type == "number"
                and raised(column.name, math.inf)
                and raised(column.name, -math.inf),
            )
            for column in signature.columns
        ),
    )
