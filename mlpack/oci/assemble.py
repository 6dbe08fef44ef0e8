"""The layers that mlpack adds to a base: those of the dependencies, and a small one with the model.

A layer is remembered by everything that it depends on, mlpack's own code for it included, and
nothing is installed, compiled or compressed a second time. Where a package is another, the bytecode
of all others is there, and what they were compressed to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import msgspec

from mlpack.files import contained, sha256, sha256_of
from mlpack.oci import account, bytecode, compile_child, compression, elf, install, layers
from mlpack.oci import pruning as rules
from mlpack.oci.account import Part
from mlpack.oci.bytecode import can_compile, compile_sources, pyc_path
from mlpack.oci.cache import Cache
from mlpack.oci.compressed import cached
from mlpack.oci.compression import GZIP
from mlpack.oci.grouping import TOGETHER, Group, grouped
from mlpack.oci.install import HOME, LIBRARY, Finished, finish, sources
from mlpack.oci.layers import Entry, write_layer
from mlpack.oci.pruning import Pruning
from mlpack.oci.values import COMPRESSED, Descriptor, Layer
from mlpack.oci.wheels import Wheel
from mlpack.process import Runner

_KIND, _BYTECODE, _PIECES, _TOGETHER = "layers", "bytecode", "pieces", "together"
_AT_ONCE = 4
"""Layers: more only take memory, since each is compressed by all processors."""


class _Remembered(msgspec.Struct, frozen=True):
    descriptor: Descriptor
    diff_id: str
    unpacked: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Dependencies:
    """The locked wheels as layers.

    Attributes:
        layers: the lowest first.
        titles: of each layer, for the image's history.
        parts: what they hold of each package, by name.
    """

    layers: tuple[Layer, ...]
    titles: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Compressed, in bytes."""
        return sum(layer.descriptor.size for layer in self.layers)

    @property
    def unpacked(self) -> int:
        """The size of the files, in bytes."""
        return sum(layer.unpacked for layer in self.layers)


def dependency_layers(
    wheels: Sequence[tuple[Wheel, Path]],
    python: str,
    interpreter: str,
    epoch: int,
    cache: Cache,
    runner: Runner,
    pruning: Pruning,
    compressed: str = GZIP,
) -> Dependencies:
    """The layers of the locked wheels, byte-compiled where this interpreter can do it.

    Args:
        wheels: for the image's platform, from `mlpack.oci.wheels.fetch`.
        python: the lock's minor version.
        interpreter: the image's Python.
        epoch: the time of every file, seconds since 1970.
        cache: remembers the layers.
        runner: runs the compiling process.
        pruning: what is left out of packages.
        compressed: how, `GZIP` or `ZSTD`.

    Raises:
        InputError: a wheel is damaged, or two wheels clash.
    """
    groups = grouped(wheels)
    _refuse_clashes(wheels, cache)

    def layer(group: Group) -> tuple[Layer, tuple[Part, ...]]:
        return _wheels_layer(group, python, interpreter, epoch, cache, runner, pruning, compressed)

    # While one is compiled, which takes a single processor, another is compressed.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _AT_ONCE)) as pool:
        made = list(pool.map(layer, groups))
    parts = sorted((each for _, found in made for each in found), key=lambda each: each.name)
    return Dependencies(
        layers=tuple(layer for layer, _ in made),
        titles=tuple(group.title for group in groups),
        parts=tuple(parts),
    )


def _refuse_clashes(wheels: Sequence[tuple[Wheel, Path]], cache: Cache) -> None:
    """Once for a set of wheels: each layer is made by itself, and knows nothing of the others."""
    key = sha256_of([(wheel.file, wheel.digest.encode()) for wheel, _ in wheels])
    if cache.recall(_TOGETHER, key, bool) is None:
        install.refuse_clashes([(wheel.file, path) for wheel, path in wheels])
        cache.remember(_TOGETHER, key, True)


def _wheels_layer(
    group: Group,
    python: str,
    interpreter: str,
    epoch: int,
    cache: Cache,
    runner: Runner,
    pruning: Pruning,
    compressed: str,
) -> tuple[Layer, tuple[Part, ...]]:
    """A layer of wheels, and what it holds of each package."""

    def files() -> Finished:
        tree = install.install([(wheel.file, path) for wheel, path in group.wheels], interpreter)
        compiled = _compiled(sources(tree, pruning), python, cache, runner)
        return finish(tree, compiled, pruning)

    parts = [(wheel.file, wheel.digest.encode()) for wheel, _ in group.wheels]
    about = ("dependencies", repr(pruning).encode())
    # Of a wheel that is alone nothing comes again but as the whole layer.
    pieces = group.title == TOGETHER
    return _layer(files, [about, *parts], python, epoch, cache, compressed, pieces=pieces)


