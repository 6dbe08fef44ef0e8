"""Tar archives read in place: members are found by name, and nothing is unpacked to a disk."""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO

from mlpack.errors import InputError
from mlpack.files import contained
from mlpack.oci.values import DOCUMENT_LIMIT, Opener

_MEMBERS = 100_000

DAMAGE = (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError)
"""What tars of others raise when they are read: pax headers may hold any text for a number."""

OURS = ("oci-layout", "index.json", "manifest.json")
"""What an archive of mlpack's own begins with."""

_BUILD = "Copy it again, whole; or make it anew: mlpack build"
_SAVE = "Make one with docker save -o FILE NAME (not compressed)."


def inside(name: str, path: Path) -> str:
    """The name of a member of the archive at `path`, without ``./`` and a slash at its end.

    Raises:
        InputError: it leads out of the archive.
    """
    plain = name.removeprefix("./")
    try:
        return contained(plain.rstrip("/")) if plain not in ("", ".") else "."
    except ValueError:
        raise InputError(
            f"{name[:200]!r} in the image archive leads outside", where=str(path)
        ) from None


class Members:
    """The files of an archive by name; nothing is unpacked."""

    def __init__(self, path: Path, *, ours: bool = False) -> None:
        """Read the table of contents.

        Args:
            path: of the archive.
            ours: whether mlpack shall have written it, for the hint.

        Raises:
            InputError: it is no tar, a compressed one, or a name in it leads outside.
        """
        self.path = path
        self._found: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for count, member in enumerate(tar):
                    if count > _MEMBERS:
                        raise InputError("the image archive has too many files", where=str(path))
                    name = inside(member.name, path)
                    if member.size < 0:
                        raise InputError(
                            f"{name[:200]!r} in the image archive has the size {member.size}",
                            where=str(path),
                        )
                    if member.isreg():
                        self._found[name] = (member.offset_data, member.size)
                    elif member.issym():
                        links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
                    elif not member.isdir():
                        raise InputError(
                            f"{member.name!r} in the image archive is no plain file",
                            where=str(path),
                        )
        except FileNotFoundError:
            raise InputError(
                "there is no such image archive",
                where=str(path),
                hint="Write it like archive:PATH; the path is relative to the project.",
            ) from None
        except (IsADirectoryError, *DAMAGE) as error:
            begun = tuple(self._found)[: len(OURS)]
            what = "the image archive is damaged" if begun else "this is no image archive"
            raise InputError(
                f"{what}: {error}",
                where=str(path),
                hint=_BUILD if ours or begun == OURS else _SAVE,
            ) from error
        # Older engines write a layer that is there twice as a link to the other member.
        for name, target in links.items():
            if (found := self._found.get(posixpath.normpath(target))) is not None:
                self._found[name] = found

    @property
    def names(self) -> frozenset[str]:
        """The names of all files."""
        return frozenset(self._found)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def read(self, name: str) -> bytes:
        """The small file `name`."""
        with self.open(name) as stream:
            return stream.read(DOCUMENT_LIMIT)

    def open(self, name: str) -> BinaryIO:
        """The file `name`, to be read in pieces."""
        if name not in self._found:
            raise InputError(f"the image archive has no {name[:200]}", where=str(self.path))
        offset, size = self._found[name]
        return io.BufferedReader(_Part(self.path, offset, size), 1 << 20)

    def opener(self, name: str) -> Opener:
        """What opens the file `name`."""
        return lambda: self.open(name)


class _Part(io.RawIOBase):
    """A range of a file."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._stream = path.open("rb")
        self._stream.seek(offset)
        self._offset, self._size, self._left = offset, size, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size - self._left

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        place = min(max(start + offset, 0), self._size)
        self._stream.seek(self._offset + place)
        self._left = self._size - place
        return place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
