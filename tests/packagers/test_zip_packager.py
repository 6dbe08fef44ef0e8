from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bundling import SERVING, Remembering, lock_text, make_project, onnx_bundle, python_bundle
from packaging.requirements import Requirement

from mlpack.bundle import Bundle, UserPackage
from mlpack.files import sha256
from mlpack.packagers.zip import ZipPackager, zip_bytes
from mlpack.provenance import Origin
from mlpack.wheelfile import archive, wheel_bytes

TOOLS = Path(sys.executable).parent

HELPER = archive(
    {
        "helping/__init__.py": b"ready = True\n",
        "helping-1.5.dist-info/METADATA": b"Metadata-Version: 2.1\nName: helping\nVersion: 1.5\n",
        "helping-1.5.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: a test\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        "helping-1.5.dist-info/RECORD": b"helping/__init__.py,,\nhelping-1.5.dist-info/METADATA,,\n"
        b"helping-1.5.dist-info/WHEEL,,\nhelping-1.5.dist-info/RECORD,,\n",
    }
)
"""A dependency that can be installed without any index."""


def unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        return {name: made.read(name) for name in made.namelist()}


def code_bundle(digest: str) -> Bundle:
    """A bundle whose lock is `HELPER` alone, under `digest`."""
    user = UserPackage(tree={"churn/__init__.py": b"import helping\n"}, extra={}, requires=())
    return replace(
        python_bundle(user),
        lock=f"# one\nhelping==1.5 \\\n    --hash=sha256:{digest}\n",
        requires=("helping>=1.5,<2",),
        manifest=onnx_bundle().manifest,  # any Python will do
    )


