"""Layers: the same files give the same bytes, on any machine and with any number of threads."""

from __future__ import annotations

import hashlib
import os
import struct
import tarfile
import zlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from mlpack.files import contained

EPOCH = 315532800
"""1980-01-01, the time of every file where SOURCE_DATE_EPOCH does not say another."""

LEVEL = 6
"""zlib's own default: 9 takes three times as long for one per cent."""

_CHUNK = 1 << 20
_WINDOW = 1 << 15
_COPY = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file of a layer."""

    data: bytes
    executable: bool = False


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


class Gzip:
    """A gzip stream (RFC 1952) without name and time, compressed in pieces by several threads.

    The pieces have a fixed size, each starts from the 32 KiB before it, and they are joined at
    byte boundaries into one deflate stream, as pigz does: what comes out does not depend on how
    many threads there are.
    """

    def __init__(self, out: BinaryIO, threads: int | None = None) -> None:
        self._out = out
        self._pool = ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8))
        self._pending: deque[Future[bytes]] = deque()
        self._limit = 2 * (threads or min(os.cpu_count() or 1, 8)) + 1
        self._buffer = bytearray()
        self._window = b""
        self._crc = 0
        self._length = 0
        self._tar = hashlib.sha256()
        self._blob = hashlib.sha256()
        self._size = 0
        # ID, deflate, no flags, no time, no extra flags, unknown system
        self._emit(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def __enter__(self) -> Gzip:  # noqa: PYI034 - Self came with 3.11
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
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._buffer += data
        while len(self._buffer) > _CHUNK:
            self._submit(bytes(self._buffer[:_CHUNK]), last=False)
            del self._buffer[:_CHUNK]
        return len(data)

    def finish(self) -> Written:
        """Write what is left; what was written in all."""
        self._submit(bytes(self._buffer), last=True)
        while self._pending:
            self._emit(self._pending.popleft().result())
        self._emit(struct.pack("<II", self._crc, self._length & 0xFFFFFFFF))
        return Written(
            f"sha256:{self._blob.hexdigest()}", self._size, f"sha256:{self._tar.hexdigest()}"
        )

    def _submit(self, chunk: bytes, *, last: bool) -> None:
        if len(self._pending) >= self._limit:
            self._emit(self._pending.popleft().result())
        self._pending.append(self._pool.submit(_deflate, chunk, self._window, last))
        self._window = chunk[-_WINDOW:]

    def _emit(self, data: bytes) -> None:
        self._blob.update(data)
        self._size += len(data)
        self._out.write(data)


def _deflate(chunk: bytes, window: bytes, last: bool) -> bytes:
    compressor = (
        zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, window)
        if window
        else zlib.compressobj(LEVEL, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
    )
    return compressor.compress(chunk) + compressor.flush(
        zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
    )


def write_layer(
    files: Mapping[str, Entry], epoch: int, out: Path, threads: int | None = None
) -> Written:
    """Write `files` (by path without a leading slash) as a compressed layer.

    Entries are sorted, folders stand before what is in them; owner 0:0, modes 0644 and 0755,
    all times `epoch`, seconds since 1970.

    Raises:
        ValueError: a path leads out of the root.
    """
    folders = {parent for name in files for parent in _parents(contained(name))}
    if clash := sorted(folders & set(files)):
        raise ValueError(f"{clash[0]} is a file and a folder")
    unpacked = 0
    with out.open("wb") as stream, Gzip(stream, threads) as gzip:
        for name in sorted(folders | set(files)):
            entry = files.get(name)
            gzip.write(_header(name, entry, epoch))
            if entry:
                gzip.write(entry.data)
                gzip.write(bytes(-len(entry.data) % tarfile.BLOCKSIZE))
                unpacked += len(entry.data)
        gzip.write(bytes(2 * tarfile.BLOCKSIZE))
        done = gzip.finish()
    return Written(done.digest, done.size, done.diff_id, unpacked)


def compress(tar: BinaryIO, out: Path, threads: int | None = None) -> Written:
    """Compress a tar that is there already."""
    with out.open("wb") as stream, Gzip(stream, threads) as gzip:
        while chunk := tar.read(_COPY):
            gzip.write(chunk)
        return gzip.finish()


def tar_header(name: str, size: int | None, epoch: int, *, executable: bool = False) -> bytes:
    """The tar header of a file of `size` bytes, or of a folder where `size` is None.

    POSIX ustar, with a pax record before it only where a name is too long or not ASCII.
    """
    info = tarfile.TarInfo(name)
    info.mtime = epoch
    info.mode = 0o755 if executable or size is None else 0o644
    if size is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _header(name: str, entry: Entry | None, epoch: int) -> bytes:
    if entry is None:
        return tar_header(name, None, epoch)
    return tar_header(name, len(entry.data), epoch, executable=entry.executable)


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
