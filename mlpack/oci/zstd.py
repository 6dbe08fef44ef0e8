"""Layers compressed with Zstandard (RFC 8878), by the library that comes with pyarrow.

A sixth smaller than gzip, and faster to unpack; Docker engines before 23 cannot load it.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import BinaryIO

import pyarrow as pa

from mlpack.oci.compression import ZSTD, Compressor

_LEVEL = 9
"""12 takes two and a half times as long for one per cent."""

MADE_BY = f"{ZSTD} pyarrow {pa.__version__} {_LEVEL}"


class Zstd(Compressor):
    """Frames one after the other, which is a stream too (RFC 8878, 3.1)."""

    piece = 8 << 20

    def job(self, chunk: bytes, *, last: bool) -> Future[bytes]:  # noqa: ARG002 - each is whole
        """Make a frame of a piece."""
        return self.run(_frame, chunk)


def _frame(chunk: bytes) -> bytes:
    made: bytes = pa.Codec(ZSTD, compression_level=_LEVEL).compress(chunk, asbytes=True)
    return made


def opened(blob: BinaryIO) -> BinaryIO:
    """The tar in a blob; an OSError where it is damaged."""
    made: BinaryIO = pa.CompressedInputStream(pa.PythonFile(blob, mode="r"), ZSTD)
    return made
