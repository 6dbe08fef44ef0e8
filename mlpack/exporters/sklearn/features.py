"""What flows from step to step while a pipeline is turned into a graph.

The original hands a DataFrame or a matrix from one step to the next. Here the same thing is a
row of columns, each of which knows every form that a later step may ask for:

- *number*: a column of a float64 matrix in the graph;
- *values*: what the column holds for each code of one raw column. Imputing, encoding and looking
  up are then done while exporting, on the original's own code, and become one table look-up;
- *text*: a column of strings in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.graph import DOUBLE, INT64, STRING, Graph
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category, Codes, Column, Encoding, Signature

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Affine:
    """A number that is ``scale * raw + offset`` of one raw column: where its thresholds lie."""

    column: str
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Feature:
    """One column between two steps; see the module's text.

    Attributes:
        name: as the original's DataFrame names it, where it does.
        tensor, index: the number form: a column of a matrix.
        raw: the raw column that `values` refers to.
        values: one value per code: the known categories, an unknown one, a missing one.
        text: the text form, the raw column's name.
        affine: how it depends on a raw number column, if in so simple a way.
    """

    name: str | None = None
    tensor: str | None = None
    index: int = 0
    raw: str | None = None
    values: tuple[Any, ...] | None = None
    text: str | None = None
    affine: Affine | None = None


class Unknown:
    """Stands for every category that the pipeline has no name for."""

    def __repr__(self) -> str:
        return "<any other value>"


UNKNOWN = Unknown()
NAN = float("nan")


@dataclass
class Context:
    """What the export of one pipeline shares: the graph, the raw columns, the encoding so far.

    Attributes:
        numbers: the raw columns that stand in the input ``numbers``, in order.
        vocabulary: per raw column the categories that some encoder knows. It is filled by a first
            walk over the pipeline and used by a second.
        refused_unknown: raw columns in which the original raises for an unknown category.
        refusals: tensors, bool [rows], true where the original raises.
        thresholds: per raw number column the values at which a tree changes sides.
        lowercase: text columns that are lowered before the graph.
    """

    signature: Signature
    vocabulary: dict[str, dict[Category, None]]
    numbers: tuple[str, ...]
    graph: Graph = field(default_factory=Graph)
    codes: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lowercase: dict[str, bool] = field(default_factory=dict)
    refused_unknown: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    thresholds: dict[str, set[float]] = field(default_factory=dict)
    used_numbers: set[str] = field(default_factory=set)
    _widths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._widths["numbers"] = len(self.numbers)

    def raw_features(self) -> tuple[Feature, ...]:
        """The signature's columns, as the first step of the pipeline receives them."""
        return tuple(self._raw(column) for column in self.signature.columns)

    def _raw(self, column: Column) -> Feature:
        known = tuple(self.vocabulary.get(column.name, {}))
        feature = Feature(
            name=column.name,
            raw=column.name,
            # pandas knows a value outside a categorical dtype as missing.
            values=(*known, NAN if column.dtype == "category" else UNKNOWN, NAN),
            text=column.name if column.type == "string" else None,
        )
        if column.name not in self.numbers:
            return feature
        affine = None if column.type == "boolean" else Affine(column.name)
        return replace(
            feature, tensor="numbers", index=self.numbers.index(column.name), affine=affine
        )

    def learn(self, feature: Feature, categories: Sequence[Any]) -> None:
        """An encoder knows these categories of the raw column behind `feature`."""
        if feature.raw is None:
            return
        column = self.signature.column(feature.raw)
        known = self.vocabulary.setdefault(feature.raw, {})
        if column.dtype == "category":
            categories = [*categories, *(column.categories or ())]
        for category in categories:
            value = plain(category)
            if value is not None and fits(column, value):
                known.setdefault(value)

    def code(self, raw: str) -> str:
        """The codes of a raw column: int64 [rows]."""
        if raw not in self.codes:
            self.codes.append(raw)
        index = self.graph.constant(np.int64(self.codes.index(raw)))
        return self.graph.node("Gather", ["codes", index], axis=1)

    def lookup(self, raw: str, table: np.ndarray[Any, Any]) -> str:
        """Rows of a table by the code of a raw column: float64 [rows, table.shape[1]]."""
        return self.graph.node("Gather", [self.graph.constant(table), self.code(raw)], axis=0)

    def text(self, raw: str, *, lowercase: bool, path: str) -> str:
        """A raw text column: string [rows, 1], lowered by Python's own rules if asked."""
        if self.lowercase.setdefault(raw, lowercase) != lowercase:
            raise NotExportableError(
                path, f"{raw!r} is used lower-cased by one vectorizer and as it is by another"
            )
        if raw not in self.texts:
            self.texts.append(raw)
        return self.graph.input(f"text_{self.texts.index(raw)}", STRING, 1)

    def matrix(self, features: Sequence[Feature], path: str) -> str:
        """The number forms side by side: float64 [rows, len(features)].

        Raises:
            NotExportableError: a column has no number form.
        """
        parts: list[str] = []
        for feature in features:
            if feature.tensor is None:
                raise NotExportableError(
                    path, f"the column {feature.name!r} reaches it as text: encode it before"
                )
        for tensor, group in groupby(features, key=lambda feature: feature.tensor or ""):
            members = list(group)
            if tensor == "numbers":
                self.used_numbers.update(self.numbers[member.index] for member in members)
            indices = [member.index for member in members]
            whole = indices == list(range(self._widths[tensor]))
            parts.append(tensor if whole else self.graph.columns(tensor, indices))
        return self.graph.concat(parts)

    def made(
        self,
        tensor: str,
        names: Sequence[str | None],
        affines: Sequence[Affine | None] | None = None,
    ) -> tuple[Feature, ...]:
        """The columns of a matrix that a step made: float64 [rows, len(names)]."""
        self._widths[tensor] = len(names)
        return tuple(
            Feature(
                name=name, tensor=tensor, index=index, affine=affines[index] if affines else None
            )
            for index, name in enumerate(names)
        )

    def threshold(self, feature: Feature, value: float, *, rounded: bool) -> None:
        """A tree compares this number with `value`, after rounding it to float32 if `rounded`.

        What is remembered are raw values on both sides of the comparison. With rounding these
        are the float32 at or below the threshold, the next one, and the double between them, at
        which the rounding turns.
        """
        affine = feature.affine
        if affine is None or not affine.scale:
            return
        sides = [value]
        if rounded:
            below = np.float32(value)
            if float(below) > value:
                below = np.nextafter(below, np.float32(-np.inf))
            above = np.nextafter(below, np.float32(np.inf))
            sides = [float(below), (float(below) + float(above)) / 2, float(above)]
        for side in sides:
            raw = (side - affine.offset) / affine.scale
            if np.isfinite(raw):
                self.thresholds.setdefault(affine.column, set()).add(float(raw))

    def declare_inputs(self) -> None:
        """Tell the graph the shapes of its inputs, now that every step has been seen."""
        self.graph.input("numbers", DOUBLE, len(self.numbers))
        self.graph.input("codes", INT64, len(self.codes))

    def encoding(self) -> Encoding:
        """The frozen encoding that feeds the graph."""
        return Encoding(
            numbers=self.numbers,
            codes=tuple(
                Codes(
                    column=raw,
                    categories=tuple(self.vocabulary.get(raw, {})),
                    refuse_unknown=raw in self.refused_unknown,
                )
                for raw in self.codes
            ),
            texts=tuple(self.texts),
            lowercase=tuple(raw for raw in self.texts if self.lowercase[raw]),
        )


def plain(value: Any) -> Category | None:
    """A category in its own JSON type; None for a missing one."""
    if value is None or value is UNKNOWN:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, str | int | float | bool) else None


def fits(column: Column, value: Category) -> bool:
    """Whether a value can stand in the column at all; a raw column keeps its own type."""
    if column.type == "string":
        return isinstance(value, str)
    if column.type == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
