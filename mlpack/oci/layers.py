"""Layers: the same files give the same bytes, on any machine and with any number of threads."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlpack.files import contained
from mlpack.oci.compression import GZIP, Known, Written, compressor

EPOCH = 315532800
"""1980-01-01, the time of every file where SOURCE_DATE_EPOCH does not say another."""

_COPY = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file of a layer."""

    data: bytes
    executable: bool = False


def write_layer(
    files: Mapping[str, Entry],
    epoch: int,
    out: Path,
    threads: int | None = None,
    compression: str = GZIP,
    group: Callable[[str], str] | None = None,
    known: Known | None = None,
) -> Written:
    """Write `files` (by path without a leading slash) as a compressed layer.

    Where `group` tells another word of a path than of the one before, the compression begins anew:
    what did not change of a layer is then found among the `known` pieces.

    Entries are sorted, folders stand before what is in them; owner 0:0, modes 0644 and 0755,
    all times `epoch`, seconds since 1970.

    Raises:
        ValueError: a path leads out of the root.
    """
    folders = {parent for name in files for parent in _parents(contained(name))}
    if clash := sorted(folders & set(files)):
        raise ValueError(f"{clash[0]} is a file and a folder")
    unpacked = 0
    with out.open("wb") as stream, compressor(compression)(stream, threads, known) as layer:
        before = ""
        for name in sorted(folders | set(files)):
            now = group(name) if group is not None else ""
            if now != before:
                layer.cut()
                before = now
            entry = files.get(name)
            layer.write(_header(name, entry, epoch))
            if entry:
                layer.write(entry.data)
                layer.write(bytes(-len(entry.data) % tarfile.BLOCKSIZE))
                unpacked += len(entry.data)
        if group is not None:
            layer.cut()
        layer.write(bytes(2 * tarfile.BLOCKSIZE))
        done = layer.finish()
    return Written(done.digest, done.size, done.diff_id, unpacked)


def compress(tar: BinaryIO, out: Path, threads: int | None = None) -> Written:
    """Compress a tar that is there already, with gzip."""
    with out.open("wb") as stream, compressor(GZIP)(stream, threads) as layer:
        while chunk := tar.read(_COPY):
            layer.write(chunk)
        return layer.finish()


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
