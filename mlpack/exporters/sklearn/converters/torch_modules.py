"""Modules of PyTorch as graphs: ``torch.onnx.export``, which follows ``torch.export``.

torch.export writes down what a module computes and refuses what depends on the numbers themselves;
the older exporter by tracing would keep one branch without a word, and is not used.
"""

from __future__ import annotations

import copy
import functools
import io
import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

import torch
from onnx import ModelProto, TensorProto

from mlpack.exporters.sklearn.converters.torch_limits import limits
from mlpack.exporters.sklearn.foreign import Converted, ForeignError, check_runs, guarded, prepared
from mlpack.exporters.sklearn.graph import OPSET

ROWS = "rows"
GIVEN = "given"
TRIED = ("float64", "float32", "int64")
"""What a module may take, in the order in which it is asked."""

_ELEMENTS = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.BOOL: "bool",
}
_TAKES_NEGATIVE = "aten.index"


@dataclass(frozen=True)
class _Subject:
    """A module, equal to another that holds the same: each trace works on a copy of its own."""

    digest: str
    module: Any = field(compare=False)


class _Contents(pickle.Pickler):
    """Writes what a module holds. torch's own way of pickling has addresses in it."""

    def persistent_id(self, obj: Any) -> Any:
        """A tensor as its numbers."""
        if not isinstance(obj, torch.Tensor):
            return None
        plain = obj.detach().cpu().contiguous()
        raw = plain.view(torch.uint8) if plain.dim() else plain.reshape(1).view(torch.uint8)
        return str(plain.dtype), tuple(plain.shape), raw.numpy().tobytes()


def exported(module: Any, width: int, dtype: str | None = None) -> Converted:
    """What a module does for rows of `width` numbers, in eval mode and on the CPU.

    Args:
        module: a ``torch.nn.Module``; it is not changed.
        width: how many columns it is given.
        dtype: numpy's name of what they are; None to take the first of `TRIED` that it takes.

    Raises:
        ForeignError: there is no graph of it; the text says why.
    """
    if not isinstance(module, torch.nn.Module):
        raise ForeignError(f"{type(module).__name__} is no torch.nn.Module")
    stream = io.BytesIO()
    try:
        _Contents(stream, protocol=5).dump(module)
        digest = sha256(stream.getvalue()).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError):
        digest = f"{id(module)}"  # what cannot be pickled is known by itself alone
    return _converted(_Subject(digest, module), width, dtype)


@functools.lru_cache(maxsize=8)
def _converted(subject: _Subject, width: int, dtype: str | None) -> Converted:
    """The pipeline is walked more than once, and torch takes seconds."""
    if find_spec("onnxscript") is None:
        raise ForeignError(
            "torch makes its graph with onnxscript, which is not installed: add onnxscript to the "
            "dev group, then mlpack lock && mlpack install"
        )
    own = copy.deepcopy(getattr(subject.module, "_orig_mod", subject.module)).cpu().eval()
    name = _taken(own, width) if dtype is None else dtype
    example = torch.zeros(3, width, dtype=getattr(torch, name))
    model = _graph(own, example)
    del model.graph.output[1:]  # of several answers the first counts, as it does for skorch
    answer = model.graph.output[0].type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in answer.shape.dim]
    if shape[:1] != [ROWS] or len(shape) > 2 or not all(isinstance(n, int) for n in shape[1:]):
        raise ForeignError(
            f"it answers an array of shape {shape}: a row of numbers for each row is wanted"
        )
    if answer.elem_type not in _ELEMENTS:
        raise ForeignError(
            f"it answers elements of ONNX's type {answer.elem_type}: float32 is wanted"
        )
    given = model.graph.input[0].name
    counted = _counted_from_the_end(model)
    try:
        model = prepared(model)
        guarded(model, ROWS, counted)
        check_runs(model, example.numpy())
    except ForeignError as error:
        raise ForeignError(f"torch's graph of it cannot be taken in: {error}") from error
    columns = int(shape[1]) if len(shape) > 1 else 0
    answers = _ELEMENTS[answer.elem_type]
    return Converted(model, given, name, answers, columns, limits(own, width, name))


def _taken(module: Any, width: int) -> str:
    """What the module takes: its own parameters raise for other numbers."""
    said = ""
    for name in TRIED:
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module(torch.zeros(2, width, dtype=getattr(torch, name)))
        except Exception as error:  # noqa: BLE001 - a module may raise anything
            said = said or _first(error)
        else:
            return name
    raise ForeignError(f"it takes no matrix of {width} columns: {said}")


def _graph(module: Any, example: Any) -> ModelProto:
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[GIVEN],
                dynamic_shapes=({0: torch.export.Dim(ROWS)},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise ForeignError(_reason(error)) from error
    model: ModelProto = program.model_proto
    return model


def _reason(error: BaseException) -> str:
    """torch wraps errors in long advice; the innermost one says what it is."""
    causes = [error]
    while (further := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(further)
    names = {type(each).__name__ for each in causes}
    texts = " ".join(str(each) for each in causes)
    if "data-dependent" in texts or any("DataDependent" in name for name in names):
        return (
            "forward decides by the numbers that it is given (if, while, int(x), x[mask]): use "
            "torch.where, or torch.cond"
        )
    if "Constraints violated" in texts or "specialized" in texts:
        return "forward depends on the number of rows: keep it free, with x.shape[0] or -1"
    found = next((each for each in reversed(causes) if str(each).strip()), error)
    return f"torch cannot make its graph: {type(found).__name__}: {_first(found)}"


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _counted_from_the_end(model: ModelProto) -> list[str]:
    """The tables that forward looks into as ``table[index]``: embeddings take no such index."""
    found = []
    for node in model.graph.node:
        notes = " ".join(note.value for note in node.metadata_props)
        if node.op_type == "Gather" and _TAKES_NEGATIVE in notes:
            found.append(node.input[0])
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """torch tells about what it lacks for other people's models, and prints what it gave up."""
    names = ("torch.onnx", "torch.export", "torch", "onnxscript")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Answering(torch.nn.Module):  # type: ignore[misc]
    """What skorch answers for a batch: ``predict_proba`` of its ``NeuralNet``.

    Args:
        net: a fitted net of skorch.
        flat: whether it takes one number a row, as ``NeuralNetBinaryClassifier.infer`` does.
    """

    def __init__(self, net: Any, *, flat: bool) -> None:
        super().__init__()
        self.inner = getattr(net.module_, "_orig_mod", net.module_)
        self.link = net._get_predict_nonlinearity()  # noqa: SLF001 - skorch has no other name
        self.flat = flat

    def forward(self, X: Any) -> Any:  # noqa: N803 - skorch's name
        """The module's first answer behind the nonlinearity that belongs to the criterion."""
        said = self.inner(X)
        said = said[0] if isinstance(said, tuple) else said
        return self.link(said.reshape(-1) if self.flat else said)


def of_net(net: Any, width: int, *, flat: bool = False) -> Converted:
    """What a fitted net of skorch answers for rows of `width` numbers; see `exported`.

    Raises:
        ForeignError: there is no graph of it; the text says why.
    """
    return exported(Answering(net, flat=flat), width)
