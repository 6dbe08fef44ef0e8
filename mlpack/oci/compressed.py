"""Plain tars made into compressed layers, once: remembered by the tar's digest."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from mlpack.errors import InputError, OutsideError
from mlpack.oci.cache import Cache
from mlpack.oci.compression import GZIP, GZIP_MAGIC, ZSTD_MAGIC, made_by
from mlpack.oci.layers import compress
from mlpack.oci.values import LAYER_GZIP, LAYER_ZSTD, Descriptor, Layer, Opener

_KIND = "compressed"
_CHUNK = 1 << 20


def compressed_layer(diff_id: str, opener: Opener, cache: Cache, where: str) -> Layer:
    """The layer whose tar `opener` opens: compressed already, or with gzip after this.

    Raises:
        InputError: the tar does not have the digest `diff_id`.
    """
    with opener() as stream:
        head = stream.read(4)
    for magic, kind in ((GZIP_MAGIC, LAYER_GZIP), (ZSTD_MAGIC, LAYER_ZSTD)):
        if head.startswith(magic):
            return Layer(_described(opener, kind), diff_id, opener)
    key = f"{diff_id} {made_by(GZIP)}"
    known = cache.recall(_KIND, key, Descriptor)
    if known is not None and cache.blob(known.digest).exists():
        return Layer(known, diff_id, cached(cache, known))
    with cache.scratch() as scratch:
        file = scratch / "layer"
        with opener() as stream:
            done = compress(stream, file)
        if done.diff_id != diff_id:
            raise InputError(
                f"a layer of the image does not have its digest {diff_id[:19]}: it is damaged",
                where=where,
            )
        cache.keep(done.digest, file)
    descriptor = Descriptor(media_type=LAYER_GZIP, digest=done.digest, size=done.size)
    cache.remember(_KIND, key, descriptor)
    return Layer(descriptor, diff_id, cached(cache, descriptor))


def cached(cache: Cache, descriptor: Descriptor) -> Opener:
    """Opens a blob of the cache."""
    path = cache.blob(descriptor.digest)

    def opened() -> BinaryIO:
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise OutsideError(
                f"the layer {descriptor.digest[:19]} is gone from the cache",
                where=str(path),
                hint="Run the same command again: it is made anew.",
            ) from error

    return opened


def _described(opener: Opener, kind: str) -> Descriptor:
    digest = hashlib.sha256()
    size = 0
    with opener() as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Descriptor(media_type=kind, digest=f"sha256:{digest.hexdigest()}", size=size)
