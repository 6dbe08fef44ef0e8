"""Descriptors, manifests, configurations and images, as frozen values.

Field by field after the OCI image specification 1.1: ``descriptor.md``, ``manifest.md``,
``image-index.md`` and ``config.md``. JSON is written compact, in the order of the fields, with
the keys of mappings sorted: equal values are equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import msgspec

from mlpack.errors import InputError
from mlpack.files import sha256

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

COMPRESSED: Mapping[str, str] = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}
"""What a layer is called that is compressed so."""

LAYER_TYPES: Mapping[str, str] = {
    LAYER_TAR: LAYER_TAR,
    LAYER_GZIP: LAYER_GZIP,
    LAYER_ZSTD: LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER_TAR,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER_ZSTD,
}
"""What a layer may be called, and what the OCI specification calls it."""

ANNOTATION = "org.opencontainers.image."
"""What the names of the specification's annotations begin with."""

DOCUMENT_LIMIT = 8 << 20
"""The largest manifest or configuration that is read, in bytes (registries allow 4 MiB)."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Opener = Callable[[], BinaryIO]
"""Opens a blob for reading, from its start; the caller closes it."""


def digest_of(data: bytes) -> str:
    """The digest of `data` as the specification writes it, ``sha256:...``."""
    return f"sha256:{sha256(data)}"


def checked_digest(text: str, where: str) -> str:
    """`text` itself, if it is a SHA-256 digest.

    Raises:
        InputError: it is something else; SHA-512 is not supported.
    """
    if not _DIGEST.fullmatch(text):
        raise InputError(f"{text[:80]!r} is not a SHA-256 digest", where=where)
    return text


class Platform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a manifest of an index is for."""

    architecture: str
    os: str
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A blob by type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An image of one platform: its configuration and layers, the base's first."""

    schema_version: int
    media_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Images of several platforms, or the contents of a layout."""

    schema_version: int
    media_type: str | None = None
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] | None = None


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How an engine asks whether the container is well (Docker's extension); times in ns."""

    test: tuple[str, ...] | None = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    retries: int | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How a container of the image runs. ``None`` is how engines write what is not set."""

    user: str | None = None
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    healthcheck: Healthcheck | None = None

    def variable(self, name: str) -> str | None:
        """An environment variable's value; the last one stands, as engines have it."""
        found = [line.partition("=")[2] for line in self.env or () if line.startswith(f"{name}=")]
        return found[-1] if found else None


class RootFs(msgspec.Struct, frozen=True, kw_only=True):
    """The layers by the digest of their uncompressed tar."""

    type: str
    diff_ids: tuple[str, ...]


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a layer came to be."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image's configuration: platform, execution, layers, history."""

    created: str | None = None
    author: str | None = None
    architecture: str
    os: str
    os_version: str | None = msgspec.field(default=None, name="os.version")
    variant: str | None = None
    config: Execution | None = None
    rootfs: RootFs
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> str:
        """Such as ``linux/amd64``."""
        return f"{self.os}/{self.architecture}"

    @property
    def execution(self) -> Execution:
        """`config`, or an empty one where there is none."""
        return self.config or Execution()


_T = TypeVar("_T")


def encode(value: msgspec.Struct) -> bytes:
    """A value of this module as its one JSON form."""
    return msgspec.json.encode(value, order="deterministic")


