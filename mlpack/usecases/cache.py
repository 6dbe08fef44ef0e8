"""``mlpack cache``: what the user's cache holds, and how to make room."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpack.delivery.environment import FOLDER
from mlpack.files import ABANDONED, disk_errors

_HEX = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(r"[0-9a-f]{64}\.(?:json|told)")
_KEY = re.compile(r"[0-9a-f]{16}")
_SCRATCH = ".scratch."
BLOBS = "blobs"
BROKEN_OFF = "broken off"

DAY = 86_400
"""Seconds."""


@dataclass(frozen=True)
class Kind:
    """Entries of one kind.

    Attributes:
        name: ``blobs`` (layers, wheels and base images by digest), the name of what is remembered
            (``layers``, ``wheels`` ...), ``environments`` of models that were compared or pulled,
            or ``broken off``: what killed builds left.
        entries: how many.
        size: of all of them, in bytes.
    """

    name: str
    entries: int
    size: int


@dataclass(frozen=True)
class Contents:
    """What is in the cache.

    Attributes:
        root: where it lies.
        kinds: what is there now.
        removed: what was there before.
    """

    root: Path
    kinds: tuple[Kind, ...]
    removed: tuple[Kind, ...] = ()


@dataclass(frozen=True)
class _Entry:
    kind: str
    path: Path
    size: int
    made: float


def contents(root: Path) -> Contents:
    """What the cache at `root` holds; nothing where there is none."""
    return Contents(root, _kinds(list(_entries(root))))


def clean(root: Path, *, before: float) -> Contents:
    """Remove what was made before a time, in seconds since 1970.

    Only what has the names that a cache gives is touched, whatever else lies there. A build that
    runs at the same time may have to be run again, and says so.

    Raises:
        OutsideError: the disk said no.
    """
    removed = []
    with disk_errors(root):
        for entry in _entries(root):
            spared = ABANDONED if entry.kind == BROKEN_OFF else 0
            if entry.made >= before - spared:
                continue
            _remove(entry.path)
            removed.append(entry)
    return Contents(root, _kinds(list(_entries(root))), _kinds(removed))


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else was faster
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _entries(root: Path) -> Iterator[_Entry]:
    for folder in _listed(root):
        if folder.is_symlink() or not folder.is_dir():
            continue
        if folder.name.startswith(_SCRATCH):
            yield _Entry(BROKEN_OFF, folder, _size(folder), folder.stat().st_mtime)
        elif folder.name == FOLDER:
            yield from _environments(folder)
        elif folder.name == BLOBS:
            yield from _files(BLOBS, folder / "sha256", _HEX)
        elif re.fullmatch(r"[a-z]+", folder.name):
            yield from _files(folder.name, folder, _ENTRY)


def _environments(root: Path) -> Iterator[_Entry]:
    """Environments of models; a file of each that is in another too counts for both."""
    for folder in _listed(root):
        if _KEY.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            yield _Entry(FOLDER, folder, _size(folder), folder.stat().st_mtime)


def _size(folder: Path) -> int:
    inside = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat(follow_symlinks=False).st_size for path in inside)


def _files(kind: str, folder: Path, pattern: re.Pattern[str]) -> Iterator[_Entry]:
    for path in _listed(folder):
        if pattern.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            found = path.stat()
            yield _Entry(kind, path, found.st_size, found.st_mtime)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _kinds(entries: list[_Entry]) -> tuple[Kind, ...]:
    sizes: dict[str, list[int]] = {}
    for entry in entries:
        sizes.setdefault(entry.kind, []).append(entry.size)
    return tuple(Kind(name, len(each), sum(each)) for name, each in sorted(sizes.items()))
