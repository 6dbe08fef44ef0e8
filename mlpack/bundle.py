"""The bundle: the one thing from which every artifact is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from mlpack.files import sha256_of
from mlpack.oci.account import Offline, Part
from mlpack.runtime.contract import Manifest


@dataclass(frozen=True)
class Bundle:
    """A manifest and the files that the manifest describes.

    Attributes:
        manifest: what it is.
        tree: path to content, relative to a ``site-packages``: the generated package, its
            runtime and data. Paths have forward slashes and are sorted where order matters.
        lock: the production lock's text, as it stands in ``requirements.lock.txt``.
        requires: the requirements that the wheel declares: ranges around the proved versions.
        summary: one line for the wheel's metadata.
        extra: dist-info entries of the user's own distribution in fallback (licences, entry
            points), by path inside ``.dist-info``.
        license: the SPDX expression of the project's licence, if it is known.
    """

    manifest: Manifest
    tree: Mapping[str, bytes]
    lock: str
    requires: tuple[str, ...]
    summary: str
    extra: Mapping[str, bytes]
    license: str | None = None

    @property
    def requires_python(self) -> str:
        """The Pythons that can run it: a graph runs on any, a pickle only where it was made."""
        if self.manifest.form == "onnx":
            return ">=3.10"
        return f"=={self.manifest.python}.*"

    @property
    def digest(self) -> str:
        """The SHA-256 of the whole content."""
        parts = [(name, self.tree[name]) for name in sorted(self.tree)]
        parts += [(f"dist-info/{name}", self.extra[name]) for name in sorted(self.extra)]
        parts += [("lock", self.lock.encode()), ("requires", "\n".join(self.requires).encode())]
        parts += [("summary", self.summary.encode()), ("license", (self.license or "").encode())]
        return sha256_of(parts)


@dataclass(frozen=True)
class UserPackage:
    """The user's own package as its own build backend made it, for forms that need its code.

    Attributes:
        tree: path to content, relative to a ``site-packages``.
        extra: licences and entry points, by path inside ``.dist-info``.
        requires: its run-time requirements, as its metadata has them.
        summary: its one-line description; may be empty.
        license: its SPDX licence expression, if it states one.
    """

    tree: Mapping[str, bytes]
    extra: Mapping[str, bytes]
    requires: tuple[str, ...]
    summary: str = ""
    license: str | None = None


class PlatformImage(msgspec.Struct, frozen=True, kw_only=True):
    """What an image for several platforms is on one of them.

    Attributes:
        digest: of its manifest.
        config: of its configuration: the id that an engine gives it.
        unpacked: the size in bytes of its own layers, unpacked.
        parts: what its layer of dependencies holds, package by package.
    """

    digest: str
    config: str
    unpacked: int
    parts: tuple[Part, ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of an artifact in a file beside it.

    Attributes:
        file: its name in ``dist/``.
        media_type: what it is, such as ``application/spdx+json``.
        sha256: the digest of the file.
        size: its size in bytes.
    """

    file: str
    media_type: str
    sha256: str
    size: int


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished artifact, as ``dist/build.json`` records it.

    Attributes:
        kind: ``wheel``, ``zip`` or ``image``.
        file: its name in ``dist/``.
        sha256: the digest of the file.
        size: its size in bytes.
        digest: the digest of an image's manifest, ``sha256:...``; for several platforms, of its
            index.
        image: an image's name and tag, such as ``churn:1.2.0``.
        config: the digest of an image's configuration: the id that an engine gives it.
        unpacked: the size in bytes of an image's own layers, unpacked.
        parts: what an image's layer of dependencies holds, package by package.
        platforms: of an image for several platforms the last three, by platform.
        documents: an image's bills of materials and its provenance.
        offline: what the wheels in a zip are for, if it installs without a network.
    """

    kind: str
    file: str
    sha256: str
    size: int
    digest: str | None = None
    image: str | None = None
    config: str | None = None
    unpacked: int | None = None
    parts: tuple[Part, ...] = ()
    platforms: dict[str, PlatformImage] = {}
    documents: tuple[Document, ...] = ()
    offline: Offline | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all that lies in ``dist/`` for it."""
        return (self.file, *(document.file for document in self.documents))
