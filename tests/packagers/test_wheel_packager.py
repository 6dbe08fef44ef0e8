from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import msgspec
import pytest
from bundling import Remembering, make_project, onnx_bundle, python_bundle

from mlpack.bundle import UserPackage
from mlpack.files import sha256
from mlpack.packagers.wheel import WheelPackager
from mlpack.wheelfile import archive, installed, metadata, wheel_bytes, wheel_name

TOOLS = Path(sys.executable).parent


def tool(*argv: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in argv],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


USER = UserPackage(
    tree={"churn/__init__.py": b"answer = 42\n", "churn/features.py": b"x = 1\n"},
    extra={
        "entry_points.txt": b"[console_scripts]\nchurn-train = churn.features:x\n",
        "licenses/LICENSE": b"MIT\n",
    },
    requires=(),
    summary="Who leaves — and why.",
    license="MIT",
)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """The wheels of two projects with different models."""
    paths = []
    other = make_project(name="House.Prices", package="houses", version="0.1.0rc1")
    for bundle in (onnx_bundle(), onnx_bundle(other, factor=3.0)):
        artifact = WheelPackager().package(bundle, tmp_path, Remembering())
        paths.append(tmp_path / artifact.file)
    return paths


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a clean environment."""
    tool(TOOLS / "uv", "venv", "-q", "--python", sys.executable, tmp_path / "clean")
    return tmp_path / "clean" / "bin" / "python"


def test_artifact(tmp_path):
    reporter = Remembering()
    artifact = WheelPackager().package(onnx_bundle(), tmp_path, reporter)
    content = (tmp_path / artifact.file).read_bytes()
    assert artifact.file == "churn-1.2.0-py3-none-any.whl"
    assert (artifact.kind, artifact.size, artifact.sha256) == (
        "wheel",
        len(content),
        sha256(content),
    )
    assert [path.name for path in tmp_path.iterdir()] == [artifact.file]
    assert "Packing the wheel" in reporter.told


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("churn", "1.2.0", "churn-1.2.0-py3-none-any.whl"),
        ("My.Churn--Model", "1.0", "my_churn_model-1.0-py3-none-any.whl"),
        ("churn", "1.0-rc.1", "churn-1.0rc1-py3-none-any.whl"),
        ("churn", "1.0+gpu-2", "churn-1.0+gpu.2-py3-none-any.whl"),
        ("churn", "1!2.0", "churn-1!2.0-py3-none-any.whl"),
    ],
)
def test_file_names_are_normalised(name, version, expected):
    assert wheel_name(onnx_bundle(make_project(name=name, version=version)).manifest) == expected


@pytest.mark.parametrize(("field", "value"), [("name", "../evil"), ("version", "1/2")])
def test_hostile_manifests_are_refused(field, value):
    bundle = onnx_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, **{field: value})
    with pytest.raises(ValueError, match="nvalid"):
        wheel_bytes(replace(bundle, manifest=manifest))


@pytest.mark.parametrize("field", ["summary", "license"])
def test_a_line_break_cannot_add_a_header(field):
    with pytest.raises(ValueError, match="line break"):
        metadata(replace(onnx_bundle(), **{field: "x\nRequires-Dist: evil"}))


def test_building_twice_gives_identical_bytes():
    assert wheel_bytes(onnx_bundle()) == wheel_bytes(onnx_bundle())
    bundle = onnx_bundle()
    turned = replace(bundle, tree=dict(reversed(bundle.tree.items())))
    assert wheel_bytes(turned) == wheel_bytes(bundle)


def test_entries_are_sorted_plain_files_of_one_time():
    with zipfile.ZipFile(io.BytesIO(wheel_bytes(onnx_bundle()))) as wheel:
        entries = wheel.infolist()
    names = [entry.filename for entry in entries]
    package = [name for name in names if name.startswith("churn/")]
    assert package == sorted(package)
    assert names[-1] == "churn-1.2.0.dist-info/RECORD"
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.create_system for entry in entries} == {3}


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (1_700_000_000, (2023, 11, 14, 22, 13, 20)),
        (0, (1980, 1, 1, 0, 0, 0)),
        (10**11, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_the_epoch_is_the_time_of_entries(epoch, expected, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with zipfile.ZipFile(io.BytesIO(archive({"a": b""}, epoch))) as made:
        assert made.infolist()[0].date_time == expected


@pytest.mark.parametrize("name", ["../a", "/a", "a\\b", "a//b", ""])
def test_an_archive_holds_no_path_that_climbs_out(name):
    with pytest.raises(ValueError, match="not a path inside"):
        archive({name: b""})


def test_record_lists_every_file():
    tree = installed(python_bundle(USER))
    rows = list(csv.reader(io.StringIO(tree["churn-1.2.0.dist-info/RECORD"].decode())))
    assert [row[0] for row in rows] == list(tree)
    assert rows[-1] == ["churn-1.2.0.dist-info/RECORD", "", ""]
    assert all(int(row[2]) == len(tree[row[0]]) for row in rows[:-1])


def test_metadata_of_a_graph():
    fields = message_from_bytes(metadata(onnx_bundle()))
    assert fields["Metadata-Version"] == "2.1"
    assert fields["Requires-Python"] == ">=3.10"
    assert fields.get_all("Classifier") == ["Private :: Do Not Upload"]
    assert "onnxruntime>=1.31,<2" in fields.get_all("Requires-Dist")
    assert "from churn import Model" in fields.get_payload()
    assert "License-Expression" not in fields


def test_metadata_of_a_pickle_with_code():
    fields = message_from_bytes(metadata(python_bundle(USER)))
    assert fields["Metadata-Version"] == "2.4"
    assert fields["License-Expression"] == "MIT"
    assert fields["License-File"] == "LICENSE"
    assert fields["Requires-Python"] == "==3.11.*"
    assert "scikit-learn==1.9.1" in fields.get_all("Requires-Dist")


def test_the_tools_find_nothing_wrong(two, tmp_path):
    code = python_bundle(USER, make_project(name="with-code"))
    paths = [*two, tmp_path / WheelPackager().package(code, tmp_path, Remembering()).file]
    tool(sys.executable, "-m", "check_wheel_contents", *paths)
    assert tool(sys.executable, "-m", "twine", "check", "--strict", *paths).count("PASSED") == 3


USE = """
import json, sys
from importlib.metadata import version
from churn import Model as Churn
import churn
from houses import Model as Houses
row = [{"size": 2.0}]
def value(model):
    return json.loads(json.dumps(list(model.predict(row)), default=float))
