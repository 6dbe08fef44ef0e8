"""The user's own package, built by its own backend (PEP 517), for bundles that need its code."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from build import (
    BuildBackendException,
    BuildException,
    FailedProcessError,
    ProjectBuilder,
)
from build.env import DefaultIsolatedEnv, IsolatedEnv
from packaging.metadata import parse_email
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from mlpack import config, untrusted
from mlpack.bundle import UserPackage
from mlpack.errors import InputError, OutsideError
from mlpack.files import disk_errors
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project

_LAST_LINES = 8
_LARGEST = 2 << 30  # all of it is held in memory

_BUILD_SYSTEM = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build\""""

# What lies at the root of a project and is no part of its package, unless it is called so.
_LEFT_OUT = frozenset(
    {
        ".git",
        ".hg",
        ".mlpack",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".venv",
        "build",
        "data",
        "dist",
        "models",
        "node_modules",
        "notebooks",
        "venv",
    }
)

# What the artifact's own metadata says, or an installer writes.
_OWN_INFO = frozenset(
    {
        "INSTALLER",
        "METADATA",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "REQUESTED",
        "WHEEL",
        "direct_url.json",
        "top_level.txt",
        "zip-safe",
    }
)
_LICENSES = ("AUTHORS", "COPYING", "LICENCE", "LICENSE", "NOTICE")


class Environment(IsolatedEnv, Protocol):
    """An environment for a build backend."""

    def install(self, requirements: Collection[str]) -> None:
        """Install what the backend needs."""
        ...


