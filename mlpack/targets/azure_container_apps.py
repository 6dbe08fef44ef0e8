"""Azure Container Apps: a container app of the resource manager, and ``az containerapp create``.

What Azure takes of it: https://learn.microsoft.com/azure/container-apps/azure-resource-manager-api-spec
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpack import files
from mlpack.delivery.pushing import pusher
from mlpack.delivery.rendered import (
    ALIVE,
    PORT,
    READY,
    RenderedTarget,
    as_yaml,
    distinct,
    given,
    variables,
)
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError
from mlpack.ports import Built

_KEYS = (
    *("concurrency", "cpus", "environment", "external", "identity", "keep", "location"),
    *("max_replicas", "memory", "min_replicas", "ready_seconds", "resource_group"),
)
_EXAMPLE = (
    '[deploy]\ntarget = "azure-container-apps"\nresource_group = "models"\n'
    'environment = "/subscriptions/.../managedEnvironments/production"\n'
    'repository = "example.azurecr.io/churn"'
)
_NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]")
_GROUP = re.compile(r"[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]")
_SUBSCRIPTION = r"/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[A-Za-z0-9_().-]{1,90}/providers/"
_ENVIRONMENT = re.compile(_SUBSCRIPTION + r"Microsoft\.App/managedEnvironments/[A-Za-z0-9-]{1,60}")
_IDENTITY = re.compile(
    "system|"
    + _SUBSCRIPTION
    + r"Microsoft\.ManagedIdentity/userAssignedIdentities/[A-Za-z0-9_-]{1,128}"
)
_LOCATION = re.compile(r"[a-z0-9]{2,40}")
_SECRET = re.compile(
    r"https://[A-Za-z0-9-]{3,24}\.vault\.azure\.net/secrets/[A-Za-z0-9-]{1,127}"
    r"(?:/[0-9a-f]{32})?"
)
_MIB = 1 << 20
_STEP = 0.25
_MOST_CPU = 4.0
_TAG = 256
_PERIOD = 2
_PULLS = ".azurecr.io"


@dataclass(frozen=True)
class ContainerApp:
    """An app at Azure Container Apps.

    Attributes:
        service: its name.
        group: the resource group.
        environment: the resource id of its managed environment.
        registry: the host of its image's registry.
        location: where; the environment's place if it is not told.
        cpu: CPUs of a replica. It has twice as many GiB of memory: Azure has no other sizes.
        concurrency: so many requests at once to a replica call for one more.
        least, most: replicas.
        ready: seconds that a replica has until it is ready.
        external: requests come from anywhere, not from the environment alone.
        identity: what reads the registry and the secrets: ``system``, or a resource id.
        keep: so many former revisions stay.
        env: variables.
        secrets: variables whose values are secrets, by their address in a key vault.
    """

    service: str
    group: str
    environment: str
    registry: str
    location: str = ""
    cpu: float = 0.5
    concurrency: int = 50
    least: int = 1
    most: int = 10
    ready: int = 60
    external: bool = True
    identity: str = ""
    keep: int = 5
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    kind = "azure-container-apps"
    file = "containerapp.yaml"
    programs = ("az",)

    def content(self, built: Built, image: str, why: str) -> bytes:
        """The app, as ``az containerapp create --yaml`` takes it."""
        template = self._template(image)
        # A name for the revision, which follows from what it is: the same again is no new one.
        suffix = f"m{files.sha256(as_yaml(template))[:12]}"
        tags = {"mlpack-version": built.version, "mlpack-bundle": built.bundle}
        if why:
            tags["mlpack-why"] = why[:_TAG]
        return as_yaml(
            {
                "name": self.service,
                "type": "Microsoft.App/containerApps",
                **({"location": self.location} if self.location else {}),
                "tags": tags,
                **({"identity": self._identity()} if self.identity else {}),
                "properties": {
                    "managedEnvironmentId": self.environment,
                    "configuration": self._configuration(),
                    "template": {"revisionSuffix": suffix, **template},
                },
            }
        )

    def command(self, program: str, file: str) -> tuple[str, ...]:
        """Makes the app, or brings the one that is there to what the file says."""
        where = ("--name", self.service, "--resource-group", self.group)
        return (program, "containerapp", "create", *where, "--yaml", file, "--output", "none")

    def logs(self, program: str, lines: int) -> tuple[str, ...]:
        """The last lines of one replica of the latest revision."""
        where = ("--name", self.service, "--resource-group", self.group)
        tail = str(min(max(lines, 1), 300))
        return (program, "containerapp", "logs", "show", *where, "--tail", tail, "--format", "text")

    def _configuration(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "activeRevisionsMode": "Single",
            "maxInactiveRevisions": self.keep,
            "ingress": {
                "external": self.external,
                "targetPort": PORT,
                "transport": "auto",
                "allowInsecure": False,
                "traffic": [{"latestRevision": True, "weight": 100}],
            },
        }
        if self.identity and self.registry.endswith(_PULLS):
            found["registries"] = [{"server": self.registry, "identity": self.identity}]
        if self.secrets:
            found["secrets"] = [
                {"name": _name(name), "keyVaultUrl": address, "identity": self.identity}
                for name, address in sorted(self.secrets.items())
            ]
        return found

    def _template(self, image: str) -> dict[str, Any]:
        env: list[dict[str, str]] = [
            {"name": name, "value": value} for name, value in sorted(self.env.items())
        ]
        env += [{"name": name, "secretRef": _name(name)} for name in sorted(self.secrets)]
        container: dict[str, Any] = {
            "name": "model",
            "image": image,
            **({"env": env} if env else {}),
            "resources": {"cpu": self.cpu, "memory": f"{2 * self.cpu:g}Gi"},
            "probes": [
                _probe("Startup", READY, _PERIOD, _PERIOD, -(-self.ready // _PERIOD)),
                _probe("Readiness", READY, 5, 3, 3),
                _probe("Liveness", ALIVE, 10, 5, 3),
            ],
        }
        rule = {
            "name": "requests",
            "http": {"metadata": {"concurrentRequests": str(self.concurrency)}},
        }
        return {
            "containers": [container],
            "scale": {"minReplicas": self.least, "maxReplicas": self.most, "rules": [rule]},
        }

    def _identity(self) -> dict[str, Any]:
        if self.identity == "system":
            return {"type": "SystemAssigned"}
        return {"type": "UserAssigned", "userAssignedIdentities": {self.identity: {}}}


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RenderedTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/azure-container-apps.md.
        env: the process's environment.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    reader = given(config, ContainerApp.kind, _KEYS, _EXAMPLE)
    pushing = pusher(config, env)
    least = reader.number("min_replicas", 1, 0, 1000)
    recipe = ContainerApp(
        service=reader.needed("service", _NAME, 'service = "churn-production"'),
        group=reader.needed("resource_group", _GROUP, _EXAMPLE),
        environment=reader.needed("environment", _ENVIRONMENT, _EXAMPLE),
        registry=pushing.repository.host,
        location=reader.text("location", _LOCATION),
        cpu=_size(reader),
        concurrency=reader.number("concurrency", 50, 1, 1000),
        least=least,
        most=reader.number("max_replicas", max(10, least), max(1, least), 1000),
        ready=reader.number("ready_seconds", 60, 1, 240),
        external=reader.switch("external", default=True),
        identity=reader.text("identity", _IDENTITY),
        keep=reader.number("keep", 5, 1, 100),
        env=variables(reader),
        secrets=variables(reader, "secret_env"),
    )
    distinct(recipe.env, recipe.secrets)
    _check_secrets(recipe)
    return RenderedTarget(recipe, pushing, apply=reader.switch("apply", default=True))


def _size(reader: Reader) -> float:
    cpu = reader.cpus() or 0.5
    memory = reader.memory()
    if cpu % _STEP or not _STEP <= cpu <= _MOST_CPU:
        raise InputError(
            f"Azure has no replicas with {cpu:g} CPUs",
            where="[deploy] cpus",
            hint="There are: 0.25, 0.5, 0.75 and so on up to 4.",
        )
    if memory is not None and memory != int(2048 * cpu) * _MIB:
        raise InputError(
            f"a replica with {cpu:g} CPUs has {2048 * cpu:g} MiB, no more and no less",
            where="[deploy] memory",
            hint=f'memory = "{2048 * cpu:g}m", or leave it out',
        )
    return cpu


def _check_secrets(recipe: ContainerApp) -> None:
    for name, address in recipe.secrets.items():
        if not _SECRET.fullmatch(address):
            raise InputError(
                "it is no address of a secret in a key vault",
                where=f"[deploy.secret_env] {name}",
                hint=f'{name} = "https://VAULT.vault.azure.net/secrets/churn-api-keys"',
            )
    if recipe.secrets and not recipe.identity:
        raise InputError(
            "nothing says as whom the secrets are read",
            where="[deploy] identity",
            hint='identity = "system", or the resource id of a user-assigned one',
        )


def _probe(kind: str, path: str, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "type": kind,
        "httpGet": {"path": path, "port": PORT, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _name(variable: str) -> str:
    """The name of a secret within the app: lower case, digits and hyphens."""
    return f"env-{variable.lower().replace('_', '-').strip('-')}"
