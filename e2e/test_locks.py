"""Locks against a real index: both resolvers, and pip as the judge of what they wrote."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from mlpack import lock_files
from mlpack.errors import CheckFailedError, InputError
from mlpack.files import sha256_file
from mlpack.inspection import read as inspect
from mlpack.process import run
from mlpack.resolvers.pip_tools import PipToolsResolver
from mlpack.resolvers.uv import UvResolver
from mlpack.usecases.install import install
from mlpack.usecases.lock import check, lock, relock_for_form

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
OWN = tuple(importlib.metadata.requires("mlpack-builder") or ())
TRAINING = {"scikit-learn", "pandas", "scipy", "joblib", "skl2onnx", "onnx"}
BUILDING = {"mlpack", "mlpack-builder", "pip-tools", "uv", "docker", "boto3"}


class Quiet:
    @contextlib.contextmanager
    def stage(self, title):
        yield self

    def advance(self, done, total=None): ...

    def result(self, text): ...

    def note(self, text): ...

    def warn(self, text):
        print(text)


def make_project(root: Path, dependencies: list[str], dev=("pytest",), resolver="uv"):
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(
        "[project]\n"
        'name = "penguins"\nversion = "1.0.0"\nrequires-python = ">=3.10"\n'
        f"dependencies = {dependencies!r}\n"
        f"[dependency-groups]\ndev = {list(dev)!r}\n"
        f'[tool.mlpack]\nresolver = "{resolver}"\n'
    )
    return inspect(root)


def do_lock(project, resolver=None, requirements=OWN, **options):
    return lock(
        project,
        resolver=resolver or UvResolver(run, os.environ),
        reporter=Quiet(),
        python=PYTHON,
        platforms=("linux/amd64",),
        mlpack_requirements=requirements,
        **options,
    )


def names(path: Path) -> set[str]:
    return {pin.name for pin in lock_files.pins(path)}


def versions(path: Path) -> dict[str, str]:
    return {pin.name: pin.version for pin in lock_files.pins(path)}


def digests(project) -> list[str]:
    return [sha256_file(p) for p in (project.lock_file, project.prod_lock, project.dev_lock)]


def new_environment(folder: Path) -> str:
    venv.create(folder, with_pip=True, symlinks=True)
    return str(folder / "bin" / "python")


def pip_judges(folder: Path, requirements: Path) -> None:
    """pip alone, in a clean environment: hashes checked, nothing resolved, nothing missing."""
    python = new_environment(folder)
    command = ["install", "--require-hashes", "--no-deps", "-r", str(requirements)]
    subprocess.run([python, "-m", "pip", *command], check=True, capture_output=True, text=True)
    subprocess.run([python, "-m", "pip", "check"], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A project with scikit-learn, pandas and pytest, locked by uv for an exported pipeline."""
    project = make_project(tmp_path_factory.mktemp("uv") / "penguins", ["scikit-learn", "pandas"])
    return project, do_lock(project)


def test_the_production_set_is_what_serves_and_no_more(locked):
    project, result = locked
    prod, dev = names(project.prod_lock), names(project.dev_lock)
    assert {"onnxruntime", "numpy", "fastapi", "uvicorn", "msgspec"} <= prod
    assert not prod & (TRAINING | BUILDING)
    assert {"scikit-learn", "pandas", "pytest", "skl2onnx"} <= dev
    assert not dev & {"mlpack", "mlpack-builder"}
    assert (len(prod), len(dev)) == (result.prod, result.dev)


def test_a_package_of_both_sets_has_one_version(locked):
    project, _ = locked
    prod, dev = versions(project.prod_lock), versions(project.dev_lock)
    assert prod.items() <= dev.items()


def test_no_index_and_no_path_is_in_the_files(locked):
    project, _ = locked
    for path in (project.lock_file, project.prod_lock, project.dev_lock):
        text = path.read_text()
        assert "://" not in text
        assert str(Path.cwd().anchor) + "tmp" not in text
        assert "index" not in text


@pytest.mark.parametrize("which", ["prod_lock", "dev_lock"])
def test_pip_installs_it_with_hashes_checked(locked, tmp_path, which):
    project, _ = locked
    pip_judges(tmp_path / "env", getattr(project, which))


def test_locking_again_gives_the_same_bytes(locked):
    project, _ = locked
    before = digests(project)
    assert not do_lock(project).resolved
    assert digests(project) == before
    project.lock_file.unlink()
    assert do_lock(project).resolved
    assert digests(project) == before


def test_check_names_the_reason(tmp_path):
    project = make_project(tmp_path, ["pandas"])
    with pytest.raises(CheckFailedError, match=r"there is no mlpack\.lock"):
        check(project, mlpack_requirements=OWN)
    do_lock(project)
    assert check(project, mlpack_requirements=OWN).form == "onnx"

    wanting = make_project(tmp_path, ["pandas", "lightgbm>=4"])
    with pytest.raises(CheckFailedError, match="it lacks lightgbm") as caught:
        check(wanting, mlpack_requirements=OWN)
    assert (caught.value.code, caught.value.hint) == (1, "mlpack lock")

    project.prod_lock.write_text(project.prod_lock.read_text().replace("numpy==", "numpy==0."))
    with pytest.raises(CheckFailedError, match=r"requirements.lock.txt was changed"):
        check(project, mlpack_requirements=OWN)


