import dataclasses
import io
import tarfile

import msgspec
import pytest
from hostile import odd_tar
from images import GLIBC, SLIM, image_of

from mlpack.errors import InputError
from mlpack.oci.cache import Cache
from mlpack.oci.layers import compress
from mlpack.oci.python import Interpreter, find_python
from mlpack.oci.values import RootFs

DEBIAN = {
    "./": None,
    "usr/bin/python3": "python3.11",
    "usr/bin/python3.11": b"\x7fELF",
    "lib/x86_64-linux-gnu/libc.so.6": GLIBC,
}


@pytest.fixture
def find(tmp_path):
    def found(*layers, minor="3.11", **more):
        image = image_of(tmp_path, *layers, **more)
        return find_python(image, minor, Cache(tmp_path / "cache"), "base")

    return found


def test_the_official_slim_image(find):
    assert find(SLIM) == Interpreter("/usr/local/bin/python3.11", "3.11", (2, 36))


def test_debians_own(find):
    assert find(DEBIAN).path == "/usr/bin/python3.11"


def test_path_decides_where_there_are_two(find):
    both = {**SLIM, "usr/bin/python3.11": b"\x7fELF"}
    assert find(both).path == "/usr/local/bin/python3.11"
    assert find(both, env=("PATH=/usr/bin:/usr/local/bin",)).path == "/usr/bin/python3.11"


def test_no_path_is_the_usual_one(find):
    assert find(DEBIAN, env=()).path == "/usr/bin/python3.11"


def test_a_folder_of_path_that_is_a_link(find):
    merged = {**DEBIAN, "bin": "usr/bin"}
    assert find(merged, env=("PATH=/bin",)).path == "/bin/python3.11"


def test_the_version_is_the_librarys_where_the_name_has_none(find):
    files = {
        "opt/py/bin/python3": b"\x7fELF", "opt/py/lib/python3.11/os.py": b"",
        "lib64/libc.so.6": GLIBC,
    }  # fmt: skip
    assert find(files, env=("PATH=/opt/py/bin",)).path == "/opt/py/bin/python3"


def test_a_dangling_link_is_no_python(find):
    files = {"usr/bin/python3.11": "/nowhere/python3.11", "lib64/libc.so.6": GLIBC}
    with pytest.raises(InputError, match="no Python in its PATH"):
        find(files)


def test_links_that_go_in_circles(find):
    files = {"usr/bin/python3.11": "python3", "usr/bin/python3": "python3.11"}
    with pytest.raises(InputError, match="no Python in its PATH"):
        find(files)


def test_a_link_out_of_the_root_stays_inside(find):
    files = {**DEBIAN, "usr/bin/python3.11": "../../../../../opt/python3.11",
             "opt/python3.11": b"\x7fELF"}  # fmt: skip
    assert find(files).path == "/usr/bin/python3.11"


def test_another_minor_version(find):
    with pytest.raises(InputError, match=r"has Python 3\.11, the lock is for 3\.12") as refused:
        find(SLIM, minor="3.12")
    assert "python:3.12-slim" in str(refused.value.hint)


def test_no_python(find):
    with pytest.raises(InputError, match="no Python in its PATH"):
        find({"bin/sh": b"", "lib64/libc.so.6": GLIBC})


def test_musl(find):
    alpine = {"lib/ld-musl-x86_64.so.1": b"\x7fELF", "usr/bin/python3.11": b"\x7fELF"}
    with pytest.raises(InputError, match="musl"):
        find(alpine)


def test_no_c_library(find):
    with pytest.raises(InputError, match="no C library"):
        find({"usr/bin/python3.11": b"\x7fELF"})


@pytest.mark.parametrize(
    "above",
    [
        {"usr/local/bin/.wh.python3.11": b""},
        {"usr/local/.wh.bin": b""},
        {"usr/local/bin/.wh..wh..opq": b""},
        {"usr/.wh..wh..opq": b"", "usr/local/x": b""},
    ],
)
def test_what_an_upper_layer_takes_away_is_gone(find, above):
    with pytest.raises(InputError, match=r"no Python in its PATH|C library"):
        find(SLIM, above)