def decode(data: bytes, kind: type[_T], where: str) -> _T:
    """The value that `data` holds, read at `where`.

    Raises:
        InputError: it is no such document.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"this is no valid image {kind.__name__.lower()}: {error}", where=where
        ) from error


@dataclass(frozen=True)
class Layer:
    """A layer: what a manifest and a configuration say of it, and the way to its bytes.

    Attributes:
        descriptor: of the blob as it is stored and pushed.
        diff_id: the digest of the uncompressed tar.
        open: opens the blob.
        unpacked: the size of its files in bytes, where it is known.
        origin: the repository of a registry that holds the blob, such as
            ``registry.example/team/python``, where it is known: it may be mounted from there.
    """

    descriptor: Descriptor
    diff_id: str
    open: Opener
    unpacked: int = 0
    origin: str | None = None


@dataclass(frozen=True)
class Image:
    """An image of one platform: the documents byte for byte, and its layers.

    Attributes:
        manifest_bytes, config_bytes: the documents as they are stored and hashed.
        manifest, config: what they say.
        layers: in order, the base's first.
    """

    manifest_bytes: bytes
    config_bytes: bytes
    manifest: Manifest
    config: ImageConfig
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """The manifest's digest: what a registry calls the image."""
        return digest_of(self.manifest_bytes)

    @property
    def config_digest(self) -> str:
        """The configuration's digest: what an engine calls the image."""
        return self.manifest.config.digest

    @property
    def document(self) -> bytes:
        """What a tag stands for: the manifest."""
        return self.manifest_bytes

    @property
    def media_type(self) -> str:
        """What the document is."""
        return self.manifest.media_type or MANIFEST

    @property
    def images(self) -> tuple[Image, ...]:
        """Itself."""
        return (self,)

    @property
    def descriptor(self) -> Descriptor:
        """What refers to the image."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.manifest_bytes),
            platform=Platform(
                architecture=self.config.architecture,
                os=self.config.os,
                variant=self.config.variant,
            ),
        )


@dataclass(frozen=True)
class MultiImage:
    """An image for several platforms: an index, and the image of each.

    Attributes:
        document: the index as it is stored and hashed.
        images: in the order of the index.
        media_type: what the document is.
    """

    document: bytes
    images: tuple[Image, ...]
    media_type: str = INDEX

    @property
    def digest(self) -> str:
        """The index's digest: what a registry calls the image."""
        return digest_of(self.document)

    @property
    def descriptor(self) -> Descriptor:
        """What refers to the index."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.document))


AnyImage = Image | MultiImage
"""What a tag names: an image of one platform, or of several."""


def make_multi_image(images: Iterable[Image], annotations: Mapping[str, str]) -> MultiImage:
    """The image of several platforms, in the order of the platforms' names.

    Raises:
        ValueError: two are for the same platform, or there is none.
    """
    ordered = tuple(sorted(images, key=lambda image: str(image.descriptor.platform)))
    if not ordered or len({image.config.platform for image in ordered}) != len(ordered):
        raise ValueError("an index has one image for each platform")
    index = Index(
        schema_version=2,
        media_type=INDEX,
        manifests=tuple(image.descriptor for image in ordered),
        annotations=dict(annotations) or None,
    )
    return MultiImage(encode(index), ordered)


def make_image(
    config: ImageConfig, layers: tuple[Layer, ...], annotations: Mapping[str, str]
) -> Image:
    """A new image of the given configuration and layers; its documents are the OCI ones."""
    config_bytes = encode(config)
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=Descriptor(
            media_type=CONFIG, digest=digest_of(config_bytes), size=len(config_bytes)
        ),
        layers=tuple(layer.descriptor for layer in layers),
        annotations=dict(annotations) or None,
    )
    return Image(encode(manifest), config_bytes, manifest, config, layers)


def read_image(
    manifest_bytes: bytes,
    config_bytes: bytes,
    opener: Callable[[Descriptor], Opener],
    where: str,
    origin: str | None = None,
) -> Image:
    """An image from its documents as somebody else wrote them.

    Raises:
        InputError: a document is not valid, they do not fit together, or a layer has a form that
            mlpack does not know.
    """
    manifest = decode(manifest_bytes, Manifest, where)
    checked_digest(manifest.config.digest, where)
    if digest_of(config_bytes) != manifest.config.digest:
        raise InputError("the image's configuration does not have its digest", where=where)
    config = decode(config_bytes, ImageConfig, where)
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise InputError(
            f"the image names {len(manifest.layers)} layers and {len(diff_ids)} diff ids",
            where=where,
        )
    layers = []
    for descriptor, diff_id in zip(manifest.layers, diff_ids, strict=True):
        if descriptor.media_type not in LAYER_TYPES:
            raise InputError(
                f"the image has a layer of the type {descriptor.media_type}, which mlpack "
                "does not know",
                where=where,
            )
        checked_digest(descriptor.digest, where)
        checked_digest(diff_id, where)
        layers.append(Layer(descriptor, diff_id, opener(descriptor), origin=origin))
    return Image(manifest_bytes, config_bytes, manifest, config, tuple(layers))


def media_type_of(data: bytes, said: str) -> str:
    """What a document is: by itself, else by what the registry called it, else by its content."""
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, RecursionError):
        return said
    if head.media_type:
        return head.media_type
    return said or (INDEX if head.manifests is not None else MANIFEST)


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str | None = None
    manifests: list[msgspec.Raw] | None = None
