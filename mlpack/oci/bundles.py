"""Sigstore's bundles that are attached to an image, as cosign 3 attaches them.

A bundle is a referrer of the image. What is signed in it is an in-toto statement whose subject is
the image's digest (https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md).
"""

from __future__ import annotations

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.oci.referrers import ArtifactManifest, Subject, attach, attachment, listed
from mlpack.oci.registry import Registry
from mlpack.oci.values import decode

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"

_STATEMENT = "https://in-toto.io/Statement/v1"
_ANNOTATIONS = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": PREDICATE,
}
_TITLE = "signature.sigstore.json"
_ALGORITHM = "sha256"

_MOST = 100
"""How many bundles of an image are read."""

_LARGEST = 1 << 20


class _Subject(msgspec.Struct, frozen=True):
    digest: dict[str, str]
    name: str | None = None


class _Statement(msgspec.Struct, frozen=True, rename="camel"):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: str
    predicate: dict[str, object] | None = None


def statement(name: str, digest: str) -> bytes:
    """What is signed of an image.

    Args:
        name: registry and repository, such as ``registry.example/team/churn``.
        digest: of the image's manifest.
    """
    algorithm, _, value = digest.partition(":")
    subject = _Subject(digest={algorithm: value}, name=name)
    return msgspec.json.encode(
        _Statement(type=_STATEMENT, subject=(subject,), predicate_type=PREDICATE, predicate={})
    )


def stated_digests(data: bytes) -> frozenset[str]:
    """The digests that a statement says were signed as images; none if it is no such statement."""
    try:
        found = msgspec.json.decode(data, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()
    if (found.type, found.predicate_type) != (_STATEMENT, PREDICATE):
        return frozenset()
    return frozenset(
        f"{_ALGORITHM}:{each.digest[_ALGORITHM]}"
        for each in found.subject
        if _ALGORITHM in each.digest
    )


def add(registry: Registry, image: Subject, bundle: bytes) -> None:
    """Attach a bundle to an image.

    Raises:
        OutsideError: the registry does not answer, or refuses.
    """
    attach(registry, attachment(bundle, BUNDLE, _TITLE, image, _ANNOTATIONS))


def read(registry: Registry, digest: str) -> tuple[bytes, ...]:
    """The bundles of an image, none of them checked.

    Raises:
        OutsideError: the registry does not answer, refuses, or holds something else there.
    """
    found: list[bytes] = []
    for each in listed(registry, digest):
        if each.artifact_type != BUNDLE:
            continue
        if len(found) == _MOST:
            break
        manifest = _manifest(registry, each.digest)
        found += [
            registry.get_blob(layer)
            for layer in (manifest.layers[:1] if manifest is not None else ())
            if layer.media_type == BUNDLE and layer.size <= _LARGEST
        ]
    return tuple(found)


def _manifest(registry: Registry, digest: str) -> ArtifactManifest | None:
    got = registry.get_manifest(digest)
    if got is None:  # listed, and removed since
        return None
    try:
        return decode(got[0], ArtifactManifest, digest[:19])
    except InputError as error:  # of the image's own documents; here it is the registry's fault
        raise OutsideError(error.what, error.where) from error