def test_what_an_upper_layer_puts_back_is_there(find):
    back = {"usr/local/bin/.wh..wh..opq": b"", "usr/local/bin/python3.11": b"\x7fELF"}
    assert find(SLIM, back).path == "/usr/local/bin/python3.11"
    assert find(SLIM, dict(reversed(back.items()))).path == "/usr/local/bin/python3.11"


def test_an_upper_layer_may_bring_another_c_library(find):
    newer = {"usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC.replace(b"2.36", b"2.41")}
    assert find(SLIM, newer).glibc == (2, 41)


def test_the_result_is_remembered(tmp_path):
    image = image_of(tmp_path, SLIM)
    cache = Cache(tmp_path / "cache")
    first = find_python(image, "3.11", cache, "base")

    def broken():
        raise AssertionError("the layer was opened again")

    layers = tuple(dataclasses.replace(layer, open=broken) for layer in image.layers)
    again = dataclasses.replace(image, layers=layers)
    assert find_python(again, "3.11", cache, "base") == first


def test_a_layer_that_is_not_its_diff_id(tmp_path):
    image = image_of(tmp_path, SLIM)
    other = image_of(tmp_path, DEBIAN)
    swapped = dataclasses.replace(image.layers[0], open=other.layers[0].open)
    with pytest.raises(InputError, match="does not have its digest"):
        find_python(
            dataclasses.replace(image, layers=(swapped,)), "3.11", Cache(tmp_path / "c"), "base"
        )


@pytest.mark.parametrize("name", ["../usr/bin/python3.11", "usr/../../x", "/../x"])
def test_a_layer_with_a_name_that_leads_outside(find, name):
    with pytest.raises(InputError, match="leads outside"):
        find(SLIM, {name: b""})


@pytest.mark.parametrize(
    ("kind", "target", "fits"),
    [
        (tarfile.LNKTYPE, "../../etc/shadow", False),
        (tarfile.LNKTYPE, "usr/local/bin/python3.11", True),
        (tarfile.CHRTYPE, "", True),  # many base images have devices: none of them is opened
        (tarfile.FIFOTYPE, "", True),
    ],
)
def test_odd_members_of_a_layer(tmp_path, kind, target, fits):
    tar = odd_tar({}, "usr/bin/odd", kind, target)
    blob = tmp_path / "odd"
    done = compress(io.BytesIO(tar), blob)
    image = image_of(tmp_path, SLIM)
    layer = dataclasses.replace(image.layers[0], diff_id=done.diff_id, open=lambda: blob.open("rb"))
    rootfs = RootFs(type="layers", diff_ids=(*image.config.rootfs.diff_ids, done.diff_id))
    config = msgspec.structs.replace(image.config, rootfs=rootfs)
    odd = dataclasses.replace(image, config=config, layers=(*image.layers, layer))
    if fits:
        assert find_python(odd, "3.11", Cache(tmp_path / "c"), "base").minor == "3.11"
        return
    with pytest.raises(InputError, match="leads outside"):
        find_python(odd, "3.11", Cache(tmp_path / "c"), "base")


def test_a_layer_that_unpacks_to_more_than_any(tmp_path):
    image = image_of(tmp_path, {**SLIM, "zeros": bytes(4 << 20)})
    with pytest.raises(InputError, match="unpacks to more than"):
        find_python(image, "3.11", Cache(tmp_path / "c"), "base", largest=1 << 20)


@pytest.mark.parametrize("damage", [lambda d: d[:-30], lambda d: b"no tar at all", lambda d: d[:5]])
def test_a_damaged_layer(tmp_path, damage):
    image = image_of(tmp_path, SLIM)
    with image.layers[0].open() as stream:
        data = stream.read()
    (tmp_path / "bad").write_bytes(damage(data))
    bad = dataclasses.replace(image.layers[0], open=lambda: (tmp_path / "bad").open("rb"))
    with pytest.raises(InputError, match="layer of the image"):
        find_python(
            dataclasses.replace(image, layers=(bad,)), "3.11", Cache(tmp_path / "c"), "base"
        )
