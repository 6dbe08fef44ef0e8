"""A service's objects as files: plain YAML for kubectl and kustomize, and a chart for Helm.

YAML is made from values. In a chart, a value that shall be set by others becomes an expression that
writes it as JSON, which is YAML too, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from mlpack import files
from mlpack.errors import InputError
from mlpack.kubernetes.values import Manifest, Service

KUSTOMIZATION = "kustomization.yaml"
CHART = "chart"

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_/. -]*[A-Za-z0-9_/]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MARK = re.compile(r"\"?@@([a-z.]+)@@\"?", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Quotes every text that some reader of YAML 1.1 or 1.2 could take for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - any value
        """Write every value where it stands."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(value: Mapping[str, Any]) -> str:
    """A document of YAML, keys in their order."""
    written: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 16
    )
    return written


def write(service: Service, manifests: Sequence[Manifest], version: str, into: Path) -> list[Path]:
    """Write a file per object and a ``kustomization.yaml``, and if it is asked for a chart.

    Args:
        service: what it is.
        manifests: its objects.
        version: the model's.
        into: a folder; files that are there already are replaced if they have those names.

    Returns:
        The files, relative to `into`.

    Raises:
        InputError: `into` is a file.
    """
    if into.exists() and not into.is_dir():
        raise InputError("it is no folder", where=str(into), hint="--render manifests")
    written = {file_name(each): as_yaml(each) for each in manifests}
    written[KUSTOMIZATION] = as_yaml(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": sorted(written),
        }
    )
    if service.helm:
        chart = helm_chart(service, manifests, version)
        written |= {f"{CHART}/{name}": text for name, text in chart.items()}
    for name, text in written.items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, text.encode())
    return [Path(name) for name in sorted(written)]


def file_name(manifest: Manifest) -> str:
    """Such as ``network-policy.yaml``."""
    return f"{_CAMEL.sub('-', manifest['kind']).lower()}.yaml"


def helm_chart(service: Service, manifests: Sequence[Manifest], version: str) -> dict[str, str]:
    """The files of a chart: each object's, with what is likely to differ taken from its values.

    Args:
        service: what it is.
        manifests: its objects.
        version: the model's.
    """
    values: dict[str, Any] = {}
    templates = {}
    for each in manifests:
        made: dict[str, Any] = deepcopy(dict(each))
        made["metadata"].pop("namespace", None)  # the release's
        _parametrised(made, values)
        templates[f"templates/{file_name(each)}"] = _expressions(as_yaml(made))
    about = {
        "apiVersion": "v2",
        "name": service.name,
        "description": f"{service.name}, made by mlpack",
        "type": "application",
        # Helm takes SemVer alone, which a version of Python's need not be.
        "version": "0.1.0",
        "appVersion": version,
    }
    return {"Chart.yaml": as_yaml(about), "values.yaml": as_yaml(values), **templates}


def _parametrised(made: dict[str, Any], values: dict[str, Any]) -> None:
    spec = made.get("spec") or {}
    if made["kind"] == "Deployment":
        if "replicas" in spec:
            _moved(spec, "replicas", values)
        _container(spec["template"]["spec"]["containers"][0], values)
    elif made["kind"] == "InferenceService":
        for key in ("minReplicas", "maxReplicas"):
            _moved(spec["predictor"], key, values)
        _container(spec["predictor"]["containers"][0], values)
    elif made["kind"] == "HorizontalPodAutoscaler":
        for key in ("minReplicas", "maxReplicas"):
            _moved(spec, key, values)
    elif made["kind"] == "Service":
        _moved(spec["ports"][0], "port", values)
    elif made["kind"] == "Ingress":
        for key in ("rules", "tls", "ingressClassName"):
            if key in spec:
                _moved(spec, key, values, f"ingress.{key}")


def _container(container: dict[str, Any], values: dict[str, Any]) -> None:
    for key in ("image", "env", "resources"):
        _moved(container, key, values)


def _moved(
    holder: dict[str, Any], key: str, values: dict[str, Any], name: str | None = None
) -> None:
    """Take a value out, put a mark in its place, which becomes an expression."""
    name = name or key
    *folders, last = name.split(".")
    for folder in folders:
        values = values.setdefault(folder, {})
    values[last] = holder[key]
    holder[key] = f"@@{name}@@"


def _expressions(text: str) -> str:
    """The text of a template: what looks like an expression is none, and marks become some."""
    quoted = text.replace("{{", '{{ "{{" }}')
    return _MARK.sub(lambda match: f"{{{{ toJson .Values.{match[1]} }}}}", quoted)
