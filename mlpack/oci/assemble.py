"""The layers that mlpack adds to a base: those of the dependencies, and a small one with the model.

A layer is remembered by everything that it depends on, mlpack's own code for it included, and
nothing is installed, compiled or compressed a second time. Where a package is another, the bytecode
of all others is there, and what they were compressed to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import msgspec

from mlpack.files import contained, sha256, sha256_of
from mlpack.oci import account, bytecode, compile_child, compression, elf, install, layers
from mlpack.oci import pruning as rules
from mlpack.oci.account import Part
from mlpack.oci.at_once import at_once
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


@dataclass(frozen=True)
class Assembler:
    """Makes the layers of an image, and remembers them.

    Attributes:
        python: the lock's minor version: where this interpreter is of it, layers have bytecode.
        epoch: the time of every file, seconds since 1970.
        cache: remembers the layers.
        runner: runs the compiling process.
        compressed: how, `GZIP` or `ZSTD`.
    """

    python: str
    epoch: int
    cache: Cache
    runner: Runner
    compressed: str = GZIP

    def dependencies(
        self, wheels: Sequence[tuple[Wheel, Path]], interpreter: str, pruning: Pruning
    ) -> Dependencies:
        """The layers of the locked wheels.

        Args:
            wheels: for the image's platform, from `mlpack.oci.wheels.fetch`.
            interpreter: the image's Python.
            pruning: what is left out of packages.

        Raises:
            InputError: a wheel is damaged, or two wheels clash.
        """
        groups = grouped(wheels)
        self._refuse_clashes(wheels)

        def layer(place: int) -> tuple[int, tuple[Layer, tuple[Part, ...]]]:
            return place, self._of_wheels(groups[place], interpreter, pruning)

        # While one is compiled, another is compressed.
        made = dict(at_once(layer, range(len(groups))))
        parts = [part for _, found in made.values() for part in found]
        return Dependencies(
            layers=tuple(made[place][0] for place in sorted(made)),
            titles=tuple(group.title for group in groups),
            parts=tuple(sorted(parts, key=lambda each: each.name)),
        )

    def model(self, tree: Mapping[str, bytes], beside: Mapping[str, bytes]) -> Layer:
        """The layer of a bundle's tree: the generated package, its runtime and data.

        Args:
            tree: by path in ``site-packages``.
            beside: by path beside ``site-packages``.
        """
        placed = {f"{LIBRARY}/{contained(name)}": data for name, data in tree.items()}
        placed |= {f"{HOME}/{contained(name)}": data for name, data in beside.items()}

        def files() -> Finished:
            found = {path: data for path, data in placed.items() if path.endswith(".py")}
            compiled = self._compiled(found)
            made = {path: Entry(data) for path, data in placed.items()}
            made.update({pyc_path(path): Entry(data) for path, data in compiled.items()})
            return Finished(made, ())

        parts = [("model", b""), *sorted(placed.items())]
        # Of a model nothing comes again: its pieces would only take room.
        return self._layer(files, parts, pieces=False)[0]

    def _refuse_clashes(self, wheels: Sequence[tuple[Wheel, Path]]) -> None:
        """Once for a set of wheels: each layer is made by itself, and knows nothing of others."""
        key = sha256_of([(wheel.file, wheel.digest.encode()) for wheel, _ in wheels])
        if self.cache.recall(_TOGETHER, key, bool) is None:
            install.refuse_clashes([(wheel.file, path) for wheel, path in wheels])
            self.cache.remember(_TOGETHER, key, True)

    def _of_wheels(
        self, group: Group, interpreter: str, pruning: Pruning
    ) -> tuple[Layer, tuple[Part, ...]]:
        """A layer of wheels, and what it holds of each package."""

        def files() -> Finished:
            wheels = [(wheel.file, path) for wheel, path in group.wheels]
            tree = install.install(wheels, interpreter)
            return finish(tree, self._compiled(sources(tree, pruning)), pruning)

        parts = [(wheel.file, wheel.digest.encode()) for wheel, _ in group.wheels]
        about = ("dependencies", repr(pruning).encode())
        # Of a wheel that is alone nothing comes again but as the whole layer.
        return self._layer(files, [about, *parts], pieces=group.title == TOGETHER)

    def _compiled(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Bytecode by path, of each package once for all layers that it is in."""
        if not can_compile(self.python):
            return {}
        packages: dict[str, dict[str, bytes]] = {}
        for path, data in files.items():
            packages.setdefault(_package(path), {})[path] = data
        by = f"{bytecode.VERSION} {_code(bytecode, compile_child)}"
        keys = {
            name: sha256_of([*sorted(package.items()), ("compiled by", by.encode())])
            for name, package in packages.items()
        }
        found = {
            name: self.cache.recall(_BYTECODE, key, dict[str, bytes]) for name, key in keys.items()
        }
        missing = {
            path: data
            for name, package in packages.items()
            if found[name] is None
            for path, data in package.items()
        }
        if missing:
            with self.cache.scratch() as scratch:
                made = compile_sources(missing, scratch, self.runner)
            for name, known in found.items():
                if known is None:
                    found[name] = {path: made[path] for path in packages[name] if path in made}
                    self.cache.remember(_BYTECODE, keys[name], found[name])
        return {path: data for known in found.values() for path, data in (known or {}).items()}

    def _layer(
        self, files: Callable[[], Finished], parts: Sequence[tuple[str, bytes]], *, pieces: bool
    ) -> tuple[Layer, tuple[Part, ...]]:
        made_by = f"{_code()} {compression.made_by(self.compressed)} {version('installer')}"
        compiled_by = bytecode.VERSION if can_compile(self.python) else "none"
        key = sha256_of(
            [
                *parts,
                ("made by", made_by.encode()),
                ("compiled by", compiled_by.encode()),
                ("epoch", str(self.epoch).encode()),
            ]
        )
        found = self.cache.recall(_KIND, key, _Remembered)
        if found is not None and self.cache.blob(found.descriptor.digest).exists():
            return self._as_layer(found), found.parts
        finished = files()
        with self.cache.scratch() as scratch:
            file = scratch / "layer"
            done = write_layer(
                finished.files,
                self.epoch,
                file,
                compression=self.compressed,
                group=_package,
                known=_Pieces(self.cache, f"{made_by} {self.compressed}") if pieces else None,
            )
            self.cache.keep(done.digest, file)
        kind = COMPRESSED[self.compressed]
        descriptor = Descriptor(media_type=kind, digest=done.digest, size=done.size)
        made = _Remembered(descriptor, done.diff_id, done.unpacked, finished.parts)
        self.cache.remember(_KIND, key, made)
        return self._as_layer(made), finished.parts

    def _as_layer(self, found: _Remembered) -> Layer:
        opened = cached(self.cache, found.descriptor)
        return Layer(found.descriptor, found.diff_id, opened, found.unpacked)


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


_DECIDING = (account, bytecode, compile_child, compression, elf, install, layers, rules)


def _code(*modules: ModuleType) -> str:
    """The digest of the code that decides what is in a layer, or of some modules."""
    files = [Path(module.__file__) for module in modules or _DECIDING if module.__file__]
    return sha256(b"\0".join(file.read_bytes() for file in [*files, Path(__file__)]))
