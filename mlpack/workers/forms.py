"""The forms that a pipeline can ship in, best first: a graph, a hybrid, Python."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import joblib

from mlpack.errors import ProofError
from mlpack.export import Exported, Step
from mlpack.exporters.onnx_model import OnnxExporter
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import Exporter, NotExportableError
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.python_session import PythonEngine
from mlpack.runtime.session import Engine
from mlpack.workers import wire
from mlpack.workers.limits import limited
from mlpack.workers.needed import NOTHING, Needed, needed
from mlpack.workers.versions import known_faults

EXPORTERS: tuple[Exporter, ...] = (SklearnExporter(), OnnxExporter())

DEMANDED = ("onnx", "hybrid")
"""The settings under which nothing ships as Python."""


def best(
    project: Project,
    pipeline: Any,
    signature: contract.Signature,
    *,
    given_up: str | None,
    progress: Callable[[str], None],
) -> tuple[Exported, Needed]:
    """The best form that can be made, and what its Python parts need.

    Args:
        project: whose settings say what is wanted.
        pipeline: fitted.
        signature: its columns and answers.
        given_up: why no graph is tried: an earlier try did not live to its end.
        progress: told when the conversion begins, which has a limit of time and memory.

    Raises:
        ProofError: a graph is demanded and cannot be made.
    """
    wanted = project.settings.format
    if wanted == "python":
        return as_python(project, (), 'format = "python" in [tool.mlpack]'), NOTHING
    try:
        if given_up is not None:
            raise NotExportableError(type(pipeline).__name__, given_up)
        progress(wire.CONVERTING)
        with limited():
            exported = graph(exporter(pipeline), pipeline, signature, hybrid=wanted != "onnx")
        if not exported.parts:
            return exported, NOTHING
        return exported, needed(exported.parts, project, _framed(exported, signature))
    except NotExportableError as error:
        if wanted in DEMANDED:
            raise ProofError(
                f"the pipeline cannot be exported: {error}",
                hint='Change the step, or set format = "auto" in [tool.mlpack].',
            ) from error
        step = Step(path=error.path, form="python", reason=error.reason)
        return as_python(project, (step,), str(error)), NOTHING


def _framed(exported: Exported, signature: contract.Signature) -> frozenset[str]:
    """What the frames that a hybrid's parts are given need beside pandas."""
    parts = () if exported.encoding is None else exported.encoding.parts
    dtypes = {signature.column(name).dtype for part in parts for name in part.columns}
    arrow = any(dtype.endswith("[pyarrow]") for dtype in dtypes)
    return frozenset({"pyarrow"} if arrow else ())


def exporter(pipeline: Any) -> Exporter:
    """The exporter that knows the framework.

    Raises:
        NotExportableError: there is none.
    """
    found = next((each for each in EXPORTERS if each.accepts(pipeline)), None)
    if found is None:
        raise NotExportableError(
            type(pipeline).__name__, "no exporter knows the framework that it comes from"
        )
    return found


def graph(
    framework: Exporter, pipeline: Any, signature: contract.Signature, *, hybrid: bool = False
) -> Exported:
    """A graph that ONNX Runtime loads. What goes wrong on the way is a reason, not an end.

    Raises:
        NotExportableError: there is none.
    """
    try:
        exported = framework.export(pipeline, signature, hybrid=hybrid)
        engine(exported, signature)
    except NotExportableError:
        raise
    except MemoryError as error:
        raise NotExportableError(
            type(pipeline).__name__, "making its graph takes more memory than there is"
        ) from error
    except Exception as error:
        # A converter met something that it does not know, or ONNX Runtime has no kernel for it.
        first = (str(error).splitlines() or [""])[0][:200]
        raise NotExportableError(
            type(pipeline).__name__,
            f"making its graph failed: {type(error).__name__}: {first}{known_faults()}",
        ) from error
    return exported


def as_python(project: Project, steps: tuple[Step, ...], reason: str) -> Exported:
    """The model file itself: pickling the loaded pipeline again would give other bytes.

    Raises:
        ProofError: the model is ONNX already, and Python has nothing to do with it.
    """
    if project.model is not None and project.model.suffix == ".onnx":
        raise ProofError(
            f"a model that is ONNX already ships as a graph or not at all: {reason}",
            where=project.model.relative_to(project.root).as_posix(),
        )
    model = b"" if project.model is None else project.model.read_bytes()
    return Exported(form="python", model=model, encoding=None, steps=steps, reason=reason)


def engine(exported: Exported, signature: contract.Signature) -> Engine:
    """What serves it: the very classes that ship, with the encoding as they will read it."""
    if exported.encoding is None:
        return PythonEngine(joblib.load(io.BytesIO(exported.model)), signature)
    written = contract.encode(exported.encoding)
    encoding = contract.decode(written, contract.Encoding, contract.ENCODING_FILE)
    if exported.form == "hybrid":
        parts = load_parts(exported.parts)
        return HybridEngine(exported.model, encoding, signature, parts)
    return OnnxEngine(exported.model, encoding, signature)
