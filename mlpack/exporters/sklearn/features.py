"""What flows from step to step while a pipeline is turned into a graph.

The original hands a DataFrame or a matrix from one step to the next. Here the same thing is a
row of columns, each of which knows every form that a later step may ask for:

- *number*: a column of a float64 matrix in the graph;
- *values*: what the column holds for each code of one raw column. Imputing, encoding and looking
  up are then done while exporting, on the original's own code, and become one table look-up;
- *text*: a raw column of strings, whose terms are counted before the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import Any, Literal

import msgspec
import numpy as np

from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.sparse import Sparse, SparseGraph
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import (
    Category,
    Clock,
    Codes,
    Column,
    Encoding,
    Moment,
    Part,
    Signature,
    Text,
)

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column between two steps; see the module's text.

    Attributes:
        name: as the original's DataFrame names it, where it does.
        tensor, index: the number form: a column of a matrix.
        raw: the raw column that `values` refers to.
        values: one value per code: the known categories, an unknown one, a missing one.
        text: the text form, the raw column's name.
        given: how the original hands on a raw column that no step has seen: as a column of the
            data frame, or by itself as a series. None behind the first step.
        sparse: the original holds it in a sparse matrix, which does not store a zero.
        holder: what the original hands it on in, which the user's own code can tell: ``vector`` is
            an array of one dimension, ``other`` a frame that is not pandas'.
    """

    name: str | None = None
    tensor: str | None = None
    index: int = 0
    raw: str | None = None
    values: tuple[Any, ...] | None = None
    text: str | None = None
    given: Literal["frame", "series"] | None = None
    sparse: bool = False
    holder: Literal["frame", "series", "array", "vector", "other"] = "array"


