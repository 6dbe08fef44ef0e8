"""What layers hold that somebody else made."""

from __future__ import annotations

import pytest
from images import layer_of

from mlpack.oci.measured import SYSTEM, measured

RECORD = b"demo/__init__.py,sha256=x,5\ndemo-1.0.dist-info/RECORD,,\n../../bin/demo,sha256=y,7\n"
OWN = b"churn/__init__.py,,\nchurn-1.2.0.dist-info/RECORD,,\n"


def test_each_package_has_its_files_their_bytecode_and_its_scripts(tmp_path):
    dependencies = layer_of(
        tmp_path,
        {
            "app": None,
            "app/lib/demo/__init__.py": b"12345",
            "app/lib/demo/__pycache__/__init__.cpython-311.pyc": b"123",
            "app/lib/demo-1.0.dist-info/RECORD": RECORD,
            "app/lib/bin/demo": b"1234567",
            "app/lib/nobodys.txt": b"1",
        },
    )
    model = layer_of(
        tmp_path,
        {"app/lib/churn/__init__.py": b"12", "app/lib/churn-1.2.0.dist-info/RECORD": OWN},
    )
    size, parts = measured([dependencies, model], "churn-1.2.0.dist-info")
    assert size == 5 + 3 + len(RECORD) + 7 + 1 + 2 + len(OWN)
    (part,) = parts
    assert (part.name, part.version, part.files, part.cuts) == ("demo", "1.0", 4, ())
    assert part.size == 5 + 3 + len(RECORD) + 7
    assert part.bytecode == 3


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_apt_installed_is_a_part_of_its_own(tmp_path, compression):
    files = {"usr/lib/libgomp.so.1": b"1234", "var/lib/dpkg/status": b"12"}
    system = layer_of(tmp_path, files, compression)
    size, parts = measured([system], "churn-1.2.0.dist-info")
    assert size == 6
    assert [(part.name, part.files, part.size) for part in parts] == [(SYSTEM, 2, 6)]


def test_a_record_that_is_none_is_no_package(tmp_path):
    strange = layer_of(
        tmp_path,
        {
            "app/lib/a/b-1.dist-info/RECORD": b"a,,\n",
            "app/lib/b-1.dist-info/RECORD": b"\xff\n\n",
            "app/lib/__pycache__/x.pyc": b"1",
        },
    )
    assert [part.name for part in measured([strange], "")[1]] == ["b"]
