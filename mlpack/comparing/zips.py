"""Zips and wheels, read in place and trusted in nothing.

The format is PKWARE's (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7 local
file header). Contents are read without a look at their checksums: a changed byte shall be found and
not end the reading.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from mlpack.comparing.difference import BYTES, Difference, Item, compare
from mlpack.errors import InputError
from mlpack.untrusted import entries

_LOCAL = struct.Struct("<4s22xHH")
_MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 20
_HELD = 256 << 20
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_NESTED = ".whl"


class Zip:
    """The entries of a zip, each one's content hashed."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        """Read all of it.

        Raises:
            InputError: it is no zip, or has what `mlpack.untrusted.entries` refuses.
        """
        self._stream = stream
        self._where = where
        self.infos = _infos(stream, where)
        self.items = {name: self._item(info) for name, info in self.infos.items()}

    def contents(self, names: Collection[str]) -> dict[str, bytes]:
        """The contents of some entries, as long as they can be held."""
        found = {}
        left = _HELD
        for name in names:
            left -= self.items[name].size
            if left >= 0 and not self.items[name].unreadable:
                found[name] = b"".join(self._chunks(self.infos[name]))
        return found

    def _item(self, info: zipfile.ZipInfo) -> Item:
        digest, checksum, size, damage, unreadable = hashlib.sha256(), 0, 0, "", False
        try:
            for chunk in self._chunks(info):
                digest.update(chunk)
                checksum = zlib.crc32(chunk, checksum)
                size += len(chunk)
        except (zlib.error, ValueError, OSError, struct.error) as error:
            damage, unreadable = f"it cannot be read: {error}", True
        if not damage and (checksum != info.CRC or size != info.file_size):
            damage = "its checksum is not that of its content"
        form = (
            f"{_METHODS.get(info.compress_type, f'method {info.compress_type}')}, "
            f"system {info.create_system}, flags {info.flag_bits:#x}, "
            f"type {info.external_attr >> 28:#x}"
        )
        if info.extra or info.comment:
            form += f", extra {info.extra.hex()}, comment {info.comment.hex()}"
        year, month, day, hour, minute, second = info.date_time
        time = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        mode = (info.external_attr >> 16) & 0o7777
        return Item(digest.hexdigest(), size, mode, time, form, damage, unreadable)

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        self._stream.seek(info.header_offset)
        magic, name, extra = _LOCAL.unpack(self._stream.read(_LOCAL.size))
        if magic != _MAGIC:
            raise ValueError("there is no entry where the table of contents has it")
        self._stream.seek(name + extra, io.SEEK_CUR)
        if info.compress_type == zipfile.ZIP_STORED:
            yield from _raw(self._stream, min(info.compress_size, info.file_size))
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            left = info.file_size
            for chunk in _raw(self._stream, info.compress_size):
                data = inflate.decompress(chunk, left + 1)
                left -= len(data)
                if left < 0:
                    raise ValueError("it unpacks to more than it says")
                yield data
        else:
            raise ValueError(f"it is compressed by method {info.compress_type}")


def _raw(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


def _infos(stream: BinaryIO, where: str) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(
            f"this is no zip, or one that was cut off: {error}", where=where
        ) from error
    return entries(infos, where)


def compare_zips(artifact: Path, rebuilt: Path) -> list[Difference]:
    """What differs between two zips, or wheels; of a wheel in a zip, inside of it.

    Raises:
        InputError: the artifact is no zip that can be trusted.
    """
    with artifact.open("rb") as one, rebuilt.open("rb") as two:
        return _compared(Zip(one, artifact.name), Zip(two, rebuilt.name), "")


def _compared(ours: Zip, theirs: Zip, prefix: str) -> list[Difference]:
    found = compare(ours, theirs, prefix)
    for name in sorted(ours.items.keys() & theirs.items.keys()):
        if not name.endswith(_NESTED) or ours.items[name].digest == theirs.items[name].digest:
            continue
        held = ours.contents([name]), theirs.contents([name])
        if not all(held):
            continue
        inner = [Zip(io.BytesIO(each[name]), name) for each in held]
        inside = _compared(inner[0], inner[1], f"{prefix}{name} → ")
        if inside:
            found = [each for each in found if (each.file, each.what) != (prefix + name, BYTES)]
            found += inside
    return found
