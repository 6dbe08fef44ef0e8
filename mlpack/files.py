"""Files written whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mlpack.errors import InputError, OutsideError

try:
    import fcntl
except ModuleNotFoundError:  # Windows: nobody is kept waiting
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1 << 20

ABANDONED = 86_400
"""Seconds after which a folder of work in progress is taken for one that was broken off."""

_TRIES = 10
_LONG = 60
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's content in lower-case hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """One digest over named parts, in the given order; no two lists of parts run together."""
    digest = hashlib.sha256()
    for name, data in parts:
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def full_disk(path: Path) -> OutsideError:
    """What to tell where `path` could not be written for want of space."""
    return OutsideError(
        f"the disk is full, {path.name} was not written",
        where=str(path),
        hint="Free some space and run the same command again: nothing is half-written.",
    )


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has hardly any space: why a program that wrote there failed."""
    return shutil.disk_usage(folder).free < _CHUNK


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only one or a forbidden folder into a clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(path) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise OutsideError(
                f"may not write {path.name}: {os.strerror(error.errno)}",
                where=str(path),
                hint="Look at whose the folder is, and whether its disk is read-only.",
            ) from error
        taken = next((each for each in path.parents if os.path.lexists(each)), path.parent)
        if error.errno in (errno.EEXIST, errno.ENOTDIR) and not taken.is_dir():
            raise InputError(
                f"there is a file in the place of the folder {taken.name}",
                where=str(taken),
                hint="Move it away, then run the same command again.",
            ) from error
        raise


@contextlib.contextmanager
def _place_errors(path: Path) -> Iterator[None]:
    """Likewise where `path` shall come to lie: whatever forbids that is no fault of ours."""
    with disk_errors(path):
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
                raise
            name = path.name if len(path.name) < _LONG else f"{path.name[:_LONG]}..."
            raise InputError(
                f"{name} cannot lie there: {os.strerror(error.errno)}",
                where=str(path.parent),
                hint="Take another place.",
            ) from error


@contextlib.contextmanager
def staged(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A temporary neighbour of `target` to write to, which replaces it when the block succeeds.

    When the block fails, or the process is interrupted, the temporary is removed and
    `target` stays as it was. With `folder` the neighbour is an empty folder.
    """
    with disk_errors(target):
        with _place_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(
                tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
            )
        stage = scratch / target.name
        try:
            if folder:
                stage.mkdir()
            yield stage
            if folder:
                _exchange(stage, target, scratch)
            else:
                stage.replace(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _exchange(stage: Path, target: Path, scratch: Path) -> None:
    """Put a folder in the place of another, which cannot be done in one step.

    Where somebody else puts one there at the same moment, the last one stays.
    """
    for number in range(_TRIES):
        aside = scratch / f"old{number}"
        with contextlib.suppress(FileNotFoundError):
            target.rename(aside)
        try:
            stage.replace(target)
        except BaseException as error:
            # First: the one that was in its place may be gone again by now.
            if isinstance(error, OSError) and error.errno in _TAKEN and number < _TRIES - 1:
                continue
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        else:
            return


@contextlib.contextmanager
def one_at_a_time(file: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process at a time into the block: `file` is locked, and let go even by a kill.

    Args:
        file: may be made here, and stays.
        waiting: told once if another one is inside.
    """
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as held:
            if fcntl is not None:
                _lock(held.fileno(), waiting)
            yield


def _lock(number: int, waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(number, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # a disk that knows no locks
            raise


@contextlib.contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in `parent`, removed at the end of the block with all that is in it."""
    with disk_errors(parent / name):
        with _place_errors(parent / name):
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent, f".{name}.*.tmp")
            folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_place(path: Path) -> None:
    """See that something can be written at `path`, before work that takes its time.

    Raises:
        InputError: nothing can lie there.
        OutsideError: nothing may be written there.
    """
    with scratch(path.parent, path.name):
        pass


def sweep(parent: Path, pattern: str) -> None:
    """Remove what killed processes left in `parent` under their temporary names.

    Args:
        parent: a folder.
        pattern: of the names. What is younger than `ABANDONED` may still be somebody's.
    """
    before = time.time() - ABANDONED
    for path in parent.glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # somebody else was faster
            if path.lstat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


def move(source: Path, target: Path) -> None:
    """Move a file, to another disk too: `target` is a stage of `staged`, not yet in its place."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)


def write(target: Path, data: bytes | str) -> None:
    """Write a file whole or not at all. Text becomes UTF-8, its line ends as they are."""
    content = data.encode() if isinstance(data, str) else data
    with staged(target) as stage:
        stage.write_bytes(content)


def write_tree(root: Path, tree: Mapping[str, bytes]) -> None:
    """Write files into `root`, an existing folder. Names are relative, with forward slashes.

    Raises:
        ValueError: a name is absolute or climbs out of `root`.
    """
    for name, data in tree.items():
        path = root / contained(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contained(name: str) -> str:
    """`name` itself, if it is a relative path with forward slashes that stays inside its root.

    Raises:
        ValueError: it is absolute, empty, has ``..``, a back slash, a drive or a NUL.
    """
    parts = name.split("/")
    if (
        not name
        or "\\" in name
        or "\0" in name
        or ":" in parts[0]
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise ValueError(f"{name!r} is not a path inside its root")
    return name


def expanded(name: str, root: Path | None = None) -> Path | None:
    """The file that somebody calls `name`, whole; None where there is none.

    Args:
        name: a path; ``~`` and ``~user`` are homes.
        root: what it is relative to; the working folder if None.
    """
    try:
        path = (root or Path()) / Path(name).expanduser()
        return path.resolve() if path.is_file() else None
    except (RuntimeError, ValueError, OSError):  # no such user; no path; a name too long
        return None


def read_text(path: Path) -> str | None:
    """A file's text, or None where there is no such file. UTF-8, with or without a mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
