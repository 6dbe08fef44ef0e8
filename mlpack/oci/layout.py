"""OCI image layouts: a folder with ``oci-layout``, ``index.json`` and ``blobs/``.

After ``image-layout.md`` of the OCI image specification 1.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.files import staged
from mlpack.oci.values import (
    ANNOTATION,
    DOCKER_INDEX,
    DOCUMENT_LIMIT,
    INDEX,
    AnyImage,
    Descriptor,
    Image,
    ImageConfig,
    Index,
    Layer,
    Manifest,
    MultiImage,
    Opener,
    checked_digest,
    decode,
    digest_of,
    encode,
    read_image,
)

LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
REF_NAME = f"{ANNOTATION}ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
_COPY = 1 << 20


class OtherPlatformError(InputError):
    """An image is not there for a platform."""


class Documents(Protocol):
    """Where a layout's files lie: a folder, or the members of an archive."""

    def read(self, name: str) -> bytes:
        """The small file `name`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The file `name`, to be read in pieces."""
        ...


class Folder:
    """A layout in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        """The small file `name`."""
        with self.open(name) as stream:
            return stream.read(DOCUMENT_LIMIT)

    def open(self, name: str) -> BinaryIO:
        """The file `name`, to be read in pieces."""
        path = self._root / name
        if path.is_symlink():
            raise InputError(f"{name} of the image layout is a link", where=str(self._root))
        try:
            return path.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise InputError(
                f"the image layout has no {name}",
                where=str(self._root),
                hint="An OCI layout is a folder with oci-layout, index.json and blobs/.",
            ) from None


def blob_name(digest: str, where: str) -> str:
    """The path of a blob in a layout."""
    return f"blobs/sha256/{checked_digest(digest, where)[len('sha256:') :]}"


def read_layout(source: Documents, platform: str, tag: str | None, where: str) -> Image:
    """The image of a layout: the one called `tag`, and of an index the one for `platform`.

    Raises:
        InputError: the layout is not valid, or has no such image, or several and no tag is given.
    """
    found = _choose(_contents(source, where).manifests, platform, tag, where)
    data = _document(source, found, where)
    # An index in an index: what a build for several platforms leaves in a layout.
    if found.media_type in (INDEX, DOCKER_INDEX):
        found = _for_platform(decode(data, Index, where).manifests, platform, where)
        data = _document(source, found, where)
    return _image(source, data, where)


def read_whole_layout(source: Documents, where: str) -> AnyImage:
    """The only image of a layout, for all the platforms that it is for.

    Raises:
        InputError: the layout is not valid, or has several images or none.
    """
    named = {item.digest: item for item in _contents(source, where).manifests}
    if len(named) != 1:
        raise InputError(f"the image layout has {len(named)} images", where=where)
    found = next(iter(named.values()))
    data = _document(source, found, where)
    if found.media_type not in (INDEX, DOCKER_INDEX):
        return _image(source, data, where)
    each = decode(data, Index, where).manifests
    images = tuple(_image(source, _document(source, item, where), where) for item in each)
    return MultiImage(data, images, found.media_type)


def _contents(source: Documents, where: str) -> Index:
    try:
        version = msgspec.json.decode(source.read(LAYOUT_FILE))["imageLayoutVersion"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise InputError("oci-layout names no version", where=where) from error
    if version != "1.0.0":
        raise InputError(f"image layout of the version {str(version)[:20]!r}", where=where)
    return decode(source.read(INDEX_FILE), Index, where)


def _image(source: Documents, data: bytes, where: str) -> Image:
    config = _document(source, decode(data, Manifest, where).config, where)

    def opener(descriptor: Descriptor) -> Opener:
        name = blob_name(descriptor.digest, where)
        return lambda: source.open(name)

    return read_image(data, config, opener, where)


def choose_platform(index: Index, platform: str, where: str) -> Descriptor:
    """The manifest for `platform` of an image for several.

    Raises:
        OtherPlatformError: there is none; the message names those that are there.
    """
    return _for_platform(index.manifests, platform, where)


def write_layout(image: AnyImage, into: Path, tag: str | None = None) -> None:
    """Write an image as a layout, a new folder, whole or not at all."""
    with staged(into, folder=True) as stage:
        (stage / "blobs" / "sha256").mkdir(parents=True)
        (stage / LAYOUT_FILE).write_bytes(LAYOUT)
        (stage / INDEX_FILE).write_bytes(layout_index(image, None, tag))
        for name, data in documents_of(image).items():
            (stage / name).write_bytes(data)
        for name, layer in layers_of(image).items():
            with layer.open() as source, (stage / name).open("wb") as out:
                copy_verified(source, out, layer.descriptor)


def documents_of(image: AnyImage) -> dict[str, bytes]:
    """Manifests, configurations and index of an image, by their paths in a layout."""
    documents = [image.document]
    for each in image.images:
        documents += [each.manifest_bytes, each.config_bytes]
    return {blob_name(digest_of(data), "image"): data for data in documents}


def layers_of(image: AnyImage) -> dict[str, Layer]:
    """The layers of an image, by their paths in a layout: what platforms share is there once."""
    return {
        blob_name(layer.descriptor.digest, "image"): layer
        for each in image.images
        for layer in each.layers
    }


def layout_index(image: AnyImage, name: str | None, tag: str | None) -> bytes:
    """``index.json`` of a layout that holds one image, called `name` by an engine."""
    annotations = {}
    if tag:
        annotations[REF_NAME] = tag
    if name:
        annotations[CONTAINERD_NAME] = name
    return encode(
        Index(
            schema_version=2,
            media_type=INDEX,
            manifests=(msgspec.structs.replace(image.descriptor, annotations=annotations or None),),
        )
    )


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Take `data`."""
        ...


