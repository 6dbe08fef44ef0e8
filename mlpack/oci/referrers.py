"""Documents that are attached to an image in a registry: its referrers.

After the OCI image specification 1.1 (``manifest.md``, "Guidelines for Artifact Usage") and the
distribution specification 1.1: "Pushing Manifests with Subject", "Listing Referrers", and for
registries without that API the "Referrers Tag Schema", an index under the tag ``sha256-DIGEST``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from mlpack.errors import OutsideError
from mlpack.oci import shared_tags
from mlpack.oci.registry import Registry
from mlpack.oci.values import (
    ANNOTATION,
    INDEX,
    MANIFEST,
    Descriptor,
    Index,
    decode,
    digest_of,
    encode,
)

EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = f"{ANNOTATION}title"

_NOTHING = b"{}"
_MOST_PAGES = 100


class ArtifactManifest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"
):
    """A manifest of something that is no image and belongs to one."""

    schema_version: int
    media_type: str
    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor
    annotations: dict[str, str] | None = None


class _ImageItselfError(OutsideError):
    """A registry takes the fallback's tag for the image's own digest."""


class Subject(Protocol):
    """What documents are attached to (`mlpack.oci.values.Image`)."""

    @property
    def descriptor(self) -> Descriptor:
        """Of its manifest."""
        ...


@dataclass(frozen=True)
class Attachment:
    """A document, as it goes into a registry.

    Attributes:
        content: its bytes.
        media_type: what it is: the type of the artifact and of its only layer.
        title: its file's name.
        subject: the descriptor of the manifest that it belongs to.
        annotations: what its manifest says of it, and with it the list of referrers.
    """

    content: bytes
    media_type: str
    title: str
    subject: Descriptor
    annotations: dict[str, str] | None = None

    @property
    def manifest(self) -> bytes:
        """The artifact's manifest: it follows from the other values alone."""
        return encode(
            ArtifactManifest(
                schema_version=2,
                media_type=MANIFEST,
                artifact_type=self.media_type,
                config=_described(_NOTHING, EMPTY),
                layers=(
                    msgspec.structs.replace(
                        _described(self.content, self.media_type),
                        annotations={TITLE: self.title},
                    ),
                ),
                subject=self.subject,
                annotations=self.annotations,
            )
        )

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return digest_of(self.manifest)

    @property
    def descriptor(self) -> Descriptor:
        """What an index of referrers has of it."""
        return msgspec.structs.replace(
            _described(self.manifest, MANIFEST),
            artifact_type=self.media_type,
            annotations=self.annotations,
        )


def attachment(
    content: bytes,
    media_type: str,
    title: str,
    image: Subject,
    annotations: dict[str, str] | None = None,
) -> Attachment:
    """A document of an image."""
    # A subject is a plain descriptor: neither platform nor annotations.
    whole = image.descriptor
    subject = Descriptor(media_type=whole.media_type, digest=whole.digest, size=whole.size)
    return Attachment(content, media_type, title, subject, annotations)


def fallback_tag(digest: str) -> str:
    """The tag of the index that stands for the referrers API where there is none."""
    return digest.replace(":", "-")


def listed(registry: Registry, digest: str) -> tuple[Descriptor, ...]:
    """What refers to the manifest `digest`, by the API or by the fallback's tag.

    Raises:
        OutsideError: the registry does not answer, or refuses.
    """
    where = f"the referrers of {digest[:19]}"
    found: list[Descriptor] = []
    after = ""
    for _ in range(_MOST_PAGES):
        page = registry.referrers(digest, after)
        if page is None:
            break
        found += decode(page[0], Index, where).manifests
        after = page[1]
        if not after:
            return tuple(found)
    if after:
        raise OutsideError(f"the registry's list of {where} does not end")
    try:
        return _tagged(registry, digest)
    except _ImageItselfError:
        return ()


def attach(registry: Registry, *documents: Attachment) -> None:
    """Send documents and their manifests; where the registry has no referrers API, list them too.

    Args:
        registry: where the image is.
        documents: all of one image.

    Raises:
        OutsideError: the registry does not answer, or refuses, or its list does not keep them.
    """
    unlisted = []
    for document in documents:
        registry.put_blob(_NOTHING, EMPTY)
        registry.put_blob(document.content, document.media_type)
        headers = registry.put_manifest(document.digest, document.manifest, MANIFEST)
        if not headers.get("OCI-Subject"):  # else the registry has understood whose it is
            unlisted.append(document)
    if unlisted:
        _list(registry, unlisted)


def _list(registry: Registry, documents: Sequence[Attachment]) -> None:
    """Name documents in the index of the fallback's tag, together: fewer writes, fewer clashes."""
    digest = documents[0].subject.digest
    tag = fallback_tag(digest)

    def missing(there: Sequence[Descriptor]) -> list[Attachment]:
        known = {each.digest for each in there}
        return [document for document in documents if document.digest not in known]

    def write(there: Sequence[Descriptor]) -> None:
        added = [document.descriptor for document in missing(there)]
        index = Index(schema_version=2, media_type=INDEX, manifests=(*there, *added))
        registry.put_manifest(tag, encode(index), INDEX)

    shared_tags.add(
        registry,
        tag,
        read=lambda: _tagged(registry, digest),
        has=lambda there: not missing(there),
        write=write,
    )


def _tagged(registry: Registry, digest: str) -> tuple[Descriptor, ...]:
    found = registry.get_manifest(fallback_tag(digest))
    if found is None:
        return ()
    data, media_type = found
    if digest_of(data) == digest:
        # GitLab's does so (https://github.com/oras-project/oras-go/issues/1396).
        raise _ImageItselfError(
            f"under the tag {fallback_tag(digest)[:26]}... the registry has the image itself, and "
            "no index of what belongs to it: nothing can be attached there"
        )
    if media_type != INDEX:
        raise OutsideError(
            f"the tag {fallback_tag(digest)[:26]}... is no index of what belongs to an image, "
            "as the specification wants it"
        )
    return decode(data, Index, fallback_tag(digest)).manifests


def _described(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))
