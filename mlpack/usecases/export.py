"""Export and prove the fitted pipeline, or find that it was done already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlpack.errors import InputError
from mlpack.export import Parity
from mlpack.files import one_at_a_time, read_text, sha256_file, staged
from mlpack.inspection.models import AS_ONNX
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.training.described import demanded, recorded_signature
from mlpack.usecases.unchanged import installed, installed_versions, own_digest
from mlpack.usecases.work import ConversionEndedError, work
from mlpack.workers.wire import Answer

_SUMS = "sums.json"
"""The digests of a kept export's files: what is proved is what is shipped, later too."""

KINDS: Mapping[contract.Form, str] = {
    "onnx": "a graph",
    "hybrid": "a graph, some steps as Python",
    "python": "Python",
}


class ExportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``export.json`` as the worker wrote it (`mlpack.workers.export.Result`)."""

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


@dataclass(frozen=True)
class Proved:
    """A proved export, in the folder that it is kept in.

    Attributes:
        folder: holds the files below.
        record: form, reason, versions.
        parity: the proof's report.
        worst: rows on which a graph differed; only just after it was tried.
        fresh: whether it was made now.
    """

    folder: Path
    record: ExportRecord
    parity: Parity
    worst: tuple[dict[str, Any], ...] = ()
    fresh: bool = False

    def read(self, name: str) -> bytes:
        """The content of one of its files."""
        return (self.folder / name).read_bytes()


def require_model(project: Project) -> Path:
    """The project's model file.

    Raises:
        InputError: there is none.
    """
    if project.model is None:
        for remark in project.remarks:
            if remark.fix == AS_ONNX:
                raise InputError(remark.what, where="models/", hint=f"Save it as ONNX: {AS_ONNX}")
        raise InputError(
            "there is no model yet",
            where="models/",
            hint="Train one with `mlpack train`, or save a fitted pipeline as models/model.joblib.",
        )
    return project.model


def export_key(project: Project) -> str:
    """The digest of everything that the export depends on.

    Raises:
        InputError: there is no model.
    """
    parts: dict[str, str] = {
        "model": sha256_file(require_model(project)),
        "format": project.settings.format,
        "mlpack": own_digest(),
    }
    inputs = {
        "signature": project.signature,
        "schema": project.schema,
        "sample": project.sample,
        "metrics": project.metrics,
        "reference": project.reference,
    }
    parts |= {name: sha256_file(path) for name, path in inputs.items() if path is not None}
    parts |= {f"installed:{name}": found for name, found in installed_versions().items()}
    if project.package_dir is not None:
        parts |= code_digests(project.package_dir)
    text = "\n".join(f"{name}={value}" for name, value in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def code_digests(package: Path) -> Mapping[str, str]:
    """The digest of each source file of the user's package."""
    files = [package] if package.is_file() else sorted(package.rglob("*.py"))
    return {
        f"code:{path.relative_to(package.parent).as_posix()}": sha256_file(path) for path in files
    }


def export(project: Project, *, runner: Runner, reporter: Reporter) -> Proved:
    """The proved export: the kept one where nothing that it depends on has changed."""
    folder = project.cache_dir / "export" / export_key(project)
    if _stands(folder):  # asked without the lock: a project may lie where nothing can be written
        proved = _read(folder, (), fresh=False)
    else:
        with one_at_a_time(
            project.cache_dir / "export.lock",
            lambda: reporter.note("another command exports this project: waiting for it"),
        ):
            proved = _exported(project, folder, runner, reporter)
    for note in proved.record.notes:
        reporter.note(note)
    return proved


def _exported(project: Project, folder: Path, runner: Runner, reporter: Reporter) -> Proved:
    worst: tuple[dict[str, Any], ...] = ()
    fresh = not _stands(folder)
    if fresh:
        # What contradicts itself on paper is told before a worker loads anything.
        demanded(project, recorded_signature(project))
        with reporter.stage("Exporting and proving") as stage:
            with staged(folder, folder=True) as out:
                request = {"root": str(project.root), "out": str(out)}

                def attempt(**more: str) -> Answer:
                    asked = {**request, **more}
                    return work("export", asked, runner=runner, reporter=reporter, stage=stage)

                try:
                    answer = attempt()
                except ConversionEndedError as error:
                    answer = attempt(given_up=str(error))
                (out / _SUMS).write_bytes(msgspec.json.encode(_sums(out)))
            worst = tuple(answer["worst"])
            proved = _read(folder, worst, fresh=True)
            stage.result(_summary(proved))
    else:
        proved = _read(folder, worst, fresh=False)
    return proved


def _stands(folder: Path) -> bool:
    """Whether there is an export, as it was proved, with the packages that are installed now."""
    known = read_text(folder / _SUMS)
    if known is None:
        return False
    try:
        if msgspec.json.decode(known) != _sums(folder):
            return False  # the disk has done something to it
    except msgspec.DecodeError:
        return False
    imports = contract.read(folder, "export.json", ExportRecord).imports
    return installed(imports) == imports


def _sums(folder: Path) -> dict[str, str]:
    """The digest of each file of an export."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path != folder / _SUMS
    }


def _read(folder: Path, worst: tuple[dict[str, Any], ...], *, fresh: bool) -> Proved:
    return Proved(
        folder=folder,
        record=contract.read(folder, "export.json", ExportRecord),
        parity=contract.read(folder, contract.PARITY_FILE, Parity),
        worst=worst,
        fresh=fresh,
    )


def _summary(proved: Proved) -> str:
    kind = KINDS[proved.record.form]
    return f"{kind}, equal on {proved.parity.rows:,} rows"
