import importlib.util
import marshal
import random
import sys

import pytest

from mlpack.errors import OutsideError
from mlpack.oci.bytecode import can_compile, compile_sources, pyc_path
from mlpack.process import Completed, run

SOURCES = {
    f"app/lib/pkg/m{n}.py": (
        f"import os, sys\nNAMES = {{'alpha', 'beta', 'gamma{n}', 'name'}}\n"
        f"class C{n}:\n    def name(self, value, alpha=1):\n        return value in NAMES\n"
        f"def f(x):\n    return x in {{'a', 'b', 'c', 'os', 'value'}}, 'shared constant', {n}\n"
    ).encode()
    for n in range(12)
}


def compiled(tmp_path, name, sources):
    (tmp_path / name).mkdir()
    return compile_sources(sources, tmp_path / name, run)


def test_it_is_the_code_of_the_source_at_its_place_in_the_image(tmp_path):
    found = compiled(tmp_path, "a", SOURCES)
    data = found["app/lib/pkg/m3.py"]
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x01\0\0\0"  # PEP 552: by hash, unchecked
    assert data[8:16] == importlib.util.source_hash(SOURCES["app/lib/pkg/m3.py"])
    code = marshal.loads(data[16:])
    assert code.co_filename == "/app/lib/pkg/m3.py"
    scope: dict = {"__name__": "m"}
    exec(code, scope)
    assert scope["f"]("os") == (True, "shared constant", 3)


def test_company_and_order_do_not_change_the_bytes(tmp_path):
    everything = compiled(tmp_path, "all", SOURCES)
    names = list(SOURCES)
    random.Random(1).shuffle(names)
    few = compiled(tmp_path, "few", {name: SOURCES[name] for name in names[:4]})
    alone = compiled(tmp_path, "alone", {names[0]: SOURCES[names[0]]})
    assert few == {name: everything[name] for name in few}
    assert alone == {names[0]: everything[names[0]]}


def test_the_environment_does_not_change_the_bytes(tmp_path, monkeypatch):
    first = compiled(tmp_path, "a", SOURCES)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.chdir(tmp_path)
    assert compiled(tmp_path, "b", SOURCES) == first


@pytest.mark.parametrize("source", [b"def", b"print 1", b"\0", b"# coding: nonsense\n", b"\xff"])
def test_what_is_no_python_has_no_bytecode(tmp_path, source):
    found = compiled(tmp_path, "a", {"app/lib/bad.py": source, "app/lib/good.py": b"x = 1\n"})
    assert list(found) == ["app/lib/good.py"]


def test_nothing_of_a_source_is_run(tmp_path):
    source = f"open({str(tmp_path / 'ran')!r}, 'w')\n".encode()
    assert compiled(tmp_path, "a", {"app/lib/x.py": source})
    assert not (tmp_path / "ran").exists()


def test_where_it_lies():
    assert (
        pyc_path("app/lib/a/b.py") == f"app/lib/a/__pycache__/b.{sys.implementation.cache_tag}.pyc"
    )


def test_only_this_very_minor_version_is_compiled_for():
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert can_compile(here)
    assert not can_compile("3.9")
    assert not can_compile(here + "0")


def test_a_compiling_process_that_fails(tmp_path):
    def broken(argv, **_):
        return Completed(tuple(argv), 1, "", "out of memory")

    with pytest.raises(OutsideError, match="out of memory"):
        compile_sources({"app/lib/x.py": b""}, tmp_path, broken)
