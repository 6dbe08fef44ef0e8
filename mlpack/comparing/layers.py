"""The files of an image's layer, read as a stream and trusted in nothing."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterator
from typing import BinaryIO, TypeAlias

from mlpack.comparing.difference import Item
from mlpack.errors import InputError
from mlpack.oci.tars import opened
from mlpack.oci.values import Layer

_CHUNK = 1 << 20
_ENTRIES = 1_000_000
_LARGEST = 16 << 30
_HELD = 64 << 20
_TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link to",
    tarfile.LNKTYPE: "hard link to",
}

_Entry: TypeAlias = "tuple[str, tarfile.TarInfo, BinaryIO | None]"


class Files:
    """The entries of a layer, each one's content hashed."""

    def __init__(self, layer: Layer, where: str, largest: int = _LARGEST) -> None:
        """Read all of it; nothing is unpacked, and no name in it is looked up on this machine.

        Args:
            layer: compressed or not.
            where: its name, for messages.
            largest: how many bytes it may unpack to.

        Raises:
            InputError: it is damaged, or unpacks to more than any layer.
        """
        self._layer = layer
        self._where = where
        self._largest = largest
        self.items: dict[str, Item] = {}
        with opened(layer, where, largest) as tar:
            for name, info, content in _named(tar, where):
                self.items[name] = _item(info, content)

    def contents(self, names: Collection[str]) -> dict[str, bytes]:
        """The contents of some files, as long as they can be held."""
        found: dict[str, bytes] = {}
        if not names:
            return found
        wanted, left = set(names), _HELD
        with opened(self._layer, self._where, self._largest) as tar:
            for name, info, content in _named(tar, self._where):
                if name in wanted and content is not None and info.size <= left:
                    found[name] = content.read()
                    left -= info.size
        return found


def _named(tar: tarfile.TarFile, where: str) -> Iterator[_Entry]:
    seen: dict[str, int] = {}
    for info in tar:
        count = seen[info.name] = seen.get(info.name, 0) + 1
        if len(seen) > _ENTRIES or count > _ENTRIES:
            raise InputError("a layer has too many files", where=where)
        name = info.name if count == 1 else f"{info.name} ({count})"
        yield name, info, tar.extractfile(info) if info.isreg() else None  # type: ignore[misc]


def _item(info: tarfile.TarInfo, content: BinaryIO | None) -> Item:
    digest = hashlib.sha256()
    while content is not None and (chunk := content.read(_CHUNK)):
        digest.update(chunk)
    kind = _TYPES.get(info.type, f"type {info.type!r}")
    target = f" {info.linkname}" if info.linkname else ""
    owner = f"{info.uid}:{info.gid}"
    if info.uname or info.gname:
        owner += f" ({info.uname}:{info.gname})"
    return Item(
        digest="" if content is None else digest.hexdigest(),
        size=info.size,
        mode=info.mode,
        time=str(info.mtime),
        form=f"{kind}{target}, owner {owner}",
    )
