"""What the inputs and outputs of a graph mean: found in the file, and by asking it made-up rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from mlpack.errors import InputError
from mlpack.exporters.onnx_model.known import class_labels, classes, zipped
from mlpack.exporters.onnx_model.source import RUNTIME_ERRORS, first_line
from mlpack.exporters.portable import OUTPUTS
from mlpack.runtime.contract import Category, Task

Array = NDArray[Any]

ELEMENTS: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
"""The element types of inputs that are understood, as numpy's."""

LIMITS = {
    "tensor(int64)": (-(2.0**53) - 2, 2.0**53 + 2),
    "tensor(int32)": (-(2.0**31) - 1, 2.0**31),
}
"""A whole number lies between these; beyond 2**53 doubles do not have every one."""

LABELS = {"tensor(int64)": int, "tensor(string)": str, "tensor(bool)": bool}
FLOATS = ("tensor(float)", "tensor(double)")
MAPPED = "seq(map("

INPUTS_UNDERSTOOD = (
    "understood are one tensor [rows, columns], or one input [rows, 1] or [rows] for each column, "
    "of float, double, int64, int32, bool or string, whose number of rows is free"
)
OUTPUTS_UNDERSTOOD = (
    "understood are a label (int64, string or bool) with probabilities [rows, classes] or a ZipMap "
    "beside it or alone, or one tensor of values [rows], [rows, 1] or [rows, outputs]"
)
SAY_LABELS = (
    'Say the classes in the file: onnx.helper.set_model_props(model, {"mlpack.labels": '
    "json.dumps([0, 1])}), in the order of the probabilities."
)
ROWS = 3
WITHIN = 1e-3
"""Probabilities in single precision add up to 1 within this."""


@dataclass(frozen=True)
class Input:
    """An input of the author's graph.

    Attributes:
        name: its name.
        type: the type of its elements, as ONNX Runtime calls it.
        columns: the raw columns that it takes, in order.
        flat: it is [rows] and not [rows, columns].
    """

    name: str
    type: str
    columns: tuple[str, ...]
    flat: bool

    @property
    def text(self) -> bool:
        """Whether it takes texts."""
        return self.type == "tensor(string)"


@dataclass(frozen=True)
class Layout:
    """What a graph takes and answers.

    Attributes:
        inputs: in the order of the graph.
        task: what it does.
        labels: its classes in the order of the probabilities; empty for a regression.
        label, probabilities, value, score, refused: the outputs of these meanings.
        zipmap: the tensor behind the ZipMap that makes the probabilities; None where none does.
        dropped: an output beside the label whose numbers are no probabilities.
        size: how many numbers a row's value has.
        missing: what stands for a missing text; None where nothing does.
    """

    inputs: tuple[Input, ...]
    task: Task
    labels: tuple[Category, ...] = ()
    label: str | None = None
    probabilities: str | None = None
    value: str | None = None
    score: str | None = None
    refused: str | None = None
    zipmap: str | None = None
    dropped: str | None = None
    size: int = 1
    missing: str | None = None


def read_inputs(
    session: onnxruntime.InferenceSession, told: Sequence[str], where: str
) -> tuple[Input, ...]:
    """The inputs of a graph.

    Args:
        session: the graph in ONNX Runtime.
        told: the columns that the signature or the sample names; empty if nothing does.
        where: the file.

    Raises:
        InputError: an input is of a kind that is not understood, or the columns do not fit.
    """
    given = session.get_inputs()
    for each in given:
        rank = None if each.shape is None else len(each.shape)
        if each.type not in ELEMENTS or rank not in (1, 2) or isinstance(each.shape[0], int):
            found = f"{each.type} {_shape(each.shape)}"
            raise InputError(
                f"its input {each.name!r} is {found}; {INPUTS_UNDERSTOOD}",
                where=where,
                hint=_FREE if rank and isinstance(each.shape[0], int) else None,
            )
    widths = [1 if len(each.shape) == 1 else each.shape[1] for each in given]
    if len(given) > 1:
        if wide := [e.name for e, width in zip(given, widths, strict=True) if width != 1]:
            raise InputError(
                f"it has {len(given)} inputs, of which {', '.join(wide)} takes several columns; "
                f"{INPUTS_UNDERSTOOD}",
                where=where,
            )
        names: list[tuple[str, ...]] = [(each.name,) for each in given]
    else:
        names = [_columns(given[0].name, widths[0], told, where)]
    return tuple(
        Input(each.name, each.type, columns, len(each.shape) == 1)
        for each, columns in zip(given, names, strict=True)
    )


