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
from mlpack.oci.compression import GZIP, ZSTD
from mlpack.oci.grouping import SIZES, TOGETHER
from mlpack.oci.layers import EPOCH
from mlpack.oci.pruning import PRUNED, WHOLE
from mlpack.oci.wheels import Wheel
from mlpack.process import run

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
NOISE = random.Random(0).randbytes(SIZES[0])
SMALL = {"demo/__init__.py": b"def f():\n    return 1\n"}


def layers(folder, *wheels, cache=None, pruning=PRUNED, compressed=GZIP):
    placed = []
    for name, content in wheels:
        path = folder / f"{sha256(content)[7:]}"
        path.write_bytes(content)
        placed.append((Wheel(name, sha256(content)), path))
    cache = cache or Cache(folder / "cache")
    assembler = Assembler(HERE, EPOCH, cache, run, compressed)
    return assembler.dependencies(placed, "/usr/bin/python3", pruning)


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


def test_each_title_is_of_its_own_layer(tmp_path):
    found = layers(tmp_path, wheel("demo", "1.0", SMALL), wheel("zoo", "1.0", {"zoo/x": NOISE}))
    assert found.titles == ("zoo 1.0", TOGETHER)
    assert "app/lib/zoo/x" in files_of(found.layers[0])
    assert "app/lib/demo/__init__.py" in files_of(found.layers[1])


def test_a_package_with_the_same_name_and_other_content_is_looked_at_anew(tmp_path):
    cache = Cache(tmp_path / "cache")
    layers(tmp_path, large(), wheel("demo", "1.0", SMALL), cache=cache)
    other = wheel("demo", "1.0", {"big/__init__.py": b"x = 1\n"})
    with pytest.raises(InputError, match=r"both install big/__init__\.py"):
        layers(tmp_path, large(), other, cache=cache)


def test_of_what_is_remembered_no_wheel_is_opened(tmp_path):
    wheels = large(), wheel("demo", "1.0", SMALL)
    cache = Cache(tmp_path / "cache")
    made = layers(tmp_path, *wheels, cache=cache)
    placed = []
    for name, content in wheels:
        path = tmp_path / name
        path.write_bytes(b"\0" * len(content))
        placed.append((Wheel(name, sha256(content)), path))
    again = Assembler(HERE, EPOCH, cache, run).dependencies(placed, "/usr/bin/python3", PRUNED)
    assert [each.descriptor for each in again.layers] == [each.descriptor for each in made.layers]


def test_a_layer_whose_file_is_gone_is_made_anew(tmp_path):
    cache = Cache(tmp_path / "cache")
    [one] = layers(tmp_path, wheel("demo", "1.0", SMALL), cache=cache).layers
    cache.blob(one.descriptor.digest).unlink()
    [two] = layers(tmp_path, wheel("demo", "1.0", SMALL), cache=cache).layers
    assert files_of(two)["app/lib/demo/__init__.py"] == SMALL["demo/__init__.py"]


def pieces(cache):
    """How many compressed pieces of layers are kept."""
    return len(list((cache.root / "pieces").glob("*")))


def test_pieces_are_kept_of_packages_that_are_together_alone(tmp_path):
    cache = Cache(tmp_path / "cache")
    layers(tmp_path, large(), cache=cache)
    Assembler(HERE, EPOCH, cache, run).model({"churn/__init__.py": b"x = 1\n"}, {})
    assert pieces(cache) == 0
    layers(tmp_path, wheel("demo", "1.0", SMALL), wheel("zed"), cache=cache)
    first = pieces(cache)
    layers(tmp_path, wheel("demo", "1.0", SMALL), wheel("zed", "2.0"), cache=cache)
    assert 0 < pieces(cache) - first < first, "of the package that changed alone"


def same_as_anew(folder, cache, *wheels, **more):
    """Whether what a cache has a part in is what is made without it."""
    made = layers(folder, *wheels, cache=cache, **more)
    fresh = layers(folder, *wheels, cache=Cache(folder / "fresh"), **more)
    return [each.descriptor for each in made.layers] == [each.descriptor for each in fresh.layers]


def test_what_is_kept_of_others_is_not_taken_for_what_has_changed(tmp_path):
    cache = Cache(tmp_path / "cache")
    other = {"demo/__init__.py": b"def f():\n    return 2\n"}
    layers(tmp_path, wheel("demo", "1.0", SMALL), wheel("zed"), cache=cache)
    assert same_as_anew(tmp_path, cache, wheel("demo", "2.0", other), wheel("zed"))


@pytest.mark.parametrize("more", [{"pruning": WHOLE}, {"compressed": ZSTD}])
def test_other_settings_make_other_layers(tmp_path, more):
    cache = Cache(tmp_path / "cache")
    joblib = wheel("joblib", "1.0", {"joblib/__init__.py": b"", "joblib/test/x.py": b"x = 1\n"})
    one = layers(tmp_path, joblib, cache=cache)
    assert same_as_anew(tmp_path, cache, joblib, **more)
    two = layers(tmp_path, joblib, cache=cache, **more)
    assert one.layers[0].descriptor != two.layers[0].descriptor
