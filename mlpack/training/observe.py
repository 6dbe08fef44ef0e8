"""Learns a signature: the columns from data, the rest by asking the fitted pipeline."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from mlpack.errors import InputError
from mlpack.proof.original import ask, has_probabilities, raises
from mlpack.runtime.contract import Category, Column, ColumnType, Output, Signature
from mlpack.runtime.values import INT64_MAX, plain

FEW = 50
"""At most so many different values are told as categories; more are free text or numbers."""

PROBES = 2
SOME = 20

OUTLIERS = "outlier_detector"
CLUSTERS = ("clusterer", "density_estimator")
"""Kinds of estimators that need no target; of the densities those that predict are mixtures."""

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
            minimum, maximum = _json(finite.min()), _json(finite.max())
    if kind == "integer" and maximum is not None and maximum > INT64_MAX:
        raise InputError(
            f"the column {name!r} has whole numbers of more than 64 bits with a sign",
            hint="Make it a text or a number in data.load: .astype(str) or .astype(float).",
        )
    return Column(
        name=name,
        type=kind,
        dtype=_named(series.dtype),
        minimum=minimum,
        maximum=maximum,
        categories=_categories(series, present, kind),
        missing=missing,
        zone=_zone(series) if kind == "datetime" else None,
        held=_held(present),
        ordered=isinstance(series.dtype, pd.CategoricalDtype) and bool(series.dtype.ordered),
    )


def _named(dtype: Any) -> str:
    """The name of a dtype, from which `mlpack.runtime.frames` makes it again."""
    if isinstance(dtype, pd.StringDtype) and str(dtype) == "string":
        # The name alone means the one that pandas prefers.
        return "string" if dtype == pd.StringDtype() else f"string[{dtype.storage}]"
    return str(dtype)


def _zone(series: pd.Series[Any]) -> str | None:
    """The zone of a column of times, by a name that makes it again."""
    if series.dtype == np.dtype(object):
        return None
    zone = series.dt.tz
    if zone is None:
        return None
    name = str(zone)
    try:
        known = pd.DatetimeTZDtype("ns", name)
    except (TypeError, ValueError, KeyError) as error:  # what pandas and zoneinfo raise
        raise InputError(
            f"the column {series.name!r} has the time zone {name}, which has no name of its own",
            hint='Give it a zone with a name in data.load: .dt.tz_convert("UTC").',
        ) from error
    return str(known.tz)


def _held(present: pd.Series[Any]) -> Any:
    """The class of the objects of a column, where JSON has none of the kind."""
    if present.dtype != np.dtype(object) or not len(present):
        return None
    name = type(present.iloc[0]).__name__
    return name if name in ("Decimal", "date", "datetime", "Timestamp") else None


def _kind(series: pd.Series[Any]) -> ColumnType:
    dtype: Any = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    categorical = isinstance(dtype, pd.CategoricalDtype)
    if dtype.kind == "M" and not categorical:
        # Arrow's dates are of the same kind as its times.
        return "date" if dtype.type is dt.date else "datetime"
    values = (
        series.cat.categories.tolist()
        if categorical
        else series.dropna().tolist()
        if dtype == np.dtype(object) or isinstance(dtype, pd.StringDtype | pd.ArrowDtype)
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
    if len(kinds) == 1 and not categorical and (kind := _of_objects(kinds.copy().pop(), values)):
        return kind
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


def _of_objects(kind: type, values: list[Any]) -> ColumnType | None:
    """What a column of such objects is; None where they cannot be served."""
    if kind is decimal.Decimal:
        return "number"
    if kind is dt.date:
        return "date"
    if kind in (dt.datetime, pd.Timestamp) and all(each.tzinfo is None for each in values):
        return "datetime"
    return None


def _categories(
    series: pd.Series[Any], present: pd.Series[Any], kind: ColumnType
) -> tuple[Category, ...] | None:
    if isinstance(series.dtype, pd.CategoricalDtype):
        known = series.cat.categories
        if len(known) > FEW and len(known) * 2 > len(present):
            return None  # free text too, though somebody called it a category
        return tuple(plain(value) for value in known)
    if kind in ("number", "date", "datetime"):
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
    # A list of the classes of each output, or, as OneVsRestClassifier has it, a row of labels.
    if isinstance(classes, list) or _width(pipeline, frame) > 1:
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


def real_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as JSON has them, missing values as None."""
    names = [str(name) for name in frame.columns]
    columns = [[_json(value) for value in frame[name].tolist()] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(value: Any) -> Any:
    """A value as JSON has it: decimals are numbers, dates and times texts of ISO 8601."""
    value = plain(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def bare_columns(names: Sequence[str], texts: frozenset[str]) -> pd.DataFrame:
    """A frame of one made-up row, where an estimator's own attributes are all that is known."""
    return pd.DataFrame({name: pd.Series([""] if name in texts else [0.0]) for name in names})
