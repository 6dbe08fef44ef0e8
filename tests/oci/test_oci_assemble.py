"""The layers of dependencies: what changes when a package does."""

from __future__ import annotations

import gzip
import io
import random
import sys
import tarfile

import pytest
from wheelhouse import sha256, wheel

from mlpack.errors import InputError
from mlpack.oci.assemble import Assembler
from mlpack.oci.cache import Cache
from mlpack.oci.grouping import SIZES, TOGETHER
from mlpack.oci.layers import EPOCH
from mlpack.oci.pruning import PRUNED
from mlpack.oci.wheels import Wheel
from mlpack.process import run

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
NOISE = random.Random(0).randbytes(SIZES[0])
SMALL = {"demo/__init__.py": b"def f():\n    return 1\n"}


def layers(folder, *wheels, cache=None):
    placed = []
    for name, content in wheels:
        path = folder / f"{sha256(content)[7:]}"
        path.write_bytes(content)
        placed.append((Wheel(name, sha256(content)), path))
    cache = cache or Cache(folder / "cache")
    return Assembler(HERE, EPOCH, cache, run).dependencies(placed, "/usr/bin/python3", PRUNED)


def files_of(layer):
    with layer.open() as stream:
        data = gzip.decompress(stream.read())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}


def large(version="1.0"):
    return wheel("big", version, {"big/data.bin": NOISE, "big/__init__.py": b""})


def test_another_small_package_leaves_the_layers_below_as_they_are(tmp_path):
    one = layers(tmp_path, large(), wheel("demo", "1.0", SMALL))
    two = layers(tmp_path, large(), wheel("demo", "2.0", SMALL))
    assert one.titles == two.titles == ("big 1.0", TOGETHER)
    assert one.layers[0].descriptor == two.layers[0].descriptor
    assert one.layers[1].descriptor != two.layers[1].descriptor
    assert one.layers[1].descriptor.size < 5_000


def test_each_file_is_in_one_layer_and_what_they_hold_is_told_by_name(tmp_path):
    found = layers(tmp_path, wheel("demo", "1.0", SMALL), large(), wheel("a"))
    below, above = map(files_of, found.layers)
    assert below["app/lib/big/data.bin"] == NOISE
    assert not set(below) & set(above)
    assert [each.name for each in found.parts] == ["a", "big", "demo"]
    whole = [*below.values(), *above.values()]
    assert found.unpacked == sum(map(len, whole)) == sum(each.size for each in found.parts)
    assert found.size == sum(layer.descriptor.size for layer in found.layers)


def test_packages_clash_across_layers_though_each_is_remembered(tmp_path):
    cache = Cache(tmp_path / "cache")
    layers(tmp_path, large(), cache=cache)
    other = wheel("demo", "1.0", {"big/__init__.py": b"x = 1\n"})
    layers(tmp_path, other, cache=cache)
    for _ in range(2):
        with pytest.raises(InputError, match=r"both install big/__init__\.py"):
            layers(tmp_path, large(), other, cache=cache)


def test_what_a_cache_remembers_is_what_is_made(tmp_path):
    wheels = large(), wheel("demo", "1.0", SMALL)
    cache = Cache(tmp_path / "cache")
    made = layers(tmp_path, *wheels, cache=cache)
    again = layers(tmp_path, *wheels, cache=cache)
    fresh = layers(tmp_path, *wheels, cache=Cache(tmp_path / "other"))
    assert [each.descriptor for each in made.layers] == [each.descriptor for each in again.layers]
    assert [each.descriptor for each in made.layers] == [each.descriptor for each in fresh.layers]
    assert made.parts == again.parts == fresh.parts
