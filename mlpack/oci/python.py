"""The Python inside a base image: found in its layers, never assumed, and nothing is run.

Layers are read as tars, upper ones over lower ones, whiteouts respected (``layer.md`` of the OCI
image specification 1.1).
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from dataclasses import dataclass, field

import msgspec

from mlpack.errors import InputError
from mlpack.oci.cache import Cache
from mlpack.oci.layout import damaged_layer
from mlpack.oci.tars import LARGEST, opened
from mlpack.oci.values import Image

_KIND = "python"
_VERSION = 1
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MINOR = re.compile(r"python(3\.[0-9]{1,2})")
_GLIBC = re.compile(rb"GNU C Library [^\n]{0,200}?release version (\d+)\.(\d+)")
_LIBRARY = re.compile(
    r"(?:usr/)?lib(?:64|32)?/(?:[a-z0-9_]+-linux-gnu/)?libc(?:\.so\.6|-2\.\d+\.so)"
)
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1")
_OPAQUE = ".wh..wh..opq"
_WHITEOUT = ".wh."
_LINKS = 40
_LIBRARY_LIMIT = 32 << 20


class Interpreter(msgspec.Struct, frozen=True):
    """The Python of a base image.

    Attributes:
        path: such as ``/usr/local/bin/python3.11``.
        minor: such as ``3.11``.
        glibc: the C library's version, such as (2, 36).
    """

    path: str
    minor: str
    glibc: tuple[int, int]


@dataclass
class _Root:
    """What the layers make of the file system: names, links, and the C library's version."""

    files: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    glibc: dict[str, tuple[int, int]] = field(default_factory=dict)

    def remove(self, path: str, *, itself: bool) -> None:
        below = f"{path}/" if path else ""
        gone = [name for name in (*self.files, *self.links) if name.startswith(below)]
        if itself:
            gone.append(path)
        for name in gone:
            self.files.discard(name)
            self.links.pop(name, None)
            self.glibc.pop(name, None)


class _Tables(msgspec.Struct, frozen=True):
    """What is remembered of an image: all its Pythons in the order of PATH, and its C library."""

    pythons: tuple[tuple[str, str], ...]
    glibc: tuple[int, int] | None
    musl: bool


def find_python(
    image: Image, minor: str, cache: Cache, where: str, largest: int = LARGEST
) -> Interpreter:
    """The interpreter of `image` for Python `minor`.

    Args:
        image: the base image.
        minor: the lock's Python, such as ``3.11``.
        cache: where the result is remembered by the layers' digests.
        where: the base image's name, for messages.
        largest: how many bytes a layer may unpack to.

    Raises:
        InputError: there is no Python, one of another minor version, or the C library is musl or
            missing; or a layer is damaged, too large, or has a name that leads outside.
    """
    path = image.config.execution.variable("PATH") or _DEFAULT_PATH
    key = f"{_VERSION} {path} {' '.join(image.config.rootfs.diff_ids)}"
    tables = cache.recall(_KIND, key, _Tables)
    if tables is None:
        try:
            tables = _scan(image, path, where, largest)
        except InputError as error:
            # Whose fault is it: the image's, or the disk's that the cache lies on?
            for layer in image.layers:
                if cache.damaged(layer.descriptor.digest):
                    raise damaged_layer(layer.descriptor) from error
            raise
        cache.remember(_KIND, key, tables)
    if tables.musl:
        raise InputError(
            "the base image has musl as its C library; the locked wheels need glibc",
            where=where,
            hint='Take one with glibc: base = "docker.io/library/python:' + minor + '-slim".',
        )
    fitting = [found for found, version in tables.pythons if version == minor]
    if not fitting:
        others = ", ".join(sorted({version for _, version in tables.pythons}))
        raise InputError(
            f"the base image has Python {others}, the lock is for {minor}"
            if others
            else "the base image has no Python in its PATH",
            where=where,
            hint=f'Take one with Python {minor}: base = "docker.io/library/python:{minor}-slim".',
        )
    if tables.glibc is None:
        raise InputError("the base image has no C library that mlpack knows", where=where)
    return Interpreter(fitting[0], minor, tables.glibc)


