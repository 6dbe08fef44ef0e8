"""``mlpack inspect``: what a folder holds, found without importing or unpickling anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlpack import files
from mlpack.config import ENVIRONMENTS
from mlpack.errors import InputError
from mlpack.inspection import pickles, read, tables
from mlpack.project import Project, Remark
from mlpack.runtime import contract


@dataclass(frozen=True)
class ModelFacts:
    """The model file.

    Attributes:
        path: where it is.
        kind: ``pickle``, ``skops`` or ``onnx``.
        size: in bytes.
        sha256: the digest of the file.
        root: the class of the object itself; None where it could not be told.
        classes: every class and function that loading it would import.
        sklearn: the scikit-learn version that it records.
        complete: whether the whole file could be followed.
    """

    path: Path
    kind: str
    size: int
    sha256: str
    root: str | None
    classes: tuple[str, ...]
    sklearn: str | None
    complete: bool


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        project: the project.
        model: its model file.
        signature: what training learned, if it was trained.
        sample: the header and number of rows of the sample.
        environments: every name that ``--env`` takes here.
        locks: which files of the lock are there, by name.
        remarks: what was assumed and what is missing, of the project and of its files.
    """

    project: Project
    model: ModelFacts | None
    signature: contract.Signature | None
    sample: tables.Sample | None
    environments: tuple[str, ...]
    locks: dict[str, bool]
    remarks: tuple[Remark, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it. Paths are relative to the root, with forward slashes."""
        project = self.project
        return {
            "name": project.name,
            "version": project.version,
            "requires_python": project.requires_python,
            "package": project.package,
            "package_dir": self._shown(project.package_dir),
            "dependencies": list(project.dependencies),
            "dependencies_from": project.dependencies_from,
            "dev_dependencies": list(project.dev_dependencies),
            "data_module": self._shown(project.data_module),
            "pipeline_module": self._shown(project.pipeline_module),
            "model": self._model(),
            "signature": self._signature(),
            "schema": self._shown(project.schema),
            "metrics": self._shown(project.metrics),
            "reference": self._shown(project.reference),
            "sample": self._sample(),
            "environments": list(self.environments),
            "locks": dict(self.locks),
            "settings": msgspec.json.decode(msgspec.json.encode(project.settings)),
            "remarks": [asdict(remark) for remark in self.remarks],
        }

    def _shown(self, path: Path | None) -> str | None:
        return None if path is None else path.relative_to(self.project.root).as_posix()

    def _model(self) -> dict[str, Any] | None:
        if self.model is None:
            return None
        facts = asdict(self.model)
        return facts | {"path": self._shown(self.model.path), "classes": list(self.model.classes)}

    def _signature(self) -> dict[str, Any] | None:
        if self.signature is None:
            return None
        return {
            "path": self._shown(self.project.signature),
            "task": self.signature.task,
            "target": self.signature.target,
            "labels": list(self.signature.labels),
            "columns": {column.name: column.type for column in self.signature.columns},
            "rows": self.signature.rows,
            "source": self.signature.source,
        }

    def _sample(self) -> dict[str, Any] | None:
        if self.sample is None:
            return None
        return {
            "path": self._shown(self.project.sample),
            "columns": list(self.sample.columns),
            "rows": self.sample.rows,
        }


def inspect(root: Path) -> Inspection:
    """What the folder `root` holds. Nothing of it is imported, unpickled or run.

    Raises:
        InputError: there is no project, or one of the files that describe it is wrong. Damage to
            its other files becomes a remark.
    """
    project = read(root)
    model, of_model = _model(project)
    signature, of_signature = _signature(project)
    sample, of_sample = _sample(project)
    return Inspection(
        project=project,
        model=model,
        signature=signature,
        sample=sample,
        environments=tuple(dict.fromkeys((*ENVIRONMENTS, *project.environments))),
        locks={
            path.name: path.is_file()
            for path in (project.lock_file, project.prod_lock, project.dev_lock)
        },
        remarks=(*project.remarks, *of_model, *of_signature, *of_sample, *_lock_remarks(project)),
    )


def _model(project: Project) -> tuple[ModelFacts | None, tuple[Remark, ...]]:
    path = project.model
    if path is None:
        return None, ()
    shown = path.relative_to(project.root).as_posix()
    contents = pickles.read(path)
    try:
        size, digest = path.stat().st_size, files.sha256_file(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=shown) from error
    facts = ModelFacts(
        path=path,
        kind=contents.kind,
        size=size,
        sha256=digest,
        root=contents.root,
        classes=contents.classes,
        sklearn=contents.sklearn,
        complete=contents.complete,
    )
    remarks = []
    if contents.problem:
        remarks.append(Remark("missing", f"{shown} could not be read whole: {contents.problem}"))
    own = sorted(name for name in contents.classes if name.startswith("__main__."))
    if own:
        what = (
            f"{shown} needs {', '.join(own)}: what a script or notebook defined itself is not "
            "there when another program loads the model"
        )
        name = own[0].removeprefix("__main__.")
        line = f"from {project.package} import {name}  # define it in the package, then save again"
        remarks.append(Remark("missing", what, line))
    return facts, tuple(remarks)


def _signature(project: Project) -> tuple[contract.Signature | None, tuple[Remark, ...]]:
    path = project.signature
    if path is None:
        if project.model is None or project.sample is not None:
            return None, ()
        what = "no signature and no sample: which columns the model takes must come from the model"
        line = 'frame.head(20).to_csv("data/sample.csv", index=False)'
        return None, (Remark("missing", what, line),)
    shown = path.relative_to(project.root).as_posix()
    try:
        return contract.decode(path.read_bytes(), contract.Signature, shown), ()
    except contract.ContractError as error:
        return None, (Remark("missing", str(error), "mlpack train"),)


def _sample(project: Project) -> tuple[tables.Sample | None, tuple[Remark, ...]]:
    path = project.sample
    if path is None:
        return None, ()
    shown = path.relative_to(project.root).as_posix()
    try:
        return tables.read(path, shown), ()
    except InputError as error:
        return None, (Remark("missing", f"{shown}: {error.what}"),)


def _lock_remarks(project: Project) -> tuple[Remark, ...]:
    if project.lock_file.is_file() and project.prod_lock.is_file() and project.dev_lock.is_file():
        return ()
    return (Remark("missing", "the versions are not locked", "mlpack lock"),)
