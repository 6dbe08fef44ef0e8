from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundling import Remembering, onnx_bundle
from hypothesis import given
from hypothesis import strategies as st

from mlpack import files, records
from mlpack.bundle import Artifact, Document
from mlpack.errors import InputError
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.ports import Built
from mlpack.records import encode_build, read_build, read_record, write_build_json


@pytest.fixture
def built(tmp_path: Path) -> Built:
    bundle, dist = onnx_bundle(), tmp_path / "dist"
    artifacts = [
        packager.package(bundle, dist, Remembering())
        for packager in (ZipPackager(), WheelPackager())
    ]
    return Built(
        name="churn",
        version="1.2.0",
        form="onnx",
        lock=bundle.manifest.lock,
        bundle=bundle.digest,
        artifacts={artifact.kind: artifact for artifact in artifacts},
        dist=dist,
        reference="9" * 64,
    )


def test_what_is_written_is_read_back(built):
    assert write_build_json(built, "inputs' digest") == built.dist / "build.json"
    assert read_build(built.dist) == built
    record = read_record(built.dist)
    assert record is not None
    assert record.inputs == "inputs' digest"


def test_it_is_plain_json_that_scripts_can_read(built):
    write_build_json(built, "x")
    text = (built.dist / "build.json").read_text()
    assert text.endswith("}\n")
    found = json.loads(text)
    assert list(found) == [
        "format", "name", "version", "form", "lock", "bundle", "artifacts", "inputs",
        "reference",
    ]  # fmt: skip
    assert list(found["artifacts"]) == ["wheel", "zip"]
    assert found["artifacts"]["zip"]["file"] == "churn-1.2.0.zip"
    assert str(built.dist) not in text


def test_the_order_of_building_does_not_matter(built):
    turned = dict(reversed(built.artifacts.items()))
    other = replace(built, artifacts=turned)
    assert encode_build(other, "x") == encode_build(built, "x")


def test_nothing_built(tmp_path):
    assert read_record(tmp_path) is None
    with pytest.raises(InputError, match="nothing is built") as caught:
        read_build(tmp_path)
    assert caught.value.hint == "mlpack build"


def test_a_missing_artifact(built):
    write_build_json(built, "x")
    (built.dist / "churn-1.2.0.zip").unlink()
    with pytest.raises(InputError, match="zip is missing") as caught:
        read_build(built.dist)
    assert caught.value.hint == "mlpack build"


@pytest.mark.parametrize("damage", [b"", b"x" * 10])
def test_a_damaged_artifact(built, damage):
    write_build_json(built, "x")
    (built.dist / "churn-1.2.0.zip").write_bytes(damage)
    with pytest.raises(InputError, match="zip is not the one that was built"):
        read_build(built.dist)


def test_an_artifact_of_the_same_size(built):
    write_build_json(built, "x")
    path = built.dist / "churn-1.2.0.zip"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="zip is not the one that was built"):
        read_build(built.dist)


@pytest.mark.parametrize("file", ["../x.zip", "/etc/passwd", "a/b", "", ".x", "a\nb"])
def test_a_record_that_points_elsewhere_is_refused(built, file):
    artifact = Artifact(kind="zip", file=file, sha256="0" * 64, size=1)
    other = Built("churn", "1.2.0", "onnx", "l", "b", {"zip": artifact}, built.dist)
    write_build_json(other, "x")
    with pytest.raises(InputError, match="no artifact's name"):
        read_build(built.dist)


@pytest.mark.parametrize(("name", "version"), [("../x", "1.0"), ("churn", "../1"), ("", "1")])
def test_a_record_with_hostile_names_is_refused(built, name, version):
    write_build_json(Built(name, version, "onnx", "l", "b", {}, built.dist), "x")
    with pytest.raises(InputError, match="damaged"):
        read_build(built.dist)


def test_a_newer_format_says_so(built):
    write_build_json(built, "x")
    path = built.dist / "build.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="format 99"):
        read_build(built.dist)


@given(st.text(max_size=80))
def test_damaged_json_is_refused(tmp_path_factory, text):
    dist = tmp_path_factory.mktemp("dist")
    (dist / "build.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_record(dist)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "build.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match="damaged"):
        read_record(tmp_path)


def test_what_is_told_of_an_artifact_is_checked_like_the_artifact(tmp_path):
    told = Document(file="a.json", media_type="a/b", sha256=files.sha256(b"{}"), size=2)
    made = Artifact(kind="image", file="a", sha256=files.sha256(b"a"), size=1, documents=(told,))
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(InputError, match="the document of the image is missing"):
        records.check_artifact(tmp_path, made)
    (tmp_path / "a.json").write_bytes(b"[]")
    with pytest.raises(InputError, match="the document of the image is not the one"):
        records.check_artifact(tmp_path, made)
    (tmp_path / "a.json").write_bytes(b"{}")
    records.check_artifact(tmp_path, made)
