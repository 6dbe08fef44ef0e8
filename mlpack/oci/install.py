"""Wheels placed as an installer places them, into a tree of a layer.

pypa's installer library reads the wheel and decides where each file goes (the binary distribution
format specification, https://packaging.python.org/specifications/binary-distribution-format/);
the destination here keeps the files in memory instead of on a disk.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import os
import posixpath
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from installer import install as install_wheel
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import fix_shebang

from mlpack.errors import InputError
from mlpack.files import contained
from mlpack.oci.account import Part, part
from mlpack.oci.bytecode import pyc_path
from mlpack.oci.elf import stripped
from mlpack.oci.layers import Entry
from mlpack.oci.pruning import SYMBOLS, Pruning
from mlpack.untrusted import DAMAGE, entries

HOME = "app"
"""Where everything that is not the base's lies, without the leading slash."""

LIBRARY = f"{HOME}/lib"
"""The image's ``site-packages``: on PYTHONPATH."""

_SCHEME = {
    "purelib": LIBRARY,
    "platlib": LIBRARY,
    "scripts": f"{HOME}/bin",
    "data": HOME,
    "headers": f"{HOME}/include",
}


class Tree:
    """Files of a layer, and which distribution each belongs to."""

    def __init__(self) -> None:
        self.files: dict[str, Entry] = {}
        self.records: dict[str, list[str]] = {}
        """By the path of ``RECORD``: the paths of the distribution's files."""

    def add(self, path: str, entry: Entry, owner: str) -> None:
        """Add a file; the same file twice is no clash if its content is the same.

        Raises:
            InputError: another distribution has placed other content there.
        """
        known = self.files.get(path)
        if known is not None and known != entry:
            raise _clash(path, owner)
        self.files[path] = entry


def _clash(path: str, owner: str) -> InputError:
    return InputError(
        f"two packages of the lock both install {path.removeprefix(LIBRARY + '/')}, with "
        f"different content; {owner} is one of them",
        where="requirements.lock.txt",
        hint="Only one of them can be in the project's dependencies.",
    )


