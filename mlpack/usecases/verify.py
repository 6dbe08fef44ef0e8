"""``mlpack verify``: build artifacts again, and compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpack import requirements_file
from mlpack.comparing.artifact import differences
from mlpack.comparing.described import Described
from mlpack.comparing.difference import Difference, shown
from mlpack.comparing.images import compare_beside
from mlpack.errors import CheckFailedError
from mlpack.files import scratch, sha256_file
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.build import Tools
from mlpack.usecases.bundle import Made, make_bundle


@dataclass(frozen=True)
class Verified:
    """What an artifact is, against what the project builds now.

    Attributes:
        artifact: the file's name.
        kind: ``wheel``, ``zip`` or ``image``.
        same: whether all bytes are, and those of an image's documents that lie beside it.
        sha256: of the artifact's file.
        rebuilt: of the one that was built again.
        digest: what a registry calls the artifact, if it is an image.
        differences: what is not the same.
        signed: whether it has a signature by the key that was asked for; None for none asked for.
    """

    artifact: str
    kind: str
    same: bool
    sha256: str
    rebuilt: str
    digest: str | None = None
    differences: tuple[Difference, ...] = ()
    signed: bool | None = None


def verify(
    project: Project,
    artifacts: Sequence[tuple[Path, Described]],
    *,
    tools: Callable[[Described], Tools],
    runner: Runner,
    reporter: Reporter,
    base: str | None = None,
) -> tuple[Verified, ...]:
    """Build artifacts again from the project's model, code and lock, and compare.

    Neither ``dist/`` nor the lock is touched. The export is made anew where the kept one does not
    stand, as for a build.

    Args:
        project: what inspection found.
        artifacts: each file, of which nothing is unpacked or run, and what it says of itself.
        tools: everything outside, for the time and platforms that an artifact names.
        runner: runs the export.
        reporter: hears what happens.
        base: the base image, where it is not the lock's.

    Raises:
        CheckFailedError: one is of another project or version, or the lock is stale.
        InputError: one cannot be trusted, or something in the project is missing.
        OutsideError: something outside did not answer.
    """
    for artifact, said in artifacts:
        _same_project(project, artifact, said)
    if by_docker(project) and any(said.kind == "image" for _, said in artifacts):
        reporter.note(
            'builder = "docker": pip, apt and the engine decide about the bytes of the image; '
            "without BuildKit's cache of its build it is hardly the same"
        )
    made: Made | None = None
    found = []
    for artifact, said in artifacts:
        outside = tools(said)
        if made is None:  # one bundle for all: it has neither a time nor a platform
            lock = outside.check_lock(project)
            made = make_bundle(
                project, lock, tools=outside, runner=runner, reporter=reporter, locked=True
            )
        found.append(_verified(project, artifact, said, made, outside, reporter, base))
    return tuple(found)


def by_docker(project: Project) -> bool:
    """Whether an engine makes the project's images, whose bytes are then not mlpack's."""
    return project.settings.image.builder == "docker"


def _verified(
    project: Project,
    artifact: Path,
    said: Described,
    made: Made,
    tools: Tools,
    reporter: Reporter,
    base: str | None,
) -> Verified:
    pins = requirements_file.loads(made.bundle.lock, project.prod_lock.name)
    known = made.lock.base.reference if made.lock.base else None
    packagers, with_base = tools.packagers(project, made.lock, pins, (said.kind,), base or known)
    if with_base != made.lock:
        reporter.note("the base image is not in the lock: it was taken as it is now")
    with scratch(project.cache_dir, "verified") as folder:
        again = packagers[0].package(made.bundle, folder, reporter)
        rebuilt = folder / again.file
        found = differences(said.kind, artifact, rebuilt)
        documents = [each.file for each in again.documents]
        found += tuple(compare_beside(artifact, rebuilt, documents))
    return Verified(
        artifact=artifact.name,
        kind=said.kind,
        same=not found,
        sha256=sha256_file(artifact),
        rebuilt=again.sha256,
        digest=said.digest,
        differences=found,
    )


def _same_project(project: Project, artifact: Path, said: Described) -> None:
    if said.name and canonicalize_name(said.name) != canonicalize_name(project.name):
        raise CheckFailedError(
            f"it is of the project {shown(said.name)}, and this one is {project.name}",
            where=artifact.name,
        )
    try:
        other = bool(said.version) and Version(said.version) != Version(project.version or "0")
    except InvalidVersion:
        other = True
    if other:
        raise CheckFailedError(
            f"it is version {shown(said.version)}, and the project is at {project.version}",
            where=artifact.name,
            hint="Check out the commit that it was built from.",
        )
