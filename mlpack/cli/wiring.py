"""Puts the real parts together: resolvers, engines, packagers. Nothing loads unasked."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from mlpack import docker_host, times
from mlpack import lock as locks
from mlpack.bundle import UserPackage
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.lock import Lock, Pin
from mlpack.oci.machine import PLATFORMS
from mlpack.plugins import load
from mlpack.ports import Engine, Packager, Reporter, Resolver
from mlpack.process import run
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.schema import Schema
from mlpack.usecases import lock as lock_use_case

DISTRIBUTION = "mlpack-builder"


def python_minor() -> str:
    """This interpreter's minor version: the environment that mlpack shares with the project."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def own_requirements() -> tuple[str, ...]:
    """What mlpack's own distribution requires."""
    try:
        return tuple(requires(DISTRIBUTION) or ())
    except PackageNotFoundError as error:
        raise InputError(
            "mlpack runs from a folder where it is not installed",
            hint="Install it: pip install mlpack-builder",
        ) from error


def linux_platform() -> str:
    """The platform of artifacts by default: Linux on this machine's processor."""
    return locks.this_platform().replace(platform.system().lower(), "linux", 1)


def epoch() -> int | None:
    """SOURCE_DATE_EPOCH, seconds since 1970, or None (https://reproducible-builds.org)."""
    value = os.environ.get("SOURCE_DATE_EPOCH")
    if value is None:
        return None
    if (found := times.epoch(value)) is None:
        raise InputError(
            f"SOURCE_DATE_EPOCH is {value[:40]!r}, not a number of seconds since 1970",
            where="environment",
            hint="SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) mlpack build",
        )
    return found


def revision() -> str | None:
    """MLPACK_REVISION, the commit that is built, or None. mlpack does not ask git."""
    value = os.environ.get("MLPACK_REVISION")
    if not value:
        return None
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
        raise InputError(
            "MLPACK_REVISION is no commit: 40 or 64 hexadecimal digits",
            where="environment",
            hint="MLPACK_REVISION=$(git rev-parse HEAD) mlpack build",
        )
    return value


def resolver(name: str) -> Resolver:
    """The resolver that the project asks for."""
    kind = {"uv": "mlpack.resolvers.uv:UvResolver"}.get(
        name, "mlpack.resolvers.pip_tools:PipToolsResolver"
    )
    made: Resolver = load(kind)(run, os.environ)
    return made


def engine(env: Mapping[str, str] | None = None) -> Engine:
    """The Docker engine that is meant on this machine, there or not; see `mlpack.docker_host`."""
    where = env or docker_host.environment(run, os.environ)
    made: Engine = load("mlpack.engines.docker:DockerEngine")(where)
    return made


_PACKAGERS = {
    "wheel": "mlpack.packagers.wheel:WheelPackager",
    "zip": "mlpack.packagers.zip:ZipPackager",
    "image": "mlpack.packagers.image:ImagePackager",
}


