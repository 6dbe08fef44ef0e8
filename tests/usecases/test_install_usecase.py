from __future__ import annotations

import json
from pathlib import Path

import pytest
from usecases.locking import OWN, FakeReporter, FakeResolver, make_project

from mlpack import lock_files
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.lock import this_platform
from mlpack.process import Completed
from mlpack.project import Settings
from mlpack.usecases.install import install
from mlpack.usecases.lock import lock

MARKERS = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}


class FakeMachine:
    """An environment, and uv and pip that change it."""

    def __init__(self, installed=None, *, own=True, python="3.11", install=None, check=None):
        self.installed = dict(installed or {})
        self.about = {"python": python, "own": own, "prefix": "/env", "markers": MARKERS}
        self.install, self.check = install, check
        self.commands: list[list[str]] = []

    def __call__(self, argv, *, cwd=None, env=None, stdin=None, timeout=None, on_line=None):
        argv = list(argv)
        if "-c" in argv:
            return Completed(tuple(argv), 0, json.dumps(self.about), "")
        if argv[-2:] == ["config", "list"]:
            return Completed(tuple(argv), 0, "global.constraint='/'\n", "")
        command = argv[argv.index("pip") + 1 :]
        self.commands.append(argv)
        verb = command[0]
        if verb == "list":
            listed = [{"name": n, "version": v} for n, v in self.installed.items()]
            return Completed(tuple(argv), 0, json.dumps(listed), "")
        if verb == "install":
            if self.install:
                return Completed(tuple(argv), 1, "", self.install)
            pins = lock_files.pins(Path(command[-1]))
            self.installed |= {pin.name: pin.version for pin in pins}
            assert "UV_CONSTRAINT" not in env
        if verb == "uninstall":
            for name in command:
                self.installed.pop(name, None)
        if verb == "check" and self.check:
            return Completed(tuple(argv), 1, "", self.check)
        return Completed(tuple(argv), 0, "", "")

    def verbs(self):
        return [argv[argv.index("pip") + 1] for argv in self.commands]


@pytest.fixture
def project(tmp_path):
    return locked(make_project(tmp_path))


def locked(project, name="uv"):
    resolver = FakeResolver()
    resolver.name = name
    lock(
        project,
        resolver=resolver,
        reporter=FakeReporter(),
        python="3.11",
        platforms=(this_platform(),),
        mlpack_requirements=OWN,
    )
    return project


def run(project, machine, **options):
    return install(
        project,
        python_executable="/env/bin/python",
        runner=machine,
        reporter=FakeReporter(),
        environ={"PATH": "/bin"},
        **options,
    )


def dev_versions(project):
    return {pin.name: pin.version for pin in lock_files.pins(project.dev_lock)}


def test_the_environment_is_brought_to_the_lock(project):
    machine = FakeMachine(
        {
            "mlpack-builder": "0.1.0",
            "pip": "23.2",
            "setuptools": "65",
            "uv": "0.5",
            "Penguins": "1.0.0",
            "numpy": "1.26.0",
            "pandas": "2.3.0",
            "colorama": "0.4",
        }
    )
    result = run(project, machine)
    assert machine.verbs() == ["list", "install", "uninstall", "check"]
    kept = {"mlpack-builder", "pip", "setuptools", "uv", "Penguins"}
    assert set(machine.installed) == {*dev_versions(project), *kept}
    assert machine.installed["numpy"] == "2.4.0"
    assert result.removed == ("colorama",)
    assert "numpy" in result.installed
    assert "pandas" not in result.installed
    assert (result.packages, result.prefix) == (len(dev_versions(project)), "/env")


def test_hashes_are_checked_and_nothing_is_resolved(project):
    machine = FakeMachine()
    run(project, machine)
    argv = machine.commands[1]
    assert argv[1:5] == ["pip", "install", "--python", "/env/bin/python"]
    assert {"--require-hashes", "--no-deps"} <= set(argv)
    assert argv[-1] == str(project.dev_lock)


def test_pip_installs_where_pip_tools_resolved(tmp_path):
    project = make_project(tmp_path, settings=Settings(resolver="pip-tools"))
    locked(project, "pip-tools")
    machine = FakeMachine({"colorama": "0.4"})
    assert run(project, machine).removed == ("colorama",)
    assert all(argv[:3] == ["/env/bin/python", "-m", "pip"] for argv in machine.commands)
    assert "-y" in machine.commands[2]


def test_nothing_is_removed_before_everything_is_installed(project):
    machine = FakeMachine({"colorama": "0.4"}, install="boom")
    with pytest.raises(OutsideError, match="cannot be installed"):
        run(project, machine)
    assert machine.verbs() == ["list", "install"]


def test_the_system_s_python_is_left_alone_unless_allowed(project):
    machine = FakeMachine(own=False)
    with pytest.raises(InputError, match="system's Python") as caught:
        run(project, machine)
    assert "python -m venv" in caught.value.hint
    assert machine.commands == []
    run(project, machine, allow_system=True)


def test_another_python_is_refused(project):
    with pytest.raises(InputError, match=r"lock is for Python 3\.11, and /env has 3\.12"):
        run(project, FakeMachine(python="3.12"))


def test_a_changed_or_missing_lock_is_refused(project, tmp_path):
    project.dev_lock.write_text("")
    with pytest.raises(
        CheckFailedError, match=r"requirements-dev\.lock\.txt was changed"
    ) as caught:
        run(project, FakeMachine())
    assert caught.value.hint == "mlpack lock"
    with pytest.raises(CheckFailedError, match=r"no mlpack\.lock"):
        run(make_project(tmp_path / "empty"), FakeMachine())


def test_the_production_set_goes_into_another_environment(project):
    machine = FakeMachine({"pandas": "2.3.0"})
    assert run(project, machine, prod=True).removed == ("pandas",)
    assert machine.commands[1][-1] == str(project.prod_lock)
    with pytest.raises(InputError, match="mlpack itself lives in /env"):
        run(project, FakeMachine({"mlpack-builder": "0.1.0"}), prod=True)


def test_an_environment_that_does_not_hold_together_is_listed(project):
    with pytest.raises(OutsideError, match="does not hold together") as caught:
        run(project, FakeMachine(check="The package `uvicorn` requires `click>=7.0`"))
    assert "uvicorn" in caught.value.hint


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "error: Failed to download `h11==0.16.0`\n  cause: Hash mismatch for `h11==0.16.0`\n",
            "h11==0.16.0: the file on the index is not the one that was locked",
        ),
        (
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If\n"
                "    h11==0.16.0 from https://files.example/h11-0.16.0-py3-none-any.whl:\n"
            ),
            "h11==0.16.0: the file on the index is not the one that was locked",
        ),
        (
            "  cause: Because pywin32==311 has no wheels with a matching platform tag (e.g., `x`)",
            "pywin32==311: no file that was locked",
        ),
        ("ERROR: No matching distribution found for pywin32==311", "pywin32==311: no file"),
        (
            "error: Request failed\n cause: error sending request for url (https://a:b@i.example/x)",
            "the package index does not answer at i.example",
        ),
        ("strange, at https://me:secret@i.example/x", "the packages cannot be installed"),
    ],
)
def test_what_goes_wrong_is_said(project, message, said):
    with pytest.raises(OutsideError) as caught:
        run(project, FakeMachine(install=message))
    assert said in caught.value.what
    assert "secret" not in str(caught.value)


def test_a_python_that_does_not_run(project):
    def broken(argv, **_):
        return Completed(tuple(argv), 127, "", "no such thing")

    with pytest.raises(OutsideError, match="not a Python that runs"):
        run(project, broken)
