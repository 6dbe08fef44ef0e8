from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from bundling import Remembering, make_project, python_bundle
from hostile import HOSTILE, UNREADABLE
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import InputError, OutsideError
from mlpack.packagers.user_package import PackageBuilder, read_wheel
from mlpack.process import Completed, run
from mlpack.wheelfile import archive

BACKEND = '''
"""A build backend that packs src/ and nothing else."""

import os, pathlib, zipfile

def get_requires_for_build_wheel(config_settings=None):
    return ["another"]

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    pathlib.Path("build").mkdir()
    pathlib.Path("build/left.txt").write_text("a backend leaves things behind")
    name = "churn-1.2.0-py3-none-any.whl"
    info = "churn-1.2.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        for path in pathlib.Path("src").rglob("*"):
            if path.is_file():
                wheel.write(path, path.relative_to("src").as_posix())
        wheel.writestr(f"{info}/METADATA", """\\
Metadata-Version: 2.4
Name: churn
Version: 1.2.0
Summary: Mine.
License-Expression: MIT
License-File: LICENSE
Requires-Dist: pandas>=2.1
Requires-Dist: pytest; extra == "dev"
""")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\n")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr(f"{info}/top_level.txt", "churn")
        wheel.writestr(f"{info}/LICENSE", "MIT")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nx = churn:x\\n")
    return name
'''
PYPROJECT = """\
[build-system]
requires = ["one"]
build-backend = "backend"
backend-path = ["."]

[project]
name = "churn"
version = "1.2.0"
"""


class Here:
    """An environment that is not one: this Python, in which nothing is installed."""

    python_executable = sys.executable

    def __init__(self, fails: BaseException | None = None) -> None:
        self.asked: list[str] = []
        self.fails = fails

    def __call__(self) -> Here:
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def make_extra_environ(self) -> Mapping[str, str]:
        return {"SEEN": "1"}

    def install(self, requirements: Collection[str]) -> None:
        if self.fails:
            raise self.fails
        self.asked += requirements


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        "src/churn/__init__.py": '"""Mine."""\n',
        "src/churn/features.py": "x = 1\n",
        "src/churn/__pycache__/features.pyc": "x",
        "data/secret.csv": "name\n",
        "models/model.joblib": "x",
        ".venv-3/pyvenv.cfg": "",
        "dist/churn.zip": "x",
    }
    for name, content in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "project"


def listing(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def builder(environment: Any = None, runner: Any = run) -> PackageBuilder:
    return PackageBuilder(runner, os.environ, environment or Here())


def test_the_package_is_what_its_backend_makes_of_it(root):
    before = listing(root)
    here, reporter = Here(), Remembering()
    package = builder(here).build(make_project(root), reporter)
    assert package.tree == {
        "churn/__init__.py": b'"""Mine."""\n',
        "churn/features.py": b"x = 1\n",
    }
    assert set(package.extra) == {"entry_points.txt", "licenses/LICENSE"}
    assert package.requires == ("pandas>=2.1", 'pytest; extra == "dev"')
    assert (package.summary, package.license) == ("Mine.", "MIT")
    assert here.asked == ["one", "another"]
    assert listing(root) == before, "the project's folder stays as it is"
    assert any("backend" in line for line in reporter.told)


def test_it_goes_into_a_bundle(root):
    package = builder().build(make_project(root), Remembering())
    bundle = python_bundle(package)
    assert bundle.tree["churn/features.py"] == b"x = 1\n"
    assert "pandas==3.1.1" in bundle.requires


def test_building_twice_gives_the_same_package(root):
    project = make_project(root)
    first = builder().build(project, Remembering())
    assert builder().build(project, Remembering()) == first


def test_in_an_environment_of_its_own(root):
    pyproject = root / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace('["one"]', "[]"))
    backend = root / "backend.py"
    backend.write_text(BACKEND.replace('["another"]', "[]"))
    package = PackageBuilder(run, os.environ).build(make_project(root), Remembering())
    assert "churn/features.py" in package.tree


