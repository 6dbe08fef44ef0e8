"""The forms that a pipeline can ship in, best first: a graph, a hybrid, Python."""

from __future__ import annotations

import io
from typing import Any

import joblib

from mlpack.errors import ProofError
from mlpack.export import Exported, Step
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import Exporter, NotExportableError
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.python_session import PythonEngine
from mlpack.runtime.session import Engine
from mlpack.workers.needed import NOTHING, Needed, needed

EXPORTERS: tuple[Exporter, ...] = (SklearnExporter(),)

DEMANDED = ("onnx", "hybrid")
"""The settings under which nothing ships as Python."""


def best(project: Project, pipeline: Any, signature: contract.Signature) -> tuple[Exported, Needed]:
    """The best form that can be made, and what its Python parts need.

    Raises:
        ProofError: a graph is demanded and cannot be made.
    """
    wanted = project.settings.format
    if wanted == "python":
        return as_python(project, (), 'format = "python" in [tool.mlpack]'), NOTHING
    exporter = next((each for each in EXPORTERS if each.accepts(pipeline)), None)
    try:
        if exporter is None:
            raise NotExportableError(
                type(pipeline).__name__, "no exporter knows the framework that it comes from"
            )
        exported = graph(exporter, pipeline, signature, hybrid=wanted != "onnx")
        return exported, needed(exported.parts, project) if exported.parts else NOTHING
    except NotExportableError as error:
        if wanted in DEMANDED:
            raise ProofError(
                f"the pipeline cannot be exported: {error}",
                hint='Change the step, or set format = "auto" in [tool.mlpack].',
            ) from error
        step = Step(path=error.path, form="python", reason=error.reason)
        return as_python(project, (step,), str(error)), NOTHING


def graph(
    exporter: Exporter, pipeline: Any, signature: contract.Signature, *, hybrid: bool = False
) -> Exported:
    """A graph that ONNX Runtime loads. What goes wrong on the way is a reason, not an end.

    Raises:
        NotExportableError: there is none.
    """
    try:
        exported = exporter.export(pipeline, signature, hybrid=hybrid)
        engine(exported, signature)
    except NotExportableError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        # A converter met something that it does not know, or ONNX Runtime has no kernel for it.
        first = (str(error).splitlines() or [""])[0][:200]
        raise NotExportableError(
            type(pipeline).__name__, f"making its graph failed: {type(error).__name__}: {first}"
        ) from error
    return exported


def as_python(project: Project, steps: tuple[Step, ...], reason: str) -> Exported:
    """The model file itself: pickling the loaded pipeline again would give other bytes."""
    model = b"" if project.model is None else project.model.read_bytes()
    return Exported(form="python", model=model, encoding=None, steps=steps, reason=reason)


def engine(exported: Exported, signature: contract.Signature) -> Engine:
    """What serves it: the very classes that ship."""
    if exported.encoding is None:
        return PythonEngine(joblib.load(io.BytesIO(exported.model)), signature)
    if exported.form == "hybrid":
        parts = load_parts(exported.parts)
        return HybridEngine(exported.model, exported.encoding, signature, parts)
    return OnnxEngine(exported.model, exported.encoding, signature)
