"""uv as a resolver: ``uv pip compile``, which resolves for other machines too and is quick."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpack import conflicts, indexes, requirements_file
from mlpack.conflicts import Asked, Requests, name_of
from mlpack.errors import InputError, MlpackError
from mlpack.lock import Pin
from mlpack.ports import ResolveRequest
from mlpack.process import Runner

# glibc 2.28 is what RHEL 8, Debian 10 and everything younger have.
_PLATFORMS = {
    "linux/amd64": "x86_64-manylinux_2_28",
    "linux/arm64": "aarch64-manylinux_2_28",
    "darwin/amd64": "x86_64-apple-darwin",
    "darwin/arm64": "aarch64-apple-darwin",
    "windows/amd64": "x86_64-pc-windows-msvc",
}
_OPTIONS = (
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-progress",
    "--quiet",
)


def _silent(_: str) -> None:
    """Where nobody listens."""


@dataclass(frozen=True)
class UvResolver:
    """Resolves with uv, whose indexes are those of pip's configuration.

    Attributes:
        runner: runs uv and pip.
        environ: the environment that the user's settings are in.
        python: the Python that builds what has only sources, and whose pip is asked.
        warn: told of places in pip's configuration that are not there.
    """

    runner: Runner
    environ: Mapping[str, str]
    python: str = sys.executable
    warn: Callable[[str], None] = _silent
    name: str = "uv"

    def resolve(self, request: ResolveRequest) -> tuple[Pin, ...]:
        """See `ports.Resolver`."""
        places = indexes.read(self.runner, self.python, self.environ)
        for place in places.dead:
            self.warn(f"pip's configuration names {place}, which is not there")
        excluded = {name_of(name) for name in request.exclude}
        wanted = [text for text, _ in request.requirements if name_of(text) not in excluded]
        with tempfile.TemporaryDirectory(prefix="mlpack-lock-") as scratch:
            folder = Path(scratch)
            argv = [indexes.uv_program(), "pip", "compile", *_OPTIONS, *places.uv_options]
            argv += ["--python", self.python, "--python-version", request.python]
            argv += ["--output-file", "locked.txt", "-c", "constraints.txt"]
            # An option hides uv's variable of the same meaning, so that its files are named too.
            for limits in (*places.constraints, *self.environ.get("UV_CONSTRAINT", "").split()):
                argv += ["-c", limits]
            argv += _platform(request.platform) + _upgrades(request)
            _write(folder / "wanted.in", wanted)
            _write(
                folder / "constraints.txt",
                [requirements_file.line(pin) for pin in request.constraints],
            )
            _write(folder / "locked.txt", [requirements_file.dumps(request.preferences, "")])
            # The folder is uv's working folder, so that it finds no settings of any project.
            environ = places.for_uv(self.environ)
            done = self.runner([*argv, "wanted.in"], cwd=folder, env=environ)
            if done.code:
                raise explain(done.stderr, request)
            text = (folder / "locked.txt").read_text(encoding="utf-8")
        pins = requirements_file.loads(text, "uv's answer")
        return tuple(
            Pin(pin.name, pin.version, pin.hashes) for pin in pins if pin.name not in excluded
        )


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _platform(platform: str | None) -> list[str]:
    if platform is None:
        return []
    if platform not in _PLATFORMS:
        raise InputError(
            f"nothing is known of the platform {platform!r}",
            hint=f"Known are: {', '.join(sorted(_PLATFORMS))}",
        )
    return ["--python-platform", _PLATFORMS[platform]]


def _upgrades(request: ResolveRequest) -> list[str]:
    if request.upgrade:
        return ["--upgrade"]
    return [part for name in request.upgrade_packages for part in ("--upgrade-package", name)]


# What uv says when there is no solution: sentences of "A depends on B", "you require C", "only D
# is available", joined by "and" and "because". The shapes were taken from uv 0.5 to 0.13.
_SPEC = r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?(?:[<>=!~]=?=?[^\s,]+(?:,[<>=!~]=?=?[^\s,]+)*)?"
_ONE_OF = rf"one of: {_SPEC}(?: {_SPEC})*?(?= and | we |,| And |$)|{_SPEC}"
_DEPENDS = re.compile(rf"(?:all versions of )?({_SPEC}) depends? on ({_ONE_OF})")
_REQUIRES = re.compile(rf"(?<!conclude that )you require (?!one of)({_SPEC}(?: and {_SPEC})*)")
_MISSING = re.compile(
    rf"({_SPEC}) was not found in the (?:package registry|provided package locat)"
)
_PYTHON = re.compile(
    rf"does not satisfy Python([^\s,]+(?:,[<>=][^\s,]+)*) and ({_SPEC}) depends on"
)
_NO_VERSION = re.compile(
    rf"(?:there (?:is|are) no versions? of ({_SPEC})|only ({_SPEC}) (?:is|are) available)"
)
_NO_WHEEL = re.compile(rf"({_SPEC}) has no (?:wheels|usable wheels|`?[\w-]*`? ?compatible wheels)")
_BUILD = re.compile(r"Failed to (?:download and )?build `([^`]+)`")


def explain(stderr: str, request: ResolveRequest) -> MlpackError:
    """The error that uv's message means."""
    requests = Requests(
        request.requirements, [requirements_file.line(pin) for pin in request.constraints]
    )
    if build := _BUILD.search(stderr):
        return conflicts.unbuildable(build[1], requests.who(name_of(build[1])), stderr)
    if error := conflicts.outside(stderr):
        return error
    # Names end where a sentence does: "numpy>=2.1." is numpy>=2.1.
    text = re.sub(r"\.(?=\s|$)", "", re.sub(r"\s+", " ", stderr)).strip()
    facts = [Asked(b, _parent(a, requests)) for a, b in _dependencies(text)]
    required = [
        _meant(spec, requests)
        for clause in _REQUIRES.findall(text)
        for spec in clause.split(" and ")
    ]
    if missing := _MISSING.search(text):
        name = name_of(missing[1])
        parents = [fact.who for fact in facts if fact.name == name]
        return conflicts.not_found(name, _who(name, requests, parents))
    if python := _PYTHON.search(text):
        name = name_of(python[2])
        asked = next((a for a in required if a.name == name), Asked(python[2], requests.who(name)))
        return conflicts.needs_python(asked, python[1], request.python)
    pair = _clash(required, facts)
    if pair:
        return conflicts.clash(*pair)
    if wheel := _NO_WHEEL.search(text):
        name = name_of(wheel[1])
        machine = request.platform or "this machine"
        return conflicts.no_file(name, requests.who(name), machine)
    if version := _NO_VERSION.search(text):
        name = name_of(version[1] or version[2])
        candidates = [a for a in (*required, *facts) if a.name == name]
        newest = (version[2] or "").rpartition("<=")[2] or None
        if candidates:
            return conflicts.no_version(candidates[0], newest)
    return conflicts.unexplained("uv", stderr, requests)


