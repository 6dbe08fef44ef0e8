"""Puts the real parts together: resolvers, engines, packagers, targets. Nothing loads unasked."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from mlpack import config
from mlpack import lock as locks
from mlpack.bundle import UserPackage
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.lock import Lock, Pin
from mlpack.plugins import load
from mlpack.ports import Engine, Packager, Reporter, Resolver, Target
from mlpack.process import run
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.usecases import lock as lock_use_case

DISTRIBUTION = "mlpack-builder"

TARGETS = {
    "registry": "mlpack.targets.registry:make",
    "s3": "mlpack.targets.s3:make",
}


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
    if not value.isdigit():
        raise InputError(f"SOURCE_DATE_EPOCH is {value!r}, not a number of seconds")
    return int(value)


def resolver(name: str) -> Resolver:
    """The resolver that the project asks for."""
    kind = {"uv": "mlpack.resolvers.uv:UvResolver"}.get(
        name, "mlpack.resolvers.pip_tools:PipToolsResolver"
    )
    made: Resolver = load(kind)(run, os.environ)
    return made


def engine() -> Engine:
    """The Docker engine of this machine, there or not."""
    made: Engine = load("mlpack.engines.docker:DockerEngine")(os.environ)
    return made


@dataclass(frozen=True)
class Wiring:
    """Everything outside for `mlpack.usecases.build`; see its `Tools`."""

    epoch: int | None
    load_image: bool = True
    platform: str = ""

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

    def openapi(
        self, project: Project, signature: contract.Signature, schema: contract.Schema
    ) -> bytes:
        """The API's document."""
        document = load("mlpack.runtime.openapi:document")
        return contract.encode(document(project.name, str(project.version), signature, schema))

    def packagers(
        self,
        project: Project,
        lock: Lock,
        pins: Sequence[Pin],
        kinds: Sequence[str],
        base: str | None,
    ) -> tuple[Sequence[Packager], Lock]:
        """What makes each kind of artifact, and the lock with the base image in it."""
        times = {} if self.epoch is None else {"epoch": self.epoch}
        made: list[Packager] = []
        for kind in kinds:
            if kind == "wheel":
                made.append(load("mlpack.packagers.wheel:WheelPackager")(**times))
            elif kind == "zip":
                made.append(load("mlpack.packagers.zip:ZipPackager")(**times))
            else:
                packager, lock = self._image(project, lock, pins, base, times)
                made.append(packager)
        return made, lock

    def _image(
        self,
        project: Project,
        lock: Lock,
        pins: Sequence[Pin],
        base: str | None,
        times: dict[str, int],
    ) -> tuple[Packager, Lock]:
        cache = load("mlpack.oci.cache:Cache")(
            load("mlpack.oci.cache:default_root")(os.environ, Path.home())
        )
        reference = base or project.settings.image.base or default_base(lock)
        known = lock.base if lock.base is not None and lock.base.reference == reference else None
        docker = engine() if self.load_image or reference.startswith("docker:") else None
        opened = load("mlpack.oci.source:open_base")(
            reference,
            self.platform or lock.platforms[0],
            cache,
            root=project.root,
            puller=load("mlpack.oci.registry:puller")(os.environ, Path.home()),
            engine=docker,
            locked=known,
        )
        packager: Packager = load("mlpack.packagers.image:ImagePackager")(
            base=opened,
            pins=pins,
            platform=self.platform or lock.platforms[0],
            cache=cache,
            runner=run,
            engine=docker if self.load_image else None,
            **times,
        )
        return packager, locks.with_base(lock, load("mlpack.packagers.image:base_image")(opened))


def default_base(lock: Lock) -> str:
    """The official slim Python image of the lock's minor version."""
    return f"docker.io/library/python:{lock.python}-slim"


def deploy_settings(project: Project, environment: str) -> dict[str, Any]:
    """``[deploy]`` of an environment's configuration, its references looked up."""
    settings = config.load(project.config_dir, environment).get("deploy")
    where = f"config/{environment}.toml"
    if not isinstance(settings, Mapping) or not isinstance(settings.get("target"), str):
        raise InputError(
            f"nothing says where {environment} is deployed to",
            where=where,
            hint='Add: [deploy]\n  target = "registry"\n  repository = "registry.example/team/'
            f'{project.name}"',
        )
    resolved = config.resolve(dict(settings), os.environ, project.root)
    return dict(resolved)


def target(settings: Mapping[str, Any]) -> Target:
    """The target that ``[deploy]`` names."""
    kind = str(settings["target"])
    if kind not in TARGETS:
        raise InputError(
            f"there is no target {kind!r}; there are {', '.join(sorted(TARGETS))}",
            where="[deploy]",
            hint=did_you_mean(kind, TARGETS),
        )
    made: Target = load(TARGETS[kind])(settings, os.environ)
    return made
