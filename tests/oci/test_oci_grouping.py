"""Which wheels share a layer, and wheels that clash across layers."""

from __future__ import annotations

import zipfile

import pytest

from mlpack.errors import InputError
from mlpack.oci.grouping import MOST, SIZES, TOGETHER, grouped
from mlpack.oci.install import refuse_clashes
from mlpack.oci.wheels import Wheel

BIG, MIDDLE = SIZES


def wheel(folder, name, size):
    path = folder / name
    with path.open("wb") as file:
        file.truncate(size)
    return Wheel(f"{name}-1.0-py3-none-any.whl", f"sha256:{name}"), path


def told(groups):
    return [(each.title, [item.file.split("-")[0] for item, _ in each.wheels]) for each in groups]


def test_large_ones_lie_below_middling_ones_and_small_ones_are_together(tmp_path):
    wheels = [
        wheel(tmp_path, "a", MIDDLE),
        wheel(tmp_path, "b", 10),
        wheel(tmp_path, "c", BIG),
        wheel(tmp_path, "d", MIDDLE - 1),
        wheel(tmp_path, "e", BIG + 1),
        wheel(tmp_path, "f", BIG - 1),
    ]
    wanted = [
        ("c 1.0", ["c"]),
        ("e 1.0", ["e"]),
        ("a 1.0", ["a"]),
        ("f 1.0", ["f"]),
        (TOGETHER, ["b", "d"]),
    ]
    assert told(grouped(wheels)) == wanted
    assert told(grouped(wheels[::-1])) == wanted


def test_of_no_wheels_there_is_an_empty_layer():
    assert told(grouped([])) == [(TOGETHER, [])]


def test_without_small_ones_there_is_no_empty_layer(tmp_path):
    assert told(grouped([wheel(tmp_path, "a", BIG)])) == [("a 1.0", ["a"])]


def test_there_are_never_more_layers_than_an_engine_takes(tmp_path):
    wheels = [wheel(tmp_path, f"p{number:03}", MIDDLE + number) for number in range(MOST + 10)]
    found = grouped(wheels)
    assert len(found) == MOST + 1
    assert [item.file[:4] for item, _ in found[-1].wheels] == [f"p{n:03}" for n in range(10)]


def packed(folder, name, **files):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)
    return path.name, path


def test_wheels_that_place_other_bytes_at_one_path_clash_wherever_they_say_it(tmp_path):
    one = packed(tmp_path, "one", **{"shared/x.py": "a = 1\n", "one/__init__.py": ""})
    two = packed(tmp_path, "two", **{"two-1.0.data/platlib/shared/x.py": "a = 2\n"})
    with pytest.raises(InputError, match=r"both install shared/x\.py, .*; two is one of them"):
        refuse_clashes([one, two])


def test_the_same_bytes_at_one_path_are_no_clash(tmp_path):
    files = {"shared/": "", "shared/__init__.py": "", "x-1.0.data/scripts/tool": "1"}
    one = packed(tmp_path, "one", **files)
    two = packed(tmp_path, "two", **{**files, "x-1.0.data/scripts/tool": "2"})
    refuse_clashes([one, two])


def test_data_beside_the_library_clash_with_each_other_alone(tmp_path):
    one = packed(tmp_path, "one", **{"share/x.txt": "1", "one-1.0.data/headers/x.h": "1"})
    two = packed(
        tmp_path, "two", **{"two-1.0.data/data/share/x.txt": "2", "two-1.0.data/headers/x.h": "2"}
    )
    three = packed(tmp_path, "three", **{"three-1.0.data/data/share/x.txt": "3"})
    refuse_clashes([one, two])
    with pytest.raises(InputError, match=r"both install app/share/x\.txt"):
        refuse_clashes([two, three])


def test_a_damaged_wheel_is_named(tmp_path):
    name, path = packed(tmp_path, "one", **{"one.py": ""})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="cannot be installed"):
        refuse_clashes([(name, path)])
