"""What is told of an artifact beside it: bills of materials, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpack import provenance, sbom, spdx
from mlpack.bundle import Bundle, Document
from mlpack.files import sha256, write
from mlpack.materials import Materials
from mlpack.provenance import Origin, Subject

DOCUMENTS = {
    "cdx.json": sbom.MEDIA_TYPE,
    "spdx.json": spdx.MEDIA_TYPE,
    "intoto.json": provenance.MEDIA_TYPE,
}
"""What lies beside an image, by the end of its name, and its media type."""


@dataclass(frozen=True)
class Bills:
    """Both bills of materials of an artifact.

    Attributes:
        cyclonedx, spdx: the documents.
    """

    cyclonedx: bytes
    spdx: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """By the names that they have inside of artifacts."""
        return {sbom.SBOM_FILE: self.cyclonedx, spdx.SPDX_FILE: self.spdx}


def bills(made: Materials, epoch: int) -> Bills:
    """The bills of what an artifact is made of.

    Args:
        made: of what.
        epoch: the time of the build, seconds since 1970.
    """
    return Bills(sbom.cyclonedx(made), spdx.spdx(made, epoch))


def beside_image(
    archive: Path,
    subject: Subject,
    bundle: Bundle,
    made: Materials,
    epoch: int,
    *,
    platforms: Sequence[str],
    wheels: Mapping[str, str] | None,
    origin: Origin,
) -> tuple[Document, ...]:
    """Write the documents of an image beside its archive.

    Args:
        archive: the image's.
        subject: the image, by its name and its manifest's digest.
        bundle: what is served.
        made: what it is made of.
        epoch: the time of the build, seconds since 1970.
        platforms: such as ``linux/amd64``.
        wheels: the very files that are in it, name to ``sha256:...``; None where nobody knows.
        origin: where the sources come from.
    """
    statement = provenance.provenance(
        bundle, made, (subject,), kind="image", platforms=platforms, wheels=wheels, origin=origin
    )
    written = bills(made, epoch)
    contents = (written.cyclonedx, written.spdx, statement)
    return tuple(
        _document(archive, suffix, content)
        for suffix, content in zip(DOCUMENTS, contents, strict=True)
    )


def _document(archive: Path, suffix: str, content: bytes) -> Document:
    path = archive.with_name(f"{archive.name}.{suffix}")
    write(path, content)
    return Document(
        file=path.name,
        media_type=DOCUMENTS[suffix],
        sha256=sha256(content),
        size=len(content),
    )