def test_an_upgrade_moves_one_package_and_its_kin_only(tmp_path):
    do_lock(make_project(tmp_path, ["pandas==2.2.3", "tzdata==2024.1"]))
    project = make_project(tmp_path, ["pandas", "tzdata"])
    assert not do_lock(project).changes  # both still fit
    result = do_lock(project, upgrade_packages=("tzdata",))
    assert [change.name for change in result.changes] == ["tzdata"]
    assert result.changes[0].before == "2024.1"
    assert "pandas" in {change.name for change in do_lock(project, upgrade=True).changes}


def test_a_fallback_installs_the_project_s_own_dependencies_at_the_trained_versions(locked):
    project, _ = locked
    dev = digests(project)[2]
    resolver = UvResolver(run, os.environ)
    options = {"resolver": resolver, "reporter": Quiet(), "mlpack_requirements": OWN}
    relock_for_form(project, "python", **options)
    prod = versions(project.prod_lock)
    assert {"scikit-learn", "pandas", "joblib", "fastapi"} <= set(prod)
    assert "onnxruntime" not in prod
    assert prod.items() <= versions(project.dev_lock).items()
    assert digests(project)[2] == dev
    assert check(project, mlpack_requirements=OWN).form == "python"
    relock_for_form(project, "onnx", **options)


CONFLICTS = {
    "two direct requirements": (
        ["fastapi==0.60.0"],
        (
            "fastapi==0.60.0 (asked for by [project] dependencies in pyproject.toml)",
            "fastapi>=0.115 (asked for by mlpack's server)",
        ),
    ),
    "a dependency of another package": (
        ["sqlmodel==0.0.6"],
        ("sqlmodel 0.0.6, from [project] dependencies in pyproject.toml", "pydantic"),
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_a_conflict_names_both_requirements_and_who_asked(tmp_path, case):
    dependencies, parts = CONFLICTS[case]
    project = make_project(tmp_path, [*dependencies, "pydantic>=2.7"])
    with pytest.raises(InputError, match="cannot both be met") as caught:
        do_lock(project, requirements=())
    for part in parts:
        assert part in caught.value.what
    assert not project.lock_file.exists()
    assert not project.dev_lock.exists()


def test_a_package_that_does_not_exist_is_named_with_who_asks_for_it(tmp_path):
    project = make_project(tmp_path, ["no-such-package-of-anybody"])
    with pytest.raises(InputError, match=r"no package 'no-such-package-of-anybody'.*\[project\]"):
        do_lock(project)


def test_install_brings_an_environment_to_the_lock(locked, tmp_path):
    project, result = locked
    python = new_environment(tmp_path / "env")
    subprocess.run([python, "-m", "pip", "install", "-q", "colorama", "numpy<2.3"], check=True)
    options = {"runner": run, "reporter": Quiet(), "environ": os.environ}
    done = install(project, python_executable=python, **options)
    assert done.packages == result.dev
    assert "numpy" in done.installed
    assert done.removed == ("colorama",)
    again = install(project, python_executable=python, **options)
    assert (again.installed, again.removed) == ((), ())
    subprocess.run([python, "-c", "import pip, sklearn, pandas, onnxruntime"], check=True)
    # The same environment can become production's, as mlpack does not live there.
    install(project, python_executable=python, prod=True, **options)
    subprocess.run([python, "-c", "import onnxruntime, fastapi"], check=True)
    gone = subprocess.run([python, "-c", "import sklearn"], check=False, capture_output=True)
    assert gone.returncode == 1


@pytest.mark.slow
def test_pip_tools_gives_the_same_production_set_and_installs(tmp_path):
    project = make_project(tmp_path / "penguins", ["h11>=0.14"], ["iniconfig"], "pip-tools")
    result = do_lock(project, PipToolsResolver(run, os.environ), ("packaging",))
    assert result.lock.resolver == "pip-tools"
    assert not names(project.prod_lock) & (TRAINING | BUILDING)
    assert {"iniconfig", "h11", "packaging", "onnxruntime"} <= names(project.dev_lock)
    check(project, mlpack_requirements=("packaging",))
    assert "://" not in project.prod_lock.read_text() + project.dev_lock.read_text()
    pip_judges(tmp_path / "prod", project.prod_lock)
    pip_judges(tmp_path / "dev", project.dev_lock)

    other = make_project(tmp_path / "other", ["h11>=0.14"], ["iniconfig"])
    do_lock(other, requirements=("packaging",))
    assert other.prod_lock.read_bytes() == project.prod_lock.read_bytes()
    assert other.dev_lock.read_bytes() == project.dev_lock.read_bytes()

    clash = make_project(tmp_path / "clash", ["h11<0.15"], ["h11>=0.16"], "pip-tools")
    with pytest.raises(InputError, match=r"h11.*penguins' dev group.*cannot both be met"):
        do_lock(clash, PipToolsResolver(run, os.environ), ())
