"""Loads the fitted pipeline, exports it, proves the export, and writes what the bundle needs.

The folder it writes has the model, signature, schema, encoding, parity report and ``export.json``.
It depends on nothing but the project's files and the installed versions, so that the use case can
keep it until one of those changes.
"""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from mlpack import inspection
from mlpack.errors import InputError, ProofError
from mlpack.export import Exported, Parity, WorstRow
from mlpack.files import sha256_file, write_tree
from mlpack.project import Project
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime import contract
from mlpack.runtime.session import Session
from mlpack.runtime.validate import check_columns
from mlpack.training.described import demanded, recorded_signature
from mlpack.training.models import load_model
from mlpack.training.observe import bare_columns, observe, real_rows
from mlpack.training.reference import read_reference
from mlpack.training.usercode import importable
from mlpack.workers import forms, wire
from mlpack.workers.needed import NOTHING

VERSIONED = ("scikit-learn", "numpy", "pandas", "onnx", "skl2onnx", "onnxruntime", "mlpack-builder")

EXPORT_FILE = "export.json"

SAVE_ROWS = "Save a few rows: X.head(20).to_csv('data/sample.csv', index=False)"


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of ``metrics.json``: the model's digest, and training's metrics."""

    model: str = ""
    metrics: dict[str, float] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``export.json``: what the use case reads.

    Attributes:
        form: the form that was proved.
        reason: why it is not a graph, or not all of it; None if it is.
        model: the file of the model.
        encoded: whether there is an encoding.
        parts: whether there are steps that stay Python beside a graph.
        own_code: whether those need the user's own package.
        imports: the distributions of others that those need, with the versions of training.
        versions: the versions that exported and proved it.
        metrics: training's metrics, if they belong to this model.
        notes: what the user should know.
    """

    form: contract.Form
    reason: str | None
    model: str
    encoded: bool
    versions: dict[str, str]
    metrics: dict[str, float]
    notes: tuple[str, ...]
    parts: bool = False
    own_code: bool = False
    imports: dict[str, str] = {}


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """Export and prove; the answer has the worst rows, which never enter a bundle."""
    project = inspection.read(Path(request["root"]))
    progress("loading the model")
    with importable(project), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _export(project, Path(request["out"]), progress)


def _export(project: Project, out: Path, progress: Callable[[str], None]) -> wire.Answer:
    pipeline = load_model(project)
    metrics, belongs = _metrics(project)
    notes: list[str] = []
    sample = _sample(project, pipeline)
    signature = _signature(project, pipeline, sample, notes)
    _check_columns(signature)
    schema = demanded(project, signature)
    real, real_name = _real_rows(project, signature, sample, notes, belongs=belongs)
    exported, needs = forms.best(project, pipeline, signature)
    progress("proving the export")
    parity, worst = _proved(pipeline, signature, exported, real, real_name)
    if not parity.equal and exported.form != "python":
        reason = _difference(parity)
        if project.settings.format in forms.DEMANDED:
            raise ProofError(
                reason,
                where=str(project.model and project.model.relative_to(project.root).as_posix()),
                hint='Set format = "auto" in [tool.mlpack] to ship the pipeline as Python.',
            )
        steps = tuple(msgspec.structs.replace(step, form="python") for step in parity.steps)
        if exported.reason is not None:
            reason = f"{exported.reason}; with that as Python and the rest as a graph, {reason}"
        exported, needs = forms.as_python(project, steps, reason), NOTHING
        progress("proving the pipeline as Python")
        parity, _ = _proved(pipeline, signature, exported, real, real_name)
    if not parity.equal:
        raise ProofError(
            f"served as Python it answers otherwise than the original: {_difference(parity)}",
            hint="Does predict depend on the other rows, on chance or on time? It must not.",
        )
    result = Result(
        form=exported.form,
        reason=exported.reason,
        model=contract.PICKLE_FILE if exported.form == "python" else contract.ONNX_FILE,
        encoded=exported.encoding is not None,
        parts=bool(exported.parts),
        own_code=needs.own_code,
        imports=dict(sorted(needs.distributions.items())),
        versions=_versions(),
        metrics=metrics if belongs else {},
        notes=tuple(notes),
    )
    files = {
        EXPORT_FILE: contract.encode(result),
        result.model: exported.model,
        contract.SIGNATURE_FILE: contract.encode(signature),
        contract.SCHEMA_FILE: contract.encode(schema),
        contract.PARITY_FILE: contract.encode(parity),
    }
    if exported.encoding is not None:
        files[contract.ENCODING_FILE] = contract.encode(exported.encoding)
    if exported.parts:
        files[contract.PARTS_FILE] = exported.parts
    write_tree(out, files)
    return {"worst": [msgspec.to_builtins(row) for row in worst]}


def _proved(
    pipeline: Any,
    signature: contract.Signature,
    exported: Exported,
    real: Sequence[Mapping[str, Any]],
    real_name: str,
) -> tuple[Parity, tuple[WorstRow, ...]]:
    session = Session(signature, forms.engine(exported, signature))
    rows = batches(signature, real, exported, real_name=real_name)
    return prove(pipeline, session, signature, exported, rows)


