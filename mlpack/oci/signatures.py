"""Signatures of images in a registry, stored as cosign stores them.

After https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md: what is signed is a
small document in Red Hat's simple signing format, which names the image by its digest; documents
and signatures are the layers of a manifest under the tag ``sha256-DIGEST.sig``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.oci import shared_tags
from mlpack.oci.registry import Registry
from mlpack.oci.values import (
    CONFIG,
    MANIFEST,
    Descriptor,
    ImageConfig,
    Manifest,
    RootFs,
    decode,
    digest_of,
    encode,
)

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
TYPE = "cosign container image signature"

_MOST = 100
"""How many signatures of an image are read, and so how many there may be."""

_LARGEST = 1 << 16


@dataclass(frozen=True)
class Signature:
    """A signed document.

    Attributes:
        payload: what is signed, byte for byte.
        value: the signature, ASN.1 DER.
    """

    payload: bytes
    value: bytes


class _Identity(msgspec.Struct, frozen=True, rename="kebab"):
    docker_reference: str


class _Named(msgspec.Struct, frozen=True, rename="kebab"):
    docker_manifest_digest: str


class _Critical(msgspec.Struct, frozen=True):
    identity: _Identity
    image: _Named
    type: str


class _Payload(msgspec.Struct, frozen=True):
    critical: _Critical
    optional: dict[str, object] | None


def payload(name: str, digest: str) -> bytes:
    """What is signed of an image.

    Args:
        name: registry and repository, such as ``registry.example/team/churn``.
        digest: of the image's manifest.
    """
    critical = _Critical(identity=_Identity(name), image=_Named(digest), type=TYPE)
    return msgspec.json.encode(_Payload(critical=critical, optional=None))


def signed_digest(data: bytes) -> str | None:
    """The digest that a signed document names; None if it is no such document."""
    try:
        found = msgspec.json.decode(data, type=_Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.critical.image.docker_manifest_digest if found.critical.type == TYPE else None


def tag_of(digest: str) -> str:
    """The tag under which an image's signatures are."""
    return f"{digest.replace(':', '-')}.sig"


def read(registry: Registry, digest: str) -> tuple[Signature, ...]:
    """The signatures of an image, none of them checked.

    Raises:
        OutsideError: the registry does not answer, refuses, or holds something else there.
    """
    found = []
    for layer in _manifest(registry, digest)[:_MOST]:
        text = (layer.annotations or {}).get(SIGNATURE)
        if layer.media_type != SIMPLE_SIGNING or text is None or layer.size > _LARGEST:
            continue
        try:
            value = base64.b64decode(text, validate=True)
        except ValueError:  # no base64, or no ASCII at all
            continue
        found.append(Signature(registry.get_blob(layer), value))
    return tuple(found)


def add(registry: Registry, digest: str, signature: Signature) -> None:
    """Store a signature beside those that are there.

    Raises:
        OutsideError: the registry does not answer, refuses, or holds something else there, or as
            many as are ever read: one more would be seen by nobody.
    """
    _room(digest, _manifest(registry, digest))  # before anything is sent
    layer = msgspec.structs.replace(
        registry.put_blob(signature.payload, SIMPLE_SIGNING),
        annotations={SIGNATURE: base64.b64encode(signature.value).decode()},
    )
    shared_tags.add(
        registry,
        tag_of(digest),
        read=lambda: _manifest(registry, digest),
        has=lambda there: layer in there,
        write=lambda there: _write(registry, digest, (*_room(digest, there), layer)),
    )


def _room(digest: str, there: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """The signatures that are there, if there may be one more."""
    if len(there) >= _MOST:
        raise OutsideError(
            f"the tag {tag_of(digest)[:20]}... holds {len(there)} signatures, and more than "
            f"{_MOST} are never read",
            hint="Remove those that nobody needs from the registry, or the tag as a whole.",
        )
    return there


def _write(registry: Registry, digest: str, layers: tuple[Descriptor, ...]) -> None:
    # As cosign writes it: the configuration of an image whose layers are the documents.
    config = ImageConfig(
        architecture="",
        os="",
        rootfs=RootFs(type="layers", diff_ids=tuple(each.digest for each in layers)),
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=registry.put_blob(encode(config), CONFIG),
        layers=layers,
    )
    registry.put_manifest(tag_of(digest), encode(manifest), MANIFEST)


def _manifest(registry: Registry, digest: str) -> tuple[Descriptor, ...]:
    found = registry.get_manifest(tag_of(digest))
    if found is None:
        return ()
    data, media_type = found
    if media_type != MANIFEST:
        raise OutsideError(f"the tag {tag_of(digest)[:20]}... holds no signatures: {media_type}")
    try:
        return decode(data, Manifest, f"{tag_of(digest)} ({digest_of(data)[:19]})").layers
    except InputError as error:  # of the image's own documents; here it is the registry's fault
        raise OutsideError(error.what, error.where) from error
