"""pip-tools as a resolver: ``pip-compile``, which resolves with pip, for this machine only."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from mlpack import conflicts, requirements_file
from mlpack.conflicts import Asked, Requests, name_of, specifier_of
from mlpack.errors import InputError, MlpackError
from mlpack.lock import Pin, this_platform
from mlpack.ports import ResolveRequest
from mlpack.process import Runner

_OPTIONS = (
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-header",
    "--no-annotate",
    "--no-config",
    "--no-color",
    # An index, its credentials or a folder of this machine never land in a lock.
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
    "--no-emit-options",
)


def _minor_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class PipToolsResolver:
    """Resolves with pip-tools, which reads pip's configuration by itself.

    Attributes:
        runner: runs pip-tools.
        environ: the environment that the user's settings are in.
        python: the Python that has pip-tools.
        python_version, platform: what that Python is and runs on: pip resolves for nothing else.
    """

    runner: Runner
    environ: Mapping[str, str]
    python: str = sys.executable
    python_version: str = field(default_factory=_minor_version)
    platform: str = field(default_factory=this_platform)
    name: str = "pip-tools"

    def resolve(self, request: ResolveRequest) -> tuple[Pin, ...]:
        """See `ports.Resolver`."""
        self._check(request)
        excluded = {name_of(name) for name in request.exclude}
        wanted = [text for text, _ in request.requirements if name_of(text) not in excluded]
        fixed = [requirements_file.line(pin) for pin in request.constraints]
        upgraded = {name_of(name) for name in request.upgrade_packages}
        kept = [
            pin
            for pin in request.preferences
            if pin.hashes and not request.upgrade and pin.name not in upgraded
        ]
        if not wanted:
            return ()
        with tempfile.TemporaryDirectory(prefix="mlpack-lock-") as scratch:
            folder = Path(scratch)
            argv = [self.python, "-m", "piptools", "compile", *_OPTIONS]
            argv += ["--output-file", "locked.txt", "-c", "constraints.txt"]
            (folder / "wanted.in").write_text("\n".join([*wanted, ""]), encoding="utf-8")
            (folder / "constraints.txt").write_text("\n".join([*fixed, ""]), encoding="utf-8")
            # Digests that stand in the present lock are taken from it: fetching files to hash
            # them is most of the time that pip-tools takes.
            present = requirements_file.dumps(kept, "")
            (folder / "locked.txt").write_text(present, encoding="utf-8")
            done = self.runner([*argv, "wanted.in"], cwd=folder, env=dict(self.environ))
            if done.code:
                raise explain(done.stderr, request)
            text = (folder / "locked.txt").read_text(encoding="utf-8")
        pins = requirements_file.loads(text, "the answer of pip-tools")
        return tuple(
            Pin(pin.name, pin.version, pin.hashes) for pin in pins if pin.name not in excluded
        )

    def _check(self, request: ResolveRequest) -> None:
        for what, wanted, here in (
            ("", request.platform, self.platform),
            ("Python ", request.python, self.python_version),
        ):
            if wanted is not None and wanted != here:
                raise InputError(
                    f"pip-tools resolves only for this machine ({what}{here}), "
                    f"not for {what}{wanted}",
                    hint='Let uv resolve: resolver = "uv" in [tool.mlpack] of pyproject.toml',
                )


# pip logs the requirements that clash as the repr of resolvelib's objects, at the end of a
# traceback. The shapes were taken from pip 23.2 to 26.
_IMPOSSIBLE = re.compile(r"ResolutionImpossible: \[(RequirementInformation.*)\]")
_INFORMATION = re.compile(
    r"RequirementInformation\(requirement=\w+\('([^']+)'\), parent=(.*?)\)(?=, RequirementInf|$)"
)
_FILE = re.compile(r"([^/'\s#]+\.(?:whl|tar\.gz|zip))")
_NOT_FOUND = re.compile(
    r"Could not find a version that satisfies the requirement (\S+?)(?: \(from ([^)]*)\))?"
    r" \(from versions: ([^)]*)\)"
)
_NO_MATCH = re.compile(r"No matching distribution found for (\S+)")
_PYTHON = re.compile(r"(\S+) Requires-Python ([^\s;]+)")
_BUILD = re.compile(
    r"MetadataGenerationFailed|InstallationSubprocessError|BuildDependencyInstallErr"
)
_COLLECTED = re.compile(r"(?:Collecting|Processing) (\S+)")


def explain(stderr: str, request: ResolveRequest) -> MlpackError:
    """The error that pip's message means."""
    fixed = [requirements_file.line(pin) for pin in request.constraints]
    requests = Requests(request.requirements, fixed)
    # A mirror that is out of reach is only a warning where another index has the package.
    if error := conflicts.outside(stderr):
        return error
    if match := _NOT_FOUND.search(stderr):
        requirement, parent, versions = match.groups()
        return _not_found(requirement, parent, versions, stderr, request, requests)
    if impossible := _IMPOSSIBLE.search(stderr):
        asked = [
            _asked(wanted, parent, requests)
            for wanted, parent in _INFORMATION.findall(impossible[1])
        ]
        pairs = [(a, b) for a in asked for b in _with_pins(asked, requests) if _differ(a, b)]
        if pairs:
            return conflicts.clash(*pairs[0])
    if match := _NO_MATCH.search(stderr):
        name = name_of(match[1])
        return conflicts.not_found(name, requests.who(name))
    if _BUILD.search(stderr):
        collected = _COLLECTED.findall(stderr)
        name = name_of(collected[-1]) if collected else "a package"
        return conflicts.unbuildable(name, requests.who(name), stderr.splitlines()[-1])
    return conflicts.unexplained("pip-tools", stderr, requests)


def _not_found(
    requirement: str,
    parent: str | None,
    versions: str,
    stderr: str,
    request: ResolveRequest,
    requests: Requests,
) -> MlpackError:
    name = name_of(requirement)
    asked = requests.like(requirement) or Asked(requirement, parent or requests.who(name))
    for version, wanted in _PYTHON.findall(stderr):
        if specifier_of(requirement).contains(version):
            return conflicts.needs_python(asked, wanted, request.python)
    if versions != "none":
        return conflicts.no_version(asked, versions.rpartition(", ")[2])
    return conflicts.not_found(name, asked.who)


def _asked(requirement: str, parent: str, requests: Requests) -> Asked:
    """One side of a clash: asked for directly, or by the distribution whose file is named."""
    if parent == "None":
        return requests.like(requirement) or Asked(requirement, requests.who(name_of(requirement)))
    match = _FILE.search(parent)
    who = _distribution(match[1]) if match else parent
    people = requests.of(name_of(who))
    return Asked(requirement, f"{who}, from {people[0].who}" if people else who)


def _distribution(file: str) -> str:
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
        else:
            name, version = parse_sdist_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return file
    return f"{name} {version}"


def _with_pins(asked: list[Asked], requests: Requests) -> list[Asked]:
    """What clashes, and versions decided before: pip says nothing of constraints."""
    return [*asked, *(other for a in asked for other in requests.of(a.name))]


def _differ(first: Asked, second: Asked) -> bool:
    return first.name == second.name and first.requirement != second.requirement
