"""What an artifact is made of, as a CycloneDX 1.5 document (https://cyclonedx.org/docs/1.5/json/).

It has no time and no random number in it: its serial number follows from the bundle's digest.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from mlpack import needs
from mlpack.bundle import Bundle
from mlpack.lock import Pin

SBOM_FILE = "sbom.cdx.json"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "bundle.mlpack")


def cyclonedx(bundle: Bundle) -> bytes:
    """The document for a bundle: the model itself, and every package of its production lock.

    Raises:
        InputError: the bundle's lock is damaged.
    """
    manifest = bundle.manifest
    name = canonicalize_name(manifest.name)
    reference = f"pkg:pypi/{name}@{manifest.version}"
    component: dict[str, Any] = {
        "type": "application",
        "bom-ref": reference,
        "name": name,
        "version": manifest.version,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": bundle.digest}],
    }
    if bundle.license:
        component["licenses"] = [{"expression": bundle.license}]
    pins = sorted(set(needs.read_pins(bundle.lock)), key=lambda pin: (pin.name, pin.version))
    components = [_component(pin) for pin in pins]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, bundle.digest)}",
        "version": 1,
        "metadata": {"component": component},
        "components": components,
        "dependencies": [
            {"ref": reference, "dependsOn": [entry["bom-ref"] for entry in components]}
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _component(pin: Pin) -> dict[str, Any]:
    # https://github.com/package-url/purl-spec: a version's + and ! are percent-encoded
    version = pin.version.replace("!", "%21").replace("+", "%2B")
    purl = f"pkg:pypi/{pin.name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl if not pin.marker else f"{purl}#{pin.marker}",
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        # One digest per file of the package: an installation uses one of them.
        "hashes": [
            {"alg": "SHA-256", "content": digest.removeprefix("sha256:")} for digest in pin.hashes
        ],
    }
