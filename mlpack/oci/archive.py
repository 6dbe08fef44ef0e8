"""Image archives: one tar that is an OCI layout and a ``docker save`` at once.

``oci-layout``, ``index.json`` and ``blobs/`` make it an OCI archive (``image-layout.md``);
``manifest.json`` makes it what ``docker load`` reads, engines from before OCI layouts included
(moby's ``image/tarexport``). Nothing is ever unpacked to a disk when one is read: members are
found by name, and bytes are read in place.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.oci.cache import Cache
from mlpack.oci.compressed import compressed_layer
from mlpack.oci.layers import EPOCH, tar_header
from mlpack.oci.layout import (
    INDEX_FILE,
    LAYOUT,
    LAYOUT_FILE,
    Sink,
    blob_name,
    copy_verified,
    documents_of,
    layers_of,
    layout_index,
    read_layout,
    read_whole_layout,
)
from mlpack.oci.members import OURS, Members, inside
from mlpack.oci.values import (
    CONFIG,
    MANIFEST,
    AnyImage,
    Descriptor,
    Image,
    ImageConfig,
    Layer,
    Manifest,
    decode,
    digest_of,
    encode,
)

_COMPRESSED = ("gzip", "zstd")
_COPY = 1 << 20
MANIFEST_FILE = "manifest.json"


class DockerEntry(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] = ()


class _Hashed:
    """Writes through to a file and hashes what passes."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._out.write(data)


@dataclass(frozen=True)
class WrittenArchive:
    """An archive's own SHA-256 in hexadecimal and its size in bytes."""

    sha256: str
    size: int


def write_archive(image: AnyImage, out: Path, name: str, tag: str) -> WrittenArchive:
    """Write `image` as an archive that engines load as ``name:tag``. `out` should be staged.

    An engine from before OCI layouts knows no index: of an image for several platforms it loads
    each as ``name:tag-ARCHITECTURE``, and the first of them as ``name:tag`` too.

    Raises:
        OutsideError: a layer does not have its digest.
    """
    documents = {
        LAYOUT_FILE: LAYOUT,
        INDEX_FILE: layout_index(image, f"docker.io/library/{name}:{tag}", tag),
        MANIFEST_FILE: msgspec.json.encode(_docker_entries(image, name, tag)),
        **documents_of(image),
    }
    layers = layers_of(image)
    small = [*OURS, "blobs", "blobs/sha256"]
    with out.open("wb") as raw:
        stream = _Hashed(raw)
        for path in [*small, *sorted({*documents, *layers} - set(small))]:
            if path in documents:
                _add(stream, path, documents[path])
            elif path in layers:
                _copy(stream, path, layers[path])
            else:
                stream.write(tar_header(path, None, EPOCH))
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
        return WrittenArchive(stream.digest.hexdigest(), stream.size)


def write_thin_archive(image: Image, out: Path, name: str, tag: str, held: int) -> int:
    """Write `image` for an engine that holds its lowest `held` layers, without their bytes.

    ``docker load`` looks for a layer by all that lies below it before it opens its file (moby's
    ``image/tarexport/load.go``). The archive is no OCI layout, and names all layers: whoever needs
    what is not in it refuses it whole, as do engines that keep images in containerd, and Podman.
    Layers are not hashed on the way: what the engine unpacks has to have the digest of its tar.

    Returns:
        Its size in bytes.

    Raises:
        OutsideError: a layer does not have its size.
    """
    documents = {
        MANIFEST_FILE: msgspec.json.encode(_docker_entries(image, name, tag)),
        blob_name(image.config_digest, name): image.config_bytes,
    }
    sent = {layer.descriptor.digest: layer for layer in image.layers[held:]}
    with out.open("wb") as stream:
        for path, data in documents.items():
            _add(stream, path, data)
        for layer in sent.values():
            size = layer.descriptor.size
            stream.write(tar_header(blob_name(layer.descriptor.digest, name), size, EPOCH))
            start = stream.tell()
            with layer.open() as source:
                shutil.copyfileobj(source, stream, _COPY)
            if stream.tell() - start != size:
                raise OutsideError(f"a layer of the image is damaged: it has not {size} bytes")
            stream.write(bytes(-size % tarfile.BLOCKSIZE))
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
        return stream.tell()


def _docker_entries(image: AnyImage, name: str, tag: str) -> list[DockerEntry]:
    several = len(image.images) > 1
    found = []
    for number, each in enumerate(image.images):
        plain = () if number else (f"{name}:{tag}",)
        own = (f"{name}:{tag}-{each.config.architecture}",) if several else ()
        found.append(
            DockerEntry(
                config=blob_name(each.config_digest, name),
                repo_tags=(*plain, *own),
                layers=tuple(blob_name(layer.descriptor.digest, name) for layer in each.layers),
            )
        )
    return found


def _add(stream: Sink, path: str, data: bytes) -> None:
    stream.write(tar_header(path, len(data), EPOCH))
    stream.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))


def _copy(stream: _Hashed, path: str, layer: Layer) -> None:
    size = layer.descriptor.size
    stream.write(tar_header(path, size, EPOCH))
    with layer.open() as source:
        copy_verified(source, stream, layer.descriptor)
    stream.write(bytes(-size % tarfile.BLOCKSIZE))


def read_archive(path: Path, platform: str, cache: Cache) -> Image:
    """The image in an archive, of either form; layers that are plain tars become gzip ones.

    Raises:
        InputError: it is no archive, holds several images or none for `platform`, or a layer
            does not have its digest.
    """
    members = Members(path)
    where = str(path)
    if LAYOUT_FILE in members and INDEX_FILE in members:
        image = read_layout(members, platform, None, where)
        if all(item.descriptor.media_type.endswith(_COMPRESSED) for item in image.layers):
            return image
        names = [blob_name(item.descriptor.digest, where) for item in image.layers]
        return _compressed(members, image.config_bytes, names, cache)
    entries = decode(members.read(MANIFEST_FILE), tuple[DockerEntry, ...], where)
    if len(entries) != 1:
        raise InputError(
            f"the image archive holds {len(entries)} images",
            where=where,
            hint="Save one image only: docker save -o FILE NAME:TAG.",
        )
    names = [inside(name, path) for name in entries[0].layers]
    return _compressed(members, members.read(inside(entries[0].config, path)), names, cache)


def read_whole_archive(path: Path) -> AnyImage:
    """The image that `write_archive` wrote, for all its platforms.

    Raises:
        InputError: it is no such archive.
    """
    return read_whole_layout(Members(path, ours=True), str(path))


def _compressed(members: Members, config_bytes: bytes, names: list[str], cache: Cache) -> Image:
    where = str(members.path)
    config = decode(config_bytes, ImageConfig, where)
    if len(names) != len(config.rootfs.diff_ids):
        raise InputError("the image archive's layers do not fit its configuration", where=where)
    layers = tuple(
        compressed_layer(diff_id, members.opener(name), cache, where)
        for name, diff_id in zip(names, config.rootfs.diff_ids, strict=True)
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=Descriptor(
            media_type=CONFIG, digest=digest_of(config_bytes), size=len(config_bytes)
        ),
        layers=tuple(layer.descriptor for layer in layers),
    )
    return Image(encode(manifest), config_bytes, manifest, config, layers)