def test_the_backend_sees_no_data_no_models_and_no_environment(root):
    seen: list[list[str]] = []

    def spy(argv, *, cwd=None, env=None, **more) -> Completed:
        seen.append(listing(cwd))
        assert env["SEEN"] == "1"
        return run(argv, cwd=cwd, env=env, **more)

    builder(runner=spy).build(make_project(root), Remembering())
    assert seen[0] == [
        "backend.py",
        "pyproject.toml",
        "src",
        "src/churn",
        "src/churn/__init__.py",
        "src/churn/features.py",
    ]


def test_a_package_called_models_is_seen(root):
    (root / "models" / "__init__.py").write_text("")
    seen: list[str] = []

    def spy(argv, *, cwd=None, **more) -> Completed:
        seen.extend(listing(cwd))
        return run(argv, cwd=cwd, **more)

    builder(runner=spy).build(make_project(root, package="models"), Remembering())
    assert "models/__init__.py" in seen
    assert "data" not in seen


def test_a_project_without_a_backend_is_told_the_lines_to_add(root):
    (root / "pyproject.toml").write_text('[project]\nname = "churn"\n')
    with pytest.raises(InputError, match="how to package it") as caught:
        builder().build(make_project(root), Remembering())
    assert caught.value.hint.startswith("[build-system]\n")
    (root / "pyproject.toml").unlink()
    with pytest.raises(InputError) as caught:
        builder().build(make_project(root), Remembering())
    assert caught.value.hint.startswith('[project]\nname = "churn"')


def test_the_last_lines_of_a_backend_that_fails_are_shown(root):
    (root / "backend.py").write_text("def build_wheel(*_): raise ValueError('no package found')")
    with pytest.raises(InputError, match="ValueError: no package found") as caught:
        builder().build(make_project(root), Remembering())
    assert caught.value.where == "pyproject.toml"
    assert len(caught.value.what.splitlines()) < 12


def test_a_backend_that_is_not_there(root):
    (root / "backend.py").unlink()
    with pytest.raises(InputError, match=r"backend failed.*backend.*not available"):
        builder().build(make_project(root), Remembering())


@pytest.mark.parametrize(
    "system", ["requires = 3", 'requires = []\nbuild-backend = ["x"]', "x = 1", 'requires = "a"']
)
def test_a_damaged_build_system_is_refused(root, system):
    (root / "pyproject.toml").write_text(f"[build-system]\n{system}\n")
    with pytest.raises(InputError, match="build-system"):
        builder().build(make_project(root), Remembering())


def test_what_cannot_be_installed_is_told(root):
    error = subprocess.CalledProcessError(1, ["pip"], b"", b"ERROR: No matching distribution\n")
    with pytest.raises(OutsideError, match="No matching distribution"):
        builder(Here(error)).build(make_project(root), Remembering())


def test_a_wheel_for_one_platform_is_refused():
    with pytest.raises(InputError, match="compiled"):
        read_wheel("churn-1.0-cp311-cp311-linux_x86_64.whl", archive({"a": b""}))


def test_a_wheel_that_installs_elsewhere_is_refused():
    content = archive({"churn-1.0.data/scripts/train.sh": b""})
    with pytest.raises(InputError, match=r"train\.sh outside of itself"):
        read_wheel("churn-1.0-py3-none-any.whl", content)


def test_purelib_is_site_packages():
    content = archive({"churn-1.0.data/purelib/churn/a.py": b"a"})
    assert read_wheel("churn-1.0-py3-none-any.whl", content).tree == {"churn/a.py": b"a"}


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda evil: evil.what)
def test_a_wheel_that_tries_to_escape_is_refused(evil):
    with pytest.raises(InputError, match=evil.told):
        read_wheel("churn-1.0-py3-none-any.whl", evil.data)


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_wheel_that_cannot_be_read_is_refused(what):
    with pytest.raises(InputError, match=r"made no wheel|is encrypted"):
        read_wheel("churn-1.0-py3-none-any.whl", UNREADABLE[what])


@given(st.text(max_size=30), st.binary(max_size=60))
def test_what_is_no_wheel_is_refused(name, content):
    with pytest.raises(InputError):
        read_wheel(name, content)
