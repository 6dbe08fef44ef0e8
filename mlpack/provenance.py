"""How an artifact came to be: an in-toto statement with SLSA's provenance as its predicate.

Formats: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://slsa.dev/spec/v1.1/provenance. What stands in it is told in ``docs/provenance.md``, which is
also where `BUILD_TYPE` leads. It holds no time, no path and no name of a machine or user: the same
build gives the same bytes, and whoever rebuilds gets the same statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpack.bundle import Bundle
from mlpack.materials import Foundation, Materials, dumps
from mlpack.needs import LOCK_NAME

PROVENANCE_FILE = "provenance.intoto.json"

MEDIA_TYPE = "application/vnd.in-toto+json"

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"

_PAGE = "https://github.com/mlpack-builder/mlpack-builder/blob/main/docs/provenance.md"

BUILD_TYPE = f"{_PAGE}#build-type-v1"

BUILDER = f"{_PAGE}#builder"


@dataclass(frozen=True)
class Origin:
    """Where the sources come from, as far as somebody said so.

    Attributes:
        source: the repository's URL, from ``[project.urls]``.
        revision: the commit, from ``MLPACK_REVISION``.
    """

    source: str | None = None
    revision: str | None = None


UNTOLD = Origin()
"""Nobody said."""


@dataclass(frozen=True)
class Subject:
    """What the statement is about.

    Attributes:
        name: a file's, or an image's.
        sha256: its digest in hexadecimal; of an image that of its manifest.
    """

    name: str
    sha256: str


def provenance(
    bundle: Bundle,
    made: Materials,
    subjects: tuple[Subject, ...],
    *,
    kind: str,
    platforms: Sequence[str] = (),
    wheels: Mapping[str, str] | None = None,
    origin: Origin = UNTOLD,
) -> bytes:
    """The statement.

    Args:
        bundle: what is served.
        made: what the artifact is made of.
        subjects: the artifact.
        kind: ``wheel``, ``zip`` or ``image``.
        platforms: of an image, such as ``linux/amd64``.
        wheels: of an image, the very files that are in it: name to ``sha256:...``. Without
            them every file that the lock allows is named.
        origin: where the sources come from.
    """
    manifest = bundle.manifest
    external: dict[str, Any] = {
        "artifact": kind,
        "project": made.name,
        "version": made.version,
        "lock": {"name": LOCK_NAME, "digest": {"sha256": manifest.lock}},
    }
    if made.bases:
        external["bases"] = [_base(base) for base in made.bases]
    if platforms:
        external["platforms"] = list(platforms)
    if origin.source or origin.revision:
        external["source"] = _source(origin)
    internal = {
        "bundle": {"sha256": bundle.digest},
        "form": manifest.form,
        "python": manifest.python,
        "runtime": {"sha256": manifest.runtime},
        "versions": manifest.versions,
    }
    dependencies = _files(made, wheels)
    dependencies += map(_base, made.bases)
    if origin.source and origin.revision:
        dependencies.append(_source(origin))
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": each.name, "digest": {"sha256": each.sha256}} for each in subjects],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external,
                "internalParameters": internal,
                "resolvedDependencies": dependencies,
            },
            # Neither a version nor a time: another mlpack that builds the same says the same.
            "runDetails": {"builder": {"id": BUILDER}},
        },
    }
    return dumps(statement)


def _files(made: Materials, wheels: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The locked packages as resource descriptors, one for each file."""
    names = {digest.removeprefix("sha256:"): name for name, digest in (wheels or {}).items()}
    found = []
    for package in made.packages:
        for digest in package.pin.hashes:
            sha256 = digest.removeprefix("sha256:")
            if wheels is not None and sha256 not in names:
                continue
            entry: dict[str, Any] = {"uri": package.purl, "digest": {"sha256": sha256}}
            if sha256 in names:
                entry["name"] = names[sha256]
            found.append(entry)
    return found


def _base(base: Foundation) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": base.name,
        "digest": {"sha256": base.digest.removeprefix("sha256:")},
    }
    if base.purl:
        entry["uri"] = base.purl
    return entry


def _source(origin: Origin) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if origin.source:
        entry["uri"] = f"git+{origin.source}"
    if origin.revision:
        entry["digest"] = {"gitCommit": origin.revision}
    return entry