print(json.dumps({
    "churn": value(Churn()), "houses": value(Houses()),
    "versions": [version("churn"), version("house-prices"), churn.__version__],
}))
"""


@pytest.mark.parametrize("installer", ["pip", "uv", "installer"])
def test_two_models_live_in_one_environment(two, environment, installer):
    if installer == "pip":
        tool(sys.executable, "-m", "pip", "--python", environment, "install", "--no-deps", *two)
    elif installer == "uv":
        tool(TOOLS / "uv", "pip", "install", "--no-deps", "--python", environment, *two)
    else:
        found = {"PYTHONPATH": sysconfig.get_path("purelib")}
        for wheel in two:
            tool(environment, "-m", "installer", "--validate-record", "all", wheel, env=found)
    # The libraries come from here: what is installed there is the wheels alone.
    libraries = {"PYTHONPATH": sysconfig.get_path("purelib")}
    said = json.loads(tool(environment, "-c", USE, env=libraries, cwd=environment.parent))
    assert said == {
        "churn": [4.0],
        "houses": [6.0],
        "versions": ["1.2.0", "0.1.0rc1", "1.2.0"],
    }
    # One goes, and takes nothing of the other with it.
    tool(TOOLS / "uv", "pip", "uninstall", "--python", environment, "churn")
    left = "from houses import Model; print(list(Model().predict([{'size': 2.0}])))"
    assert tool(environment, "-c", left, env=libraries, cwd=environment.parent) == "[6.0]\n"


def test_the_users_package_is_importable_without_the_model(tmp_path, environment):
    artifact = WheelPackager().package(python_bundle(USER), tmp_path, Remembering())
    tool(
        TOOLS / "uv",
        "pip",
        "install",
        "--no-deps",
        "--python",
        environment,
        tmp_path / artifact.file,
    )
    code = "import churn, sys; print(churn.answer, 'numpy' in sys.modules)"
    assert tool(environment, "-c", code, cwd=tmp_path).split() == ["42", "False"]
    assert (environment.parent / "churn-train").exists()