def model_layer(
    tree: Mapping[str, bytes],
    beside: Mapping[str, bytes],
    python: str,
    epoch: int,
    cache: Cache,
    runner: Runner,
    compressed: str = GZIP,
) -> Layer:
    """The layer of a bundle's tree: the generated package, its runtime and data.

    Args:
        tree: by path in ``site-packages``.
        beside: by path beside ``site-packages``.
        python: the lock's minor version.
        epoch: the time of every file, seconds since 1970.
        cache: remembers the layer.
        runner: runs the compiling process.
        compressed: how, `GZIP` or `ZSTD`.
    """
    placed = {f"{LIBRARY}/{contained(name)}": data for name, data in tree.items()}
    placed |= {f"{HOME}/{contained(name)}": data for name, data in beside.items()}

    def files() -> Finished:
        found = {path: data for path, data in placed.items() if path.endswith(".py")}
        compiled = _compiled(found, python, cache, runner)
        made = {path: Entry(data) for path, data in placed.items()}
        made.update({pyc_path(path): Entry(data) for path, data in compiled.items()})
        return Finished(made, ())

    parts = [("model", b""), *sorted(placed.items())]
    # Of a model nothing comes again: its pieces would only take room.
    return _layer(files, parts, python, epoch, cache, compressed, pieces=False)[0]


def _compiled(
    files: Mapping[str, bytes], python: str, cache: Cache, runner: Runner
) -> dict[str, bytes]:
    """Bytecode by path, of each package once for all layers that it is in."""
    if not can_compile(python):
        return {}
    packages: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        packages.setdefault(_package(path), {})[path] = data
    by = f"{bytecode.VERSION} {_code(bytecode, compile_child)}"
    keys = {
        name: sha256_of([*sorted(package.items()), ("compiled by", by.encode())])
        for name, package in packages.items()
    }
    found = {name: cache.recall(_BYTECODE, key, dict[str, bytes]) for name, key in keys.items()}
    missing = {
        path: data
        for name, package in packages.items()
        if found[name] is None
        for path, data in package.items()
    }
    if missing:
        with cache.scratch() as scratch:
            made = compile_sources(missing, scratch, runner)
        for name, known in found.items():
            if known is None:
                found[name] = {path: made[path] for path in packages[name] if path in made}
                cache.remember(_BYTECODE, keys[name], found[name])
    return {path: data for known in found.values() for path, data in (known or {}).items()}


def _package(path: str) -> str:
    """What of a layer changes together: a package and what its wheel has beside it."""
    top = path.removeprefix(f"{LIBRARY}/").partition("/")[0]
    return re.split(r"[-.]", top)[0]


class _Pieces:
    """Compressed pieces of layers, in the cache."""

    def __init__(self, cache: Cache, made_by: str) -> None:
        self._cache = cache
        self._made_by = made_by

    def recall(self, key: str) -> bytes | None:
        return self._cache.recall(_PIECES, f"{self._made_by} {key}", bytes)

    def remember(self, key: str, piece: bytes) -> None:
        self._cache.remember(_PIECES, f"{self._made_by} {key}", piece)


def _layer(
    files: Callable[[], Finished],
    parts: Sequence[tuple[str, bytes]],
    python: str,
    epoch: int,
    cache: Cache,
    compressed: str,
    *,
    pieces: bool,
) -> tuple[Layer, tuple[Part, ...]]:
    made_by = f"{_code()} {compression.made_by(compressed)} {version('installer')}"
    compiled_by = bytecode.VERSION if can_compile(python) else "none"
    key = sha256_of(
        [
            *parts,
            ("made by", made_by.encode()),
            ("compiled by", compiled_by.encode()),
            ("epoch", str(epoch).encode()),
        ]
    )
    found = cache.recall(_KIND, key, _Remembered)
    if found is not None and cache.blob(found.descriptor.digest).exists():
        return _as_layer(found, cache), found.parts
    finished = files()
    with cache.scratch() as scratch:
        file = scratch / "layer"
        done = write_layer(
            finished.files,
            epoch,
            file,
            compression=compressed,
            group=_package,
            known=_Pieces(cache, f"{made_by} {compressed}") if pieces else None,
        )
        cache.keep(done.digest, file)
    kind = COMPRESSED[compressed]
    descriptor = Descriptor(media_type=kind, digest=done.digest, size=done.size)
    made = _Remembered(descriptor, done.diff_id, done.unpacked, finished.parts)
    cache.remember(_KIND, key, made)
    return _as_layer(made, cache), finished.parts


def _as_layer(found: _Remembered, cache: Cache) -> Layer:
    return Layer(found.descriptor, found.diff_id, cached(cache, found.descriptor), found.unpacked)


_DECIDING = (account, bytecode, compile_child, compression, elf, install, layers, rules)


def _code(*modules: ModuleType) -> str:
    """The digest of the code that decides what is in a layer, or of some modules."""
    files = [Path(module.__file__) for module in modules or _DECIDING if module.__file__]
    return sha256(b"\0".join(file.read_bytes() for file in [*files, Path(__file__)]))
