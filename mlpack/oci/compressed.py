"""Plain tars made into gzip layers, once: the result is remembered by the tar's digest."""

from __future__ import annotations

import hashlib
import zlib

import msgspec

from mlpack.errors import InputError
from mlpack.oci.cache import Cache
from mlpack.oci.layers import LEVEL, compress
from mlpack.oci.values import LAYER_GZIP, Descriptor, Layer, Opener

_KIND = "compressed"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


def gzip_layer(diff_id: str, opener: Opener, cache: Cache, where: str) -> Layer:
    """The layer whose tar, plain or with gzip, `opener` opens.

    Raises:
        InputError: the tar does not have the digest `diff_id`, or is compressed in another way.
    """
    with opener() as stream:
        head = stream.read(4)
    if head == _ZSTD_MAGIC:
        raise InputError("the image has a layer compressed with zstd", where=where)
    if head.startswith(_GZIP_MAGIC):
        return Layer(_described(opener), diff_id, opener)
    key = f"{diff_id} gzip {LEVEL} {zlib.ZLIB_RUNTIME_VERSION}"
    if (known := cache.recall(_KIND, key)) is not None:
        descriptor = msgspec.json.decode(known, type=Descriptor)
        if cache.blob(descriptor.digest).exists():
            return Layer(descriptor, diff_id, cached(cache, descriptor))
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
    cache.remember(_KIND, key, msgspec.json.encode(descriptor))
    return Layer(descriptor, diff_id, cached(cache, descriptor))


def cached(cache: Cache, descriptor: Descriptor) -> Opener:
    """Opens a blob of the cache."""
    path = cache.blob(descriptor.digest)
    return lambda: path.open("rb")


def _described(opener: Opener) -> Descriptor:
    digest = hashlib.sha256()
    size = 0
    with opener() as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Descriptor(media_type=LAYER_GZIP, digest=f"sha256:{digest.hexdigest()}", size=size)
