"""A file read from front to back, decompressed on the way, never more at once than is there."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

_CHUNK = 1 << 20
_LARGEST = 64 << 30  # bytes after decompression: a bomb ends here, no model does
_LONGEST_LINE = 1 << 20


class UnreadableError(Exception):
    """The file is compressed in a way that is not known, or holds more than any model does."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class Stream:
    """What pickletools needs of a file, over any file.

    A length that a damaged file claims costs nothing: only what is there is read.

    Attributes:
        exhausted: whether more was asked for than there was.
    """

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._read = 0
        self.exhausted = False

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or all that is left."""
        pieces = []
        left = size
        while left > 0:
            piece = self._some(min(left, _CHUNK))
            if not piece:
                self.exhausted = True
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def readline(self) -> bytes:
        """The bytes up to the next line end, or all that is left."""
        try:
            line = self._file.readline(_LONGEST_LINE)
        except (zlib.error, lzma.LZMAError) as error:
            raise ValueError(str(error)) from error
        self._count(len(line))
        if not line.endswith(b"\n"):
            self.exhausted = True
        return line

    def skip(self, size: int) -> None:
        """Go on by `size` bytes.

        Raises:
            EOFError: there are fewer.
        """
        left = size
        while left > 0:
            piece = self._some(min(left, _CHUNK))
            if not piece:
                self.exhausted = True
                raise EOFError
            left -= len(piece)

    def _some(self, size: int) -> bytes:
        try:
            piece = self._file.read(size)
        except (zlib.error, lzma.LZMAError) as error:
            raise ValueError(str(error)) from error
        self._count(len(piece))
        return piece

    def _count(self, size: int) -> None:
        self._read += size
        if self._read > _LARGEST:
            raise UnreadableError("it unpacks to more than 64 GiB")


class _Zlib(io.RawIOBase):
    """Decompresses a zlib stream, for which the standard library has no file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill `buffer` as far as there is something; how far it was."""
        # What is left over comes first: of the input, and inside, where all input is taken.
        data = self._inflate.decompress(self._inflate.unconsumed_tail, len(buffer))
        while not data and not self._inflate.eof:
            packed = self._file.read(_CHUNK)
            if not packed:
                raise EOFError
            data = self._inflate.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The content of a file that pickle or joblib wrote, decompressed where it is compressed.

    Raises:
        UnreadableError: it is compressed with LZ4, or in the form from before joblib 0.9.3.
    """
    with path.open("rb") as file:
        yield Stream(_decompressed(file))


def _decompressed(file: BinaryIO) -> _Readable:
    # The marks are those that joblib looks for.
    head = file.read(6)
    file.seek(0)
    if head[:1] == b"\x78":
        return io.BufferedReader(_Zlib(file), _CHUNK)  # type: ignore[type-var]
    if head[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    if head[:3] == b"BZh":
        return bz2.BZ2File(file)
    if head[:6] == b"\xfd7zXZ\0" or head[:2] == b"\x5d\x00":
        return lzma.LZMAFile(file)
    if head[:4] == b"\x04\x22\x4d\x18":
        raise UnreadableError("it is compressed with LZ4, which is not looked into")
    if head[:2] == b"ZF":
        raise UnreadableError("it was written by joblib before 0.9.3, which is not looked into")
    return file
