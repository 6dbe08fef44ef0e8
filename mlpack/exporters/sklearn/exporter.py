"""Walks a fitted pipeline, once to learn its categories and once to make the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import onnx
from sklearn.base import BaseEstimator

from mlpack.export import Exported, Step
from mlpack.exporters.sklearn.converters.functions import HOOK, own_transformer, traced
from mlpack.exporters.sklearn.converters.own_models import has_hook, own_model
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import BOOL, DOUBLE, INT64
from mlpack.exporters.sklearn.holders import held
from mlpack.exporters.sklearn.parts import pickled, through
from mlpack.exporters.sklearn.probes import Noted
from mlpack.exporters.sklearn.rounding import round_inputs
from mlpack.exporters.sklearn.scalars import widen_scalars
from mlpack.exporters.sklearn.sparse import SparseGraph
from mlpack.exporters.sklearn.steps import LIBRARIES, Outputs, describe, join, name_of
from mlpack.exporters.sklearn.stored import stored
from mlpack.exporters.sklearn.table import MODELS, STOCK, TRANSFORMERS
from mlpack.exporters.unrolled import unrolled
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category, Encoding, Signature

CELLS, FEWEST = 2**22, 2**9
"""So many numbers of a batch are held at once, and a row counts as so many at least."""

WHOLE = frozenset({"IterativeImputer"})
"""Steps that are told as one: the models inside are asked in rounds, each for some rows only."""

KNOWN = LIBRARIES | {"sklearn", "imblearn"}
"""What is nobody's own code."""


@dataclass
class _Walker:
    """Finds each step's converter, and remembers what became of each step, and what it made."""

    steps: list[Step] = field(default_factory=list)
    hybrid: bool = False
    noted: Noted | None = None

    def transform(
        self, path: str, step: Any, features: tuple[Feature, ...], context: Context
    ) -> tuple[Feature, ...]:
        converter = TRANSFORMERS.get(name_of(step) or "")
        if converter is None and _is_library(step):
            raise NotExportableError(join(path, describe(step)), self._unknown(step))
        before, refusals = len(self.steps), len(context.refusals)
        if converter is None:
            made = own_transformer(path, step, features, context)
        else:
            made = converter(path, step, features, context, self)
        told = self._note(path, step, before)
        if told is not None and self.noted is not None:
            self.noted.transformer(told, step, made, context.refusals[refusals:])
        return held(step, stored(step, features, made))

    def through(
        self,
        path: str,
        steps: Sequence[tuple[str, Any]],
        features: tuple[Feature, ...],
        context: Context,
        width: int | None = None,
    ) -> tuple[Feature, ...]:
        if self.hybrid:
            return through(self, self.steps, path, steps, features, context, width)
        for name, step in steps:
            features = self.transform(join(path, name), step, features, context)
        return features

    def predict(
        self, path: str, step: Any, features: tuple[Feature, ...], context: Context
    ) -> Outputs:
        converter = MODELS.get(name_of(step) or "")
        if converter is None and (_is_library(step) or not has_hook(step)):
            raise NotExportableError(join(path, describe(step)), self._unknown(step))
        before, refusals = len(self.steps), len(context.refusals)
        if converter is None:
            outputs = own_model(path, step, features, context)
        else:
            outputs = converter(path, step, features, context, self)
        told = self._note(path, step, before)
        if told is not None and self.noted is not None:
            self.noted.model(told, step, outputs, context.refusals[refusals:])
        return outputs

    def _note(self, path: str, step: Any, before: int) -> Step | None:
        """The step's entry; None for one that holds others, which is told by them."""
        if name_of(step) in WHOLE:
            del self.steps[before:]
        if len(self.steps) > before:
            return None
        how = "skl2onnx" if name_of(step) in STOCK else "mlpack"
        if traced(step):
            how = "traced"
        self.steps.append(Step(path=join(path, describe(step)), form="graph", how=how))
        return self.steps[-1]

    @staticmethod
    def _unknown(step: Any) -> str:
        if _is_library(step):
            return f"{type(step).__name__} has no exact graph yet"
        return (
            f"{type(step).__name__} is a model of your own ({type(step).__module__}): it can only "
            f"run as Python; with {HOOK}, or as a model of scikit-learn, it would be exportable"
        )


