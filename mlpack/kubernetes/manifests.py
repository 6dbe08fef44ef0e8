"""What a release is at a cluster, as values: what runs its pods, and what stands around them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import msgspec

from mlpack.container import USER, image_name
from mlpack.delivery.guessing import slow_digest
from mlpack.kubernetes import kserve, pods
from mlpack.kubernetes.values import (
    CANARY,
    INSTANCE,
    RELEASE,
    STABLE,
    TRACK,
    Manifest,
    Release,
    Service,
    canary_name,
)

_LABEL = 63


@dataclass(frozen=True)
class Objects:
    """What a release is made of.

    Attributes:
        secret: the files below ``/run/secrets``; None where there are none.
        workload: a Deployment or an InferenceService.
        around: everything else.
    """

    secret: dict[str, Any] | None
    workload: dict[str, Any]
    around: tuple[dict[str, Any], ...]

    @property
    def all(self) -> tuple[dict[str, Any], ...]:
        """Every object but the Secret."""
        return (*self.around, self.workload)

    @property
    def digest(self) -> str:
        """What is another one when anything is; a Secret's name tells of its content."""
        encoder = msgspec.json.Encoder(order="deterministic")
        return hashlib.sha256(encoder.encode([self.workload, list(self.around)])).hexdigest()


def objects(
    service: Service, image: str, name: str, version: str, *, secret: str | None = None
) -> Objects:
    """The objects of a version.

    Args:
        service: what is deployed.
        image: ``REPOSITORY@DIGEST``.
        name: the project's.
        version: the model's.
        secret: the name of a Secret that somebody else makes; None for one of its own, called
            after its content.
    """
    told = pods.labels(service, name, image_name(name, version)[1][:_LABEL])
    made = None
    if service.secrets and secret is None:
        secret = f"{service.name}-{fingerprint(service)}"
        made = _secret(service, secret, told)
    mounted = (secret or "") if service.secrets else ""
    account = _object("v1", "ServiceAccount", service, told)
    account["automountServiceAccountToken"] = False
    if service.mode == "kserve":
        return Objects(made, kserve.inference_service(service, image, told, mounted), (account,))
    around = [account, _service(service, told), _budget(service, told), _network(service, told)]
    if service.autoscaling is not None:
        around.append(_autoscaler(service, told))
    if service.ingress is not None:
        around.append(_ingress(service, told))
    if service.monitor:
        around.append(_monitor(service, told))
    return Objects(made, _deployment(service, image, told, mounted), tuple(around))


def fingerprint(service: Service) -> str:
    """What stands for the Secret's content in its name. It is slow to guess by."""
    text = msgspec.json.encode(sorted(service.secrets.items()))
    return slow_digest(text, service.name.encode(), 5)


def numbered(workload: Manifest, number: int, replicas: int | None = None) -> dict[str, Any]:
    """A workload that says which release it is; with another number of replicas, if told."""
    made: dict[str, Any] = deepcopy(dict(workload))
    made["metadata"]["annotations"] = {RELEASE: str(number)}
    template = made["spec"].get("template")
    if template is not None:  # KServe hands the annotation on by itself
        template["metadata"]["labels"][RELEASE] = str(number)
    if replicas is not None:
        made["spec"]["replicas"] = replicas
    return made


def canary(release: Release, replicas: int) -> dict[str, Any]:
    """The Deployment that stands beside the stable one, behind the same Service."""
    made = numbered(release.workload, release.number, replicas)
    made["metadata"]["name"] = canary_name(made["metadata"]["name"])
    made["spec"]["selector"]["matchLabels"][TRACK] = CANARY
    made["spec"]["template"]["metadata"]["labels"][TRACK] = CANARY
    return made


def beside(live: int, share: int) -> int:
    """How many canary pods come nearest to `share` of a hundred requests beside `live` others."""
    return max(1, round(live * share / (100 - share)))


