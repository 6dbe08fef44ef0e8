"""``mlpack build``: read the lock, export, assemble, package."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from mlpack import lock as locks
from mlpack import records, requirements_file
from mlpack.bundle import Artifact, Bundle
from mlpack.errors import InputError
from mlpack.files import read_text, staged, write
from mlpack.lock import Lock, Pin
from mlpack.ports import Built, Packager, Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.bundle import BundleTools, make_bundle
from mlpack.usecases.export import Proved, export_key

KINDS = ("wheel", "zip", "image")
STATE = "build-state.json"


class Tools(BundleTools, Protocol):
    """What building needs from outside; made only when it is needed."""

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


@dataclass(frozen=True)
class Result:
    """What a build made or found.

    Attributes:
        built: the artifacts.
        proved: the export, None where nothing had changed at all.
        unchanged: whether everything was there already.
    """

    built: Built
    proved: Proved | None
    unchanged: bool


class _State(msgspec.Struct, frozen=True):
    """What a finished build depends on and left behind, by size and time of each file."""

    inputs: str
    files: dict[str, tuple[int, int]]


def build(
    project: Project,
    *,
    tools: Tools,
    runner: Runner,
    reporter: Reporter,
    kinds: Sequence[str] = KINDS,
    base: str | None = None,
    locked: bool = False,
    epoch: int | None = None,
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
        epoch: the time of everything in the artifacts, seconds since 1970; None for the default.

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
    inputs = _inputs(project, lock, kinds, base, epoch)
    if (found := _unchanged(project, inputs)) is not None:
        return Result(found, None, unchanged=True)
    made = make_bundle(project, lock, tools=tools, runner=runner, reporter=reporter, locked=locked)
    bundle, lock = made.bundle, made.lock
    pins = requirements_file.loads(bundle.lock, project.prod_lock.name)
    packagers, with_base = tools.packagers(project, lock, pins, kinds, base)
    if with_base != lock:
        if locked and lock.base is None:
            reporter.note("the base image is not in the lock: it was taken as it is now")
        else:
            locks.write(project.lock_file, with_base)
    artifacts = _package(project, bundle, packagers, reporter)
    built = Built(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        form=bundle.manifest.form,
        lock=bundle.manifest.lock,
        bundle=bundle.digest,
        artifacts=artifacts,
        dist=project.dist_dir,
    )
    after = _inputs(project, with_base, kinds, base, epoch)
    records.write_build_json(built, after)
    _remember(project, built, after)
    return Result(built, made.proved, unchanged=False)


def _package(
    project: Project, bundle: Bundle, packagers: Sequence[Packager], reporter: Reporter
) -> dict[str, Artifact]:
    """All artifacts, or none: they are moved into ``dist/`` when the last one is finished."""
    artifacts: dict[str, Artifact] = {}
    with staged(project.cache_dir / "built", folder=True) as stage:
        for packager in packagers:
            artifacts[packager.kind] = packager.package(bundle, stage, reporter)
    project.dist_dir.mkdir(exist_ok=True)
    for artifact in artifacts.values():
        (project.cache_dir / "built" / artifact.file).replace(project.dist_dir / artifact.file)
    return artifacts


def _inputs(
    project: Project, lock: Lock, kinds: Sequence[str], base: str | None, epoch: int | None
) -> str:
    parts = (
        export_key(project),
        project.name,
        str(project.version),
        locks.dumps(lock),
        ",".join(kinds),
        str(base),
        str(project.settings),
        str(epoch),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _unchanged(project: Project, inputs: str) -> Built | None:
    """The last build, if its inputs are the same and its files lie as it left them."""
    text = read_text(project.cache_dir / STATE)
    if text is None:
        return None
    try:
        state = msgspec.json.decode(text, type=_State)
    except msgspec.DecodeError:
        return None  # it is only a memory: without it everything is built again
    if state.inputs != inputs or state.files != _stats(project.dist_dir, state.files):
        return None
    record = records.read_record(project.dist_dir)
    return None if record is None else records.built_from(record, project.dist_dir)


def _remember(project: Project, built: Built, inputs: str) -> None:
    names = [*(artifact.file for artifact in built.artifacts.values()), records.BUILD_FILE]
    state = _State(inputs, _stats(project.dist_dir, names))
    write(project.cache_dir / STATE, msgspec.json.encode(state))


def _stats(folder: Path, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    found = {}
    for name in names:
        path = folder / name
        if path.is_file():
            stat = path.stat()
            found[name] = (stat.st_size, stat.st_mtime_ns)
    return found
