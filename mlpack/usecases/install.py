"""Install: bring an environment to what the lock says, with mlpack left standing in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from mlpack import conflicts, indexes, lock_files
from mlpack.errors import InputError, MlpackError, OutsideError
from mlpack.lock import Pin
from mlpack.lock_inputs import OWN_DISTRIBUTIONS
from mlpack.ports import Reporter
from mlpack.process import Completed, Runner
from mlpack.project import Project

_KEPT = frozenset({*OWN_DISTRIBUTIONS, "pip", "setuptools", "uv"})
_PROBE = """\
import json, os, platform, sys
print(json.dumps({
    "python": "%d.%d" % sys.version_info[:2],
    "own": sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, "conda-meta")),
    "prefix": sys.prefix,
    "markers": {
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
        "platform_system": platform.system(),
        "platform_release": platform.release(),
        "platform_version": platform.version(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "python_full_version": platform.python_version(),
        "extra": "",
    },
}))
"""
_OTHER_HASH = re.compile(r"Hash mismatch for `([^`]+)`|^\s+(\S+==\S+) from \S+", re.MULTILINE)
_NO_FILE = re.compile(
    r"Because (\S+==\S+) has no wheels"
    r"|no version of (\S+==\S+)"
    r"|No matching distribution found for (\S+)"
)


@dataclass(frozen=True)
class InstallResult:
    """What became of the environment.

    Attributes:
        prefix: the environment's folder.
        packages: how many packages of the lock are in it now.
        installed: names of those that were not, or in another version.
        removed: names of what the lock does not have.
    """

    prefix: str
    packages: int
    installed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class _Environment:
    """What a Python says of itself."""

    python: str
    own: bool
    prefix: str
    markers: dict[str, str]


@dataclass(frozen=True)
class _Installer:
    """The commands of uv, or of pip, for one environment."""

    runner: Runner
    python: str
    environ: Mapping[str, str]
    uv: bool
    options: tuple[str, ...] = ()

    def run(self, *command: str) -> Completed:
        """Run ``pip COMMAND`` or ``uv pip COMMAND`` on the environment, away from any project."""
        if self.uv:
            verb, *rest = command
            argv = [indexes.uv_program(), "pip", verb, "--python", self.python, *rest]
        else:
            argv = [self.python, "-m", "pip", *command]
        with tempfile.TemporaryDirectory(prefix="mlpack-install-") as scratch:
            return self.runner(argv, cwd=Path(scratch), env=self.environ)

    def versions(self) -> dict[str, str]:
        """What is installed, by normalised name."""
        done = self.run("list", "--format", "json")
        if done.code:
            raise _failed("what is installed cannot be listed", done)
        listed = json.loads(done.stdout)
        return {str(canonicalize_name(item["name"])): str(item["version"]) for item in listed}


def install(
    project: Project,
    *,
    python_executable: str,
    runner: Runner,
    reporter: Reporter,
    environ: Mapping[str, str],
    prod: bool = False,
    allow_system: bool = False,
) -> InstallResult:
    """Bring an environment to the lock: install what differs, remove what is not in it, check.

    mlpack itself, pip, setuptools, uv and the project's own distribution stay.

    Args:
        project: whose lock to install.
        python_executable: the environment's Python.
        runner: runs uv or pip.
        reporter: is told of the progress.
        environ: this process's environment.
        prod: install the production set instead of the development set.
        allow_system: even if it is no virtual environment.

    Raises:
        CheckFailedError: the lock is missing or was changed by hand.
        InputError: the environment is the system's or of another Python, or, for the production
            set, mlpack's own.
        OutsideError: a file cannot be had, is not the one that was locked, or the environment
            does not hold together.
    """
    lock = lock_files.unharmed(project)
    path = project.prod_lock if prod else project.dev_lock
    environment = _probe(python_executable, runner, environ)
    _refuse(environment, lock.python, allow_system=allow_system)
    pins = _applying(lock_files.pins(path), environment)
    installer = _installer(python_executable, runner, environ, uv=lock.resolver == "uv")
    before = installer.versions()
    if prod and _KEPT.intersection(OWN_DISTRIBUTIONS, before):
        raise InputError(
            f"mlpack itself lives in {environment.prefix}: the production set would tear it out",
            hint="Make another environment for it: python -m venv prod-venv",
        )
    changed = tuple(sorted(n for n, version in pins.items() if before.get(n) != version))
    with reporter.stage(f"Installing {path.name}") as stage:
        done = installer.run(
            "install", "--require-hashes", "--no-deps", *installer.options, "-r", str(path)
        )
        if done.code:
            raise _install_error(done)
        stage.result(f"{len(changed)} of {len(pins)} packages")
    kept = {*pins, *_KEPT, str(canonicalize_name(project.name))}
    removed = tuple(sorted(before.keys() - kept))
    if removed:
        with reporter.stage("Removing what the lock does not have") as stage:
            confirm = () if installer.uv else ("-y",)
            done = installer.run("uninstall", *confirm, *removed)
            if done.code:
                raise _failed(f"{', '.join(removed)} cannot be removed", done)
            stage.result(", ".join(removed))
    done = installer.run("check")
    if done.code:
        raise _failed("the environment does not hold together", done)
    return InstallResult(environment.prefix, len(pins), changed, removed)


def _installer(python: str, runner: Runner, environ: Mapping[str, str], *, uv: bool) -> _Installer:
    if not uv:
        return _Installer(runner, python, environ, uv=False)
    places = indexes.read(runner, python, environ)
    return _Installer(runner, python, places.for_uv(environ), uv=True, options=places.uv_options)


def _probe(python: str, runner: Runner, environ: Mapping[str, str]) -> _Environment:
    done = runner([python, "-I", "-c", _PROBE], env=environ, timeout=60)
    try:
        return msgspec.json.decode(done.stdout, type=_Environment)
    except msgspec.DecodeError as error:
        raise _failed(f"{python} is not a Python that runs", done) from error


def _refuse(environment: _Environment, python: str, *, allow_system: bool) -> None:
    if not environment.own and not allow_system:
        raise InputError(
            f"{environment.prefix} is the system's Python, not an environment of the project",
            hint=(
                "python -m venv .venv && . .venv/bin/activate, install mlpack-builder there, "
                "and run mlpack again"
            ),
        )
    if environment.python != python:
        raise InputError(
            f"the lock is for Python {python}, and {environment.prefix} has {environment.python}",
            hint=f"Make an environment with Python {python}, or run: mlpack lock",
        )


def _applying(pins: tuple[Pin, ...], environment: _Environment) -> dict[str, str]:
    """The versions that the environment shall have: pins whose markers hold there."""
    return {
        pin.name: pin.version
        for pin in pins
        if not pin.marker or Marker(pin.marker).evaluate(environment.markers)
    }


def _install_error(done: Completed) -> MlpackError:
    text = f"{done.stdout}\n{done.stderr}"
    if "Hash mismatch" in text or "DO NOT MATCH THE HASHES" in text:
        return OutsideError(
            f"{_first(_OTHER_HASH, text)}: the file on the index is not the one that was locked",
            hint="Find out why first. If the new one is right, run: mlpack lock --upgrade",
        )
    if error := conflicts.outside(text):
        return error
    if _NO_FILE.search(text):
        return OutsideError(
            f"{_first(_NO_FILE, text)}: no file that was locked is on the index and runs here",
            hint="Install where the lock was made, or lock again: mlpack lock --upgrade",
        )
    return _failed("the packages cannot be installed", done)


def _first(pattern: re.Pattern[str], text: str) -> str:
    """The package that a tool's message names."""
    match = pattern.search(text)
    return next((group for group in match.groups() if group), "?") if match else "a package"


def _failed(what: str, done: Completed) -> OutsideError:
    return OutsideError(what, hint=_tail(done) or None)


def _tail(done: Completed) -> str:
    """A tool's last words, without credentials."""
    return indexes.redact(f"{done.stdout.strip()}\n{done.stderr.strip()}".strip())[-1500:]