def true_share(live: int, others: int) -> int:
    """How many of a hundred requests `others` pods get beside `live` ones."""
    return round(100 * others / (live + others)) if others else 0


def release_of(workload: Manifest | None) -> int:
    """The release that a workload says that it is; 0 for none."""
    if workload is None:
        return 0
    text = str((workload["metadata"].get("annotations") or {}).get(RELEASE, ""))
    return int(text) if text.isdigit() else 0


def _object(version: str, kind: str, service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": service.name, "namespace": service.namespace, "labels": dict(told)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _secret(service: Service, name: str, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("v1", "Secret", service, told)
    made["metadata"]["name"] = name
    # The same name is the same content for ever: a release that is gone back to finds its own.
    data = {key: base64.b64encode(text.encode()).decode() for key, text in service.secrets.items()}
    return {**made, "type": "Opaque", "immutable": True, "data": data}


def _deployment(
    service: Service, image: str, told: Mapping[str, str], secret: str
) -> dict[str, Any]:
    made = _object("apps/v1", "Deployment", service, told)
    selector = {INSTANCE: service.name, TRACK: STABLE}
    spec: dict[str, Any] = {
        "replicas": service.replicas,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": service.ready_seconds,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        },
        "selector": {"matchLabels": selector},
        "template": {
            "metadata": {"labels": {**told, TRACK: STABLE}},
            "spec": {
                "serviceAccountName": service.name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": pods.grace_seconds(service),
                "securityContext": {
                    "runAsNonRoot": True,
                    "fsGroup": int(USER.partition(":")[2]),
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": key,
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {INSTANCE: service.name}},
                    }
                    for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
                ],
                **pods.pull_secrets(service),
                "containers": [pods.container(service, image, secret)],
                "volumes": pods.volumes(service, secret),
            },
        },
    }
    if service.autoscaling is not None:
        del spec["replicas"]
    return {**made, "spec": spec}


def _service(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    known = pods.ports(service)
    outside = {**known, "http": service.port}
    ports = [
        {"name": name, "port": outside[name], "targetPort": name, "protocol": "TCP"}
        for name in known
    ]
    spec = {"type": "ClusterIP", "selector": {INSTANCE: service.name}, "ports": ports}
    return {**_object("v1", "Service", service, told), "spec": spec}


def _budget(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("policy/v1", "PodDisruptionBudget", service, told)
    # One at a time, and never none: with a single pod a drained node could not be emptied at all.
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {INSTANCE: service.name}}}
    return {**made, "spec": spec}


def _network(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("networking.k8s.io/v1", "NetworkPolicy", service, told)
    ports = [{"port": port, "protocol": "TCP"} for port in pods.ports(service).values()]
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {INSTANCE: service.name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": ports}],
    }
    if service.egress:
        spec["egress"] = [{}]
    return {**made, "spec": spec}


def _autoscaler(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("autoscaling/v2", "HorizontalPodAutoscaler", service, told)
    scaling = service.autoscaling
    if scaling is None:
        return made
    used = {"type": "Utilization", "averageUtilization": scaling.cpu}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        "minReplicas": scaling.least,
        "maxReplicas": scaling.most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": used}}],
    }
    return {**made, "spec": spec}


def _ingress(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("networking.k8s.io/v1", "Ingress", service, told)
    given = service.ingress
    if given is None:
        return made
    backend = {"service": {"name": service.name, "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: dict[str, Any] = {"rules": [{"host": given.host, "http": {"paths": [path]}}]}
    if given.ingress_class:
        spec["ingressClassName"] = given.ingress_class
    if given.tls:
        spec["tls"] = [{"hosts": [given.host], "secretName": given.tls}]
    return {**made, "spec": spec}


def _monitor(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    made = _object("monitoring.coreos.com/v1", "ServiceMonitor", service, told)
    endpoint = {"port": "http", "path": "/metrics", "interval": "30s"}
    selector = {"matchLabels": {INSTANCE: service.name}}
    return {**made, "spec": {"selector": selector, "endpoints": [endpoint]}}
