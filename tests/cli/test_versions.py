"""Models to compare: what was built, what runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from memory_target import GOOD, Target, build

from mlpack.cli import versions
from mlpack.errors import InputError
from mlpack.files import sha256
from mlpack.operating import Fetched
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager


def test_of_several_artifacts_the_one_with_the_lock_is_taken(project, tmp_path):
    built = build(project, GOOD, WheelPackager, ZipPackager)
    assert versions.of_build(built, tmp_path / "one").model.exact
    alone = replace(built, artifacts={"wheel": built.artifacts["wheel"]})
    assert not versions.of_build(alone, tmp_path / "two").model.exact
    with pytest.raises(InputError, match="nothing is built"):
        versions.of_build(replace(built, artifacts={}), tmp_path / "three")


def test_reference_rows_of_another_training_are_not_taken(project, tmp_path):
    rows = tmp_path / "reference.csv"
    rows.write_text("size,price\n1,2\n")
    project = replace(project, reference=rows)
    built = replace(build(project, GOOD), reference=sha256(rows.read_bytes()))
    made = versions.of_build(built, tmp_path / "one")
    assert len(versions.reference(project, made).rows) == 1
    unknown = replace(made, reference="")
    assert len(versions.reference(project, unknown).rows) == 1
    rows.write_text("size,price\n1,3\n")
    with pytest.raises(InputError, match="rows are of another training than churn-1") as caught:
        versions.reference(project, made)
    assert "mlpack build" in caught.value.hint


def test_what_runs_is_named_with_its_environment_and_release(project, console, tmp_path):
    found = versions.running(Target(GOOD), "production", tmp_path / "a", console)
    assert (found.source, found.model.manifest.version) == (
        "production, memory, release 7",
        "1.3.0",
    )
    there = Fetched(tmp_path, "1.3.0", 0)
    assert versions.told(Target(GOOD), there) == "memory"  # it has no numbers
    with pytest.raises(InputError, match="nothing is deployed in production"):
        versions.running(Target(None), "production", tmp_path / "b", console)
