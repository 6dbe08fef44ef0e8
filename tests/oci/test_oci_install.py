import base64
import csv
import hashlib
import io
import posixpath
import re
import stat
from pathlib import Path

import pytest
from hostile import HOSTILE
from installer import install as reference_install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from wheelhouse import wheel

from mlpack.errors import InputError
from mlpack.oci.install import PROGRAMS, finish, install, left_out, sources
from mlpack.oci.pruning import PRUNED, SOURCES, SYMBOLS, TESTS, WHOLE

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
    compiled = {path: b"bytecode of " + data for path, data in sources(tree, PRUNED).items()}
    files = finish(tree, compiled, PRUNED).files
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
    one, two = (finish(install(wheels, path), {}, PRUNED) for path in (PYTHON, "/usr/bin/python3"))
    assert one.files == two.files
    assert not [path for path in one.files if path.startswith("app/bin")]
    assert left_out("app/bin/x", WHOLE)
    assert not left_out("app/lib/bin/x", PRUNED)


NUMPY = {
    "numpy/__init__.py": b"import numpy._core",
    "numpy/__init__.pyi": b"stubs" * 10,
    "numpy/_core/tests/test_a.py": b"assert True",
    "numpy/_core/tests/data/b.csv": b"1,2",
    "numpy/_core/include/numpy/arrayobject.h": b"int x;",
    "numpy/tested.py": b"not a test",
    "numpy/testing/__init__.py": b"imported by others",
}


def test_what_a_rule_names_is_left_out_and_accounted_for(write):
    made = write(wheel("numpy", files=NUMPY), wheel("demo", files={"demo/tests/x.py": b"x = 1"}))
    tree = install(made, PYTHON)
    compiled = dict.fromkeys(sources(tree, PRUNED), b"bytecode")
    assert "app/lib/numpy/_core/tests/test_a.py" not in compiled
    done = finish(tree, compiled, PRUNED)
    kept = {path for path in done.files if "numpy/" in path and not path.endswith(".pyc")}
    assert kept == {
        f"app/lib/numpy/{name}" for name in ("__init__.py", "tested.py", "testing/__init__.py")
    }
    # A package that no rule names is left whole.
    assert "app/lib/demo/tests/x.py" in done.files
    record = done.files["app/lib/numpy-1.0.dist-info/RECORD"].data.decode()
    assert "tests/" not in record
    assert "numpy/tested.py" in record
    demo, numpy = done.parts
    assert (demo.name, demo.version, demo.cuts) == ("demo", "1.0", ())
    assert {cut.what: (cut.files, cut.size) for cut in numpy.cuts} == {
        TESTS: (2, len(b"assert True1,2")),
        SOURCES: (2, len(b"stubs" * 10 + b"int x;")),
    }
    assert numpy.bytecode == 3 * len(b"bytecode")
    for each in done.parts:
        mine = [path for path in done.files if path.startswith(f"app/lib/{each.name}")]
        assert (each.files, each.size) == (
            len(mine),
            sum(len(done.files[path].data) for path in mine),
        )


def test_what_no_server_imports_is_not_compiled(write):
    made = write(wheel("idna", files={"idna/__init__.py": b""}), wheel("demo"))
    tree = install(made, PYTHON)
    assert not [path for path in sources(tree, PRUNED) if "idna" in path]
    assert [path for path in sources(tree, PRUNED) if "demo" in path]
    assert [path for path in sources(tree, WHOLE) if "idna" in path]


def test_nothing_is_left_out_but_programs_where_that_is_asked_for(write):
    tree = install(write(wheel("numpy", files=NUMPY, extra=ENTRY_POINTS)), PYTHON)
    done = finish(tree, dict.fromkeys(sources(tree, WHOLE), b""), WHOLE)
    assert {f"app/lib/{name}" for name in NUMPY} <= set(done.files)
    assert [cut.what for cut in done.parts[0].cuts] == [PROGRAMS]


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("onnxruntime/capi/libonnxruntime.so.1.32.0", True),
        ("onnxruntime/capi/libonnxruntime_providers_shared.so", False),
        ("onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", False),
        ("onnxruntime/transformers/models/gpt2.py", True),
        ("onnxruntime/capi/training/x.py", False),
        ("sklearn/tree/tests/test_tree.py", True),
        ("sklearn/tree/_tree.pyx", True),
        ("sklearn/utils/_testing.py", False),
        ("pandas/tests/io/test_x.py", True),
        ("pandas/_testing/__init__.py", False),
        ("scipy/_lib/tests/test_x.py", True),
        ("scipy/special/_testutils.py", False),
        ("other/tests/test_x.py", False),
        ("mynumpy/tests/test_x.py", False),
        ("numpy.libs/libscipy_openblas64_.so", False),
    ],
)
def test_the_rules_name_what_they_mean(path, gone):
    assert (PRUNED.left_out(path) is not None) is gone


def test_the_order_of_wheels_does_not_matter(write):
    wheels = write(wheel("a"), wheel("b"))
    assert finish(install(wheels, PYTHON), {}, PRUNED) == finish(
        install(wheels[::-1], PYTHON), {}, PRUNED
    )


def test_two_wheels_may_share_a_file_only_if_it_is_the_same(write):
    same = {"shared/__init__.py": b""}
    install(write(wheel("a", files=same), wheel("b", files=same)), PYTHON)
    other = {"shared/__init__.py": b"other"}
    with pytest.raises(InputError, match=r"both install shared/__init__\.py"):
        install(write(wheel("a", files=same), wheel("b", files=other)), PYTHON)


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda evil: evil.what)
def test_a_wheel_that_tries_to_escape(write, evil):
    with pytest.raises(InputError, match=evil.told):
        install(write(("demo-1.0-py3-none-any.whl", evil.data)), PYTHON)


def test_a_wheel_whose_file_cannot_be_read(write):
    file, data = wheel()
    odd = bytearray(data)
    odd[8] = odd[data.index(b"PK\x01\x02") + 10] = 97  # a way of packing that nobody knows
    with pytest.raises(InputError, match="cannot be installed"):
        install(write((file, bytes(odd))), PYTHON)


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


def test_the_page_about_images_names_what_is_left_out_of_which_package():
    text = (Path(__file__).parents[2] / "docs" / "image.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| package | not in the image |\n|---|---|\n")
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", table.partition("\n\n")[0], re.MULTILINE)
    told = {folder: set(what.split("; ")) for folder, what in rows}
    known = {rule.folder: set() for rule in PRUNED.rules}
    for rule in PRUNED.rules:
        known[rule.folder].add(rule.what)
    for folder in PRUNED.with_symbols:
        known[folder].add(SYMBOLS)
    assert told == known