@dataclass(frozen=True)
class Machine:
    """Where a zip is unpacked, and an index with `HELPER` in it."""

    root: Path
    python: Path

    def install(self, tool: str, lock: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        commands: dict[str, Sequence[object]] = {
            "pip": (sys.executable, "-m", "pip", "--python", self.python, "install"),
            "uv": (TOOLS / "uv", "pip", "install", "--python", self.python),
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        index = (self.root / "index").as_uri()
        return subprocess.run(
            [*map(str, commands[tool]), "-r", lock],
            check=False,
            cwd=cwd,
            capture_output=True,
            text=True,
            env={
                **kept,
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_INDEX_URL": index,
                "PIP_NO_CACHE_DIR": "1",
                "UV_DEFAULT_INDEX": index,
                "UV_NO_CONFIG": "1",
            },
        )

    def says(self, code: str) -> str:
        done = subprocess.run(
            [str(self.python), "-c", code],
            check=True,
            cwd=self.root,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "index" / "helping"
    folder.mkdir(parents=True)
    (folder / "helping-1.5-py3-none-any.whl").write_bytes(HELPER)
    (folder / "index.html").write_text(
        '<a href="helping-1.5-py3-none-any.whl">helping-1.5-py3-none-any.whl</a>'
    )
    subprocess.run([TOOLS / "uv", "venv", "-q", "-p", sys.executable, tmp_path / "env"], check=True)
    return Machine(tmp_path, tmp_path / "env" / "bin" / "python")


def unzip(bundle: Bundle, into: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_bytes(bundle))) as made:
        made.extractall(into)


def test_artifact(tmp_path):
    artifact = ZipPackager().package(onnx_bundle(), tmp_path, Remembering())
    content = (tmp_path / artifact.file).read_bytes()
    assert artifact.file == "churn-1.2.0.zip"
    assert (artifact.kind, artifact.size, artifact.sha256) == ("zip", len(content), sha256(content))


def test_what_is_in_it():
    bundle = onnx_bundle()
    files = unpack(zip_bytes(bundle))
    assert set(files) == {
        "churn-1.2.0/README.md",
        "churn-1.2.0/churn-1.2.0-py3-none-any.whl",
        "churn-1.2.0/manifest.json",
        "churn-1.2.0/parity.json",
        "churn-1.2.0/provenance.intoto.json",
        "churn-1.2.0/requirements.lock.txt",
        "churn-1.2.0/sbom.cdx.json",
        "churn-1.2.0/sbom.spdx.json",
    }
    assert files["churn-1.2.0/churn-1.2.0-py3-none-any.whl"] == wheel_bytes(bundle)
    assert json.loads(files["churn-1.2.0/manifest.json"])["name"] == "churn"
    assert b"pip install -r churn-1.2.0/requirements.lock.txt" in files["churn-1.2.0/README.md"]


def test_the_provenance_is_about_the_wheel_in_it():
    bundle = onnx_bundle()
    origin = Origin("https://git.example/churn", "c" * 40)
    files = unpack(zip_bytes(bundle, origin=origin))
    statement = json.loads(files["churn-1.2.0/provenance.intoto.json"])
    wheel = "churn-1.2.0-py3-none-any.whl"
    assert statement["subject"] == [
        {"name": wheel, "digest": {"sha256": sha256(files[f"churn-1.2.0/{wheel}"])}}
    ]
    given = statement["predicate"]["buildDefinition"]["externalParameters"]
    assert given["artifact"] == "wheel"
    assert given["source"]["digest"] == {"gitCommit": "c" * 40}


def test_building_twice_gives_identical_bytes():
    assert zip_bytes(onnx_bundle()) == zip_bytes(onnx_bundle())


def test_names_are_normalised():
    bundle = onnx_bundle(make_project(name="House_Prices", version="1.0-rc1", package="houses"))
    names = set(unpack(zip_bytes(bundle)))
    assert "house-prices-1.0rc1/house_prices-1.0rc1-py3-none-any.whl" in names
    lock = unpack(zip_bytes(bundle))["house-prices-1.0rc1/requirements.lock.txt"].decode()
    assert "\nhouse-prices==1.0rc1 \\\n" in lock


def test_the_sbom_names_every_package_of_the_lock():
    sbom = json.loads(unpack(zip_bytes(onnx_bundle()))["churn-1.2.0/sbom.cdx.json"])
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    assert {part["name"]: part["version"] for part in sbom["components"]} == SERVING
    (numpy,) = [part for part in sbom["components"] if part["name"] == "numpy"]
    assert numpy["purl"] == "pkg:pypi/numpy@2.4.6"
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert sbom["metadata"]["component"]["purl"] == "pkg:pypi/churn@1.2.0"
    references = [part["bom-ref"] for part in sbom["components"]]
    assert len(set(references)) == len(references)
    assert sbom["dependencies"][0]["dependsOn"] == references


def test_the_sboms_serial_number_follows_from_the_bundle():
    def serial(bundle: Bundle) -> str:
        return json.loads(unpack(zip_bytes(bundle))["churn-1.2.0/sbom.cdx.json"])["serialNumber"]

    assert serial(onnx_bundle()) == serial(onnx_bundle())
    assert serial(onnx_bundle()) != serial(onnx_bundle(factor=3.0))


def test_a_local_version_is_escaped_in_its_purl():
    lock = lock_text(torch="2.13.0+cpu")
    sbom = json.loads(unpack(zip_bytes(onnx_bundle(lock=lock)))["churn-1.2.0/sbom.cdx.json"])
    assert "pkg:pypi/torch@2.13.0%2Bcpu" in [part["purl"] for part in sbom["components"]]


def test_every_line_of_the_lock_is_exact_and_has_a_digest():
    lock = unpack(zip_bytes(onnx_bundle()))["churn-1.2.0/requirements.lock.txt"].decode()
    lines = [line for line in lock.replace("\\\n", "").splitlines() if line[:1] not in "#-"]
    assert len(lines) == len(SERVING) + 1
    for line in lines:
        requirement, _, digest = line.partition("--hash=sha256:")
        assert str(Requirement(requirement).specifier).startswith("==")
        assert len(digest.strip()) == 64


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("place", [".", "dee p/é", "deep/churn-1.2.0"])
def test_it_installs_from_any_working_directory(machine, tool, place):
    unzip(code_bundle(sha256(HELPER)), machine.root / "deep")
    lock = machine.root / "deep" / "churn-1.2.0" / "requirements.lock.txt"
    cwd = machine.root / place
    cwd.mkdir(parents=True, exist_ok=True)
    done = machine.install(tool, os.path.relpath(lock, cwd), cwd)
    assert done.returncode == 0, done.stderr
    said = machine.says(
        "import churn; from importlib.metadata import version as v; print(v('churn'), v('helping'))"
    )
    assert said == "1.2.0 1.5"


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_another_wheel_under_the_same_name_is_refused(machine, tool):
    unzip(code_bundle(sha256(HELPER)), machine.root)
    wheel = machine.root / "churn-1.2.0" / "churn-1.2.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes(replace(code_bundle(sha256(HELPER)), summary="evil")))
    done = machine.install(tool, "churn-1.2.0/requirements.lock.txt", machine.root)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_another_dependency_under_the_same_version_is_refused(machine, tool):
    unzip(code_bundle(sha256(b"other")), machine.root)
    done = machine.install(tool, "churn-1.2.0/requirements.lock.txt", machine.root)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()