@dataclass(frozen=True)
class Kept:
    """Fitted steps that stay Python, because one of them has no graph: part of a hybrid."""

    part: Part
    steps: tuple[Any, ...]
    reason: str


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
        texts: how texts are counted before the graph, by the same without a name: each way once.
        parts: what stays Python.
        moments: the parts of dates and times that stand in the input ``moments``, in order.
        clocks: those of the zoned columns among them, by column.
        derived: columns of categories that the user's code computed, which the signature has been
            given: what makes their codes, int64 [rows], from the categories that are known.
    """

    signature: Signature
    vocabulary: dict[str, dict[Category, None]]
    numbers: tuple[str, ...]
    graph: SparseGraph = field(default_factory=SparseGraph)
    codes: list[str] = field(default_factory=list)
    texts: dict[Text, Text] = field(default_factory=dict)
    refused_unknown: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    used_numbers: set[str] = field(default_factory=set)
    parts: list[Kept] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    clocks: dict[str, Clock] = field(default_factory=dict)
    derived: dict[str, Callable[[tuple[Category, ...]], str]] = field(default_factory=dict)
    _widths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._widths["numbers"] = len(self.numbers)

    def raw_features(self) -> tuple[Feature, ...]:
        """The signature's columns, as the first step of the pipeline receives them."""
        return tuple(self._raw(column) for column in self.signature.columns)

    def _raw(self, column: Column) -> Feature:
        if column.type in ("date", "datetime"):
            # No form that a graph could calculate with; what stays Python gets it as it was.
            return Feature(name=column.name, raw=column.name, given="frame", holder="frame")
        chosen = column.categories if column.dtype == "category" else None
        if chosen is not None and column.type != "string":
            self.vocabulary.setdefault(column.name, {}).update(dict.fromkeys(chosen))
        known = tuple(self.vocabulary.get(column.name, {}))
        feature = Feature(
            name=column.name,
            raw=column.name,
            # pandas knows a value outside a categorical dtype as missing.
            values=(*known, NAN if column.dtype == "category" else UNKNOWN, NAN),
            text=column.name if column.type == "string" else None,
            given="frame",
            holder="frame",
        )
        if column.name not in self.numbers or chosen is not None:
            # A number that is no category is missing: its number form is looked up (`matrix`).
            return feature
        return replace(feature, tensor="numbers", index=self.numbers.index(column.name))

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
            if column.type == "boolean" and type(value) is float and value in (0.0, 1.0):
                value = bool(value)  # where booleans may be missing, numpy has numbers for them
            if value is not None and fits(column, value):
                known.setdefault(value)

    def code(self, raw: str) -> str:
        """The codes of a raw column: int64 [rows]."""
        if raw in self.derived:
            return self.derived[raw](tuple(self.vocabulary.get(raw, {})))
        if raw not in self.codes:
            self.codes.append(raw)
        index = self.graph.constant(np.int64(self.codes.index(raw)))
        return self.graph.node("Gather", ["codes", index], axis=1)

    def lookup(self, raw: str, table: np.ndarray[Any, Any]) -> str:
        """Rows of a table by the code of a raw column: float64 [rows, table.shape[1]]."""
        code = self.code(raw)
        if raw in self.derived:
            return self.graph.node("Gather", [self.graph.constant(table), code], axis=0)
        return self.graph.looked_up(table, self.codes.index(raw), code)

    def moment(self, moment: Moment, clock: Clock | None) -> str:
        """A part of a raw column of dates or times: float64 [rows, 1], NaN where it is missing."""
        if moment not in self.moments:
            self.moments.append(moment)
        if clock is not None:
            self.clocks[moment.column] = clock
        return self.graph.columns("moments", [self.moments.index(moment)])

    def text(self, text: Text, *, path: str, what: str) -> Sparse:
        """How often a raw text column has each term; the step that counts, for messages."""
        named = msgspec.structs.replace(text, name=f"text_{len(self.texts)}")
        name = self.texts.setdefault(text, named).name
        return self.graph.counted(name, text.hashed or len(text.terms), path, what)

    def matrix(self, features: Sequence[Feature], path: str) -> str:
        """The number forms side by side: float64 [rows, len(features)].

        Raises:
            NotExportableError: a column has no number form.
        """
        parts: list[tuple[str, int]] = []
        features = [self._counted(feature) for feature in features]
        for feature in features:
            if feature.tensor is None:
                if self._is_moment(feature):
                    raise NotExportableError(
                        path,
                        f"the column {feature.name!r} holds dates or times, which a graph cannot "
                        "calculate with: make numbers of it in a FunctionTransformer or in "
                        "data.load, for example .dt.hour",
                    )
                raise NotExportableError(
                    path, f"the column {feature.name!r} reaches it as text: encode it before"
                )
        for tensor, group in groupby(features, key=lambda feature: feature.tensor or ""):
            members = list(group)
            if tensor == "numbers":
                self.used_numbers.update(self.numbers[member.index] for member in members)
            indices = [member.index for member in members]
            whole = indices == list(range(self._widths[tensor]))
            part = tensor if whole else self.graph.columns(tensor, indices)
            parts.append((part, len(indices)))
        return self.graph.join(parts)

    def _counted(self, feature: Feature) -> Feature:
        """A raw column of categories that are numbers with its number form, others as they are."""
        if feature.tensor is not None or feature.raw is None or feature.values is None:
            return feature
        if not all(isinstance(value, int | float) for value in feature.values):
            return feature
        table = np.array([[float(value)] for value in feature.values])
        return replace(feature, tensor=self.made(self.lookup(feature.raw, table), [None])[0].tensor)

    def _is_moment(self, feature: Feature) -> bool:
        """Whether it is a raw column of dates or times."""
        return any(
            column.name == feature.raw and column.type in ("date", "datetime")
            for column in self.signature.columns
        )

    def made(
        self,
        tensor: str,
        names: Sequence[str | None],
        *,
        sparse: bool = False,
    ) -> tuple[Feature, ...]:
        """The columns of a matrix that a step made: float64 [rows, len(names)].

        `sparse` is that of a `Feature`, for steps that always answer so.
        """
        self._widths[tensor] = len(names)
        return tuple(
            Feature(
                name=name,
                tensor=tensor,
                index=index,
                sparse=sparse,
            )
            for index, name in enumerate(names)
        )

    def derive(
        self,
        name: str,
        codes: Callable[[tuple[Category, ...]], str],
        kind: Literal["string", "number"] = "string",
    ) -> None:
        """A column of categories that was computed: from here on like a raw one."""
        self.derived[name] = codes
        if all(column.name != name for column in self.signature.columns):
            column = Column(name=name, type=kind, dtype="object")
            self.signature = msgspec.structs.replace(
                self.signature, columns=(*self.signature.columns, column)
            )

    def declare_inputs(self) -> None:
        """Tell the graph the shapes of its inputs, now that every step has been seen."""
        for raw in sorted(self.refused_unknown & self.derived.keys()):
            # No encoding refuses what only the graph knows.
            unknown = self.graph.constant(np.int64(len(self.vocabulary.get(raw, {}))))
            self.refusals.append(self.graph.node("Equal", [self.code(raw), unknown]))
        self.graph.input("numbers", DOUBLE, len(self.numbers))
        self.graph.input("codes", INT64, len(self.codes))
        self.graph.input("moments", DOUBLE, len(self.moments))
        for kept in self.parts:
            self.graph.input(kept.part.name, DOUBLE, kept.part.width)

    def snapshot(self) -> dict[str, Any]:
        """What was gathered so far; not the graph, which leaves out by itself what nobody needs."""
        return {
            each.name: _copied(getattr(self, each.name))
            for each in fields(self)
            if each.name != "graph"
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Forget what was gathered since: the steps that did stay Python after all."""
        for name, value in snapshot.items():
            setattr(self, name, _copied(value))

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
            texts=tuple(self.texts.values()),
            parts=tuple(kept.part for kept in self.parts),
            moments=tuple(self.moments),
            clocks=tuple(self.clocks[name] for name in sorted(self.clocks)),
        )


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return type(value)(value) if isinstance(value, list | set) else value


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
    if column.type in ("date", "datetime"):
        return False
    return isinstance(value, int | float) and not isinstance(value, bool)
