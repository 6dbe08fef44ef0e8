"""What an artifact is made of, and by which names other tools know it: package URLs.

Source of the names: https://github.com/package-url/purl-spec, types ``pypi`` and ``oci``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec
from packaging.utils import canonicalize_name

from mlpack import needs
from mlpack.bundle import Bundle
from mlpack.files import sha256
from mlpack.lock import Pin
from mlpack.oci.account import Part
from mlpack.oci.reference import parse

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "bundle.mlpack")


@dataclass(frozen=True)
class Foundation:
    """The base image, as it may be told elsewhere: without paths and local names.

    Attributes:
        digest: ``sha256:...`` of its manifest or index, or of its configuration.
        reference: its name in its registry; None for a base from any other source.
    """

    digest: str
    reference: str | None = None

    @property
    def name(self) -> str:
        """Its repository, or what it is."""
        return parse(self.reference).name if self.reference else "base-image"

    @property
    def purl(self) -> str | None:
        """Its package URL, where it has a name in a registry."""
        if self.reference is None:
            return None
        found = parse(self.reference)
        tag = f"&tag={found.tag}" if found.tag else ""
        name = found.repository.rpartition("/")[2]
        where = quote(found.name, safe="/")
        return f"pkg:oci/{name}@{quote(self.digest, safe='')}?repository_url={where}{tag}"


@dataclass(frozen=True)
class Package:
    """A package of the lock.

    Attributes:
        pin: as it is locked.
        remarks: what an image leaves out of it, in words, and on which platforms if not on all.
    """

    pin: Pin
    remarks: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        """Its package URL."""
        return pypi(self.pin.name, self.pin.version)


@dataclass(frozen=True)
class Materials:
    """What an artifact is made of.

    Attributes:
        name, version: the model's, the name normalised.
        bundle: the digest of what is served.
        license: the model's SPDX expression, if it is known.
        packages: the production lock, in order.
        bases: of an image: one for all its platforms, or for each.
    """

    name: str
    version: str
    bundle: str
    license: str | None = None
    packages: tuple[Package, ...] = field(default=())
    bases: tuple[Foundation, ...] = ()

    @property
    def purl(self) -> str:
        """The model's package URL."""
        return pypi(self.name, self.version)


def materials(
    bundle: Bundle,
    parts: Mapping[str, Sequence[Part]] | None = None,
    bases: Iterable[Foundation] = (),
) -> Materials:
    """What a bundle's artifact is made of.

    Args:
        bundle: what is served.
        parts: of an image, by platform, of which packages are left out in part.
        bases: of an image, for each of its platforms; those that are the same count once.

    Raises:
        InputError: the bundle's lock is damaged.
    """
    told = _left_out(parts or {})
    pins = sorted(set(needs.read_pins(bundle.lock)), key=lambda pin: (pin.name, pin.version))
    return Materials(
        name=canonicalize_name(bundle.manifest.name),
        version=bundle.manifest.version,
        bundle=bundle.digest,
        license=bundle.license,
        packages=tuple(Package(pin, told.get(canonicalize_name(pin.name), ())) for pin in pins),
        bases=tuple(dict.fromkeys(bases)),
    )


def _left_out(parts: Mapping[str, Sequence[Part]]) -> dict[str, tuple[str, ...]]:
    """By package what is left out of it, and where that is not so everywhere."""
    found: dict[str, dict[str, list[str]]] = {}
    for platform, each in sorted(parts.items()):
        for part in each:
            for cut in part.cuts:
                sentence = f"{cut.what}: {cut.files} files, {cut.size} bytes"
                places = found.setdefault(canonicalize_name(part.name), {})
                places.setdefault(sentence, []).append(platform)
    return {
        name: tuple(
            sentence if len(where) == len(parts) else f"{sentence} ({', '.join(where)})"
            for sentence, where in places.items()
        )
        for name, places in found.items()
    }


def pypi(name: str, version: str) -> str:
    """The package URL of a distribution. A version's + and ! are percent-encoded."""
    return f"pkg:pypi/{name}@{quote(version, safe='')}"


def identity(document: Mapping[str, object]) -> uuid.UUID:
    """A document's own number, which follows from its content."""
    return uuid.uuid5(_NAMESPACE, sha256(msgspec.json.encode(document, order="sorted")))


def dumps(document: Mapping[str, object]) -> bytes:
    """A document as indented JSON that ends in a newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
