import base64
import csv
import hashlib
import io
import posixpath
import stat

import pytest
from installer import install as reference_install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from wheelhouse import wheel

from mlpack.errors import InputError
from mlpack.oci.install import finish, install, left_out, sources

PYTHON = "/usr/local/bin/python3.11"
RICH = {
    "demo/__init__.py": b"x = 1\n",
    "demo/sub/data.bin": b"\0\1",
    "demo/tool": b"#!/bin/true\n",
    "demo-1.0.data/purelib/other/__init__.py": b"",
    "demo-1.0.data/platlib/native/x.so": b"\x7fELF",
    "demo-1.0.data/scripts/run-it": b"#!python\nprint(1)\n",
    "demo-1.0.data/scripts/sh-it": b"#!/bin/sh\n",
    "demo-1.0.data/data/share/demo/readme": b"read me",
    "demo-1.0.data/headers/demo.h": b"int x;",
}
ENTRY_POINTS = {
    "entry_points.txt": b"[console_scripts]\ndemo = demo:main\n[gui_scripts]\ng = demo:g\n"
}


@pytest.fixture
def write(tmp_path):
    def written(*wheels):
        found = []
        for file, data in wheels:
            (tmp_path / hashlib.sha256(data).hexdigest()).write_bytes(data)  # as the cache has it
            found.append((file, tmp_path / hashlib.sha256(data).hexdigest()))
        return found

    return written


@pytest.mark.parametrize("tag", ["py3-none-any", "cp311-cp311-manylinux_2_17_x86_64"])
def test_before_anything_is_left_out_it_is_what_an_installer_makes(write, tmp_path, tag):
    """The installer library's own destination, on a disk, is the judge."""
    made = wheel(files=RICH, extra=ENTRY_POINTS, tag=tag, executable=("demo/tool",))
    tree = install(write(made), PYTHON)
    root, file = tmp_path / "root", tmp_path / made[0]
    file.write_bytes(made[1])
    schemes = {
        "purelib": "/app/lib", "platlib": "/app/lib", "scripts": "/app/bin", "data": "/app",
        "headers": "/app/include/demo",
    }  # fmt: skip
    with WheelFile.open(file) as source:
        destination = SchemeDictionaryDestination(schemes, PYTHON, "posix", destdir=str(root))
        reference_install(source, destination, {"INSTALLER": b"mlpack\n"})
    expected = {
        path.relative_to(root).as_posix(): (
            path.read_bytes(),
            bool(path.stat().st_mode & stat.S_IXUSR),
        )
        for path in root.rglob("*")
        if path.is_file()
    }
    record = "app/lib/demo-1.0.dist-info/RECORD"
    del expected[record]
    assert {path: (entry.data, entry.executable) for path, entry in tree.files.items()} == expected
    assert set(tree.records[record]) == {*expected, record}


def test_record_is_true_of_what_is_in_the_image(write):
    tree = install(write(wheel(files=RICH, extra=ENTRY_POINTS)), PYTHON)
    compiled = {path: b"bytecode of " + data for path, data in sources(tree).items()}
    files = finish(tree, compiled)
    text = files["app/lib/demo-1.0.dist-info/RECORD"].data.decode()
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(text))}
    named = {posixpath.normpath(posixpath.join("app/lib", path)) for path in rows}
    assert named == set(files)
    for path, (digest, size) in rows.items():
        if path.endswith("RECORD"):
            assert (digest, size) == ("", "")
            continue
        data = files[posixpath.normpath(posixpath.join("app/lib", path))].data
        encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        assert (digest, size) == (f"sha256={encoded}", str(len(data)))
    assert any("__pycache__" in path for path in rows)
    assert list(rows)[:-1] == sorted(list(rows)[:-1])


def test_programs_are_left_out_and_so_the_interpreter_does_not_matter(write):
    wheels = write(wheel(files=RICH, extra=ENTRY_POINTS))
    one, two = (finish(install(wheels, path), {}) for path in (PYTHON, "/usr/bin/python3"))
    assert one == two
    assert not [path for path in one if path.startswith("app/bin")]
    assert left_out("app/bin/x")
    assert not left_out("app/lib/bin/x")


def test_the_order_of_wheels_does_not_matter(write):
    wheels = write(wheel("a"), wheel("b"))
    assert finish(install(wheels, PYTHON), {}) == finish(install(wheels[::-1], PYTHON), {})


def test_two_wheels_may_share_a_file_only_if_it_is_the_same(write):
    same = {"shared/__init__.py": b""}
    install(write(wheel("a", files=same), wheel("b", files=same)), PYTHON)
    other = {"shared/__init__.py": b"other"}
    with pytest.raises(InputError, match=r"both install shared/__init__\.py"):
        install(write(wheel("a", files=same), wheel("b", files=other)), PYTHON)


@pytest.mark.parametrize("name", ["../evil.py", "/etc/passwd", "demo/../../../x"])
def test_a_wheel_that_leads_outside(write, name):
    with pytest.raises(InputError, match="cannot be installed"):
        install(write(wheel(files={name: b""})), PYTHON)


def test_a_damaged_wheel(write):
    file, data = wheel()
    for damaged in (b"", b"no zip", data[: len(data) // 2]):
        with pytest.raises(InputError, match="cannot be installed"):
            install(write((file, damaged)), PYTHON)


def test_bytecode_that_a_wheel_brings_is_not_taken(write):
    files = {"demo/__init__.py": b"", "demo/__pycache__/__init__.cpython-311.pyc": b"evil"}
    with pytest.warns(RuntimeWarning, match="__pycache__"):
        tree = install(write(wheel(files=files)), PYTHON)
    assert not [path for path in tree.files if "__pycache__" in path]
