"""What runs in production comes into a folder of its own, and never over somebody else's files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bundling import Remembering, make_project, onnx_bundle

from mlpack.errors import InputError
from mlpack.files import staged, write_tree
from mlpack.operating import Fetched
from mlpack.usecases.pull import pull
from mlpack.wheelfile import installed


class Holding:
    """A target that holds one model, and what its servers have sampled."""

    kind = "test"
    verbs = frozenset(("fetch", "samples"))

    def fetch(self, release, into, reporter):
        with staged(into, folder=True) as folder:
            write_tree(
                folder, {f"lib/{k}": v for k, v in installed(onnx_bundle(make_project())).items()}
            )
            write_tree(folder, {"sbom.cdx.json": b"{}", "sbom.spdx.json": b"{}"})
        return Fetched(into, "1.0.0", 3, "sha256:0")

    def samples(self, release):
        return b"{}\n"


class Environments:
    """Environments that are this one."""

    def python(self, model, reporter):
        return Path(sys.executable)


def pulled(into):
    return pull(Holding(), None, into, environments=Environments(), reporter=Remembering())


def test_what_an_earlier_pull_has_left_is_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    for into in (tmp_path / "there", tmp_path / "there", tmp_path / "empty"):
        assert pulled(into).rows == 1
    assert (tmp_path / "there" / "samples.jsonl").read_bytes() == b"{}\n"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(InputError, match="did not bring"):
        pulled(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("mine", ["lib/mine.py", "notes.txt"])
def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path, mine):
    write_tree(tmp_path, {f"there/{mine}": b"mine"})
    with pytest.raises(InputError, match="did not bring"):
        pulled(tmp_path / "there")
    assert (tmp_path / "there" / mine).read_bytes() == b"mine"


def test_what_somebody_put_beside_an_earlier_pull_stays(tmp_path):
    pulled(tmp_path / "there")
    write_tree(tmp_path, {"there/notes.txt": b"mine"})
    with pytest.raises(InputError, match="did not bring"):
        pulled(tmp_path / "there")
    assert (tmp_path / "there" / "notes.txt").read_bytes() == b"mine"
