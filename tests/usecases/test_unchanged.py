"""Whether the last build still stands."""

from __future__ import annotations

import json
import os
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack.usecases.unchanged import (
    _imports,
    fingerprint,
    installed,
    project_files,
    remember,
    stands,
)

FILES = (
    "pyproject.toml",
    "mlpack.lock",
    "requirements.lock.txt",
    "requirements.txt",
    "setup.cfg",
    "schema.toml",
    "README.md",
    "LICENSE",
    "models/model.joblib",
    "models/signature.json",
    "models/metrics.json",
    "models/reference.parquet",
    "data/sample.csv",
    "sample.csv",
    "src/churn/__init__.py",
    "src/churn/pipeline.py",
    "src/churn/words.txt",
    "src/churn/data/words.csv",
    "src/churn/build/more.py",
    "src/churn/tests/helper.py",
    "src/churn/dist/weights.bin",
    "src/churn/notebooks/code.py",
    "src/churn/config/defaults.toml",
)
OTHERS = (
    "dist/churn-1.0.0-py3-none-any.whl",
    "dist/build.json",
    "build/lib/churn.py",
    "tests/test_churn.py",
    "notebooks/look.ipynb",
    "config/default.toml",
    ".git/HEAD",
    ".mlpack/export/x",
    ".venv/lib/site.py",
    ".env",
    ".DS_Store",
    "data/raw.csv",
    "data/raw/2020/rows.parquet",
    "src/churn/__pycache__/pipeline.cpython-311.pyc",
    "node_modules/x/index.js",
    "env/pyvenv.cfg",
    "env/lib/site.py",
)


@pytest.fixture
def root(tmp_path):
    for name in (*FILES, *OTHERS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_what_a_build_reads_is_every_file_but_the_others(root):
    found = {path.relative_to(root).as_posix() for path in project_files(root)}
    assert found == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_fingerprint_changes_with_each_input(root, name):
    before = fingerprint(root, {})
    assert fingerprint(root, {}) == before
    path = root / name
    path.write_text(name.swapcase())  # of the same size
    changed = fingerprint(root, {})
    path.rename(root / "renamed.x")
    renamed = fingerprint(root, {})
    (root / "renamed.x").unlink()
    assert len({before, changed, renamed, fingerprint(root, {})}) == 4


@pytest.mark.parametrize("name", OTHERS)
def test_the_fingerprint_does_not_change_with_what_no_build_reads(root, name):
    before = fingerprint(root, {})
    (root / name).write_text("other")
    if "/" in name:
        (root / name).with_name("further.py").write_text("x")
    assert fingerprint(root, {}) == before


def test_the_arguments_are_part_of_it(root):
    some = [
        {},
        {"base": None},
        {"base": "x"},
        {"base": "x", "only": ("zip",)},
        {"base": "x", "only": ("zip", "wheel")},
        {"base": "x'", "only": ()},
    ]
    assert len({fingerprint(root, arguments) for arguments in some}) == len(some)
    assert fingerprint(root, {"a": 1, "b": 2}) == fingerprint(root, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('imports = ["msgspec", "no-such-package"]', ["msgspec", "no-such-package"]),
        ("imports = [", []),
        ("imports = 3", []),
        ("", []),
        ("imports = \xff", []),
    ],
)
def test_what_a_hybrid_imports_is_read_from_the_lock(root, line, names):
    (root / "mlpack.lock").write_bytes(f"format = 1\n{line}\nprod = 1\n".encode("latin-1"))
    assert _imports(root) == names
    found = {name: version(name) for name in names if name == "msgspec"}
    assert installed(names) == found
    fingerprint(root, {})


names = st.text(st.sampled_from("ab.é \n"), min_size=1, max_size=4).filter(
    lambda name: not name.startswith(".")
)
trees = st.dictionaries(names, st.binary(max_size=4), max_size=4)


@given(trees, trees)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_folders_have_one_fingerprint_if_they_are_the_same(tmp_path_factory, one, two):
    prints = []
    for tree in (one, two):
        folder = tmp_path_factory.mktemp("project")
        for name, data in tree.items():
            (folder / name).write_bytes(data)
        prints.append(fingerprint(folder, {}))
    assert (prints[0] == prints[1]) == (one == two)


def test_odd_files_stop_nothing(root):
    before = fingerprint(root, {})
    (root / "dangling").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe")
    assert fingerprint(root, {}) == before
    (root / os.fsdecode(b"latin-\xe9.txt")).write_bytes(b"")
    assert fingerprint(root, {}) != before


def built(root):
    remember(root, "key", ["churn-1.0.0-py3-none-any.whl", "build.json"])


def test_a_build_stands_until_its_key_or_its_files_change(root):
    assert not stands(root, "key")
    built(root)
    assert stands(root, "key")
    assert not stands(root, "another")
    wheel = root / "dist" / "churn-1.0.0-py3-none-any.whl"
    stat = wheel.stat()
    os.utime(wheel, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    assert not stands(root, "key")
    os.utime(wheel, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert stands(root, "key")
    (root / "dist" / "build.json").unlink()
    assert not stands(root, "key")


@pytest.mark.parametrize(
    "state", ["", "{", "[]", "3", '{"key": "key"}', '{"key": "key", "files": {}}']
)
def test_a_damaged_memory_is_none(root, state):
    built(root)
    (root / ".mlpack" / "build-state.json").write_text(state)
    assert not stands(root, "key")


def test_a_build_that_left_nothing_does_not_stand(root):
    remember(root, "key", ["never-made.whl"])
    assert json.loads((root / ".mlpack" / "build-state.json").read_text())["files"] == {}
    assert not stands(root, "key")
