"""scikit-learn: the whole fitted pipeline, from raw columns to the prediction, as one graph.

The structure of a pipeline (columns, steps inside steps, categories, missing values) is walked
here. Each step has a converter in one of the neighbouring files, in float64 and in the order of
the original's arithmetic; what has none goes through skl2onnx, one step at a time.
"""

from mlpack.exporters.sklearn.exporter import SklearnExporter

__all__ = ["SklearnExporter"]