_FREE = "Export it with a free first dimension, such as dynamic_axes={'input': {0: 'rows'}}."


def _columns(name: str, width: Any, told: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns of the only input."""
    if width == 1 and (not told or name in told):
        return (name,)
    if not isinstance(width, int):
        if told:
            return tuple(told)
        raise InputError(
            f"nothing tells how many columns its input {name!r} takes",
            where=where,
            hint="Save a few rows: X.head(20).to_csv('data/sample.csv', index=False)",
        )
    if not told:
        return tuple(f"x{place}" for place in range(width))
    if len(told) != width:
        raise InputError(
            f"its input {name!r} takes {width} columns, and the sample or the signature has "
            f"{len(told)}: {', '.join(told[:10])}",
            where=where,
            hint="Save the columns that the model takes, in its order, without the target.",
        )
    return tuple(told)


def read_outputs(
    session: onnxruntime.InferenceSession,
    model: ModelProto,
    inputs: tuple[Input, ...],
    where: str,
) -> Layout:
    """What a graph answers.

    Raises:
        InputError: it is not understood, or nothing tells the classes.
    """
    props = {each.key: each.value for each in model.metadata_props}
    types = {each.name: each.type for each in session.get_outputs()}
    missing = props.get("mlpack.missing")
    answers = _asked(session, inputs, where)
    if missing is not None and set(types) <= set(OUTPUTS):
        return _portable(model, inputs, types, answers, props)
    for name, kind in types.items():
        mapped = kind.startswith(MAPPED) and zipped(model.graph, name) is not None
        tensor = kind in (*LABELS, *FLOATS) and _by_row(answers[name])
        if not (mapped or tensor):
            shape = _shape(answers[name].shape) if hasattr(answers[name], "shape") else ""
            raise InputError(
                f"its output {name!r} is {kind} {shape}".rstrip() + f"; {OUTPUTS_UNDERSTOOD}",
                where=where,
            )
    labels = [name for name, kind in types.items() if kind in LABELS]
    others = [name for name in types if name not in labels]
    if len(labels) > 1 or len(others) > 1 or (labels and answers[labels[0]].size != ROWS):
        raise InputError(
            f"its outputs are {', '.join(f'{name} ({kind})' for name, kind in types.items())}; "
            f"{OUTPUTS_UNDERSTOOD}",
            where=where,
        )
    said = _said(props, where)
    if not labels and not said and not types[others[0]].startswith(MAPPED):
        size = int(np.size(answers[others[0]]) // ROWS)
        return Layout(inputs, "regression", value=others[0], size=size)
    return _classifier(model, inputs, types, answers, (labels, others), said, where)


def _classifier(
    model: ModelProto,
    inputs: tuple[Input, ...],
    types: dict[str, str],
    answers: dict[str, Any],
    names: tuple[list[str], list[str]],
    said: tuple[Category, ...],
    where: str,
) -> Layout:
    label = names[0][0] if names[0] else None
    shares = names[1][0] if names[1] else None
    node = zipped(model.graph, shares) if shares else None
    found = said or (node and class_labels(node)) or None
    if label is not None:
        if found is None:
            found = (False, True) if types[label] == "tensor(bool)" else None
        found = found or classes(model.graph, label)
        if not found or {type(each) for each in found} != {LABELS[types[label]]}:
            raise InputError(
                f"nothing in the graph tells the classes of its label {label!r}",
                where=where,
                hint=SAY_LABELS,
            )
    found, dropped = tuple(found or ()), None
    if shares is not None:
        matrix = _matrix(answers[shares], found)
        if matrix.shape[1] != len(found):
            raise InputError(
                f"its output {shares!r} has {matrix.shape[1]} columns for the {len(found)} "
                f"classes {', '.join(map(repr, found[:10]))}",
                where=where,
                hint=SAY_LABELS,
            )
        if label is not None and not _shares(matrix):
            dropped, shares, node = shares, None, None  # the label says what they mean
    return Layout(
        inputs,
        "classification",
        labels=found,
        label=label,
        probabilities=shares,
        zipmap=node.input[0] if node else None,
        dropped=dropped,
    )


def _portable(
    model: ModelProto,
    inputs: tuple[Input, ...],
    types: dict[str, str],
    answers: dict[str, Any],
    props: dict[str, str],
) -> Layout:
    """A graph that mlpack wrote says itself what everything is."""
    task: Any = props.get("mlpack.task", "classification")
    names: dict[str, Any] = {name: name for name in OUTPUTS if name in types}
    labels = classes(model.graph, "label") if "label" in types else None
    size = int(np.size(answers["value"]) // ROWS) if "value" in types else 1
    return Layout(
        inputs,
        task,
        labels=labels or (),
        size=size,
        missing=props["mlpack.missing"],
        **names,
    )


def _said(props: dict[str, str], where: str) -> tuple[Category, ...]:
    """The classes that the author put into the file."""
    if "mlpack.labels" not in props:
        return ()
    try:
        said = json.loads(props["mlpack.labels"])
    except ValueError:
        said = None
    if (
        not isinstance(said, list)
        or len({type(each) for each in said}) != 1
        or type(said[0]) not in (int, str, bool)
        or len(set(said)) != len(said)
    ):
        raise InputError(
            "its mlpack.labels is no list of different labels of one type",
            where=where,
            hint=SAY_LABELS,
        )
    return tuple(said)


def _asked(
    session: onnxruntime.InferenceSession, inputs: tuple[Input, ...], where: str
) -> dict[str, Any]:
    """What the graph answers to made-up rows."""
    names = [output.name for output in session.get_outputs()]
    try:
        answers = session.run(names, made_up(inputs, (0.0, 0.5, 1.0)))
    except RUNTIME_ERRORS as error:
        raise InputError(
            f"ONNX Runtime cannot run it: {first_line(error)}",
            where=where,
            hint="Does it take any number of rows? Ask it three rows with onnxruntime.",
        ) from error
    return dict(zip(names, answers, strict=True))


def made_up(inputs: Sequence[Input], values: Sequence[float]) -> dict[str, Array]:
    """Rows in which every number is the same, or the nearest that its type has."""
    feeds: dict[str, Array] = {}
    for each in inputs:
        kind = ELEMENTS[each.type]
        column = np.array([""] * len(values), object) if each.text else np.array(values)
        if each.type in LIMITS:
            low, high = LIMITS[each.type]
            column = np.clip(np.nan_to_num(column), low + 2, high - 2)
        elif each.type == "tensor(bool)":
            column = column > 0
        with np.errstate(over="ignore"):
            matrix = np.repeat(column.reshape(-1, 1), len(each.columns), axis=1).astype(kind)
        feeds[each.name] = matrix.reshape(-1) if each.flat else matrix
    return feeds


def _by_row(answer: Any) -> bool:
    return np.ndim(answer) in (1, 2) and len(answer) == ROWS


def _matrix(answer: Any, labels: tuple[Category, ...]) -> Array:
    if isinstance(answer, list):
        return np.array([[row.get(label, np.nan) for label in labels] for row in answer])
    return np.asarray(answer).reshape(ROWS, -1)


def _shares(matrix: Array) -> bool:
    """Whether these are probabilities."""
    some = matrix[np.isfinite(matrix).all(axis=1)]
    return bool(((some >= -WITHIN).all()) and (np.abs(some.sum(axis=1) - 1) < WITHIN).all())


def _shape(shape: Any) -> str:
    if shape is None:
        return "of no known shape"
    return "[" + ", ".join(str(each) if each else "?" for each in shape) + "]"
