"""Make the bundle: export and prove, bring the production set in line, assemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.version import Version

from mlpack.assembly import assemble
from mlpack.bundle import Bundle, UserPackage
from mlpack.errors import CheckFailedError, InputError
from mlpack.files import read_text, staged, write_tree
from mlpack.lock import Lock
from mlpack.needs import read_pins
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.schema import Schema
from mlpack.usecases.export import Proved, export


class BundleTools(Protocol):
    """What making a bundle needs from outside; made only when it is needed."""

    def check_lock(self, project: Project) -> Lock:
        """The lock, if it is there and fits the project."""
        ...

    def relock(
        self, project: Project, form: contract.Form, imports: tuple[str, ...], reporter: Reporter
    ) -> Lock:
        """A production set for another form, and for what its Python parts import."""
        ...

    def user_package(self, project: Project, reporter: Reporter) -> UserPackage:
        """The user's own package, built by its own backend."""
        ...

    def openapi(self, project: Project, signature: contract.Signature, schema: Schema) -> bytes:
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
    imports = tuple(sorted(proved.record.imports))
    if (form, imports) != (lock.form, lock.imports):
        before, now = _shown(lock.form, lock.imports), _shown(form, imports)
        if locked:
            raise CheckFailedError(
                f"the lock was made for the form {before}, the export is {now}",
                where="mlpack.lock",
                hint="Run `mlpack build` without --locked, and commit the lock.",
            )
        reporter.note(f"the production set follows the export: {before} → {now}")
        lock = tools.relock(project, form, imports, reporter)
    signature = contract.read(proved.folder, contract.SIGNATURE_FILE, contract.Signature)
    schema = contract.read(proved.folder, contract.SCHEMA_FILE, Schema)
    text = read_text(project.prod_lock)
    if text is None:
        raise InputError("the production lock is missing", hint="Run: mlpack lock")
    _check_versions(proved.record.imports, text)
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
        user_tree=tools.user_package(project, reporter)
        if form == "python" or proved.record.own_code
        else None,
        parts=proved.read(contract.PARTS_FILE) if proved.record.parts else None,
        imports=imports,
        license=project.license,
    )
    return Made(bundle, proved, lock)


def _shown(form: contract.Form, imports: tuple[str, ...]) -> str:
    return f"{form} with {', '.join(imports)}" if imports else form


def _check_versions(imports: Mapping[str, str], lock_text: str) -> None:
    """See that production has what a hybrid's parts were trained with: pickles fit nothing else.

    Raises:
        InputError: it has another version.
    """
    if not imports:
        return
    for pin in read_pins(lock_text):
        trained = imports.get(pin.name)
        if trained is not None and Version(trained) != Version(pin.version):
            raise InputError(
                f"{pin.name} {trained} is installed here, and the lock has {pin.version}: the "
                "model's steps that stay Python only run on what they were made with",
                where="requirements.lock.txt",
                hint="mlpack install && mlpack train",
            )


def unpacked(project: Project, bundle: Bundle) -> Path:
    """A folder that holds the bundle as an installation would; the kept one if it is there."""
    folder = project.cache_dir / "unpacked" / bundle.digest
    if not folder.is_dir():
        with staged(folder, folder=True) as root:
            write_tree(root, bundle.tree)
    return folder
