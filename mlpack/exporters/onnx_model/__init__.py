"""Models that are ONNX already: the author's graph, unchanged, behind the encoding that serves.

`source` checks the file, `layout` says what its inputs and outputs are, `known` what its nodes tell
of classes and of texts, `original` answers as the file does, and `exporter` makes the core graph.
"""

from mlpack.exporters.onnx_model.exporter import OnnxExporter
from mlpack.exporters.onnx_model.original import OnnxModel

__all__ = ["OnnxExporter", "OnnxModel"]
