"""The Role with which all verbs work: what is asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpack.delivery.sampled import FILE
from mlpack.kubernetes.cluster import EXEC, EXEC_VERBS, KINDS
from mlpack.kubernetes.values import Service

_CHANGED = ("get", "create", "patch", "delete")
_RECORDED = ("get", "create", "update", "delete")


def role(service: Service) -> dict[str, Any]:
    """A Role of ``rbac.authorization.k8s.io/v1`` for the service's namespace."""
    kinds: dict[str, Sequence[str]] = {
        "ConfigMap": _RECORDED,
        "Lease": _RECORDED,
        # Never read: what they hold is not mlpack's to know.
        "Secret": ("create", "patch", "delete"),
        "ServiceAccount": _CHANGED,
        "Pod": ("list",),
        "Event": ("list",),
    }
    if service.mode == "kserve":
        kinds["InferenceService"] = (*_CHANGED, "watch")
    else:
        kinds |= dict.fromkeys(
            ("Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"), _CHANGED
        )
        kinds |= dict.fromkeys(("NetworkPolicy", "Ingress"), _CHANGED)
        kinds["Deployment"] = (*_CHANGED, "watch")
    if service.monitor:
        kinds["ServiceMonitor"] = _CHANGED
    rules = [*_rules(kinds), _rule("", ["pods/log", "pods/proxy"], ("get",))]
    if service.env.get(FILE):
        rules.append(_rule("", [EXEC], EXEC_VERBS))
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": f"{service.name}-mlpack", "namespace": service.namespace},
        "rules": rules,
    }


def _rules(kinds: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
    """One rule for all kinds of a group that need the same."""
    found: dict[tuple[str, Sequence[str]], list[str]] = {}
    for kind, verbs in sorted(kinds.items()):
        version, plural = KINDS[kind]
        group = version.rpartition("/")[0]
        found.setdefault((group, tuple(verbs)), []).append(plural)
    return [_rule(group, plurals, verbs) for (group, verbs), plurals in sorted(found.items())]


def _rule(group: str, plurals: list[str], verbs: Sequence[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": plurals, "verbs": list(verbs)}
