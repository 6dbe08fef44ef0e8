"""Preparing columns: imputing, scaling, encoding categories, passing through."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpack.exporters.sklearn.features import NAN, UNKNOWN, Context, Feature, plain
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe, name_of
from mlpack.ports import NotExportableError

Array = NDArray[Any]


def _missing(value: Any) -> bool:
    return value is not UNKNOWN and plain(value) is None


def _is(value: Any, marker: Any) -> bool:
    """Whether a value counts as missing where `marker` stands for a missing one."""
    if _missing(marker):
        return _missing(value)
    return value is not UNKNOWN and bool(value == marker)


def absent(matrix: str, marker: Any, context: Context) -> str:
    """Where a matrix of numbers holds the marker of a missing value: bool, of its shape."""
    graph = context.graph
    if _missing(marker):
        return graph.node("IsNaN", [matrix])
    # No number is equal to a text.
    number = float(marker) if isinstance(marker, int | float | np.number) else NAN
    return graph.node("Equal", [matrix, graph.constant(np.float64(number))])


def indicate(feature: Feature, marker: Any, context: Context) -> Feature:
    """Whether one column holds the marker of a missing value, as numbers and by category."""
    values = feature.values and tuple(_is(value, marker) for value in feature.values)
    if feature.tensor is not None:
        column = absent(context.matrix([feature], ""), marker, context)
        tensor = context.graph.cast(column, DOUBLE)
    else:
        table = np.array([[float(value)] for value in values or ()])
        tensor = context.lookup(str(feature.raw), table)
    return replace(context.made(tensor, [None])[0], raw=feature.raw, values=values)


def prepared(path: str, features: tuple[Feature, ...], marker: Any, context: Context) -> None:
    """Let the marker be a category of its own, and refuse what the original refuses beside it."""
    if _missing(marker):
        return
    for feature in features:
        context.learn(feature, [marker])
    numbers = [feature for feature in features if feature.tensor is not None]
    if numbers:
        # With a marker of another kind a NaN is no missing value, but a fault.
        context.refusals.append(context.graph.not_finite(context.matrix(numbers, path)))


def _impute(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    prepared(path, features, step.missing_values, context)
    kept = [
        (feature, statistic)
        for feature, statistic in zip(features, step.statistics_, strict=True)
        if step.keep_empty_features or not _missing(statistic)
    ]
    made = _fill(
        tuple(feature for feature, _ in kept),
        # An empty column that is kept is filled with 0, as the original does.
        [0.0 if _missing(statistic) else plain(statistic) for _, statistic in kept],
        step.missing_values,
        context,
    )
    if step.add_indicator:
        made += [
            indicate(features[index], step.missing_values, context)
            for index in step.indicator_.features_
        ]
    return tuple(made)


def _fill(
    features: tuple[Feature, ...], fills: list[Any], marker: Any, context: Context
) -> list[Feature]:
    """Both forms of every column with its missing values filled; numbers all in one operation."""
    made = [
        Feature(
            name=feature.name,
            raw=feature.raw,
            values=feature.values
            and tuple(fill if _is(value, marker) else value for value in feature.values),
        )
        for feature, fill in zip(features, fills, strict=True)
    ]
    chosen = [
        index
        for index, (feature, fill) in enumerate(zip(features, fills, strict=True))
        if feature.tensor is not None and not isinstance(fill, str)
    ]
    if not chosen:
        return made
    graph = context.graph
    matrix = context.matrix([features[index] for index in chosen], "")
    row = np.array([[float(fills[index]) for index in chosen]])
    filled = graph.where(absent(matrix, marker, context), graph.constant(row), matrix)
    columns = context.made(filled, [None] * len(chosen))
    for column, index in zip(columns, chosen, strict=True):
        made[index] = replace(
            made[index],
            tensor=column.tensor,
            index=column.index,
        )
    return made


def _scale(
    path: str,
    features: tuple[Feature, ...],
    context: Context,
    *,
    subtract: Array | None = None,
    divide: Array | None = None,
    multiply: Array | None = None,
    add: Array | None = None,
) -> str:
    """Element-wise arithmetic in the very order of the original: it decides the last bit."""
    graph = context.graph
    tensor = context.matrix(features, path)
    for operation, operand in (
        ("Sub", subtract),
        ("Div", divide),
        ("Mul", multiply),
        ("Add", add),
    ):
        if operand is None:
            continue
        row = np.asarray(operand, np.float64).reshape(1, -1)
        tensor = graph.node(operation, [tensor, graph.constant(row)])
    return tensor


def _names(features: tuple[Feature, ...]) -> list[str | None]:
    return [feature.name for feature in features]


def _standard(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    tensor = _scale(
        path,
        features,
        context,
        subtract=step.mean_ if step.with_mean else None,
        divide=step.scale_ if step.with_std else None,
    )
    return context.made(tensor, _names(features))


def _robust(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    tensor = _scale(
        path,
        features,
        context,
        subtract=step.center_ if step.with_centering else None,
        divide=step.scale_ if step.with_scaling else None,
    )
    return context.made(tensor, _names(features))


def _max_abs(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    if getattr(step, "clip", False):
        raise NotExportableError(path, "MaxAbsScaler(clip=True) is not exported")
    tensor = _scale(path, features, context, divide=step.scale_)
    return context.made(tensor, _names(features))


def _min_max(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    tensor = _scale(path, features, context, multiply=step.scale_, add=step.min_)
    if step.clip:
        low, high = (context.graph.constant(np.float64(bound)) for bound in step.feature_range)
        tensor = context.graph.node("Clip", [tensor, low, high])
    return context.made(tensor, _names(features))


def _encode(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    """Encoders look at one column at a time: what each value becomes is asked of them."""
    made: list[Feature] = []
    widths = _widths(step, len(features))
    start = 0
    for index, (feature, width) in enumerate(zip(features, widths, strict=True)):
        if feature.values is None or feature.raw is None:
            raise NotExportableError(
                path,
                f"{describe(step)} encodes {feature.name or 'a column'!r}, which an earlier step "
                "computed: encode the raw column instead",
            )
        context.learn(feature, list(step.categories_[index]))
        table = _table(step, features, index, context)[:, start : start + width]
        tensor = context.lookup(feature.raw, np.ascontiguousarray(table, np.float64))
        made.extend(context.made(tensor, [feature.name] * width))
        start += width
    return tuple(made)


def _widths(step: Any, count: int) -> list[int]:
    if name_of(step) == "OneHotEncoder":
        return [int(width) for width in step._n_features_outs]  # noqa: SLF001 - no public form
    if name_of(step) == "TargetEncoder" and step.target_type_ == "multiclass":
        return [len(step.classes_)] * count
    return [1] * count


def _table(step: Any, features: tuple[Feature, ...], index: int, context: Context) -> Array:
    """What the encoder makes of each code of one column, the others held at a known category."""
    feature = features[index]
    values = list(feature.values or ())
    column = _column(values, step.categories_[index])
    frame = pd.DataFrame(
        {
            str(other): column
            if other == index
            else pd.Series([step.categories_[other][0]] * len(values))
            for other in range(len(features))
        }
    )
    if hasattr(step, "feature_names_in_"):
        frame.columns = step.feature_names_in_
    rows = []
    for row in range(len(values)):
        part: Any = frame.iloc[[row]]
        if not hasattr(step, "feature_names_in_"):
            part = part.to_numpy(dtype=object if column.dtype == object else None)
        rows.append(_ask(step, part, values[row], feature, context))
    width = sum(_widths(step, len(features)))
    return np.array([np.zeros(width) if row is None else row for row in rows]).reshape(-1, width)


def _ask(step: Any, row: Any, value: Any, feature: Feature, context: Context) -> Array | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "unknown categories", which is what is being asked
        try:
            made = step.transform(row)
        except ValueError:
            # The original refuses it, and so will the encoding. A refused missing value is known
            # already: its column is not nullable.
            if value is UNKNOWN:
                context.refused_unknown.add(str(feature.raw))
            elif not _missing(value):
                raise
            return None
    dense = made.todense() if hasattr(made, "todense") else made
    row_made: Array = np.asarray(dense, np.float64)[0]
    return row_made


def _column(values: list[Any], categories: Array) -> pd.Series[Any]:
    """The values as the encoder would find them, with a stranger in the unknown one's place."""
    if categories.dtype.kind in "iuf":
        known = [float(value) for value in [*values, *categories] if _is_number(value)]
        stranger: Any = float(np.floor(max(known, default=0.0)) + 1.5)
        return pd.Series(
            [stranger if v is UNKNOWN else np.nan if _missing(v) else v for v in values],
            dtype=np.float64,
        )
    if categories.dtype.kind == "b":
        stranger = not bool(categories[0])
        return pd.Series(
            [stranger if v is UNKNOWN else np.nan if _missing(v) else v for v in values],
            dtype=object,
        )
    stranger = "\x00another value"
    return pd.Series(
        [stranger if v is UNKNOWN else np.nan if _missing(v) else v for v in values], dtype=object
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and value == value


TRANSFORMERS: Transformers = {
    "SimpleImputer": _impute,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "OneHotEncoder": _encode,
    "OrdinalEncoder": _encode,
    "TargetEncoder": _encode,
}
MODELS: Models = {}
