"""Base images, wherever they are: a registry, a layout, an archive, a local engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from mlpack.errors import InputError
from mlpack.oci.archive import read_archive
from mlpack.oci.cache import Cache
from mlpack.oci.compressed import cached
from mlpack.oci.layout import Folder, OtherPlatformError, check_platform, read_layout
from mlpack.oci.reference import Reference, parse
from mlpack.oci.values import Image, Manifest, decode, digest_of, read_image

_SAVED = "saved"
_CHUNK = 1 << 20
_UPGRADE = "Run: mlpack lock --upgrade-base"


class Locked(Protocol):
    """What a lock says of the base image (`mlpack.lock.BaseImage`)."""

    @property
    def reference(self) -> str:
        """As the user or the default names it."""
        ...

    @property
    def digest(self) -> str:
        """Of the manifest (registry), or of the configuration (other sources)."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' diff ids, where the digest is a configuration's."""
        ...


class Puller(Protocol):
    """Gets an image from a registry (`mlpack.oci.registry.Registry`)."""

    def pull(self, reference: Reference, platform: str, cache: Cache) -> tuple[str, Image]:
        """The digest that the reference stands for, and the image of `platform`."""
        ...


class Saver(Protocol):
    """A container engine that gives its images away (`mlpack.engines.docker.DockerEngine`)."""

    def image_id(self, name: str) -> str:
        """The id of a local image."""
        ...

    def save(self, name: str, into: Path) -> None:
        """Write a local image as an archive."""
        ...


@dataclass(frozen=True)
class Base:
    """A base image, opened.

    Attributes:
        reference: as the user or the default names it.
        digest: what identifies it: of the manifest or index that the registry's tag stands for,
            or of the configuration for other sources.
        diff_ids: the layers' diff ids where the digest is a configuration's, else empty.
        image: its documents and layers; layers of a registry come when they are opened.
        name: the image's name in its registry; None for other sources, whose paths and local
            names say nothing elsewhere.
    """

    reference: str
    digest: str
    diff_ids: tuple[str, ...]
    image: Image
    name: str | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """What a lock calls the diff ids."""
        return self.diff_ids


def open_base(
    reference: str,
    platform: str,
    cache: Cache,
    *,
    root: Path,
    puller: Callable[[Reference], Puller],
    engine: Saver | None = None,
    locked: Locked | None = None,
) -> Base:
    """The base image that `reference` names, for `platform` (such as ``linux/amd64``).

    Args:
        reference: ``docker.io/library/python:3.11-slim``, ``oci:PATH[:TAG]``, ``archive:PATH`` or
            ``docker:NAME``.
        platform: operating system and processor.
        cache: where what was pulled, saved or compressed is kept.
        root: the folder that relative paths start from: the project's.
        puller: what talks to the registry that a reference names.
        engine: what ``docker:`` asks.
        locked: what the lock says; the very same image is opened, or none.

    Raises:
        InputError: the reference is wrong, there is no such image, it is for another platform,
            or it is not the one that is locked.
        OutsideError: the registry or the engine does not answer, or sent other bytes.
    """
    if locked is not None and locked.reference != reference:
        raise InputError(
            f"the lock was made for the base image {locked.reference}, not for {reference}",
            where="mlpack.lock",
            hint=_UPGRADE,
        )
    kind, colon, rest = reference.partition(":")
    if not colon or kind not in ("oci", "archive", "docker"):
        return _from_registry(reference, platform, cache, puller, locked)
    if kind == "oci":
        image = _from_layout(root, rest, platform)
    elif kind == "archive":
        image = read_archive(root / rest, platform, cache)
    else:
        image = _from_engine(rest, platform, cache, engine)
    check_platform(image.config, platform, reference)
    base = Base(reference, image.config_digest, image.config.rootfs.diff_ids, image)
    if locked is not None and (base.digest, base.layers) != (locked.digest, locked.layers):
        raise InputError(
            f"the base image {reference} is not the one that was locked: it has the id "
            f"{base.digest[:19]}, the lock says {locked.digest[:19]}",
            where="mlpack.lock",
            hint=_UPGRADE,
        )
    return base


