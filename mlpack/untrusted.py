"""Zips of others: what is refused before anything in them is read."""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable

from mlpack.errors import InputError
from mlpack.files import contained

ENTRIES = 100_000
LARGEST = 16 << 30
"""More entries, and more bytes, than any artifact and any wheel of a lock has."""

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)
"""What `zipfile` raises when it reads an entry that is damaged or packed in a way unknown to it."""

_ENCRYPTED = 1
_SPECIAL = {
    stat.S_IFLNK: "a link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def entries(
    infos: Iterable[zipfile.ZipInfo], where: str, largest: int = LARGEST
) -> dict[str, zipfile.ZipInfo]:
    """The entries of a zip by name, without the slash at the end of a folder's.

    Args:
        infos: the table of contents.
        where: the zip's name, for messages.
        largest: how many bytes it may unpack to.

    Raises:
        InputError: a name leads outside, or is there twice (on a file system that does not tell
            upper from lower case, or composed from decomposed letters); an entry is a link, a
            device or encrypted; or all together are larger than they may be.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    folded: dict[str, str] = {}
    left = largest
    for info in infos:
        left -= info.file_size
        if left < 0 or len(found) >= ENTRIES:
            raise InputError("the zip is larger than any artifact", where=where)
        try:
            name = contained(info.filename.removesuffix("/"))
        except ValueError:
            raise InputError(
                f"{info.filename[:200]!r} in the zip leads outside", where=where
            ) from None
        if name in found:
            raise InputError(f"{name[:200]!r} is twice in the zip", where=where)
        other = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise InputError(
                f"{other[:200]!r} and {name[:200]!r} in the zip are one file on some systems",
                where=where,
                hint="Give one of them another name.",
            )
        kind = _SPECIAL.get(stat.S_IFMT(info.external_attr >> 16))
        if kind is not None:
            raise InputError(f"{name[:200]!r} in the zip is {kind}", where=where)
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{name[:200]!r} in the zip is encrypted", where=where)
        found[name] = info
    return found