def _difference(parity: Parity) -> str:
    """The first failing check in words."""
    for check in parity.checks:
        if not check.equal:
            wrong = []
            if check.labels_wrong:
                wrong.append(f"{check.labels_wrong} labels differ")
            if check.outcomes_wrong:
                wrong.append(f"{check.outcomes_wrong} rows are refused by one side only")
            if check.beyond:
                wrong.append(f"{check.beyond} rows differ by up to {check.largest:.3g}")
            return f"of {check.rows} rows of “{check.name}” {', '.join(wrong)}"
    return "nothing differs"


def _signature(
    project: Project, pipeline: Any, sample: pd.DataFrame | None, notes: list[str]
) -> contract.Signature:
    """The recorded signature if there is one; else from the sample, else from the estimator."""
    signature = recorded_signature(project)
    if signature is not None and project.signature is not None:
        where = project.signature.relative_to(project.root).as_posix()
        _check_agrees(signature, pipeline, where)
        return signature
    if sample is not None:
        notes.append("the signature was learned from data/sample.csv: more rows there tell more")
        return observe(sample, pipeline, target=None, source="sample")
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None:
        raise InputError(
            "nothing tells which columns the model takes: no signature, no sample, no names in it",
            where="data/sample.csv",
            hint=SAVE_ROWS,
        )
    notes.append("the signature was learned from the estimator alone: types and ranges are guesses")
    frame = bare_columns([str(name) for name in names], frozenset(_text_columns(pipeline)))
    return observe(frame, pipeline, target=None, source="estimator")


def _text_columns(pipeline: Any) -> list[str]:
    """The columns whose encoders know strings: the estimator's own attributes tell."""
    found: list[str] = []
    for part in _parts(pipeline):
        names = getattr(part, "feature_names_in_", None)
        categories = getattr(part, "categories_", None)
        if names is not None and isinstance(categories, list):
            found += [
                str(name)
                for name, known in zip(names, categories, strict=False)
                if known.dtype.kind in "OUT"
            ]
    return found


def _parts(estimator: Any) -> list[Any]:
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [step for _, step, _ in getattr(estimator, "transformers_", ())]
    return [estimator, *(part for step in inner for part in _parts(step))]


def _check_agrees(signature: contract.Signature, pipeline: Any, where: str) -> None:
    """A signature of another model would describe columns that this one never saw."""
    hint = "Run `mlpack train`, or delete the file to have it learned again from the sample."
    names = getattr(pipeline, "feature_names_in_", None)
    told = [column.name for column in signature.columns]
    if names is not None and [str(name) for name in names] != told:
        odd = sorted(set(map(str, names)) ^ set(told)) or ["their order"]
        raise InputError(
            f"signature and model contradict each other in the columns: {', '.join(odd)}",
            where=where,
            hint=hint,
        )
    if signature.task not in ("classification", "regression"):
        return
    classes = getattr(pipeline, "classes_", None)
    labels = () if classes is None else tuple(getattr(classes, "tolist", lambda: classes)())
    if labels != signature.labels:
        raise InputError(
            f"the signature's labels are {list(signature.labels)}, the model's {list(labels)}",
            where=where,
            hint=hint,
        )


def _check_columns(signature: contract.Signature) -> None:
    """Some names mean something else in a request."""
    try:
        check_columns([column.name for column in signature.columns])
    except ValueError as error:
        raise InputError(str(error), hint="Rename the column in data.load.") from error


def _sample(project: Project, pipeline: Any) -> pd.DataFrame | None:
    """The sample's rows with the columns that the model takes."""
    if project.sample is None:
        return None
    where = project.sample.relative_to(project.root).as_posix()
    try:
        sample = pd.read_csv(project.sample)
    except (ValueError, OSError) as error:
        raise InputError(f"the sample cannot be read: {error}", where=where) from error
    if sample.empty:
        raise InputError("the sample has no rows", where=where, hint=SAVE_ROWS)
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None:
        return sample
    absent = [str(name) for name in names if name not in sample.columns]
    if absent:
        raise InputError(
            f"the sample lacks columns that the model takes: {', '.join(absent)}",
            where=where,
            hint=SAVE_ROWS,
        )
    return sample[[str(name) for name in names]]


def _real_rows(
    project: Project,
    signature: contract.Signature,
    sample: pd.DataFrame | None,
    notes: list[str],
    *,
    belongs: bool,
) -> tuple[list[dict[str, Any]], str]:
    if project.reference is not None and belongs:
        return real_rows(read_reference(project.reference)), "held-out"
    if project.reference is not None:
        notes.append("the reference rows belong to another model and were left out: mlpack train")
    if sample is not None:
        return real_rows(sample), "sample"
    made_up = {
        column.name: (column.categories or ("",))[0]
        if column.type == "string"
        else None
        if column.type in ("date", "datetime")
        else bool(column.categories and column.categories[0])
        if column.type == "boolean"
        else column.minimum or 0
        for column in signature.columns
    }
    return [made_up], "made up"


def _metrics(project: Project) -> tuple[dict[str, float], bool]:
    """Training's metrics, and whether they and the reference rows belong to the model file."""
    if project.metrics is None or project.model is None:
        return {}, False
    try:
        found = msgspec.json.decode(project.metrics.read_bytes(), type=Metrics)
    except msgspec.DecodeError as error:
        raise InputError(
            f"it is damaged: {error}", where="models/metrics.json", hint="Run: mlpack train"
        ) from error
    return found.metrics, found.model == sha256_file(project.model)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(wire.main(work))