class PackageBuilder:
    """Builds the package of a project in an environment of its own."""

    def __init__(
        self,
        runner: Runner,
        environ: Mapping[str, str],
        environment: Callable[[], AbstractContextManager[Environment]] = DefaultIsolatedEnv,
    ) -> None:
        """The builder; nothing is run yet.

        Args:
            runner: runs the backend.
            environ: the environment variables that it sees.
            environment: makes the environment with the backend's requirements.
        """
        self._run = runner
        self._environ = dict(environ)
        self._environment = environment

    def build(self, project: Project, reporter: Reporter) -> UserPackage:
        """The package as the project's own backend builds it; the project's folder stays as it is.

        Raises:
            InputError: there is no backend, it fails, or what it builds cannot go into a bundle.
            OutsideError: what the backend needs cannot be installed.
        """
        backend = _backend(project)
        with (
            reporter.stage(f"Building the package {project.package}") as stage,
            tempfile.TemporaryDirectory(prefix="mlpack-") as scratch,
        ):
            # A copy: setuptools leaves folders behind, and takes up what it finds in them again.
            source = Path(scratch) / "source"
            _copy(project, source)
            wheel = self._wheel(source, Path(scratch) / "wheel", backend)
            package = read_wheel(wheel.name, wheel.read_bytes())
            stage.result(f"by {backend}, {len(package.tree)} files")
        return package

    def _wheel(self, source: Path, into: Path, backend: str) -> Path:
        try:
            with self._environment() as environment:
                builder = ProjectBuilder.from_isolated_env(environment, source, self._hook)
                environment.install(builder.build_system_requires)
                environment.install(builder.get_requires_for_build("wheel"))
                return Path(builder.build("wheel", into))
        except BuildBackendException as error:
            raise InputError(
                f"the build backend {backend} failed{_tail(error.exception) or f': {error}'}",
                where="pyproject.toml",
                hint="python -m build --wheel",
            ) from error
        except BuildException as error:
            raise InputError(str(error), where="pyproject.toml") from error
        except (subprocess.CalledProcessError, FailedProcessError) as error:
            raise OutsideError(
                f"what the build backend {backend} needs could not be installed{_tail(error)}",
                where="pyproject.toml",
                hint="Check [build-system] requires, and that the package index answers.",
            ) from error

    def _hook(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run a backend's hook, as `build` asks for it."""
        env = {**self._environ, **(extra_environ or {})}
        done = self._run(cmd, cwd=Path(cwd) if cwd else None, env=env)
        if done.code:
            raise subprocess.CalledProcessError(done.code, list(cmd), done.stdout, done.stderr)


def _backend(project: Project) -> str:
    """The name of the project's build backend.

    Raises:
        InputError: it has none, or pyproject.toml is damaged.
    """
    document = config.read_toml(project.pyproject, "pyproject.toml") if project.pyproject else {}
    system = document.get("build-system")
    if isinstance(system, dict):
        return str(system.get("build-backend", "setuptools"))
    if any((project.root / name).is_file() for name in ("setup.py", "setup.cfg")):
        return "setuptools"
    named = f'[project]\nname = "{project.name}"\nversion = "0.1.0"\n\n'
    raise InputError(
        "the model needs the project's own code, and the project does not say how to package it",
        where="pyproject.toml",
        hint=f"{'' if 'project' in document else named}{_BUILD_SYSTEM}",
    )


def _copy(project: Project, into: Path) -> None:
    """Copy the project without what can be made again, and without data."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        ignored = {
            name for name in names if name == "__pycache__" or name.endswith((".egg-info", ".pyc"))
        }
        if Path(folder) == project.root:
            ignored |= (_LEFT_OUT - {project.package}).intersection(names)
            ignored |= {name for name in names if (project.root / name / "pyvenv.cfg").is_file()}
        return ignored

    try:
        with disk_errors(into):
            shutil.copytree(project.root, into, symlinks=True, ignore=ignore)
    except shutil.Error as error:  # a list of (source, copy, reason)
        source, _, reason = error.args[0][0]
        raise InputError(f"cannot be read: {reason}", where=str(source)) from error


def _tail(error: BaseException) -> str:
    """The last lines that a failed process wrote, to be appended to a message."""
    if isinstance(error, FailedProcessError):
        error = error.exception
    if not isinstance(error, subprocess.CalledProcessError):
        return ""
    parts = (error.stdout, error.stderr)
    text = "\n".join(
        part.decode(errors="replace") if isinstance(part, bytes) else part for part in parts if part
    )
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return ":\n" + "\n".join(f"    {line}" for line in lines[-_LAST_LINES:]) if lines else ""


def read_wheel(name: str, content: bytes) -> UserPackage:
    """What a wheel holds.

    Args:
        name: its file name.
        content: its bytes.

    Raises:
        InputError: it is no wheel, is made for one platform, or installs files elsewhere.
    """
    try:
        tags = parse_wheel_filename(name)[3]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {
                path: archive.read(entry)
                for path, entry in untrusted.entries(archive.infolist(), name, _LARGEST).items()
                if not entry.is_dir()
            }
    except (*untrusted.DAMAGE, InvalidWheelFilename, ValueError) as error:
        raise InputError(f"the build backend made no wheel: {error}", where=name) from error
    if not any(tag.platform == "any" for tag in tags):
        raise InputError(
            "the package has compiled parts: its wheel fits one platform only",
            where=name,
            hint="Move them into a package of their own, and depend on that.",
        )
    info = name.split("-")[:2]
    dist_info, data = f"{'-'.join(info)}.dist-info", f"{'-'.join(info)}.data"
    tree: dict[str, bytes] = {}
    extra: dict[str, bytes] = {}
    metadata = b""
    for path, body in sorted(entries.items()):
        top, _, rest = path.partition("/")
        if top.lower() == dist_info.lower():
            if rest == "METADATA":
                metadata = body
            elif rest not in _OWN_INFO:
                extra[f"licenses/{rest}" if rest.upper().startswith(_LICENSES) else rest] = body
        elif top.lower() == data.lower():
            scheme, _, rest = rest.partition("/")
            if scheme not in ("purelib", "platlib"):
                raise InputError(
                    f"the package installs {rest} outside of itself ({scheme})",
                    where=name,
                    hint="Make it package data, or an entry in [project.scripts].",
                )
            tree[rest] = body
        else:
            tree[path] = body
    raw, _ = parse_email(metadata)
    return UserPackage(
        tree=tree,
        extra=extra,
        requires=tuple(raw.get("requires_dist", ())),
        summary=" ".join(raw.get("summary", "").split()),
        license=raw.get("license_expression"),
    )
