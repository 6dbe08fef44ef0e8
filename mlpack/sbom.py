"""What an artifact is made of, as a CycloneDX 1.5 document (https://cyclonedx.org/docs/1.5/json/).

It has no time and no random number in it: its serial number follows from its content.
"""

from __future__ import annotations

from typing import Any

from mlpack.materials import Foundation, Materials, Package, dumps, identity

SBOM_FILE = "sbom.cdx.json"

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def cyclonedx(made: Materials) -> bytes:
    """The document: the model itself, every package of its production lock, an image's base."""
    component: dict[str, Any] = {
        "type": "application",
        "bom-ref": made.purl,
        "name": made.name,
        "version": made.version,
        "purl": made.purl,
        "hashes": [{"alg": "SHA-256", "content": made.bundle}],
    }
    if made.license:
        component["licenses"] = [{"expression": made.license}]
    components = [_package(package) for package in made.packages]
    components += map(_base, made.bases)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": "",
        "version": 1,
        "metadata": {"component": component},
        "components": components,
        "dependencies": [
            {"ref": made.purl, "dependsOn": [entry["bom-ref"] for entry in components]}
        ],
    }
    document["serialNumber"] = f"urn:uuid:{identity(document)}"
    return dumps(document)


def _package(package: Package) -> dict[str, Any]:
    pin = package.pin
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl if not pin.marker else f"{package.purl}#{pin.marker}",
        "name": pin.name,
        "version": pin.version,
        "purl": package.purl,
        # One digest per file of the package: an installation uses one of them.
        "hashes": [
            {"alg": "SHA-256", "content": digest.removeprefix("sha256:")} for digest in pin.hashes
        ],
    }
    if package.remarks:
        component["properties"] = [
            {"name": "mlpack:left-out", "value": each} for each in package.remarks
        ]
    return component


def _base(base: Foundation) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "container",
        "bom-ref": base.purl or base.digest,
        "name": base.name,
        "hashes": [{"alg": "SHA-256", "content": base.digest.removeprefix("sha256:")}],
    }
    if base.purl:
        component["purl"] = base.purl
    return component
