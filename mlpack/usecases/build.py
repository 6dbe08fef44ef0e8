"""``mlpack build``: read the lock, export, assemble, package."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from mlpack import lock as locks
from mlpack import records, requirements_file
from mlpack.bundle import Artifact, Bundle
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.files import move, one_at_a_time, scratch, sha256_file, staged, sweep
from mlpack.lock import Lock, Pin
from mlpack.ports import Built, Packager, Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.bundle import BundleTools, make_bundle
from mlpack.usecases.outcome import Result

KINDS = ("wheel", "zip", "image")


class Tools(BundleTools, Protocol):
    """What building needs from outside; made only when it is needed."""

    def prepare(self, kinds: Sequence[str]) -> None:
        """Load the code that `packagers` needs: what it does not find is no error here."""
        ...

    def packagers(
        self,
        project: Project,
        lock: Lock,
        pins: Sequence[Pin],
        kinds: Sequence[str],
        base: str | None,
    ) -> tuple[Sequence[Packager], Lock]:
        """What makes each kind of artifact, and the lock with the base image in it."""
        ...


def build(
    project: Project,
    *,
    tools: Tools,
    runner: Runner,
    reporter: Reporter,
    kinds: Sequence[str] = KINDS,
    base: str | None = None,
    locked: bool = False,
) -> Result:
    """Build the artifacts of a project into ``dist/``, or find them there.

    Args:
        project: what inspection found.
        tools: everything outside.
        runner: runs the export.
        reporter: hears what happens.
        kinds: which artifacts.
        base: the base image, where it is not the one that the project names.
        locked: refuse to change the lock.

    Raises:
        CheckFailedError: with `locked`, the lock would have to change.
        InputError: something in the project is wrong or missing.
        OutsideError: something outside did not answer.
        ProofError: a graph was demanded and could not be made or proved.
    """
    if project.version is None:
        raise InputError(
            "the project has no version",
            where="pyproject.toml",
            hint='Add to [project]: version = "0.1.0"',
        )
    lock = tools.check_lock(project)
    # The export is a process of its own: while it runs, this one has nothing else to do.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(tools.prepare, kinds)
        made = make_bundle(
            project, lock, tools=tools, runner=runner, reporter=reporter, locked=locked
        )
    bundle, lock = made.bundle, made.lock
    pins = requirements_file.loads(bundle.lock, project.prod_lock.name)
    try:
        packagers, with_base = tools.packagers(project, lock, pins, kinds, base)
    except OutsideError as error:
        raise replace(error, hint=_without_base(error.hint, kinds)) from error
    if with_base != lock and locked:
        taken = with_base.base
        if lock.base is not None and taken is not None and taken.reference != lock.base.reference:
            raise CheckFailedError(
                f"the lock has the base image {lock.base.reference}, and another one was taken",
                where="mlpack.lock",
                hint="Run `mlpack build` without --locked, and commit the lock.",
            )
        reporter.note("the base image is not in the lock: it was taken as it is now")
    built = _package(project, bundle, packagers, made.proved.folder.name, reporter)
    if with_base != lock and not locked:
        locks.write(project.lock_file, with_base)
    return Result(built, made.proved, unchanged=False)


def _without_base(hint: str | None, kinds: Sequence[str]) -> str | None:
    """A hint, and how to build what needs no base image."""
    others = [f"--only {kind}" for kind in kinds if kind != "image"]
    without = f"All but the image: mlpack build {' '.join(others)}" if others else ""
    return "\n".join(filter(None, (hint, without))) or None


def _package(
    project: Project,
    bundle: Bundle,
    packagers: Sequence[Packager],
    inputs: str,
    reporter: Reporter,
) -> Built:
    """All artifacts, or none: they are moved into ``dist/`` when the last one is finished."""
    artifacts: dict[str, Artifact] = {}
    with scratch(project.cache_dir, "built") as folder:
        for packager in packagers:
            artifacts[packager.kind] = packager.package(bundle, folder, reporter)
        manifest = bundle.manifest
        built = Built(
            name=manifest.name,
            version=manifest.version,
            form=manifest.form,
            lock=manifest.lock,
            bundle=bundle.digest,
            artifacts=artifacts,
            dist=project.dist_dir,
            reference=sha256_file(project.reference) if project.reference else "",
        )
        with contextlib.ExitStack() as stack:
            # Of two builds at once the files of one stay, all of them.
            stack.enter_context(one_at_a_time(project.cache_dir / "dist.lock"))
            if project.dist_dir.is_dir():
                sweep(project.dist_dir, ".*.tmp")
            # What is entered first is put in its place last: build.json vouches for the others.
            record = stack.enter_context(staged(project.dist_dir / records.BUILD_FILE))
            record.write_bytes(records.encode_build(built, inputs))
            for artifact in artifacts.values():
                for name in artifact.files:
                    move(folder / name, stack.enter_context(staged(project.dist_dir / name)))
    return built
