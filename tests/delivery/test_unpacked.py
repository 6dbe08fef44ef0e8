"""A model's files out of every kind of artifact, and nothing out of what leads elsewhere."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest
from bundling import Remembering, lock_text, make_project, onnx_bundle, python_bundle
from images import image_of

from mlpack.delivery.unpacked import found, unpack, unpack_image, unpack_tar
from mlpack.errors import InputError
from mlpack.materials import materials
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.runtime.model import Model
from mlpack.sbom import cyclonedx
from mlpack.wheelfile import installed

BUNDLE = onnx_bundle(make_project())


def in_image(bundle=BUNDLE, **more):
    files = {f"app/lib/{name}": data for name, data in installed(bundle).items()}
    return {**files, "app/sbom.cdx.json": cyclonedx(materials(bundle)), **more}


def test_a_wheel_says_ranges_and_a_zip_the_lock(tmp_path):
    wheel = WheelPackager().package(BUNDLE, tmp_path, Remembering())
    zipped = ZipPackager().package(BUNDLE, tmp_path, Remembering())
    one = unpack(tmp_path / wheel.file, tmp_path / "one")
    two = unpack(tmp_path / zipped.file, tmp_path / "two")
    assert one.manifest == two.manifest == BUNDLE.manifest
    assert (one.exact, two.exact) == (False, True)
    assert "numpy>=" in one.requirements.replace("numpy<", "numpy>=")
    assert "numpy==2.4.6 \\\n    --hash=sha256:" + "0" * 64 in two.requirements
    assert 'uvloop==0.23.0; sys_platform != "win32" \\\n' in two.requirements
    assert two.requirements.count("==") == lock_text().count("==")
    assert Model(two.data).predict({"size": 2.0}) == 4.0
    assert sorted(each.name for each in (tmp_path / "two").iterdir()) == ["lib", "sbom.cdx.json"]


def test_an_image_gives_the_model_of_its_last_layer(tmp_path):
    other = {"app/lib/numpy/__init__.py": b"", "app/lib/numpy/big.so": b"x" * 100}
    image = image_of(tmp_path, {"etc/os-release": b""}, other, in_image())
    model = unpack_image(image, tmp_path / "model", "an image")
    assert model.manifest == BUNDLE.manifest
    assert model.exact
    assert not (model.library / "numpy").exists()
    assert Model(model.data).predict({"size": 2.0}) == 4.0
    assert found(tmp_path / "model") == model


def test_an_image_of_somebody_else_has_no_model(tmp_path):
    image = image_of(tmp_path, {"app/lib/numpy/__init__.py": b""})
    with pytest.raises(InputError, match="no image of mlpack's"):
        unpack_image(image, tmp_path / "model", "an image")
    assert not (tmp_path / "model").exists()


def tar_with(*members):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    held.seek(0)
    return tarfile.open(fileobj=held, mode="r:")


def test_links_and_devices_are_left_out_and_names_stay_inside(tmp_path):
    link = tarfile.TarInfo("app/lib/passwd")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device = tarfile.TarInfo("app/lib/null")
    device.type = tarfile.CHRTYPE
    with tar_with((link, b""), (device, b""), (tarfile.TarInfo("./app/lib/fine"), b"1")) as tar:
        assert unpack_tar(tar, tmp_path / "root", "a tar") is False
    assert [each.name for each in (tmp_path / "root" / "lib").iterdir()] == ["fine"]
    with (
        tar_with((tarfile.TarInfo("app/../../evil"), b"1")) as tar,
        pytest.raises(InputError, match="leads outside"),
    ):
        unpack_tar(tar, tmp_path / "root", "a tar")
    assert not (tmp_path / "evil").exists()


def test_what_is_larger_than_any_model_is_refused_before_it_is_read(tmp_path):
    member = tarfile.TarInfo("app/lib/model.onnx")
    member.size = (16 << 30) + 1
    with (
        tarfile.open(fileobj=io.BytesIO(member.tobuf()), mode="r:") as tar,
        pytest.raises(InputError, match="larger than any model"),
    ):
        unpack_tar(tar, tmp_path / "root", "a tar")
    assert not (tmp_path / "root").exists()


def test_more_files_than_any_model_has_are_not_looked_at(tmp_path):
    many = io.BytesIO(tarfile.TarInfo("other").tobuf() * 100_002)
    with (
        tarfile.open(fileobj=many, mode="r:") as tar,
        pytest.raises(InputError, match="more files than any model"),
    ):
        unpack_tar(tar, tmp_path / "root", "a tar")


def test_bytecode_of_others_is_left_out(tmp_path):
    image = image_of(tmp_path, in_image(**{"app/lib/churn/evil.pyc": b"x"}))
    model = unpack_image(image, tmp_path / "model", "an image")
    assert not list(model.library.rglob("*.pyc"))


def test_a_model_in_the_place_of_another_package_is_refused(tmp_path):
    moved = {path.replace("app/lib/churn/", "app/lib/other/"): b for path, b in in_image().items()}
    image = image_of(tmp_path, moved)
    with pytest.raises(InputError, match="'churn' is not its package"):
        unpack_image(image, tmp_path / "model", "an image")


@pytest.mark.parametrize(
    "names",
    [
        ("app/lib/a", "app/lib/a/b"),
        ("app/lib/a/b", "app/lib/a"),
        (f"app/lib/{'x' * 300}",),
        ("app//etc/passwd",),
    ],
)
def test_names_that_can_be_no_files_are_a_fault_of_the_archive(tmp_path, names):
    members = [(tarfile.TarInfo(name), b"1") for name in names]
    with tar_with(*members) as tar, pytest.raises(InputError, match=r"no file|leads outside"):
        unpack_tar(tar, tmp_path / "root", "a tar")


def test_what_is_no_artifact_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("other/__init__.py", "")
    for name, message in (
        ("x.txt", "no artifact"),
        ("x.zip", "damaged"),
        ("x.whl", "no model"),
        ("missing.whl", "no such artifact"),
    ):
        with pytest.raises(InputError, match=message):
            unpack(tmp_path / name, tmp_path / "into")
        assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    "component",
    [
        {"name": "a b", "version": "1", "purl": "pkg:pypi/a", "hashes": []},
        {"name": "a @ http://evil/a.whl#", "version": "1", "purl": "pkg:pypi/a"},
        {"name": "a @ file:///evil", "version": "1", "purl": "pkg:pypi/a"},
        {"name": "a", "version": "1 --index-url http://evil", "purl": "pkg:pypi/a"},
        {"name": "a", "version": "1\nevil @ http://evil", "purl": "pkg:pypi/a"},
        {"name": "a", "version": "1", "purl": "pkg:pypi/a", "bom-ref": "x#\n-r evil"},
        {
            "name": "a",
            "version": "1",
            "purl": "pkg:pypi/a",
            "hashes": [{"alg": "SHA-256", "content": "0\n--index-url http://evil"}],
        },
    ],
)
def test_a_bill_cannot_tell_an_installer_anything_but_packages(tmp_path, component):
    bill = json.dumps({"components": [component]}).encode()
    image = image_of(tmp_path, in_image(**{"app/sbom.cdx.json": bill}))
    with pytest.raises(InputError, match=r"sbom|no package|hash"):
        unpack_image(image, tmp_path / "model", "an image")


def test_a_pickle_says_its_lock_too(tmp_path):
    bundle = python_bundle(None)
    zipped = ZipPackager().package(bundle, tmp_path, Remembering())
    model = unpack(tmp_path / zipped.file, tmp_path / "model")
    assert model.manifest.form == "python"
    assert "scikit-learn==1.9.1" in model.requirements


def test_a_zip_whose_bytes_were_turned_is_damaged(tmp_path):
    zipped = tmp_path / ZipPackager().package(BUNDLE, tmp_path, Remembering()).file
    turned = bytearray(zipped.read_bytes())
    middle = turned.index(b".whl") + len(turned) // 2
    turned[middle : middle + 100] = bytes(each ^ 0x55 for each in turned[middle : middle + 100])
    zipped.write_bytes(turned)
    with pytest.raises(InputError, match="it is damaged"):
        unpack(zipped, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("line", [b"Requires-Dist: @@@\n", b"\xff\xfe\n"])
def test_a_wheel_with_damaged_metadata_is_told(tmp_path, line):
    wheel = tmp_path / WheelPackager().package(BUNDLE, tmp_path, Remembering()).file
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            more = name.endswith("METADATA")
            new.writestr(name, line + old.read(name) if more else old.read(name))
    with pytest.raises(InputError, match="METADATA is damaged"):
        unpack(other, tmp_path / "model")


def test_a_wheel_without_a_model_is_called_by_its_own_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as new:
        new.writestr("other/__init__.py", "")
    with pytest.raises(InputError, match="no model of mlpack's") as told:
        unpack(tmp_path / "other.whl", tmp_path / "before")
    assert told.value.where == "other.whl"
