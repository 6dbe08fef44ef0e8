"""The target of an environment, by its configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeGuard

from mlpack import config
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.ports import Target
from mlpack.project import Project

TARGETS = {
    "aws-ecs": "mlpack.targets.aws_ecs:make",
    "aws-lambda": "mlpack.targets.aws_lambda:make",
    "azure-container-apps": "mlpack.targets.azure_container_apps:make",
    "cloud-run": "mlpack.targets.cloud_run:make",
    "docker": "mlpack.targets.docker:make",
    "fly": "mlpack.targets.fly:make",
    "index": "mlpack.targets.index:make",
    "kubernetes": "mlpack.targets.kubernetes:make",
    "registry": "mlpack.targets.registry:make",
    "s3": "mlpack.targets.s3:make",
    "sagemaker": "mlpack.targets.sagemaker:make",
}


SERVICES = (
    "aws-ecs",
    "aws-lambda",
    "azure-container-apps",
    "cloud-run",
    "docker",
    "fly",
    "kubernetes",
    "sagemaker",
)
"""Targets at which a model runs, under a name of its own."""

PUSHING = ("azure-container-apps", "cloud-run", "fly", "kubernetes", "registry")
"""Targets whose image lies in the registry that ``repository`` names, where it can be signed."""

SECRETS = ("password", "token")
"""Keys of ``[deploy]`` whose values are references, never the secret itself."""

_GIVEN = ("env", "secrets")
"""Tables of what the model's processes are given."""


def _table(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def deploy_settings(project: Project, environment: str, *, looking: bool = False) -> dict[str, Any]:
    """``[deploy]`` of an environment's configuration, its references looked up.

    Args:
        project: whose.
        environment: such as ``production``.
        looking: what runs is looked at or taken away, and nothing is started: what only its
            processes are given may be missing here.

    Raises:
        InputError: there is no such table, a secret stands in it, or a reference names nothing.
    """
    settings = config.load(project.config_dir, environment).get("deploy")
    where = f"config/{environment}.toml"
    wrong = None if settings is None or _table(settings) else "[deploy]: it is no table"
    kind = settings.get("target") if _table(settings) else None
    if not isinstance(kind, str | None):
        wrong = "[deploy] target: it is no text"
    if wrong:
        raise InputError(wrong, where=where, hint='[deploy]\ntarget = "docker"')
    if not _table(settings) or kind is None:
        raise InputError(
            f"nothing says where {environment} is deployed to",
            where=where,
            hint='Add: [deploy]\n  target = "registry"\n  repository = "registry.example/team/'
            f'{project.name}"',
        )
    secrets = settings.get("secrets")
    told = {f"secrets.{key}": text for key, text in secrets.items()} if _table(secrets) else {}
    for key, value in {**{key: settings.get(key) for key in SECRETS}, **told}.items():
        if isinstance(value, str) and "${" not in value:
            raise InputError(
                f"{key} stands in the file itself, where everybody reads it",
                where=where,
                hint=f'{key} = "${{env:{key.rpartition(".")[2].upper()}}}"',
            )
    there = {
        name: _there(value, project)
        for name, value in settings.items()
        if looking and name in _GIVEN
    }
    resolved = config.resolve({**settings, **there}, os.environ, project.root)
    if resolved["target"] in SERVICES:
        name = re.sub(r"[^a-z0-9]+", "-", f"{project.name}-{environment}".lower()).strip("-")
        return {"service": name, **resolved}
    return dict(resolved)


def _there(table: object, project: Project) -> object:
    """A table without the values whose references name nothing here."""
    if not _table(table):
        return table
    found = {}
    for key, value in table.items():
        with suppress(InputError):
            found[key] = config.resolve(value, os.environ, project.root)
    return found


def target(project: Project, environment: str, *, looking: bool = False) -> Target:
    """The target of an environment; errors and `looking` as in `deploy_settings`."""
    settings = deploy_settings(project, environment, looking=looking)
    kind = str(settings["target"])
    if kind not in TARGETS:
        raise InputError(
            f"there is no target {kind!r}; there are {', '.join(sorted(TARGETS))}",
            where="[deploy]",
            hint=did_you_mean(kind, TARGETS),
        )
    made: Target = load(TARGETS[kind])(settings, os.environ)
    return made
