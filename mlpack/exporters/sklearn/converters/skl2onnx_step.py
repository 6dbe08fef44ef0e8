"""One step, converted by skl2onnx. A file of its own, because importing skl2onnx takes seconds."""

from __future__ import annotations

from typing import Any

from onnx import ModelProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType

from mlpack.exporters.sklearn.graph import OPSET

# skl2onnx refuses anything newer for its own operators; the graph around them may be newer.
TARGET = {"": OPSET, "ai.onnx.ml": 3}


def convert(step: Any, width: int) -> ModelProto:
    """The step as a graph over one float64 matrix ``X`` with `width` columns.

    Raises:
        ValueError: skl2onnx cannot convert it, or fails at it.
    """
    options = {id(step): {"zipmap": False}} if hasattr(step, "predict_proba") else None
    try:
        model: ModelProto = convert_sklearn(
            step,
            initial_types=[("X", DoubleTensorType([None, width]))],
            target_opset=TARGET,
            options=options,
        )
        return model  # noqa: TRY300 - nothing else can raise
    except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
        # It has no error class of its own for what it cannot convert.
        raise ValueError(str(error).splitlines()[0][:200] if str(error) else repr(error)) from error
