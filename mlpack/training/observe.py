"""Learns a signature: the columns from data, the rest by asking the fitted pipeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from mlpack.errors import InputError
from mlpack.proof.original import ask, has_probabilities
from mlpack.runtime.contract import Category, Column, ColumnType, Output, Signature
from mlpack.runtime.values import plain

FEW = 50
"""At most so many different values are told as categories; more are free text or numbers."""

PROBES = 2

_CONVERT = "Make it a number or a text in data.load, for example with .dt.year or .astype(str)."


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


def column(series: pd.Series[Any]) -> Column:
    """What one column of the training frame holds."""
    name = str(series.name)
    kind = _kind(series)
    present = series.dropna()
    missing = float(1 - len(present) / len(series)) if len(series) else 0.0
    minimum: float | int | None = None
    maximum: float | int | None = None
    if kind in ("number", "integer") and len(present):
        # Categories have no least one, even if they are numbers.
        categorical = isinstance(series.dtype, pd.CategoricalDtype)
        numbers = pd.Series(present.unique().tolist()) if categorical else present
        finite = numbers[np.isfinite(numbers.to_numpy(dtype=np.float64))]
        if len(finite):
            minimum, maximum = plain(finite.min()), plain(finite.max())
    return Column(
        name=name,
        type=kind,
        dtype=str(series.dtype),
        minimum=minimum,
        maximum=maximum,
        categories=_categories(series, present, kind),
        missing=missing,
    )


def _kind(series: pd.Series[Any]) -> ColumnType:
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    values = (
        series.cat.categories.tolist()
        if isinstance(dtype, pd.CategoricalDtype)
        else series.dropna().tolist()
        if dtype == np.dtype(object) or isinstance(dtype, pd.StringDtype)
        else None
    )
    if values is None:
        raise InputError(
            f"the column {series.name!r} has the type {dtype}, which cannot be a raw column yet",
            hint=_CONVERT,
        )
    kinds = {type(plain(value)) for value in values}
    if kinds <= {str}:
        return "string"
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "number"
    held = ", ".join(sorted(kind.__name__ for kind in kinds))
    if len(kinds) == 1:
        raise InputError(
            f"the column {series.name!r} holds {held} objects, which cannot be raw values yet",
            hint=_CONVERT,
        )
    raise InputError(
        f"the column {series.name!r} mixes types: {held}",
        hint="Give it one type in data.load, for example with .astype(str).",
    )


def _categories(
    series: pd.Series[Any], present: pd.Series[Any], kind: ColumnType
) -> tuple[Category, ...] | None:
    if isinstance(series.dtype, pd.CategoricalDtype):
        known = series.cat.categories
        if len(known) > FEW and len(known) * 2 > len(present):
            return None  # free text too, though somebody called it a category
        return tuple(plain(value) for value in known)
    if kind == "number":
        return None
    values = present.unique().tolist()
    # Free text would carry real rows into the artifact: only what repeats is a category.
    if len(values) > FEW or (kind == "string" and len(values) * 2 > len(present)):
        return None
    return tuple(sorted(plain(value) for value in values))


def _answers(pipeline: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """Task, labels and outputs, as keyword arguments of Signature."""
    classes = getattr(pipeline, "classes_", None)
    # CatBoost gives a regressor an empty list of classes.
    if classes is not None and len(classes):
        return _classes(pipeline, classes)
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


def _classes(pipeline: Any, classes: Any) -> dict[str, Any]:
    if isinstance(classes, list):
        raise InputError(
            "the model predicts several labels at once, which cannot be served yet",
            hint="Train one model for each label.",
        )
    labels = tuple(plain(label) for label in np.asarray(classes).tolist())
    kind: ColumnType = (
        "boolean"
        if isinstance(labels[0], bool)
        else "integer"
        if isinstance(labels[0], int)
        else "number"
        if isinstance(labels[0], float)
        else "string"
    )
    outputs = [Output(name="label", type=kind)]
    if has_probabilities(pipeline):
        outputs.append(Output(name="probabilities", type="number", size=len(labels)))
    return {
        "task": "classification",
        "labels": labels,
        "positive": labels[1] if len(labels) == 2 else None,
        "outputs": tuple(outputs),
    }


def probed(signature: Signature, pipeline: Any, frame: pd.DataFrame) -> Signature:
    """The signature with `nullable` and `finite` of each column, found by asking the pipeline."""
    rows = real_rows(frame.head(200))
    complete = [row for row in rows if None not in row.values()] or rows
    base = complete[:PROBES]

    def refused(name: str, value: Any) -> bool:
        return bool(ask(pipeline, signature, [{**row, name: value} for row in base]).refused.all())

    return msgspec.structs.replace(
        signature,
        columns=tuple(
            msgspec.structs.replace(
                column,
                nullable=not refused(column.name, None),
                finite=column.type == "number" and refused(column.name, math.inf),
            )
            for column in signature.columns
        ),
    )


def real_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as plain values, missing ones as None."""
    names = [str(name) for name in frame.columns]
    columns = [[plain(value) for value in frame[name].tolist()] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def bare_columns(names: Sequence[str], texts: frozenset[str]) -> pd.DataFrame:
    """A frame of one made-up row, where an estimator's own attributes are all that is known."""
    return pd.DataFrame({name: pd.Series([""] if name in texts else [0.0]) for name in names})
