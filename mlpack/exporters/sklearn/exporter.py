"""Walks a fitted pipeline, once to learn its categories and once to make the graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from sklearn.base import BaseEstimator

from mlpack.export import Exported, Step
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, INT64, Graph
from mlpack.exporters.sklearn.steps import LIBRARIES, Outputs, describe, join, name_of
from mlpack.exporters.sklearn.table import MODELS, STOCK, TRANSFORMERS
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category, Encoding, Signature

KNOWN = LIBRARIES | {"sklearn", "imblearn"}
"""What is nobody's own code."""


@dataclass
class _Walker:
    """Finds each step's converter, and remembers what became of each step."""

    steps: list[Step] = field(default_factory=list)

    def transform(
        self, path: str, step: Any, features: tuple[Feature, ...], context: Context
    ) -> tuple[Feature, ...]:
        converter = TRANSFORMERS.get(name_of(step) or "")
        if converter is None:
            raise NotExportableError(join(path, describe(step)), self._unknown(step))
        before = len(self.steps)
        made = converter(path, step, features, context, self)
        self._note(path, step, before)
        return made

    def predict(
        self, path: str, step: Any, features: tuple[Feature, ...], context: Context
    ) -> Outputs:
        converter = MODELS.get(name_of(step) or "")
        if converter is None:
            raise NotExportableError(join(path, describe(step)), self._unknown(step))
        before = len(self.steps)
        outputs = converter(path, step, features, context, self)
        self._note(path, step, before)
        return outputs

    def _note(self, path: str, step: Any, before: int) -> None:
        """A step that holds others is told by them."""
        if len(self.steps) == before:
            how = "skl2onnx" if name_of(step) in STOCK else "mlpack"
            self.steps.append(Step(path=join(path, describe(step)), form="graph", how=how))

    @staticmethod
    def _unknown(step: Any) -> str:
        module = type(step).__module__
        if module.split(".")[0] in KNOWN:
            return f"{type(step).__name__} has no exact graph yet"
        return (
            f"{type(step).__name__} is code of your own ({module}): it can only run as Python; "
            "steps of scikit-learn would be exportable"
        )


class SklearnExporter:
    """Exports scikit-learn pipelines and estimators; see `mlpack.ports.Exporter`."""

    name = "sklearn"

    def accepts(self, pipeline: Any) -> bool:
        """Whether `pipeline` is an estimator of scikit-learn."""
        return isinstance(pipeline, BaseEstimator) and hasattr(pipeline, "predict")

    def export(self, pipeline: Any, signature: Signature) -> Exported:
        """The pipeline as a graph; see `mlpack.ports.Exporter.export`."""
        candidates = tuple(c.name for c in signature.columns if c.type != "string")
        first = Context(signature=signature, vocabulary={}, numbers=candidates)
        _Walker().predict("", pipeline, first.raw_features(), first)
        walker = _Walker()
        context = Context(
            signature=signature,
            vocabulary=_typed(first.vocabulary),
            numbers=tuple(name for name in candidates if name in first.used_numbers),
        )
        outputs = walker.predict("", pipeline, context.raw_features(), context)
        context.declare_inputs()
        model = context.graph.build(_outputs(outputs, signature, context))
        inputs = {value.name for value in model.graph.input}
        return Exported(
            form="onnx",
            model=model.SerializeToString(deterministic=True),
            encoding=_fed(context.encoding(), inputs),
            steps=tuple(walker.steps),
            thresholds={name: tuple(sorted(v)) for name, v in sorted(context.thresholds.items())},
        )


def _typed(vocabulary: dict[str, dict[Category, None]]) -> dict[str, dict[Category, None]]:
    """Categories in a fixed order, so that the same pipeline gives the same bytes."""
    return {
        column: dict.fromkeys(sorted(known, key=lambda value: (type(value).__name__, value)))
        for column, known in sorted(vocabulary.items())
    }


def _fed(encoding: Encoding, inputs: set[str]) -> Encoding:
    """The encoding without the inputs that the finished graph does not have."""
    return msgspec.structs.replace(
        encoding,
        numbers=encoding.numbers if "numbers" in inputs else (),
        codes=encoding.codes if "codes" in inputs else (),
    )


def _outputs(
    outputs: Outputs, signature: Signature, context: Context
) -> list[tuple[str, str, int, list[str | int]]]:
    graph: Graph = context.graph
    made: list[tuple[str, str, int, list[str | int]]] = []
    refused = None
    for refusal in context.refusals:
        refused = refusal if refused is None else graph.node("Or", [refused, refusal])
    if refused is not None:
        made.append(("refused", refused, BOOL, ["rows"]))
    if signature.task == "classification":
        if outputs.label is None:
            raise NotExportableError("", "the signature is a classification, the model is not")
        made.append(("label", outputs.label, INT64, ["rows"]))
        if outputs.probabilities is not None:
            width = len(signature.labels)
            made.append(("probabilities", outputs.probabilities, DOUBLE, ["rows", width]))
    else:
        if outputs.value is None:
            raise NotExportableError("", "the signature is a regression, the model is not")
        made.append(("value", outputs.value, DOUBLE, ["rows", signature.outputs[0].size]))
    return made
