"""Make the bundle: export and prove, bring the production set in line, assemble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpack.assembly import assemble
from mlpack.bundle import Bundle, UserPackage
from mlpack.errors import CheckFailedError, InputError
from mlpack.files import read_text, staged, write_tree
from mlpack.lock import Lock
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.usecases.export import Proved, export


class BundleTools(Protocol):
    """What making a bundle needs from outside; made only when it is needed."""

    def check_lock(self, project: Project) -> Lock:
        """The lock, if it is there and fits the project."""
        ...

    def relock(self, project: Project, form: contract.Form, reporter: Reporter) -> Lock:
        """A production set for another form."""
        ...

    def user_package(self, project: Project, reporter: Reporter) -> UserPackage:
        """The user's own package, built by its own backend."""
        ...

    def openapi(
        self, project: Project, signature: contract.Signature, schema: contract.Schema
    ) -> bytes:
        """The API's document."""
        ...


@dataclass(frozen=True)
class Made:
    """A bundle and what it was made from."""

    bundle: Bundle
    proved: Proved
    lock: Lock


def make_bundle(
    project: Project,
    lock: Lock,
    *,
    tools: BundleTools,
    runner: Runner,
    reporter: Reporter,
    locked: bool = False,
) -> Made:
    """The project's bundle. Raises as `mlpack.usecases.build.build` does."""
    proved = export(project, runner=runner, reporter=reporter)
    form = proved.record.form
    if form != lock.form:
        if locked:
            raise CheckFailedError(
                f"the lock was made for the form {lock.form}, the export is {form}",
                where="mlpack.lock",
                hint="Run `mlpack build` without --locked, and commit the lock.",
            )
        reporter.note(f"the production set follows the export: {lock.form} → {form}")
        lock = tools.relock(project, form, reporter)
    signature = contract.read(proved.folder, contract.SIGNATURE_FILE, contract.Signature)
    schema = contract.read(proved.folder, contract.SCHEMA_FILE, contract.Schema)
    text = read_text(project.prod_lock)
    if text is None:
        raise InputError("the production lock is missing", hint="Run: mlpack lock")
    bundle = assemble(
        project=project,
        form=form,
        model=proved.read(proved.record.model),
        signature=signature,
        schema=schema,
        encoding=contract.read(proved.folder, contract.ENCODING_FILE, contract.Encoding)
        if proved.record.encoded
        else None,
        parity=proved.read(contract.PARITY_FILE),
        openapi=tools.openapi(project, signature, schema),
        lock_text=text,
        python=lock.python,
        versions=proved.record.versions,
        metrics=proved.record.metrics,
        reason=proved.record.reason,
        runtime_dir=Path(contract.__file__).parent,
        user_tree=tools.user_package(project, reporter) if form != "onnx" else None,
    )
    return Made(bundle, proved, lock)


def unpacked(project: Project, bundle: Bundle) -> Path:
    """A folder that holds the bundle as an installation would; the kept one if it is there."""
    folder = project.cache_dir / "unpacked" / bundle.digest
    if not folder.is_dir():
        with staged(folder, folder=True) as root:
            write_tree(root, bundle.tree)
    return folder
