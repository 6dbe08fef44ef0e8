"""How the tar of a layer becomes a blob, and a blob a tar again.

What comes out does not depend on the machine or the number of threads, but on the library that
compresses: `made_by` names it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, ClassVar, Protocol

from mlpack.plugins import load

GZIP, ZSTD = "gzip", "zstd"

LEVEL = 5
"""6, zlib's own default, takes 1.6 times as long for one per cent."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_WINDOW = 1 << 15


@dataclass(frozen=True)
class Written:
    """What became of a tar stream.

    Attributes:
        digest, size: of the compressed blob.
        diff_id: the digest of the tar.
        unpacked: the size of the files in it, in bytes (0 where it was not counted).
    """

    digest: str
    size: int
    diff_id: str
    unpacked: int = 0


class Known(Protocol):
    """Pieces that were compressed before. Used from several threads."""

    def recall(self, key: str) -> bytes | None:
        """A compressed piece, or None."""
        ...

    def remember(self, key: str, piece: bytes) -> None:
        """Keep a compressed piece."""
        ...


class Compressor(ABC):
    """Compresses in pieces of a fixed size at most, several at once, which are joined in order.

    Args:
        out: takes the blob.
        threads: how many pieces at once; None for as many as there are processors, 8 at most.
        known: pieces that need not be compressed again.
    """

    piece: ClassVar[int]
    """The size of a piece, in bytes of the tar."""

    def __init__(
        self, out: BinaryIO, threads: int | None = None, known: Known | None = None
    ) -> None:
        self._out = out
        self._known = known
        self._pool = ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8))
        self._pending: deque[Future[bytes]] = deque()
        self._limit = 2 * (threads or min(os.cpu_count() or 1, 8)) + 1
        self._buffer = bytearray()
        self._tar = hashlib.sha256()
        self._blob = hashlib.sha256()
        self._size = 0
        self.emit(self.head())

    def __enter__(self) -> Compressor:  # noqa: PYI034 - Self came with 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, data: bytes) -> int:
        """Take more of the tar."""
        self._tar.update(data)
        self.look(data)
        self._buffer += data
        while len(self._buffer) > self.piece:
            self._submit(bytes(self._buffer[: self.piece]), last=False)
            del self._buffer[: self.piece]
        return len(data)

    def cut(self) -> None:
        """What comes next becomes the same bytes, whatever came before."""
        if self._buffer:
            self._submit(bytes(self._buffer), last=False)
            self._buffer.clear()
        self.forget()

    def finish(self) -> Written:
        """Write what is left; what was written in all."""
        self._submit(bytes(self._buffer), last=True)
        while self._pending:
            self.emit(self._pending.popleft().result())
        self.emit(self.tail())
        return Written(
            f"sha256:{self._blob.hexdigest()}", self._size, f"sha256:{self._tar.hexdigest()}"
        )

    def emit(self, data: bytes) -> None:
        """Write bytes of the blob."""
        self._blob.update(data)
        self._size += len(data)
        self._out.write(data)

    def head(self) -> bytes:
        """What the blob begins with."""
        return b""

    def tail(self) -> bytes:
        """What the blob ends with."""
        return b""

    def look(self, data: bytes) -> None:  # noqa: B027 - most need not look
        """Take notice of what is compressed."""

    def forget(self) -> None:  # noqa: B027 - most have nothing to forget
        """Compress the next piece without regard to those before it."""

    @abstractmethod
    def job(self, chunk: bytes, *, last: bool) -> Future[bytes]:
        """Compress a piece beside this thread: `run` does it."""

    def run(self, work: Callable[..., bytes], chunk: bytes, *further: object) -> Future[bytes]:
        """Make a piece of a chunk in a thread, if it is not known; `further` are its context."""
        return self._pool.submit(self._once, work, chunk, *further)

    def _once(self, work: Callable[..., bytes], chunk: bytes, *further: object) -> bytes:
        if self._known is None:
            return work(chunk, *further)
        key = hashlib.sha256(chunk)
        key.update(f"{type(self).__name__} {further!r}".encode())
        piece = self._known.recall(key.hexdigest())
        if piece is None:
            piece = work(chunk, *further)
            self._known.remember(key.hexdigest(), piece)
        return piece

    def _submit(self, chunk: bytes, *, last: bool) -> None:
        if len(self._pending) >= self._limit:
            self.emit(self._pending.popleft().result())
        self._pending.append(self.job(chunk, last=last))


class Gzip(Compressor):
    """A gzip stream (RFC 1952) without name and time.

    Each piece starts from the 32 KiB before it, but behind a `cut`, and they are joined at byte
    boundaries into one deflate stream, as pigz does.
    """

    piece = 1 << 20

    def __init__(
        self, out: BinaryIO, threads: int | None = None, known: Known | None = None
    ) -> None:
        self._window = b""
        self._crc = 0
        self._length = 0
        super().__init__(out, threads, known)

    def head(self) -> bytes:
        """ID, deflate, no flags, no time, no extra flags, unknown system."""
        return GZIP_MAGIC + b"\x08\x00\x00\x00\x00\x00\x00\xff"

    def tail(self) -> bytes:
        """The sum and the length of what was compressed."""
        return struct.pack("<II", self._crc, self._length & 0xFFFFFFFF)

    def look(self, data: bytes) -> None:
        """Count it in."""
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)

    def forget(self) -> None:
        """Begin with an empty window."""
        self._window = b""

    def job(self, chunk: bytes, *, last: bool) -> Future[bytes]:
        """Deflate a piece."""
        window, self._window = self._window, chunk[-_WINDOW:]
        return self.run(_deflate, chunk, window, last)


def _deflate(chunk: bytes, window: bytes, last: bool) -> bytes:
    compressor = (
        zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, window)
        if window
        else zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
    )
    return compressor.compress(chunk) + compressor.flush(
        zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
    )


def compressor(compression: str) -> type[Compressor]:
    """The class that compresses so: `GZIP` or `ZSTD`."""
    if compression == ZSTD:
        made: type[Compressor] = load("mlpack.oci.zstd:Zstd")
        return made
    return Gzip


def made_by(compression: str) -> str:
    """The library and the level that decide about the bytes."""
    if compression == ZSTD:
        told: str = load("mlpack.oci.zstd:MADE_BY")
        return told
    return f"{GZIP} {zlib.ZLIB_RUNTIME_VERSION} {LEVEL}"


def plain(blob: BinaryIO, magic: bytes) -> BinaryIO:
    """The tar in a blob that begins with `magic`, four bytes of it or more; itself if it is one.

    What cannot be decompressed raises an OSError, an EOFError or a zlib.error when it is read.
    """
    if magic.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=blob)  # type: ignore[return-value]
    if magic.startswith(ZSTD_MAGIC):
        opened: BinaryIO = load("mlpack.oci.zstd:opened")(blob)
        return opened
    return blob
