"""What a class's own ``__mlpack_export__`` is given to make nodes with."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.foreign import Converted, ForeignError, spliced
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.elementwise import Traced
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import stored
from mlpack.plugins import load


class AuthorsGraph:
    """The graph, as an author of a converter sees it.

    Most converters need none of it: numpy on the columns becomes nodes by itself. What numpy has
    no word for is one operator of ONNX.
    """

    def __init__(self, columns: Any) -> None:
        self._tape = columns.tape

    def node(
        self,
        operator: str,
        *inputs: Any,
        width: int | None = None,
        dtype: Any = None,
        **attributes: Any,
    ) -> Any:
        """An operator of ONNX (opset 21) on whole matrices.

        Args:
            operator: its name, such as ``"Sigmoid"``.
            *inputs: arrays that are traced, two-dimensional, as [rows, columns]; and constants.
            width: how many columns come out; as many as the first array has, unless told.
            dtype: their type; the first array's, unless told. Constants have their own.
            **attributes: the operator's.

        Returns:
            An array of [rows, width], to go on with in numpy.
        """
        arrays = [each for each in inputs if isinstance(each, Array)]
        if not arrays or any(each.ndim != 2 or each.axis != 0 for each in arrays):
            raise TraceError("graph.node takes at least one array of rows and columns")
        names = [
            self._tape.matrix(list(each.cells.flat))
            if isinstance(each, Traced)
            else self._tape.context.graph.constant(_constant(each, arrays[0]))
            for each in inputs
        ]
        tensor = self._tape.node(operator, names, **attributes)
        kind = arrays[0].dtype if dtype is None else np.dtype(dtype)
        count = arrays[0].cells.size if width is None else width
        return Array(self._tape, self._tape.cells(tensor, (count,)), kind)

    def module(self, module: Any, X: Any) -> Any:  # noqa: N803 - its name in scikit-learn
        """What a ``torch.nn.Module`` answers, in eval mode and on the CPU.

        Args:
            module: it is given one array and answers one, both with a row for each row; of several
                answers the first counts.
            X: an array that is traced, [rows, columns], of what the module takes: mostly
                ``X.astype(np.float32)``.

        Returns:
            An array of [rows, columns of its answer], to go on with in numpy; of [rows] where the
            module answers that.
        """
        if not isinstance(X, Array) or X.ndim != 2 or X.axis != 0:
            raise TraceError("graph.module takes an array of rows and columns")
        exported = load("mlpack.exporters.sklearn.converters.torch_modules:exported")
        try:
            made: Converted = exported(module, X.cells.size, str(X.dtype))
        except ForeignError as error:
            raise TraceError(f"{type(module).__name__}: {error}") from error
        given = self._tape.matrix(list(X.cells.flat))
        tensor = self._tape.kept(
            ("module", made, given), lambda: spliced(made, given, self._tape.context)
        )
        shape = (made.width,) if made.width else ()
        return Array(self._tape, self._tape.cells(tensor, shape), np.dtype(made.answers))


def _constant(value: Any, like: Array) -> Any:
    array = np.asarray(value)
    return array.astype(stored(like.dtype)) if np.ndim(value) == 0 else array