def copy_verified(source: BinaryIO, out: Sink, descriptor: Descriptor) -> None:
    """Copy a blob and verify its digest and size on the way.

    Raises:
        DamagedLayerError: the bytes are not those that the descriptor names. What was written so
            far must be thrown away.
    """
    actual = hashlib.sha256()
    size = 0
    while chunk := source.read(_COPY):
        actual.update(chunk)
        size += len(chunk)
        out.write(chunk)
    if size != descriptor.size or f"sha256:{actual.hexdigest()}" != descriptor.digest:
        raise damaged_layer(descriptor)


@dataclass(eq=False)
class DamagedLayerError(OutsideError):
    """A layer does not have its digest.

    Attributes:
        digest: which it should have.
    """

    digest: str = ""


def damaged_layer(descriptor: Descriptor) -> DamagedLayerError:
    """What to raise of a layer that does not have its digest."""
    return DamagedLayerError(
        f"a layer of the image is damaged: its digest is not {descriptor.digest[:19]}",
        hint="Run the same command again; if it stays so, look at where the base image comes from.",
        digest=descriptor.digest,
    )


def _document(source: Documents, descriptor: Descriptor, where: str) -> bytes:
    data = source.read(blob_name(descriptor.digest, where))
    if digest_of(data) != descriptor.digest:
        raise InputError(f"{descriptor.digest[:19]} does not have its digest", where=where)
    return data


def _choose(
    manifests: Sequence[Descriptor], platform: str, tag: str | None, where: str
) -> Descriptor:
    named = [item for item in manifests if not tag or (item.annotations or {}).get(REF_NAME) == tag]
    if not named:
        there = sorted((item.annotations or {}).get(REF_NAME, "") for item in manifests)
        raise InputError(
            f"the image layout has no image called {tag!r}",
            where=where,
            hint=f"It has: {', '.join(filter(None, there)) or 'none with a name'}.",
        )
    if len({item.digest for item in named}) == 1:
        return named[0]
    if not tag and not all(item.platform for item in named):
        raise InputError(
            "the image layout has several images",
            where=where,
            hint="Name one: oci:PATH:TAG.",
        )
    return _for_platform(named, platform, where)


def _for_platform(manifests: Sequence[Descriptor], platform: str, where: str) -> Descriptor:
    known = [item for item in manifests if item.platform]
    for item in known:
        if str(item.platform) == platform:
            return item
    there = sorted(
        {str(item.platform) for item in known if str(item.platform) != "unknown/unknown"}
    )
    raise OtherPlatformError(
        f"the image is not there for {platform}",
        where=where,
        hint=f"It is there for: {', '.join(there) or 'no platform that it names'}.",
    )


def check_platform(config: ImageConfig, platform: str, where: str) -> None:
    """Refuse an image of another platform.

    Raises:
        OtherPlatformError: it is.
    """
    if config.platform != platform:
        raise OtherPlatformError(
            f"the image is for {config.platform}, not for {platform}", where=where
        )
