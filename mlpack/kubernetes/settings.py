"""Reads what ``[deploy]`` says of a service at a cluster: every value has a grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlpack.config import refuse_unknown
from mlpack.delivery import sampled
from mlpack.delivery.pushing import KEYS as PUSHING
from mlpack.delivery.settings import SECRET, VARIABLE, Reader
from mlpack.errors import InputError
from mlpack.kubernetes.values import Autoscaling, Ingress, Service

OURS = ("MLPACK_HOST", "MLPACK_PORT", "MLPACK_TLS_CERT", "MLPACK_TLS_KEY", "PORT")
"""Variables that decide how a pod is reached."""

KEYS = (
    *("autoscaling", "context", "cpus", "egress", "env", "helm", "ingress", "keep", "kubeconfig"),
    *("memory", "mode", "namespace", "port", "pull_secret", "ready_seconds", "replicas"),
    *("secrets", "service", "service_monitor", "target"),
    *PUSHING,
)
"""Every key of ``[deploy]``."""
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
"""With what is put behind it, it must be a label of DNS that begins with a letter."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL.pattern}(?:\.{_LABEL.pattern})+")
_CONTEXT = re.compile(r"[^\x00-\x1f]{1,253}")
_EXAMPLE = (
    '[deploy]\ntarget = "kubernetes"\nrepository = "registry.example/team/churn"\n'
    'namespace = "models"'
)
_SCALING_EXAMPLE = "[deploy.autoscaling]\nmin = 2\nmax = 10\ncpu = 70"
_INGRESS_EXAMPLE = '[deploy.ingress]\nhost = "churn.example.org"\ntls = "churn-tls"'


def read(config: Mapping[str, Any]) -> Service:
    """The service.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, KEYS, "kubernetes")
    given = Reader(config, example=_EXAMPLE)
    env = given.table("env", VARIABLE)
    for name in env:
        if name in OURS:
            raise InputError(
                "the probes and the Service reach the pods at the port that they have, without TLS",
                where=f"[deploy.env] {name}",
                hint=f"TLS is the ingress's:\n{_INGRESS_EXAMPLE}",
            )
    memory, cpus = given.memory(), given.cpus()
    service = Service(
        name=given.text("service", _NAME),
        namespace=given.text("namespace", _LABEL, "default"),
        mode=given.choice("mode", ("deployment", "kserve"), "deployment"),
        replicas=given.number("replicas", 2, 1, 1000),
        autoscaling=_autoscaling(config),
        cpus=1.0 if cpus is None else cpus,
        memory=1 << 30 if memory is None else memory,
        env=env,
        secrets=given.table("secrets", SECRET),
        port=given.number("port", 80, 1, 65_535),
        ingress=_ingress(config),
        monitor=given.switch("service_monitor", default=False),
        egress=given.switch("egress", default=False),
        pull_secret=given.text("pull_secret", _SUBDOMAIN),
        ready_seconds=given.number("ready_seconds", 300, 1, 3600),
        keep=given.number("keep", 5, 1, 50),
        helm=given.switch("helm", default=False),
    )
    _check(config, service)
    return service


def read_cluster(config: Mapping[str, Any]) -> tuple[str, str]:
    """The path of a kubeconfig and the name of a context in it; ``""`` where none is told.

    Raises:
        InputError: one of them cannot be.
    """
    given = Reader(config, example=_EXAMPLE)
    path = given.path("kubeconfig")
    return str(path) if path else "", given.text("context", _CONTEXT)


def _check(config: Mapping[str, Any], service: Service) -> None:
    if not service.name:
        raise InputError("[deploy] has no service", hint='service = "churn-production"')
    sampled.check(service.env)
    if service.autoscaling and "replicas" in config:
        raise InputError(
            "[deploy.autoscaling] and replicas say two things",
            where="[deploy] replicas",
            hint="Leave out one of them.",
        )
    if service.mode == "kserve":
        for key in ("ingress", "service_monitor", "port"):
            if config.get(key):
                raise InputError(
                    "KServe has its own way in",
                    where=f"[deploy] {key}",
                    hint=f'Leave {key} out, or: mode = "deployment"',
                )


def _table(config: Mapping[str, Any], key: str, keys: tuple[str, ...], hint: str) -> Any:  # noqa: ANN401 - a table of TOML
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InputError("it is no table", where=f"[deploy.{key}]", hint=hint)
    for each in value:
        if each not in keys:
            raise InputError(
                f"[deploy.{key}] has no key {each!r}", hint=f"There are: {', '.join(keys)}"
            )
    return value


def _autoscaling(config: Mapping[str, Any]) -> Autoscaling | None:
    table = _table(config, "autoscaling", ("min", "max", "cpu"), _SCALING_EXAMPLE)
    if table is None:
        return None
    given = Reader(table, "deploy.autoscaling", _SCALING_EXAMPLE)
    if "max" not in table:
        raise InputError("[deploy.autoscaling] has no max", hint=_SCALING_EXAMPLE)
    least = given.number("min", 2, 1, 1000)
    return Autoscaling(least, given.number("max", 10, least, 1000), given.number("cpu", 70, 1, 100))


def _ingress(config: Mapping[str, Any]) -> Ingress | None:
    table = _table(config, "ingress", ("host", "class", "tls"), _INGRESS_EXAMPLE)
    if table is None:
        return None
    given = Reader(table, "deploy.ingress", _INGRESS_EXAMPLE)
    return Ingress(
        host=given.needed("host", _HOST, _INGRESS_EXAMPLE),
        ingress_class=given.text("class", _SUBDOMAIN),
        tls=given.text("tls", _SUBDOMAIN),
    )
