"""Puts together what ``verify`` needs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlpack import records
from mlpack.cli import identities, wiring
from mlpack.cli.console import Console
from mlpack.cli.identities import NOBODY, Keyless
from mlpack.cli.signing import public_key
from mlpack.comparing.described import KINDS, describe, named
from mlpack.container import image_name
from mlpack.errors import CheckFailedError, InputError
from mlpack.oci.archive import write_archive
from mlpack.oci.cache import Cache, default_root
from mlpack.oci.puller import puller
from mlpack.oci.reference import parse
from mlpack.process import run
from mlpack.project import Project
from mlpack.usecases import verify as verify_use_case
from mlpack.usecases.signature import By, ByKey
from mlpack.usecases.verify import Verified


def verify(
    project: Project,
    console: Console,
    *,
    artifacts: tuple[str, ...],
    base: str | None,
    key: Path | None = None,
    identity: Keyless = NOBODY,
) -> tuple[Verified, ...]:
    """See the command ``verify``."""
    identity.refuse_with(key)
    by = _by(key, identity)
    if by is not None:
        _refuse_archives(artifacts)
    named = artifacts or _built(project)
    files = [(text, Path(text)) for text in named if _is_file(text)]
    images = [text for text in named if not _is_file(text)]
    cache = Cache(default_root(os.environ, Path.home()))
    with contextlib.ExitStack() as stack:
        if images:
            folder = stack.enter_context(cache.scratch())
            files += [
                (text, _pulled(text, cache, folder / f"{number}.oci.tar", console))
                for number, text in enumerate(images)
            ]
        found = verify_use_case.verify(
            project,
            [(path, describe(path)) for _, path in files],
            # Time, platforms and C library are what an artifact says: others would differ in them.
            # So is the commit, unless somebody says which it is.
            tools=lambda said: wiring.Wiring(
                epoch=said.epoch,
                load_image=False,
                platforms=said.platforms,
                revision=wiring.revision() or said.revision,
                glibc=said.glibc,
            ),
            runner=run,
            reporter=console,
            base=base,
        )
    return tuple(
        replace(
            each,
            artifact=each.artifact if _is_file(text) else text,
            signed=None if by is None else _signed(text, each, by, console),
        )
        for each, (text, _) in zip(found, files, strict=True)
    )


def _refuse_archives(artifacts: Sequence[str]) -> None:
    for text in artifacts:
        if _is_file(text) and KINDS.get(Path(text).suffix) == "image":
            raise InputError(
                f"an image is signed in its registry, and {text} is a file",
                hint="mlpack verify --key cosign.pub registry.example/team/churn:1.2.0",
            )


def _by(key: Path | None, identity: Keyless) -> By | None:
    """Whose signatures are wanted; None where none are."""
    if identity.wanted:
        return identities.checker(identity)
    return None if key is None else ByKey(public_key(key))


def _signed(text: str, verified: Verified, by: By, console: Console) -> bool | None:
    """Whether an artifact has a signature by somebody: a file beside it, an image in its registry.

    None for an image's archive, which nobody signs.
    """
    if not _is_file(text):
        registry = puller(os.environ, Path.home())(parse(text, "verify"))
        return by.is_image_signed(registry, str(verified.digest))
    if verified.kind == "image":
        console.note(f"{Path(text).name} is signed in its registry: name it there to check that")
        return None
    return by.is_file_signed(Path(text))


def _is_file(text: str) -> bool:
    path = Path(text)
    if path.suffix in KINDS or path.exists() or "@" in text:
        return "@" not in text
    # As Docker tells them apart: what is no host is a repository of Docker Hub, which nobody means.
    host, slash, _ = text.partition("/")
    return not slash or not (re.search("[.:]", host.lstrip(".")) or host == "localhost")


def _pulled(text: str, cache: Cache, into: Path, console: Console) -> Path:
    """An image of a registry as the archive that a build of it would be."""
    reference = parse(text, "verify")
    # Logins are Docker's: mlpack's own variables are for the registry that is deployed to.
    registry = puller(os.environ, Path.home())(reference)
    with console.stage(f"Pulling {reference}"):
        image = registry.pull_whole(reference, cache)
        name, version = named(image)
        write_archive(image, into, *image_name(name or "image", version or "0"))
    return into


def demand(found: Sequence[Verified], project: Project, who: str = "key") -> None:
    """See that all are the same, and signed where that is asked for.

    Args:
        found: what was verified.
        project: what it was compared with.
        who: whose signature was asked for: of a ``key`` or an ``identity``.

    Raises:
        CheckFailedError: one is not.
    """
    other = [each for each in found if not each.same]
    unsigned = [each.artifact for each in found if each.signed is False]
    if unsigned and not other:
        raise CheckFailedError(
            f"not signed by this {who}: {', '.join(unsigned)}",
            hint="Ask whoever released it for its signature, or: mlpack sign "
            + ("--keyless" if who == "identity" else "--key cosign.key"),
        )
    if other:
        count = sum(len(each.differences) for each in other)
        raise CheckFailedError(
            f"{len(other)} of {len(found)} artifacts {'is' if len(other) == 1 else 'are'} not what "
            f"this project builds: {count} difference{'' if count == 1 else 's'}",
            hint=_hint(other, project),
        )


def _hint(other: Sequence[Verified], project: Project) -> str:
    if verify_use_case.by_docker(project) and all(each.kind == "image" for each in other):
        return (
            'With builder = "docker" an image is hardly the same without BuildKit\'s cache of its '
            "build: look at which files differ, and verify the wheel or the zip."
        )
    return "Look at the commit, the lock and the Python that it was built with."


def _built(project: Project) -> tuple[str, ...]:
    record = records.read_record(project.dist_dir)
    if record is None:
        raise InputError("nothing is built yet", where=project.dist_dir.name, hint="mlpack build")
    return tuple(str(project.dist_dir / each.file) for each in record.artifacts.values())
