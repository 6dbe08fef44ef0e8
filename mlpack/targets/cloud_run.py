"""Google Cloud Run: a service of the Knative serving API v1, and ``gcloud run services replace``.

What Cloud Run takes of it: https://cloud.google.com/run/docs/reference/yaml/v1
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import msgspec

from mlpack import files
from mlpack.delivery.pushing import pusher
from mlpack.delivery.rendered import (
    ALIVE,
    PORT,
    READY,
    Ask,
    RenderedTarget,
    as_yaml,
    distinct,
    given,
    variables,
)
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError, OutsideError
from mlpack.ports import Built

_T = TypeVar("_T")

_KEYS = (
    *("always_cpu", "concurrency", "cpus", "ingress", "max_instances", "memory", "min_instances"),
    *("project", "public", "ready_seconds", "region", "service_account", "startup_boost"),
    "timeout_seconds",
)
_EXAMPLE = (
    '[deploy]\ntarget = "cloud-run"\nproject = "my-project"\nregion = "europe-west1"\n'
    'repository = "europe-west1-docker.pkg.dev/my-project/models/churn"'
)
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ACCOUNT = re.compile(r"[a-z0-9-]{1,63}@[a-z0-9.-]{1,255}")
_SECRET = re.compile(
    r"(?:projects/(?P<project>\d{1,20}|[a-z][a-z0-9-]{4,28}[a-z0-9])/secrets/)?"
    r"(?P<name>[A-Za-z0-9_-]{1,255}):(?P<version>[1-9]\d{0,9}|latest)"
)
_INGRESS = ("all", "internal", "internal-and-cloud-load-balancing")
_GIB = 1 << 30
_MIB = 1 << 20
_MEMORY = {1: (128 * _MIB, 4 * _GIB), 2: (128 * _MIB, 8 * _GIB), 4: (2 * _GIB, 16 * _GIB),
           6: (4 * _GIB, 24 * _GIB), 8: (4 * _GIB, 32 * _GIB)}  # fmt: skip
"""What Cloud Run gives to so many CPUs, from and to."""

_PERIOD = 2


@dataclass(frozen=True)
class Secret:
    """A version of a secret in Secret Manager; of this project where none is told."""

    name: str
    version: str
    project: str = ""


@dataclass(frozen=True)
class CloudRun:
    """A service at Cloud Run.

    Attributes:
        service, project, region: where it is.
        cpu: CPUs of an instance.
        memory: of an instance, in bytes.
        concurrency: so many requests at once go to an instance.
        least, most: instances.
        timeout: seconds that a request may take.
        ready: seconds that an instance has until it is ready.
        boost: more CPU while an instance starts.
        always: CPU between requests too.
        ingress: from where requests come.
        public: anybody may ask, without a login.
        account: the service account that it runs as.
        env: variables.
        secrets: variables whose values are secrets.
    """

    service: str
    project: str
    region: str
    cpu: int = 1
    memory: int = _GIB
    concurrency: int = 80
    least: int = 0
    most: int = 10
    timeout: int = 60
    ready: int = 60
    boost: bool = True
    always: bool = False
    ingress: str = "all"
    public: bool = False
    account: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    kind = "cloud-run"
    file = "service.yaml"
    programs = ("gcloud",)

    def content(self, built: Built, image: str, why: str) -> bytes:
        """The service, as ``gcloud run services replace`` takes it."""
        told = {"io.mlpack.version": built.version, "io.mlpack.bundle": built.bundle}
        metadata = {
            "run.googleapis.com/ingress": self.ingress,
            **({"run.googleapis.com/invoker-iam-disabled": "true"} if self.public else {}),
            **told,
            **({"io.mlpack.why": why} if why else {}),
        }
        return as_yaml(
            {
                "apiVersion": "serving.knative.dev/v1",
                "kind": "Service",
                "metadata": {"name": self.service, "annotations": metadata},
                "spec": {
                    "template": {
                        "metadata": {"annotations": {**self._revision(), **told}},
                        "spec": self._spec(image),
                    },
                    "traffic": [{"percent": 100, "latestRevision": True}],
                },
            }
        )

    def command(self, program: str, file: str) -> tuple[str, ...]:
        """Waits until the new revision is ready; where it does not become so, the old one stays."""
        return (*self._services(program), "replace", file, *self._where(), "--quiet")

    def logs(self, program: str, lines: int) -> tuple[str, ...]:
        """The last lines of all instances."""
        limit = f"--limit={max(lines, 1)}"
        return (*self._services(program), "logs", "read", self.service, *self._where(), limit)

    def serving(self, program: str, ask: Ask) -> str | None:
        """The image of the revision that gets most requests; None where there is no service.

        Raises:
            OutsideError: ``gcloud`` refuses, or says what cannot be understood.
        """
        shape = "--format=json"
        only = f"--filter=metadata.name={self.service}"
        found = _told(ask((*self._services(program), "list", only, *self._where(), shape)),
                      tuple[_Service, ...])  # fmt: skip
        routes = [each for service in found for each in service.status.traffic]
        if not routes:
            return None
        name = max(routes, key=lambda each: each.percent).revision
        where = (program, "run", "revisions", "describe", name, *self._where(), shape)
        (container, *_) = _told(ask(where), _Revision).spec.containers
        return container.image

    def _services(self, program: str) -> tuple[str, ...]:
        return (program, "run", "services")

    def _where(self) -> tuple[str, str]:
        return (f"--project={self.project}", f"--region={self.region}")

    def _revision(self) -> dict[str, str]:
        found = {
            "autoscaling.knative.dev/minScale": str(self.least),
            "autoscaling.knative.dev/maxScale": str(self.most),
            "run.googleapis.com/cpu-throttling": _word(not self.always),
            "run.googleapis.com/startup-cpu-boost": _word(self.boost),
            "run.googleapis.com/execution-environment": "gen2",
        }
        elsewhere = {each for each in self.secrets.values() if each.project}
        if elsewhere:  # a reference names a secret of this project, or one of these
            found["run.googleapis.com/secrets"] = ",".join(
                sorted(f"{_alias(each)}:{_path(each)}" for each in elsewhere)
            )
        return found

    def _spec(self, image: str) -> dict[str, Any]:
        env: list[dict[str, Any]] = [
            {"name": name, "value": value} for name, value in sorted(self.env.items())
        ]
        env += [
            {
                "name": name,
                "valueFrom": {"secretKeyRef": {"name": _alias(secret), "key": secret.version}},
            }
            for name, secret in sorted(self.secrets.items())
        ]
        container: dict[str, Any] = {
            "image": image,
            "ports": [{"name": "http1", "containerPort": PORT}],
            **({"env": env} if env else {}),
            "resources": {"limits": {"cpu": str(self.cpu), "memory": f"{self.memory // _MIB}Mi"}},
            "startupProbe": {
                "httpGet": {"path": READY, "port": PORT},
                "periodSeconds": _PERIOD,
                "timeoutSeconds": _PERIOD,
                "failureThreshold": -(-self.ready // _PERIOD),
            },
            "livenessProbe": {
                "httpGet": {"path": ALIVE, "port": PORT},
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 3,
            },
        }
        return {
            "containerConcurrency": self.concurrency,
            "timeoutSeconds": self.timeout,
            **({"serviceAccountName": self.account} if self.account else {}),
            "containers": [container],
        }


class _Route(msgspec.Struct, frozen=True):
    revision: str = msgspec.field(name="revisionName", default="")
    percent: int = 0


class _Status(msgspec.Struct, frozen=True):
    traffic: tuple[_Route, ...] = ()


class _Service(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class _Container(msgspec.Struct, frozen=True):
    image: str


class _Spec(msgspec.Struct, frozen=True):
    containers: Annotated[tuple[_Container, ...], msgspec.Meta(min_length=1)]


class _Revision(msgspec.Struct, frozen=True):
    spec: _Spec


def _told(text: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise OutsideError(f"what gcloud says cannot be understood: {error}") from error


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RenderedTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see docs/deploy/cloud-run.md.
        env: the process's environment.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    reader = given(config, CloudRun.kind, _KEYS, _EXAMPLE)
    least = reader.number("min_instances", 0, 0, 1000)
    cpu = reader.number("cpus", 1, 1, 8)
    recipe = CloudRun(
        service=reader.needed("service", _NAME, 'service = "churn-production"'),
        project=reader.needed("project", _PROJECT, _EXAMPLE),
        region=reader.needed("region", _REGION, _EXAMPLE),
        cpu=cpu,
        memory=_memory(reader, cpu),
        concurrency=reader.number("concurrency", 80, 1, 1000),
        least=least,
        most=reader.number("max_instances", max(10, least), max(1, least), 1000),
        timeout=reader.number("timeout_seconds", 60, 1, 3600),
        ready=reader.number("ready_seconds", 60, 1, 240),
        boost=reader.switch("startup_boost", default=True),
        always=reader.switch("always_cpu", default=False),
        ingress=reader.choice("ingress", _INGRESS, "all"),
        public=reader.switch("public", default=False),
        account=reader.text("service_account", _ACCOUNT),
        env=variables(reader),
        secrets={name: _secret(name, at) for name, at in variables(reader, "secret_env").items()},
    )
    distinct(recipe.env, recipe.secrets)
    return RenderedTarget(
        recipe,
        pusher(config, env),
        apply=reader.switch("apply", default=True),
        serving=recipe.serving,
    )


def _memory(reader: Reader, cpu: int) -> int:
    if cpu not in _MEMORY:
        raise InputError(
            f"Cloud Run has no instances with {cpu} CPUs",
            where="[deploy] cpus",
            hint=f"There are: {', '.join(map(str, _MEMORY))}.",
        )
    least, most = _MEMORY[cpu]
    found = reader.memory() or max(_GIB, least)
    if not least <= found <= most or found % _MIB:
        raise InputError(
            f"an instance with {cpu} CPUs has from {least // _MIB} to {most // _MIB} MiB",
            where="[deploy] memory",
        )
    return found


def _secret(name: str, text: str) -> Secret:
    found = _SECRET.fullmatch(text)
    if found is None:
        raise InputError(
            "it names no version of a secret in Secret Manager",
            where=f"[deploy.secret_env] {name}",
            hint=f'{name} = "churn-api-keys:3"',
        )
    return Secret(found["name"], found["version"], found["project"] or "")


def _alias(secret: Secret) -> str:
    if not secret.project:
        return secret.name
    return f"secret-{files.sha256(_path(secret).encode())[:12]}"


def _path(secret: Secret) -> str:
    return f"projects/{secret.project}/secrets/{secret.name}"


def _word(value: object) -> str:
    return "true" if value else "false"