class _Destination(WheelDestination):
    """Places the files of one wheel in a tree."""

    def __init__(self, tree: Tree, name: str, interpreter: str) -> None:
        self._tree = tree
        self._name = name
        self._interpreter = interpreter

    def write_script(
        self, name: str, module: str, attr: str, section: Literal["console", "gui"]
    ) -> RecordEntry:
        script, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        return self._add("scripts", script, data, executable=True)

    def write_file(
        self, scheme: str, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        name = os.fspath(path)
        if scheme == "scripts":
            with fix_shebang(stream, self._interpreter) as fixed:
                return self._add(scheme, name, fixed.read(), executable=is_executable)
        return self._add(scheme, name, stream.read(), executable=is_executable)

    def finalize_installation(
        self, scheme: str, record_file_path: str, records: Iterable[tuple[str, RecordEntry]]
    ) -> None:
        paths = [_place(kind, entry.path, self._name) for kind, entry in records]
        self._tree.records[_place(scheme, record_file_path, self._name)] = paths

    def _add(self, scheme: str, path: str, data: bytes, *, executable: bool) -> RecordEntry:
        self._tree.add(_place(scheme, path, self._name), Entry(data, executable), self._name)
        return RecordEntry(path, Hash("sha256", _hash(data)), len(data))


def _place(scheme: str, path: str, name: str) -> str:
    folder = _SCHEME[scheme] + (f"/{name}" if scheme == "headers" else "")
    return f"{folder}/{contained(path)}"


def install(wheels: Sequence[tuple[str, Path]], interpreter: str) -> Tree:
    """Place wheels, given by file name and path; ``RECORD`` is written by `finish`.

    Args:
        wheels: in any order: the result is the same.
        interpreter: the Python of the image, for the first line of scripts.

    Raises:
        InputError: a wheel is damaged, leads outside, has links, or clashes with another.
    """
    tree = Tree()
    for file, path in sorted(wheels):
        name = file.split("-")[0]
        try:
            with _opened(file, path) as source:
                install_wheel(
                    source, _Destination(tree, name, interpreter), {"INSTALLER": b"mlpack\n"}
                )
        except (*DAMAGE, InstallerError, ValueError, OSError, KeyError) as error:
            raise InputError(
                f"the wheel {file} cannot be installed: {error}", where=file
            ) from error
    return tree


def refuse_clashes(wheels: Sequence[tuple[str, Path]]) -> None:
    """Refuse wheels that place different files at the same path, by what their indexes say.

    Of programs, which an image does without, nothing is said.

    Args:
        wheels: file names and paths.

    Raises:
        InputError: a wheel is damaged, leads outside, has links, or clashes with another.
    """
    placed: dict[str, tuple[int, int]] = {}
    for file, path in sorted(wheels):
        name = file.split("-")[0]
        try:
            with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                found = entries(archive.infolist(), file)
            for inner, info in found.items():
                place = None if info.is_dir() else _lands(inner, name)
                content = (info.CRC, info.file_size)
                if place is not None and placed.setdefault(place, content) != content:
                    raise _clash(place, name)
        except (*DAMAGE, OSError) as error:
            raise InputError(
                f"the wheel {file} cannot be installed: {error}", where=file
            ) from error


def _lands(path: str, name: str) -> str | None:
    """Where a file of a wheel lands in a layer; None where that is no place of a library's."""
    top, _, rest = path.partition("/")
    if not top.endswith(".data"):
        return _place("purelib", path, name)
    scheme, _, within = rest.partition("/")
    if scheme not in ("purelib", "platlib", "data", "headers") or not within:
        return None
    return _place(scheme, within, name)


PROGRAMS = "programs: an image runs python -m"
"""Without them the layer does not depend on where the base image has its interpreter."""


def left_out(path: str, pruning: Pruning) -> str | None:
    """Why a file of a wheel, at a path in the layer, has no place in an image; None if it has."""
    if path.startswith(f"{HOME}/bin/"):
        return PROGRAMS
    return pruning.left_out(_within(path))


def _within(path: str) -> str:
    """A path in the layer, relative to ``site-packages``."""
    return path.removeprefix(f"{LIBRARY}/")


@dataclass(frozen=True)
class Finished:
    """The files of a layer, and an account of them."""

    files: dict[str, Entry]
    parts: tuple[Part, ...]


def finish(tree: Tree, compiled: Mapping[str, bytes], pruning: Pruning) -> Finished:
    """What is left out is gone, bytecode is there, ``RECORD`` is true.

    Args:
        tree: from `install`.
        compiled: bytecode by the path of its source.
        pruning: what is left out.
    """
    files = {
        path: _kept(path, entry, pruning)
        for path, entry in tree.files.items()
        if left_out(path, pruning) is None
    }
    bytecode = {path: pyc_path(path) for path in compiled if path in files}
    for path, target in bytecode.items():
        files[target] = Entry(compiled[path])
    parts = []
    for record, paths in sorted(tree.records.items()):
        kept = [path for path in paths if path in files and path != record]
        kept += [bytecode[path] for path in kept if path in bytecode]
        files[record] = Entry(_record(record, kept, files))
        sizes = {path: len(files[path].data) for path in (*kept, record)}
        parts.append(part(record, sizes, _cuts(tree, paths, files, pruning)))
    return Finished(files, tuple(parts))


def _kept(path: str, entry: Entry, pruning: Pruning) -> Entry:
    """A file as it is in the image."""
    if not pruning.strips(_within(path)):
        return entry
    return Entry(stripped(entry.data), entry.executable)


def _cuts(
    tree: Tree, paths: Sequence[str], files: Mapping[str, Entry], pruning: Pruning
) -> dict[str, list[int]]:
    """The sizes of what is left out of a distribution, by what it is."""
    found: dict[str, list[int]] = {}
    for path in sorted(set(paths) & set(tree.files)):
        size = len(tree.files[path].data)
        what = left_out(path, pruning)
        if what is not None:
            found.setdefault(what, []).append(size)
        elif (less := size - len(files[path].data)) > 0:
            found.setdefault(SYMBOLS, []).append(less)
    return found


def sources(tree: Tree, pruning: Pruning) -> dict[str, bytes]:
    """The Python sources that are compiled, by path."""
    return {
        path: entry.data
        for path, entry in tree.files.items()
        if path.startswith(f"{LIBRARY}/")
        and path.endswith(".py")
        and left_out(path, pruning) is None
        and pruning.compiles(_within(path))
    }


def _record(record: str, paths: Sequence[str], files: Mapping[str, Entry]) -> bytes:
    """``RECORD`` (PEP 376 and 627): path relative to site-packages, digest and size."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    for name, path in sorted((posixpath.relpath(path, LIBRARY), path) for path in set(paths)):
        data = files[path].data
        rows.writerow((name, f"sha256={_hash(data)}", len(data)))
    rows.writerow((posixpath.relpath(record, LIBRARY), "", ""))
    return text.getvalue().encode()


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@contextlib.contextmanager
def _opened(file: str, path: Path) -> Iterator[WheelFile]:
    with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
        # The cache names files by digest, but WheelFile wants the wheel's own name.
        archive.filename = file
        entries(archive.infolist(), file)
        yield WheelFile(archive)
