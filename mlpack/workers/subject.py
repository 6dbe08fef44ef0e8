"""What an export starts from: the fitted pipeline, its signature, and real rows to prove it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pandas as pd

from mlpack.errors import InputError
from mlpack.export import Exported, Parity, WorstRow
from mlpack.exporters.onnx_model import OnnxModel
from mlpack.files import sha256_file
from mlpack.project import Project
from mlpack.proof.original import ask
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime import contract
from mlpack.runtime.session import Session
from mlpack.runtime.validate import check_columns
from mlpack.training.columns import bare_columns, real_rows
from mlpack.training.described import recorded_signature
from mlpack.training.models import load_model
from mlpack.training.observe import label_groups, observe
from mlpack.training.predicted import distribution
from mlpack.training.reference import read_reference

SAVE_ROWS = "Save a few rows: X.head(20).to_csv('data/sample.csv', index=False)"


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of ``metrics.json``: the model's digest, and training's metrics."""

    model: str = ""
    metrics: dict[str, float] = {}


@dataclass(frozen=True)
class Subject:
    """A fitted pipeline and what is known of it.

    Attributes:
        pipeline: as the model file holds it.
        signature: recorded, or learned from the sample or the estimator.
        rows: real rows; made up where there are none.
        rows_name: what the proof calls them.
        metrics: training's metrics, if they belong to this model.
        notes: what the user should know.
    """

    pipeline: Any
    signature: contract.Signature
    rows: Sequence[Mapping[str, Any]]
    rows_name: str
    metrics: Mapping[str, float]
    notes: tuple[str, ...]

    def prove(self, session: Session, exported: Exported) -> tuple[Parity, tuple[WorstRow, ...]]:
        """Compare the original with what a session answers; `exported` is what it runs."""
        rows = batches(self.signature, self.rows, exported, real_name=self.rows_name)
        return prove(self.pipeline, session, self.signature, exported, rows)


def read(project: Project) -> Subject:
    """What the project's files say, the model loaded.

    Raises:
        InputError: there is no model, or what is there contradicts itself.
    """
    pipeline = load_model(project)
    metrics, belongs = _metrics(project)
    notes: list[str] = []
    sample = _sample(project, pipeline)
    signature = _signature(project, pipeline, sample, notes)
    _check_columns(signature)
    rows, name = _real_rows(project, signature, sample, notes, belongs=belongs)
    return Subject(pipeline, signature, rows, name, metrics if belongs else {}, tuple(notes))


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
        found = observe(sample, pipeline, target=None, source="sample")
        spread = distribution(ask(pipeline, found, real_rows(sample)), found)
        return msgspec.structs.replace(found, predictions=spread)
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None:
        raise InputError(
            "nothing tells which columns the model takes: no signature, no sample, no names in it",
            where="data/sample.csv",
            hint=SAVE_ROWS,
        )
    notes.append("the signature was learned from the estimator alone: types and ranges are guesses")
    frame = (
        pipeline.blank()
        if isinstance(pipeline, OnnxModel)
        else bare_columns([str(name) for name in names], frozenset(_text_columns(pipeline)))
    )
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
    groups = []
    if classes is not None and len(classes):  # CatBoost gives a regressor an empty list
        groups = label_groups(pipeline, classes, max(1, len(signature.groups)))
    labels = tuple(label for group in groups for label in group)
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
        # "007" looks like a number; a graph says whether it is one.
        texts = pipeline.text_columns if isinstance(pipeline, OnnxModel) else ()
        sample = pd.read_csv(project.sample, dtype=dict.fromkeys(texts, "str"))
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
