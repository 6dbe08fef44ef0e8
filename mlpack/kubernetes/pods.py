"""The pods: one container that may do nothing but answer, and probes that ask the server itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlpack.container import PORT as IMAGE_PORT
from mlpack.container import USER
from mlpack.delivery import sampled
from mlpack.kubernetes.values import INSTANCE, MANAGER, Service
from mlpack.runtime.settings import Settings

PORT = int(IMAGE_PORT.partition("/")[0])
SECRETS_FOLDER = "/run/secrets"
LINGER, DRAIN = "MLPACK_LINGER_SECONDS", "MLPACK_DRAIN_SECONDS"
LINGER_SECONDS = 10
"""So long the cluster's proxies may take until the last one knows that a pod ends."""

_DRAIN_SECONDS = int(Settings().drain_seconds)
_GRPC = "MLPACK_GRPC_PORT"
_STARTUP_PERIOD = 2
_SCRATCH = 1 << 30
CONTAINERS = {"deployment": "server", "kserve": "kserve-container"}
"""What the only container of ours is called, by the service's mode; others may stand beside it."""


def labels(service: Service, name: str, version: str) -> dict[str, str]:
    """What every object is labelled with."""
    return {
        "app.kubernetes.io/name": name,
        INSTANCE: service.name,
        "app.kubernetes.io/version": version,
        "app.kubernetes.io/managed-by": MANAGER,
    }


def ports(service: Service) -> dict[str, int]:
    """The ports that the server listens on, by their names."""
    found = {"http": PORT}
    text = service.env.get(_GRPC, "")
    if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16:
        found["grpc"] = int(text)
    return found


def api_key(service: Service) -> str:
    """One of the keys that the server takes; ``""`` for none, or none that is known here."""
    keys = service.env.get("MLPACK_API_KEYS", "").replace(",", "\n")
    file = service.env.get("MLPACK_API_KEYS_FILE", "")
    if not keys and file.startswith(f"{SECRETS_FOLDER}/"):
        keys = service.secrets.get(file.rpartition("/")[2], "")
    return next((line.strip() for line in keys.splitlines() if line.strip()), "")


def grace_seconds(service: Service) -> int:
    """So long a pod may take to end: what the server takes, and a little."""
    return _number(service, LINGER, LINGER_SECONDS) + _number(service, DRAIN, _DRAIN_SECONDS) + 10


def resources(service: Service) -> dict[str, Any]:
    """What a pod asks for, and gets no more than: the server counts its workers by it."""
    amount = {"cpu": cpus(service.cpus), "memory": memory(service.memory)}
    return {"requests": dict(amount), "limits": dict(amount)}


def cpus(number: float) -> str:
    """A number of CPUs as the cluster writes it."""
    thousandths = max(1, round(number * 1000))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def memory(size: int) -> str:
    """A size in bytes as the cluster writes it."""
    for power, unit in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return str(size)


def container(service: Service, image: str, secret: str) -> dict[str, Any]:
    """The only container.

    Args:
        service: what it belongs to.
        image: ``REPOSITORY@DIGEST``.
        secret: the Secret with its files; ``""`` for none.
    """
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": sampled.WRITABLE}]
    made: dict[str, Any] = {
        "name": CONTAINERS[service.mode],
        "image": image,
        "ports": [
            {"name": each, "containerPort": port, "protocol": "TCP"}
            for each, port in ports(service).items()
        ],
        "env": [
            {"name": each, "value": value}
            for each, value in sorted({LINGER: str(LINGER_SECONDS), **service.env}.items())
        ],
        "resources": resources(service),
        "startupProbe": {
            **_asks("/readyz"),
            "periodSeconds": _STARTUP_PERIOD,
            "timeoutSeconds": 5,
            "failureThreshold": math.ceil(service.ready_seconds / _STARTUP_PERIOD),
        },
        "readinessProbe": {
            **_asks("/readyz"),
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            **_asks("/livez"),
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": int(USER.partition(":")[0]),
            "runAsGroup": int(USER.partition(":")[2]),
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }
    if secret:
        mounts.append({"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True})
    return made


def scratch(service: Service) -> int:
    """How large ``/tmp``, an ``emptyDir``, may become, in bytes: a pod with more there is ended."""
    return _SCRATCH + sampled.space(service.env)


def volumes(service: Service, secret: str, mode: int = 0o440) -> list[dict[str, Any]]:
    """What the container's folders are made of.

    Args:
        service: whose.
        secret: the Secret with its files; ``""`` for none.
        mode: theirs; they belong to root and to the pod's ``fsGroup``.
    """
    made: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": memory(scratch(service))}}
    ]
    if secret:
        made.append({"name": "secrets", "secret": {"secretName": secret, "defaultMode": mode}})
    return made


def pull_secrets(service: Service) -> dict[str, Any]:
    """With what nodes pull the image, where that is told."""
    return {"imagePullSecrets": [{"name": service.pull_secret}]} if service.pull_secret else {}


def _asks(path: str) -> Mapping[str, Any]:
    return {"httpGet": {"path": path, "port": PORT, "scheme": "HTTP"}}


def _number(service: Service, variable: str, default: int) -> int:
    text = service.env.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else default