def _is_library(step: Any) -> bool:
    return type(step).__module__.split(".")[0] in KNOWN


class SklearnExporter:
    """Exports scikit-learn pipelines and estimators; see `mlpack.ports.Exporter`."""

    name = "sklearn"

    def accepts(self, pipeline: Any) -> bool:
        """Whether `pipeline` is an estimator of scikit-learn."""
        known = isinstance(pipeline, BaseEstimator) or name_of(pipeline) in MODELS
        return known and hasattr(pipeline, "predict")

    def export(self, pipeline: Any, signature: Signature, *, hybrid: bool = False) -> Exported:
        """The pipeline as a graph; see `mlpack.ports.Exporter.export`."""
        candidates = tuple(
            c.name for c in signature.columns if c.type in ("number", "integer", "boolean")
        )
        first = Context(signature=signature, vocabulary={}, numbers=candidates)
        learning = _Walker(hybrid=hybrid)
        try:
            learning.predict("", pipeline, first.raw_features(), first)
        except NotExportableError as error:
            error.steps = tuple(learning.steps)
            raise
        noted = Noted()
        walker = _Walker(hybrid=hybrid, noted=noted)
        context = Context(
            signature=signature,
            vocabulary=_typed(first.vocabulary),
            numbers=tuple(name for name in candidates if name in first.used_numbers),
        )
        outputs = walker.predict("", pipeline, context.raw_features(), context)
        context.declare_inputs()
        model = context.graph.build(_outputs(outputs, signature, context))
        round_inputs(model, context.numbers, signature)
        widen_scalars(model)
        encoding = _fed(context.encoding(), {value.name for value in model.graph.input})
        at_once = _at_once(context.graph, model)
        served = msgspec.structs.replace(
            encoding, at_once=at_once, program=unrolled(model, encoding)
        )
        return Exported(
            form="hybrid" if context.parts else "onnx",
            model=model.SerializeToString(deterministic=True),
            encoding=served,
            steps=tuple(walker.steps),
            parts=pickled(context.parts) if context.parts else b"",
            reason="; ".join(kept.reason for kept in context.parts) or None,
            probes=noted.probes(walker.steps, outputs, context.graph, model, encoding),
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
        texts=tuple(text for text in encoding.texts if text.name in inputs),
        rows="rows" in inputs,
        moments=encoding.moments if "moments" in inputs else (),
        clocks=encoding.clocks if "moments" in inputs else (),
    )


def _at_once(graph: SparseGraph, model: onnx.ModelProto) -> int:
    """How many rows the graph is given at once; 0 for any number."""
    cells = graph.cells(model)
    return max(1, CELLS // max(cells, FEWEST)) if cells else 0


def _outputs(
    outputs: Outputs, signature: Signature, context: Context
) -> list[tuple[str, str, int, list[str | int]]]:
    graph: SparseGraph = context.graph
    made: list[tuple[str, str, int, list[str | int]]] = []
    refused = None
    for refusal in context.refusals:
        if graph.never(refusal):
            continue
        refused = refusal if refused is None else graph.node("Or", [refused, refusal])
    if refused is not None:
        made.append(("refused", refused, BOOL, ["rows"]))
    if signature.labels:
        if outputs.label is None:
            raise NotExportableError("", "the signature has labels, the model answers none")
        several = [len(signature.groups)] if signature.groups else []
        made.append(("label", outputs.label, INT64, ["rows", *several]))
        if signature.has("score"):
            if outputs.scores is None:
                raise NotExportableError("", "the signature has scores, the model answers none")
            made.append(("score", outputs.scores, DOUBLE, ["rows", 1]))
        if outputs.probabilities is not None and signature.has("probabilities"):
            width = len(signature.labels)
            made.append(("probabilities", outputs.probabilities, DOUBLE, ["rows", width]))
    else:
        if outputs.value is None:
            raise NotExportableError("", "the signature is a regression, the model is not")
        made.append(("value", outputs.value, DOUBLE, ["rows", signature.outputs[0].size]))
    return made
