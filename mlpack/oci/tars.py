"""The tar of a layer, read as a stream within a limit: a small blob may unpack to anything."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from mlpack.errors import InputError
from mlpack.oci.compression import plain
from mlpack.oci.members import DAMAGE
from mlpack.oci.values import LAYER_TYPES, Layer

LARGEST = 32 << 30
"""No layer unpacks to more bytes."""

_CHUNK = 1 << 20


@contextmanager
def opened(
    layer: Layer, where: str, largest: int = LARGEST, *, checked: bool = False
) -> Iterator[tarfile.TarFile]:
    """The tar of a layer, whatever it is compressed with, to be read once and in order.

    Args:
        layer: of any image.
        where: whose it is, for messages.
        largest: how many bytes it may unpack to.
        checked: in the end see that it has its digest; all of it is read then.

    Raises:
        InputError: it is damaged, which may be seen only where it is read, has another digest, or
            is of a type that nobody knows.
    """
    kind = layer.descriptor.media_type
    if kind not in LAYER_TYPES:
        raise InputError(f"a layer is of the type {kind}, which is not looked into", where=where)
    with layer.open() as head:
        magic = head.read(4)
    with layer.open() as blob:
        stream = _Limited(plain(blob, magic), largest)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
                yield tar
            while checked and stream.read(_CHUNK):
                pass  # what follows the end of the tar belongs to its digest
        except (OSError, *DAMAGE) as error:
            raise InputError(f"a layer of the image is damaged: {error}", where=where) from error
    if checked and f"sha256:{stream.digest.hexdigest()}" != layer.diff_id:
        raise InputError(
            f"a layer of the image does not have its digest {layer.diff_id[:19]}", where=where
        )


class _Limited:
    """A stream that hashes what is read, and ends in an error where it gets too long."""

    def __init__(self, stream: BinaryIO, largest: int) -> None:
        self._stream = stream
        self._left = self._largest = largest
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"it unpacks to more than {self._largest:,} bytes")
        self.digest.update(data)
        return data
