"""Image archives: layers file by file, configurations and manifests field by field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from mlpack.comparing.difference import (
    ARTIFACT_ONLY,
    BYTES,
    DAMAGED,
    FORM,
    REBUILT_ONLY,
    Difference,
    compare,
    fields,
    shown,
)
from mlpack.comparing.layers import Files
from mlpack.errors import InputError
from mlpack.oci.archive import MANIFEST_FILE, read_whole_archive
from mlpack.oci.layout import INDEX_FILE, LAYOUT_FILE, documents_of, layers_of
from mlpack.oci.members import Members
from mlpack.oci.values import DOCUMENT_LIMIT, AnyImage, Image, Layer

_CHUNK = 1 << 20
_DOCUMENTS = (LAYOUT_FILE, INDEX_FILE, MANIFEST_FILE)
_OURS = ("dependencies", "model")


def compare_archives(artifact: Path, rebuilt: Path) -> list[Difference]:
    """What differs between two image archives.

    Raises:
        InputError: the artifact is no image archive.
    """
    one, two = read_whole_archive(artifact), read_whole_archive(rebuilt)
    return compare_images(one, two) or _around(artifact, one, rebuilt)


def compare_beside(artifact: Path, rebuilt: Path, documents: Iterable[str]) -> list[Difference]:
    """What differs between the documents beside two archives, of those that both have.

    Args:
        artifact: an image's archive, whatever it is called.
        rebuilt: the one that was built again.
        documents: the names of what was written beside it, each of which begins with its own.
    """
    found = []
    for written in documents:
        beside = artifact.with_name(artifact.name + written.removeprefix(rebuilt.name))
        if not beside.is_file():
            continue
        theirs = rebuilt.with_name(written).read_bytes()
        with beside.open("rb") as stream:
            ours = stream.read(max(DOCUMENT_LIMIT, len(theirs) + 1))
        if ours != theirs:
            found += _document(shown(beside.name), ours, theirs)
    return found


def compare_images(artifact: AnyImage, rebuilt: AnyImage) -> list[Difference]:
    """What differs between two images, platform by platform."""
    ours = {image.config.platform: image for image in artifact.images}
    theirs = {image.config.platform: image for image in rebuilt.images}
    several = len(ours.keys() | theirs.keys()) > 1
    found = []
    compared: set[tuple[str, str]] = set()
    for platform in sorted(ours.keys() | theirs.keys()):
        if platform not in theirs:
            found.append(Difference(shown(platform), ARTIFACT_ONLY, "a platform"))
        elif platform not in ours:
            found.append(Difference(platform, REBUILT_ONLY, "a platform"))
        else:
            prefix = f"{platform}: " if several else ""
            found += _platform(ours[platform], theirs[platform], prefix, compared)
    if not found and artifact.document != rebuilt.document:
        found += fields(_json(artifact.document), _json(rebuilt.document), "index")
    return found


def _platform(
    ours: Image, theirs: Image, prefix: str, compared: set[tuple[str, str]]
) -> list[Difference]:
    found = []
    if ours.config_bytes != theirs.config_bytes:
        one, two = _json(ours.config_bytes), _json(theirs.config_bytes)
        for each in (one, two):
            each["rootfs"] = {}  # the layers themselves say more than their digests
        found += fields(one, two, f"{prefix}configuration")
    one, two = _json(ours.manifest_bytes), _json(theirs.manifest_bytes)
    for each in (one, two):
        each["config"] = each["layers"] = None
    found += fields(one, two, f"{prefix}manifest")
    for number in range(max(len(ours.layers), len(theirs.layers))):
        label = f"{prefix}layer {number + 1}"
        if number >= len(theirs.layers):
            size = f"{ours.layers[number].descriptor.size:,} bytes"
            found.append(Difference(label, ARTIFACT_ONLY, size))
        elif number >= len(ours.layers):
            size = f"{theirs.layers[number].descriptor.size:,} bytes"
            found.append(Difference(label, REBUILT_ONLY, size))
        else:
            pair = ours.layers[number], theirs.layers[number]
            digests = pair[0].descriptor.digest, pair[1].descriptor.digest
            if digests not in compared:
                compared.add(digests)
                found += _layer(*pair, f"{label} ({_name(number, len(theirs.layers))})")
    return found


def _name(number: int, count: int) -> str:
    return _OURS[number - count] if count - number <= len(_OURS) else "base"


def _layer(ours: Layer, theirs: Layer, label: str) -> list[Difference]:
    found = []
    if ours.descriptor.media_type != theirs.descriptor.media_type:
        kinds = f"{shown(ours.descriptor.media_type)}, rebuilt {theirs.descriptor.media_type}"
        found.append(Difference(label, FORM, kinds))
    digest = _digest(ours)
    if digest == theirs.descriptor.digest == ours.descriptor.digest:
        return found
    if digest != ours.descriptor.digest:
        found.append(Difference(label, DAMAGED, "the blob does not have the digest that names it"))
    try:
        inside = compare(Files(ours, label), Files(theirs, label), f"{label} → ")
    except InputError as error:
        return [*found, Difference(label, DAMAGED, shown(error.what))]
    if not inside:
        inside.append(Difference(label, FORM, "the same files, packed or compressed otherwise"))
    return found + inside


def _digest(layer: Layer) -> str:
    digest = hashlib.sha256()
    with layer.open() as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _around(artifact: Path, image: AnyImage, rebuilt: Path) -> list[Difference]:
    """What differs beside the image: what older engines read, and what nothing refers to."""
    ours, theirs = Members(artifact), Members(rebuilt)
    known = {*_DOCUMENTS, *documents_of(image), *layers_of(image)}
    found = [
        Difference(shown(name), ARTIFACT_ONLY, "nothing refers to it")
        for name in sorted(ours.names - known)
    ]
    for name in _DOCUMENTS:
        if name not in ours:
            found.append(Difference(name, REBUILT_ONLY))
        elif ours.read(name) != theirs.read(name):
            found += _document(name, ours.read(name), theirs.read(name))
    return found


def _document(name: str, ours: bytes, theirs: bytes) -> list[Difference]:
    inside = fields(_json(ours), _json(theirs), name)
    return inside or [Difference(name, BYTES, "the same values, written otherwise")]


def _json(data: bytes) -> Any:  # noqa: ANN401 - any document
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"bytes": data.hex()[:200]}
