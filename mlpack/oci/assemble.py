"""The layers that mlpack adds to a base: dependencies in one, the model in another, small one.

A layer is remembered by everything that it depends on, mlpack's own code for it included, and
nothing is installed, compiled or compressed a second time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from mlpack.files import contained, sha256, sha256_of
from mlpack.oci import bytecode, compile_child, install, layers
from mlpack.oci.bytecode import can_compile, compile_sources, pyc_path
from mlpack.oci.cache import Cache
from mlpack.oci.compressed import cached
from mlpack.oci.install import LIBRARY, finish, sources
from mlpack.oci.layers import LEVEL, Entry, write_layer
from mlpack.oci.values import LAYER_GZIP, Descriptor, Layer
from mlpack.oci.wheels import Wheel
from mlpack.process import Runner

_KIND = "layers"


class _Remembered(msgspec.Struct, frozen=True):
    descriptor: Descriptor
    diff_id: str
    unpacked: int


def dependency_layer(
    wheels: Sequence[tuple[Wheel, Path]],
    python: str,
    interpreter: str,
    epoch: int,
    cache: Cache,
    runner: Runner,
) -> Layer:
    """The layer of the locked wheels, byte-compiled where this interpreter can do it.

    Args:
        wheels: for the image's platform, from `mlpack.oci.wheels.fetch`.
        python: the lock's minor version.
        interpreter: the image's Python.
        epoch: the time of every file, seconds since 1970.
        cache: remembers the layer.
        runner: runs the compiling process.

    Raises:
        InputError: a wheel is damaged, or two wheels clash.
    """

    def files() -> dict[str, Entry]:
        tree = install.install([(wheel.file, path) for wheel, path in wheels], interpreter)
        return finish(tree, _compiled(sources(tree), python, cache, runner))

    parts = [(wheel.file, wheel.digest.encode()) for wheel, _ in wheels]
    return _layer(files, [("dependencies", b""), *parts], python, epoch, cache)


def model_layer(
    tree: Mapping[str, bytes], python: str, epoch: int, cache: Cache, runner: Runner
) -> Layer:
    """The layer of a bundle's tree: the generated package, its runtime and data."""
    placed = {f"{LIBRARY}/{contained(name)}": data for name, data in tree.items()}

    def files() -> dict[str, Entry]:
        found = {path: data for path, data in placed.items() if path.endswith(".py")}
        compiled = _compiled(found, python, cache, runner)
        made = {path: Entry(data) for path, data in placed.items()}
        made.update({pyc_path(path): Entry(data) for path, data in compiled.items()})
        return made

    return _layer(files, [("model", b""), *sorted(placed.items())], python, epoch, cache)


def _compiled(
    files: Mapping[str, bytes], python: str, cache: Cache, runner: Runner
) -> dict[str, bytes]:
    if not can_compile(python) or not files:
        return {}
    with cache.scratch() as scratch:
        return compile_sources(files, scratch, runner)


def _layer(
    files: Callable[[], Mapping[str, Entry]],
    parts: Sequence[tuple[str, bytes]],
    python: str,
    epoch: int,
    cache: Cache,
) -> Layer:
    made_by = f"{_code()} {zlib.ZLIB_RUNTIME_VERSION} {LEVEL} {version('installer')}"
    compiled_by = bytecode.VERSION if can_compile(python) else "none"
    key = sha256_of(
        [
            *parts,
            ("made by", made_by.encode()),
            ("compiled by", compiled_by.encode()),
            ("epoch", str(epoch).encode()),
        ]
    )
    known = cache.recall(_KIND, key)
    if known is not None:
        found = msgspec.json.decode(known, type=_Remembered)
        if cache.blob(found.descriptor.digest).exists():
            return _as_layer(found, cache)
    with cache.scratch() as scratch:
        file = scratch / "layer"
        done = write_layer(files(), epoch, file)
        cache.keep(done.digest, file)
    descriptor = Descriptor(media_type=LAYER_GZIP, digest=done.digest, size=done.size)
    made = _Remembered(descriptor, done.diff_id, done.unpacked)
    cache.remember(_KIND, key, msgspec.json.encode(made))
    return _as_layer(made, cache)


def _as_layer(found: _Remembered, cache: Cache) -> Layer:
    return Layer(found.descriptor, found.diff_id, cached(cache, found.descriptor), found.unpacked)


def _code() -> str:
    """The digest of the code that decides what is in a layer."""
    modules = (install, bytecode, compile_child, layers)
    files = [Path(module.__file__) for module in modules if module.__file__]
    return sha256(b"\0".join(file.read_bytes() for file in [*files, Path(__file__)]))
