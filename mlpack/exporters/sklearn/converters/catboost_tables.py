"""CatBoost's splits on categories, as tables.

CatBoost knows a category by the hash of its text, and its statistics by hashes of combinations.
No graph computes these. But what such a split depends on is known: some categories, and on which
side of some borders some numbers are. So CatBoost itself is asked for every combination of them,
by a model of the same statistics whose every tree is one split.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.catboost_known import unknown
from mlpack.exporters.sklearn.converters.catboost_model import Projection, Told
from mlpack.exporters.sklearn.converters.ensemble import Array
from mlpack.exporters.sklearn.features import UNKNOWN, Context, Feature, plain
from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.steps import describe, join
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category

CELLS = 2**23
"""So many bytes the tables of a model may have in all."""

CHUNK = 2**14
STRANGER = "\x00another value"


@dataclass(frozen=True)
class Axis:
    """One thing that a table depends on.

    Attributes:
        column: the column of the model's input.
        values: the value that CatBoost is asked about, at each place of the axis.
        codes: the column of categories; None for a number.
        number, borders: a number's feature, and the borders between the places.
    """

    column: int
    values: tuple[Any, ...]
    codes: str | None = None
    number: int = -1
    borders: tuple[float, ...] = ()


def _known(
    path: str, step: Any, model: Told, features: tuple[Feature, ...], context: Context
) -> dict[int, Axis] | None:
    """The categorical features with all their categories, None while these are being learned.

    Raises:
        NotExportableError: the categories of one are not all known.
    """
    found: dict[int, Axis] = {}
    learned = True
    for number, place in model.categories.items():
        feature = features[place]
        if feature.raw is None or feature.values is None:
            raise NotExportableError(
                join(path, describe(step)),
                f"it takes {feature.name!r} as categories, which an earlier step computed: let it "
                "take the raw column",
            )
        column = context.signature.column(feature.raw)
        both = (True, False) if column.type == "boolean" else None
        context.learn(feature, both or column.categories or ())
        learned &= len(feature.values) - 2 == len(context.vocabulary.get(feature.raw, {}))
        if plain(feature.values[-2]) is None and feature.values[-2] is not UNKNOWN:
            # What a column of pandas' categories does not know is missing, and CatBoost raises.
            # It does so where no tree looks at the column, too.
            context.refused_unknown.add(feature.raw)
            stranger_code = context.graph.constant(np.int64(len(feature.values) - 2))
            code = context.code(feature.raw)
            context.refusals.append(context.graph.node("Equal", [code, stranger_code]))
        stranger = _stranger(feature.values)
        # A missing category is refused by CatBoost: what stands in its place is never read.
        values = tuple(stranger if plain(v) is None else plain(v) for v in feature.values)
        found[number] = Axis(place, values, codes=feature.raw)
    if not learned:
        return None
    every = {number: axis.values for number, axis in found.items()}
    missing = unknown(step, model, every, len(features))
    if missing:
        names = ", ".join(repr(features[model.categories[number]].raw) for number in missing)
        raise NotExportableError(
            join(path, describe(step)),
            f"it learned categories that the signature does not name, of {names}: columns of at "
            "most 50 categories would be exportable, or those that another step encodes too",
        )
    return found


def _stranger(values: Sequence[Any]) -> Category:
    numbers = [v for v in map(plain, values) if isinstance(v, int) and not isinstance(v, bool)]
    return max(numbers) + 1 if numbers else STRANGER


def tables(
    path: str,
    step: Any,
    model: Told,
    features: tuple[Feature, ...],
    numbers: str | None,
    context: Context,
) -> tuple[str | None, dict[int, tuple[int, float]]]:
    """What the splits on categories compare: float64 [rows, columns].

    A single category has a column of 0 and 1, a statistic one with the number of its borders that
    are below it.

    Args:
        path: of the model.
        step: the fitted model.
        model: what it says of itself.
        features: the columns that it takes.
        numbers: its numeric features, rounded to float32: float64 [rows, numeric features].
        context: of the export.

    Returns:
        The matrix, and for each split its column and the value above which it is true.
    """
    for index, split in model.splits.items():
        if index not in model.projections:
            raise NotExportableError(
                join(path, describe(step)),
                f"it splits by {split['split_type']}, which has no exact graph: "
                "cat_features and numbers would be exportable",
            )
    categories = _known(path, step, model, features, context)
    if not model.splits or categories is None:
        return None, dict.fromkeys(model.splits, (0, 0.5))
    ordered = sorted(model.splits, key=lambda index: _place(model, index))
    groups = [
        (axes, list(members))
        for axes, members in groupby(
            ordered, key=lambda index: _axes(model.projections[index], model, categories)
        )
    ]
    _small_enough(path, step, groups)
    probe = _probe(step, model, ordered)
    places = _places([axes for axes, _ in groups], model, numbers, context)
    graph = context.graph
    parts: list[str] = []
    columns: dict[int, tuple[int, float]] = {}
    width = start = 0
    for number, (axes, members) in enumerate(groups):
        asked = _asked(probe, axes, len(features), start, start + len(members))
        table = []
        for _, same in groupby(
            zip(members, asked.T, strict=True), key=lambda each: _place(model, each[0])[:-1]
        ):
            borders = list(same)
            table.append(np.sum([answers for _, answers in borders], axis=0, dtype=np.uint8))
            columns |= {index: (width, rank + 0.5) for rank, (index, _) in enumerate(borders)}
            width += 1
        place = graph.node("Gather", [places, graph.constant(np.int64(number))], axis=1)
        whole = graph.constant(np.ascontiguousarray(np.transpose(table)))
        parts.append(graph.node("Gather", [whole, place], axis=0))
        start += len(members)
    return graph.cast(graph.concat(parts), DOUBLE), columns


def _place(model: Told, index: int) -> tuple[Any, ...]:
    """Where a split stands: beside those of the same features, the same statistic, by border."""
    split, projection = model.splits[index], model.projections[index]
    what = -1 if projection.statistic is None else projection.statistic
    single = index if projection.statistic is None else -1
    return projection.categories, projection.borders, what, single, split.get("border", 0.0)


def _small_enough(
    path: str, step: Any, groups: Sequence[tuple[tuple[Axis, ...], list[int]]]
) -> None:
    cells = sum(prod(len(axis.values) for axis in axes) * len(splits) for axes, splits in groups)
    if cells > CELLS:
        raise NotExportableError(
            join(path, describe(step)),
            f"its combinations of categories would need a table of {cells:,} entries: it would be "
            "exportable with max_ctr_complexity=1, or a smaller max_ctr_complexity",
        )


def _axes(projection: Projection, model: Told, categories: dict[int, Axis]) -> tuple[Axis, ...]:
    found = [categories[number] for number in projection.categories]
    for number in sorted({number for number, _ in projection.borders}):
        borders = sorted({border for other, border in projection.borders if other == number})
        above = [float(np.nextafter(np.float32(b), np.float32(np.inf))) for b in borders]
        found.append(
            Axis(
                model.numbers[number],
                (borders[0], *above),
                number=number,
                borders=tuple(borders),
            )
        )
    return tuple(found)


def _probe(step: Any, model: Told, ordered: list[int]) -> Any:
    """The same model, but that its trees are single splits, in this order."""
    outputs = len(model.bias)
    whole = {key: value for key, value in model.whole.items() if key != "trees"}
    whole["oblivious_trees"] = [
        {
            "splits": [model.splits[index]],
            "leaf_values": [0.0] * (2 * outputs),
            "leaf_weights": [1.0, 1.0],
        }
        for index in ordered
    ]
    probe = type(step)()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.json")
        file.write_text(json.dumps(whole), encoding="utf-8")
        probe.load_model(str(file), format="json")
    return probe


def _asked(probe: Any, axes: tuple[Axis, ...], width: int, start: int, stop: int) -> Array:
    """What each split says at each place: 0 or 1, [places, splits]."""
    base = _plain_row(probe, width)
    shape = [len(axis.values) for axis in axes]
    grid = np.indices(shape).reshape(len(shape), -1)
    rows = np.tile(base, (grid.shape[1], 1))
    for axis, place in zip(axes, grid, strict=True):
        column = np.empty(len(axis.values), object)
        column[:] = axis.values
        rows[:, axis.column] = column[place]
    answers = [
        probe.calc_leaf_indexes(
            rows[first : first + CHUNK], ntree_start=start, ntree_end=stop, thread_count=1
        )
        for first in range(0, len(rows), CHUNK)
    ]
    return np.asarray(np.concatenate(answers))


def _plain_row(probe: Any, width: int) -> Array:
    """A row of any values that CatBoost accepts."""
    row = np.empty(width, object)
    row[:] = 0.0
    row[list(probe.get_cat_feature_indices())] = STRANGER
    return row


def _places(
    axes: list[tuple[Axis, ...]], model: Told, numbers: str | None, context: Context
) -> str:
    """Of each table the place of a row: int64 [rows, tables].

    A place is a sum over the axes, so that all of them come of one product.
    """
    graph = context.graph
    strides = [_strides(each) for each in axes]
    raws = sorted({axis.codes for each in axes for axis in each if axis.codes is not None})
    borders = sorted({(a.number, border) for each in axes for a in each for border in a.borders})
    parts = [graph.cast(graph.reshape(context.code(raw), [-1, 1]), DOUBLE) for raw in raws]
    if borders:
        parts.append(_above(borders, model, str(numbers), context))
    weights = np.zeros((len(raws) + len(borders), len(axes)))
    for table, (each, steps) in enumerate(zip(axes, strides, strict=True)):
        for axis, stride in zip(each, steps, strict=True):
            if axis.codes is not None:
                weights[raws.index(axis.codes), table] += stride
            for border in axis.borders:
                weights[len(raws) + borders.index((axis.number, border)), table] += stride
    product = graph.matmul(graph.concat(parts), graph.constant(weights))
    return graph.cast(product, INT64)


def _strides(axes: tuple[Axis, ...]) -> list[int]:
    """How far one step along each axis leads, the last axis being the fastest."""
    return [prod(len(axis.values) for axis in axes[number + 1 :]) for number in range(len(axes))]


def _above(borders: list[tuple[int, float]], model: Told, numbers: str, context: Context) -> str:
    """Whether a number is above a border: float64 [rows, borders]."""
    graph = context.graph
    order = list(model.numbers)
    columns = graph.columns(numbers, [order.index(number) for number, _ in borders])
    edge = graph.constant(np.array([[border for _, border in borders]]))
    above = graph.node("Greater", [columns, edge])
    if model.missing_above:
        largest = np.array([[number in model.missing_above for number, _ in borders]])
        absent = graph.node("And", [graph.node("IsNaN", [columns]), graph.constant(largest)])
        above = graph.node("Or", [above, absent])
    return graph.cast(above, DOUBLE)
