"""A release as an InferenceService of KServe, with a container of its own as the predictor.

Knative, which runs it, takes a part of a pod's fields only: what it refuses is left out here, and
the security context stands at the container alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mlpack.kubernetes import pods
from mlpack.kubernetes.values import Manifest, Service

_PERCENT = "canaryTrafficPercent"


def inference_service(
    service: Service, image: str, told: Mapping[str, str], secret: str
) -> dict[str, Any]:
    """The InferenceService of a version.

    Args:
        service: what is deployed.
        image: ``REPOSITORY@DIGEST``.
        told: its labels.
        secret: the Secret with its files; ``""`` for none.
    """
    scaling = service.autoscaling
    container = pods.container(service, image, secret)
    # One port alone goes through Knative, and its name would choose the protocol.
    container["ports"] = [{"containerPort": pods.PORT, "protocol": "TCP"}]
    # Not every version of Knative takes a probe for the start.
    del container["startupProbe"]
    container["livenessProbe"]["initialDelaySeconds"] = service.ready_seconds
    predictor: dict[str, Any] = {
        "minReplicas": service.least,
        "maxReplicas": scaling.most if scaling else service.replicas,
        "serviceAccountName": service.name,
        **pods.pull_secrets(service),
        "containers": [container],
        # Knative takes no fsGroup: what only root may read would be of no use.
        "volumes": pods.volumes(service, secret, 0o444),
    }
    if scaling is not None:
        predictor |= {"scaleMetric": "cpu", "scaleTarget": scaling.cpu}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": dict(told),
        },
        "spec": {"predictor": predictor},
    }


def with_share(workload: Manifest, share: int | None) -> dict[str, Any]:
    """The same, of which the newest revision gets `share` of a hundred requests; None for all."""
    made: dict[str, Any] = deepcopy(dict(workload))
    made["spec"]["predictor"].pop(_PERCENT, None)
    if share is not None:
        made["spec"]["predictor"][_PERCENT] = share
    return made


def share_of(workload: Manifest | None) -> int | None:
    """The share that an InferenceService says; None for all."""
    value = ((workload or {}).get("spec") or {}).get("predictor", {}).get(_PERCENT)
    return value if isinstance(value, int) else None
