"""What runs comes to this machine: where it lands, what it replaces, and with which samples."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bundling import Remembering, make_project, onnx_bundle

from mlpack.documents import bills
from mlpack.errors import InputError
from mlpack.files import staged, write_tree
from mlpack.materials import materials
from mlpack.operating import Fetched
from mlpack.process import run
from mlpack.usecases.pull import pull
from mlpack.wheelfile import installed

BUNDLE = onnx_bundle(make_project())


class Target:
    """A target in memory, which replaces the folder that it is given as all of them do."""

    kind = "memory"

    def __init__(self, sampled=b"", deployed=True, verbs=("fetch", "samples")):
        self.sampled, self.deployed, self.asked = sampled, deployed, []
        self.verbs = frozenset(verbs)

    def fetch(self, release, into, reporter):
        self.asked.append(("fetch", release))
        if not self.deployed:
            return None
        with staged(into, folder=True) as folder:
            write_tree(folder / "lib", installed(BUNDLE))
            write_tree(folder, bills(materials(BUNDLE), 0).files)  # as an image has them
        return Fetched(into, "1.2.0", release or 7, "sha256:1")

    def samples(self, release):
        self.asked.append(("samples", release))
        return self.sampled


class Environments:
    """Environments that are this one."""

    def python(self, model, reporter):
        return Path(sys.executable)


def pulled(target, into, release=None):
    return pull(target, release, into, environments=Environments(), reporter=Remembering())


def test_what_comes_answers_here_and_its_samples_lie_beside_it(tmp_path):
    target = Target(b'{"a": 1}\n{"b": 2}\n')
    found = pulled(target, tmp_path / "here", 3)
    assert target.asked == [("fetch", 3), ("samples", 3)]
    assert (found.name, found.version, found.package) == ("churn", "1.2.0", "churn")
    assert (found.release, found.digest, found.exact, found.rows) == (3, "sha256:1", True, 2)
    assert found.samples.read_bytes() == b'{"a": 1}\n{"b": 2}\n'
    done = run([str(found.python), "-m", found.package, "info"], cwd=found.library)
    assert done.code == 0, done.stderr


def test_a_release_is_asked_for_by_nobody_means_what_answers(tmp_path):
    target = Target()
    found = pulled(target, tmp_path / "here")
    assert target.asked == [("fetch", None), ("samples", None)]
    assert (found.release, found.samples, found.rows) == (7, None, 0)


def test_a_target_that_keeps_no_samples_is_not_asked_for_them(tmp_path):
    target = Target(b"1\n", verbs=("fetch",))
    found = pulled(target, tmp_path / "here")
    assert target.asked == [("fetch", None)]
    assert found.samples is None
    with pytest.raises(InputError, match="has no fetch"):
        pulled(Target(verbs=("status",)), tmp_path / "there")


def test_where_nothing_is_deployed_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="nothing is deployed"):
        pulled(Target(deployed=False), tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_pull_has_left_is_replaced_its_samples_too(tmp_path):
    into = tmp_path / "here"
    pulled(Target(b"1\n"), into)
    found = pulled(Target(), into)
    assert found.samples is None
    assert sorted(each.name for each in into.iterdir()) == [
        "lib",
        "sbom.cdx.json",
        "sbom.spdx.json",
    ]
    (tmp_path / "empty").mkdir()
    assert pulled(Target(), tmp_path / "empty").release == 7


def virtual_environment(root):
    write_tree(root, {"lib/python3.11/site-packages/numpy/__init__.py": b"", "bin/python": b""})


def libraries(root):
    write_tree(root, {"lib/libz.so": b"\x7fELF"})


def notes_beside_a_pull(root):
    pulled(Target(), root)
    (root / "notes.md").write_text("what I found")


def somebodys_file(root):
    root.write_text("mine")


@pytest.mark.parametrize(
    "make", [virtual_environment, libraries, notes_beside_a_pull, somebodys_file]
)
def test_a_place_with_anything_else_in_it_is_left_alone(tmp_path, make):
    into = tmp_path / "here"
    make(into)
    before = sorted(tmp_path.rglob("*"))
    target = Target()
    with pytest.raises(InputError, match="holds something else"):
        pulled(target, into)
    assert sorted(tmp_path.rglob("*")) == before
    assert target.asked == []


@pytest.mark.parametrize("name", ["x" * 300, "file/in", "link/in"])
def test_a_place_where_no_folder_can_lie_is_told_before_anything_is_asked(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    target = Target()
    with pytest.raises(InputError, match=r"cannot lie there|in the place of the folder"):
        pulled(target, tmp_path / name)
    assert target.asked == []