@dataclass(frozen=True)
class Wiring:
    """Everything outside for `mlpack.usecases.build`; see its `Tools`."""

    epoch: int | None
    load_image: bool = True
    platforms: tuple[str, ...] = ()
    revision: str | None = None
    glibc: str | None = None
    """Of a zip that installs without a network: the C library that its wheels shall fit."""

    def check_lock(self, project: Project) -> Lock:
        """The lock, if it is there and fits the project."""
        return lock_use_case.check(
            project, mlpack_requirements=own_requirements(), python=python_minor()
        )

    def relock(
        self, project: Project, form: contract.Form, imports: tuple[str, ...], reporter: Reporter
    ) -> Lock:
        """A production set for another form, and for what its Python parts import."""
        return lock_use_case.relock_for_form(
            project,
            form,
            resolver=resolver(project.settings.resolver),
            reporter=reporter,
            mlpack_requirements=own_requirements(),
            imports=imports,
        ).lock

    def user_package(self, project: Project, reporter: Reporter) -> UserPackage:
        """The user's own package, built by its own backend."""
        builder = load("mlpack.packagers.user_package:PackageBuilder")(run, os.environ)
        built: UserPackage = builder.build(project, reporter)
        return built

    def openapi(self, project: Project, signature: contract.Signature, schema: Schema) -> bytes:
        """The API's document."""
        document = load("mlpack.runtime.openapi:document")
        return contract.encode(document(project.name, str(project.version), signature, schema))

    def prepare(self, kinds: Sequence[str]) -> None:
        """Load what `packagers` and the API's document need."""
        for name in ("mlpack.runtime.openapi:document", *(_PACKAGERS[kind] for kind in kinds)):
            load(name)
        if "image" in kinds and self.load_image:
            load("mlpack.engines.docker:DockerEngine")

    def packagers(
        self,
        project: Project,
        lock: Lock,
        pins: Sequence[Pin],
        kinds: Sequence[str],
        base: str | None,
    ) -> tuple[Sequence[Packager], Lock]:
        """What makes each kind of artifact, and the lock with the base image in it."""
        time = {} if self.epoch is None else {"epoch": self.epoch}
        origin = load("mlpack.provenance:Origin")(project.source, self.revision)
        told = {**time, "origin": origin}
        made: list[Packager] = []
        for kind in kinds:
            if kind == "wheel":
                made.append(load(_PACKAGERS[kind])(**time))
            elif kind == "zip":
                supply = self._supply(lock, pins)
                made.append(load(_PACKAGERS[kind])(supply=supply, **told))
            else:
                packager, lock = self._image(project, lock, pins, base, told)
                made.append(packager)
        return made, lock

    def _supply(self, lock: Lock, pins: Sequence[Pin]) -> Any:  # noqa: ANN401 - loaded when asked
        """What gets an offline zip's wheels; None for a zip without any."""
        if self.glibc is None:
            return None
        wanted = load("mlpack.oci.offline:offline")(
            chosen_platforms(self.platforms, lock), self.glibc
        )
        return load("mlpack.oci.offline:Supply")(wanted, pins, _cache(), run)

    def dockerfile(self, project: Project, base: str | None) -> str:
        """What the builder ``docker`` is given for the project's image."""
        if project.settings.image.builder != "docker":
            raise InputError(
                "mlpack's own builder has no Dockerfile",
                where="[tool.mlpack.image]",
                hint='To build with one: builder = "docker"',
            )
        lock = self.check_lock(project)
        packager, _ = self._image(project, lock, (), base, {})
        text: str = packager.dockerfile(project.package, lock.python)
        return text

    def _image(
        self,
        project: Project,
        lock: Lock,
        pins: Sequence[Pin],
        base: str | None,
        told: dict[str, Any],
    ) -> tuple[Any, Lock]:
        cache = _cache()
        reference = base or project.settings.image.base or default_base(lock)
        known = lock.base if lock.base is not None and lock.base.reference == reference else None
        image = project.settings.image
        asked = self.load_image or reference.startswith("docker:") or image.builder == "docker"
        env = docker_host.environment(run, os.environ) if asked else os.environ
        docker = engine(env) if asked else None
        bases = load("mlpack.oci.source:open_bases")(
            reference,
            chosen_platforms(self.platforms, lock),
            cache,
            root=project.root,
            puller=_pulled,
            engine=docker,
            locked=known.on if known is not None else None,
        )
        common = {"pins": pins, "cache": cache, "runner": run, **told}
        if image.builder == "docker":
            packager = load("mlpack.packagers.docker_image:DockerImagePackager")(
                platform=_alone(bases),
                base=bases[_alone(bases)],
                settings=image,
                root=project.root,
                builder=load("mlpack.engines.docker_cli:DockerBuildKit")(run, env),
                engine=docker,
                env=os.environ,
                named=self.load_image,
                **common,
            )
        else:
            packager = load(_PACKAGERS["image"])(
                bases=bases,
                engine=docker if self.load_image else None,
                prune=image.prune,
                compression=image.compression,
                **common,
            )
        found = load("mlpack.container:base_images")(bases, lock)
        return packager, locks.with_base(lock, found)


def _pulled(reference: Any) -> Any:  # noqa: ANN401 - loaded when a base is in a registry
    """What talks to a base image's registry."""
    return load("mlpack.oci.puller:puller")(os.environ, Path.home())(reference)


def _cache() -> Any:  # noqa: ANN401 - loaded when asked
    """The user's cache."""
    return load("mlpack.oci.cache:Cache")(
        load("mlpack.oci.cache:default_root")(os.environ, Path.home())
    )


def _alone(bases: Mapping[str, Any]) -> str:
    """The platform of the only base.

    Raises:
        InputError: there are several.
    """
    first, *others = bases
    if others:
        raise InputError(
            'builder = "docker" builds for one platform at a time',
            where="[tool.mlpack.image]",
            hint=f"Run: mlpack build --platform {first}",
        )
    return str(first)


def read_platforms(given: Sequence[str]) -> tuple[str, ...]:
    """The values of ``--platform``, each of which may be several with commas between them.

    Raises:
        InputError: one is no platform.
    """
    words = [word.strip() for value in given for word in value.split(",")]
    for word in words:
        if word not in PLATFORMS:
            raise InputError(
                f"there is no platform {word!r}",
                where="--platform",
                hint=did_you_mean(word, PLATFORMS) or f"There are: {', '.join(PLATFORMS)}.",
            )
    return tuple(sorted(set(words)))


def chosen_platforms(asked: tuple[str, ...], lock: Lock) -> tuple[str, ...]:
    """What to build for: what is asked for, else all that the lock was made for.

    Raises:
        InputError: the lock was not made for one of them.
    """
    for each in asked:
        if each not in lock.platforms:
            every = ",".join(sorted({*lock.platforms, *asked}))
            raise InputError(
                f"the lock is for {', '.join(lock.platforms)}, not for {each}",
                where="mlpack.lock",
                hint=f"Run: mlpack lock --platform {every}",
            )
    return asked or lock.platforms


def default_base(lock: Lock) -> str:
    """The official slim Python image of the lock's minor version."""
    return f"docker.io/library/python:{lock.python}-slim"