def open_bases(
    reference: str,
    platforms: Sequence[str],
    cache: Cache,
    *,
    root: Path,
    puller: Callable[[Reference], Puller],
    engine: Saver | None = None,
    locked: Callable[[str], Locked | None] | None = None,
) -> dict[str, Base]:
    """The base image that `reference` names for each of several platforms; see `open_base`.

    Args:
        reference: as in `open_base`, and so are all but these two:
        platforms: such as ``linux/amd64``.
        cache: see there.
        root: see there.
        puller: see there.
        engine: see there.
        locked: what the lock says of a platform; None where it says nothing.

    Raises:
        InputError: as in `open_base`; where one platform is at fault, the hint says what to do.
        OutsideError: as in `open_base`.
    """
    found: dict[str, Base] = {}
    for platform in platforms:
        known = locked(platform) if locked else None
        first = next(iter(found.values()), None)
        if known is None and first is not None and first.name is not None:
            known = first  # of a registry: the tag must not move between two platforms
        try:
            found[platform] = open_base(
                reference, platform, cache, root=root, puller=puller, engine=engine, locked=known
            )
        except OtherPlatformError as error:
            others = [each for each in platforms if each != platform]
            if not others:
                raise
            fewer = f"build for fewer platforms: mlpack build --platform {','.join(others)}"
            hint = f"{error.hint or ''}\nTake a base image that is there for it, or {fewer}"
            raise replace(error, hint=hint.strip()) from error
    return found


def _from_registry(
    reference: str,
    platform: str,
    cache: Cache,
    puller: Callable[[Reference], Puller],
    locked: Locked | None,
) -> Base:
    parsed = parse(reference, "base image")
    wanted = parsed
    if locked is not None:
        if parsed.digest not in (None, locked.digest):
            raise InputError(
                f"the base image {reference} has another digest than the lock",
                where="mlpack.lock",
                hint=_UPGRADE,
            )
        wanted = Reference(parsed.host, parsed.repository, parsed.tag, locked.digest, parsed.scheme)
    digest, image = puller(wanted).pull(wanted, platform, cache)
    check_platform(image.config, platform, reference)
    return Base(reference, digest, (), image, str(parsed))


def _from_layout(root: Path, rest: str, platform: str) -> Image:
    path, tag = rest, None
    if not (root / rest).is_dir():
        head, colon, tail = rest.rpartition(":")
        path, tag = (head, tail) if colon else (rest, None)
    if not (root / path).is_dir():
        raise InputError(
            "there is no such OCI layout",
            where=path,
            hint="Write it like oci:PATH or oci:PATH:TAG.",
        )
    return read_layout(Folder(root / path), platform, tag, path)


def _from_engine(name: str, platform: str, cache: Cache, engine: Saver | None) -> Image:
    if engine is None:
        raise InputError(
            f"the base image docker:{name} needs a container engine, and none answers",
            hint="Start it, or name the base image of a registry, a layout or an archive.",
        )
    parse(name, "base image")  # the grammar: nothing else reaches the engine
    identity = engine.image_id(name)
    known = cache.recall(_SAVED, identity, str)
    if known is not None and (image := cached_image(cache, known, name)) is not None:
        return image
    with cache.scratch() as scratch:
        engine.save(name, scratch / "image.tar")
        image = read_archive(scratch / "image.tar", platform, cache)
        # The archive goes away: everything that stands in it must lie in the cache.
        for layer in image.layers:
            with layer.open() as stream:
                cache.add(layer.descriptor.digest, chunks(stream), "the engine")
    for document in (image.manifest_bytes, image.config_bytes):
        cache.add(digest_of(document), [document], "the engine")
    cache.remember(_SAVED, identity, image.digest)
    kept = cached_image(cache, image.digest, name)
    return kept or image


def cached_image(cache: Cache, digest: str, where: str) -> Image | None:
    """The image with the manifest `digest`, if the cache holds all of it."""
    manifest_bytes = cache.read(digest)
    if manifest_bytes is None:
        return None
    config_bytes = cache.read(decode(manifest_bytes, Manifest, where).config.digest)
    if config_bytes is None:
        return None
    image = read_image(
        manifest_bytes, config_bytes, lambda descriptor: cached(cache, descriptor), where
    )
    there = all(cache.blob(layer.descriptor.digest).exists() for layer in image.layers)
    return image if there else None


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """A stream in pieces."""
    while chunk := stream.read(_CHUNK):
        yield chunk
