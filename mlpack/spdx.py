"""What an artifact is made of, as an SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/).

2.3 and not 3.0: what scanners, registries and forges read today.
The document's time is the build's (``SOURCE_DATE_EPOCH``), its number follows from its content.
"""

from __future__ import annotations

import re
from typing import Any

from mlpack.materials import Foundation, Materials, Package, dumps, identity
from mlpack.times import written

SPDX_FILE = "sbom.spdx.json"

MEDIA_TYPE = "application/spdx+json"

_UNKNOWN = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_MODEL = "SPDXRef-Model"
_BASE = "SPDXRef-Base"


def spdx(made: Materials, epoch: int) -> bytes:
    """The document: the model itself, every package of its production lock, an image's base.

    Args:
        made: what the artifact is made of.
        epoch: the time of the build, seconds since 1970.

    Raises:
        InputError: no document can tell that time.
    """
    packages = [_model(made), *_packages(made.packages)]
    relations = [_relation(_DOCUMENT, "DESCRIBES", _MODEL)]
    relations += [_relation(_MODEL, "DEPENDS_ON", each["SPDXID"]) for each in packages[1:]]
    for number, base in enumerate(made.bases, 1):
        packages.append(_base(base, number))
        relations.append(_relation(_MODEL, "DESCENDANT_OF", packages[-1]["SPDXID"]))
    stem = f"{made.name}-{made.version}"
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": stem,
        "documentNamespace": "",
        # Without a version: another mlpack that builds the same gives the same bytes.
        "creationInfo": {"created": written(epoch), "creators": ["Tool: mlpack"]},
        "packages": packages,
        "relationships": relations,
    }
    safe = re.sub(r"[^A-Za-z0-9.-]", "-", stem)
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/{safe}-{identity(document)}"
    return dumps(document)


def _model(made: Materials) -> dict[str, Any]:
    return {
        **_entry(_MODEL, made.name, "APPLICATION", made.license),
        "versionInfo": made.version,
        "checksums": [_checksum(made.bundle)],
        "externalRefs": [_purl(made.purl)],
    }


def _packages(packages: tuple[Package, ...]) -> list[dict[str, Any]]:
    entries = []
    for number, package in enumerate(packages, 1):
        pin = package.pin
        entry = {
            **_entry(f"SPDXRef-Package-{number}-{pin.name}", pin.name, "LIBRARY"),
            "versionInfo": pin.version,
            # One digest per file of the package: an installation uses one of them.
            "checksums": [_checksum(digest) for digest in pin.hashes],
            "externalRefs": [_purl(package.purl)],
        }
        said = [f"where {pin.marker}"] if pin.marker else []
        said += [f"left out: {each}" for each in package.remarks]
        if said:
            entry["comment"] = "\n".join(said)
        entries.append(entry)
    return entries


def _base(base: Foundation, number: int) -> dict[str, Any]:
    entry = {
        **_entry(f"{_BASE}-{number}", base.name, "CONTAINER"),
        "versionInfo": base.digest,
        "checksums": [_checksum(base.digest)],
    }
    if base.purl:
        entry["externalRefs"] = [_purl(base.purl)]
    return entry


def _entry(
    identifier: str,
    name: str,
    purpose: str,
    license: str | None = None,  # noqa: A002 - what it is called everywhere
) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        "primaryPackagePurpose": purpose,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": license or _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "supplier": _UNKNOWN,
    }


def _checksum(digest: str) -> dict[str, str]:
    return {"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}


def _purl(text: str) -> dict[str, str]:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": text,
    }


def _relation(left: str, kind: str, right: str) -> dict[str, str]:
    return {"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right}