def _scan(image: Image, path: str, where: str, largest: int) -> _Tables:
    root = _Root()
    for layer in image.layers:
        with opened(layer, where, largest, checked=True) as tar:
            _add_members(root, tar, where)
    pythons: dict[str, str] = {}
    for folder in path.split(":"):
        for found in _candidates(root, folder):
            resolved = _resolve(root, found)
            if resolved in root.files and (version := _version(root, found, resolved)):
                pythons.setdefault(f"/{found}", version)
    glibc = sorted(root.glibc.items())
    return _Tables(
        tuple(pythons.items()),
        glibc[-1][1] if glibc else None,
        not glibc and any(_MUSL.fullmatch(name) for name in (*root.files, *root.links)),
    )


def _candidates(root: _Root, folder: str) -> list[str]:
    """Names of Pythons in a folder of PATH, such as ``usr/bin/python3.11``; exact ones first."""
    if not folder.startswith("/"):
        return []
    plain = posixpath.normpath(folder).lstrip("/")
    real = _resolve(root, plain)
    names = {
        posixpath.basename(name)
        for name in (*root.files, *root.links)
        if posixpath.dirname(name) == real
    }
    exact = sorted(name for name in names if _MINOR.fullmatch(name))
    return [posixpath.join(plain, name) for name in (*exact, "python3", "python") if name in names]


def _version(root: _Root, found: str, resolved: str) -> str | None:
    """The minor version by the program's name, else by the library that lies beside it."""
    for name in (found, resolved):
        if match := _MINOR.fullmatch(posixpath.basename(name)):
            return match[1]
    prefix = posixpath.dirname(posixpath.dirname(resolved))
    library = re.compile(
        re.escape(posixpath.join(prefix, "lib")) + r"/python(3\.[0-9]{1,2})/os\.py"
    )
    versions = {match[1] for name in root.files if (match := library.fullmatch(name))}
    return versions.pop() if len(versions) == 1 else None


def _resolve(root: _Root, path: str) -> str:
    """`path` with its links followed inside the root; itself where links go in circles."""
    done: list[str] = []
    left = path.split("/")
    followed = 0
    while left:
        part = left.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        target = root.links.get("/".join([*done, part]))
        if target is None:
            done.append(part)
            continue
        followed += 1
        if followed > _LINKS:
            return path
        if target.startswith("/"):
            done = []
        left = [*target.split("/"), *left]
    return "/".join(done)


def _check_inside(member: tarfile.TarInfo, where: str) -> None:
    """Symbolic links may lead anywhere: they are followed inside the root (`_resolve`)."""
    hard_link = member.linkname if member.islnk() else ""
    if ".." in (*member.name.split("/"), *hard_link.split("/")):
        raise InputError(
            f"{member.name[:200]!r} in a layer of the image leads outside", where=where
        )


def _add_members(root: _Root, tar: tarfile.TarFile, where: str) -> None:
    # Whiteouts hide what lower layers have, wherever in this layer they stand.
    fresh = _Root()
    hard: list[tuple[str, str]] = []
    folders: list[str] = []
    for member in tar:
        _check_inside(member, where)
        name = posixpath.normpath(member.name).lstrip("/")
        folder, base = posixpath.split(name)
        if base == _OPAQUE:
            root.remove(folder, itself=False)
        elif base.startswith(_WHITEOUT):
            root.remove(posixpath.join(folder, base[len(_WHITEOUT) :]), itself=True)
        elif member.issym():
            fresh.links[name] = member.linkname
        elif member.islnk():
            hard.append((name, posixpath.normpath(member.linkname).lstrip("/")))
        elif member.isreg():
            fresh.files.add(name)
            if _LIBRARY.fullmatch(name) and member.size < _LIBRARY_LIMIT:
                content = tar.extractfile(member)
                match = _GLIBC.search(content.read()) if content else None
                if match:
                    fresh.glibc[name] = (int(match[1]), int(match[2]))
        elif member.isdir():
            folders.append(name)
    for name in folders:
        root.links.pop(name, None)
        root.files.discard(name)
    for name in (*fresh.files, *fresh.links):
        root.files.discard(name)
        root.links.pop(name, None)
        root.glibc.pop(name, None)
    root.files |= fresh.files
    root.links.update(fresh.links)
    root.glibc.update(fresh.glibc)
    root.files |= {name for name, target in hard if target in root.files}