def _dependencies(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of a package and what it depends on."""
    for parent, child in _DEPENDS.findall(text):
        if name_of(parent) == "and" or name_of(child) == "python":
            continue
        options = child.removeprefix("one of: ").split(" ")
        name = name_of(options[0])
        rest = [o[len(re.match(r"[A-Za-z0-9._-]+", o)[0]) :] for o in options[1:]]  # type: ignore[index]
        yield parent, " or ".join([options[0], *rest]) if name else options[0]


def _meant(spec: str, requests: Requests) -> Asked:
    """The request that a "you require" is about: uv writes ``~=`` and ``.*`` as ranges."""
    direct = requests.like(spec)
    if direct:
        return direct
    for asked in requests.of(name_of(spec)):
        range_ = re.search(r"(?:~=|==)\s*([^\s,*]+?)(?:\.\*)?(?:,|$)", asked.requirement)
        if range_ and f">={range_[1]}" in spec:
            return asked
    return Asked(spec, "a constraint in pip's configuration")


def _parent(spec: str, requests: Requests) -> str:
    """A package that depends on something: its version where it is one, and who wants it."""
    name, separator, version = spec.partition("==")
    shown = f"{name} {version}" if separator else spec
    people = requests.of(name_of(spec))
    return f"{shown}, from {people[0].who}" if people else shown


def _who(name: str, requests: Requests, parents: list[str]) -> str:
    direct = requests.of(name)
    return requests.who(name) if direct else " and ".join(dict.fromkeys(parents)) or name


def _clash(required: list[Asked], facts: list[Asked]) -> tuple[Asked, Asked] | None:
    """The last two requirements on one package: uv's last sentence is where it gave up."""
    for asked in reversed(required):
        for other in reversed([*facts, *required]):
            if other.name == asked.name and other.requirement != asked.requirement:
                return asked, other
    for index, fact in reversed(list(enumerate(facts))):
        for other in facts[:index]:
            if other.name == fact.name and _package(other) != _package(fact):
                return other, fact
    return None


def _package(asked: Asked) -> str:
    return name_of(asked.who)
