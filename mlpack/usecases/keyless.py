"""Sign what was built as an identity, and look for such signatures.

A file's bundle lies beside it in ``FILE.sigstore.json``, where ``sigstore verify`` looks; an
image's is one of its referrers, where ``cosign verify`` looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack import files
from mlpack.errors import InputError
from mlpack.oci import bundles
from mlpack.oci.registry import Registry
from mlpack.oci.values import Descriptor
from mlpack.ports import Built, IdentityChecker, IdentitySigner, Reporter
from mlpack.usecases.signature import Place, Signed, nothing, placed_image, signed_files

_LARGEST = 1 << 20


@dataclass(frozen=True)
class ByIdentity:
    """Signatures by an identity, in bundles of Sigstore's."""

    checker: IdentityChecker
    who: str = "identity"

    def is_file_signed(self, path: Path) -> bool:
        """Whether the bundle beside a file holds the identity's signature of it.

        Raises:
            InputError: what is there is no file, or must not be read.
        """
        beside = path.with_name(self.beside(path.name))
        try:
            with beside.open("rb") as stream:
                bundle = stream.read(_LARGEST)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(
                f"the bundle cannot be read: {error.strerror}", where=beside.name
            ) from error
        return self.checker.file(bytes.fromhex(files.sha256_file(path)), bundle)

    def is_image_signed(self, registry: Registry, digest: str) -> bool:
        """Whether one of an image's bundles is the identity's, and about this very image.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        for bundle in bundles.read(registry, digest):
            stated = self.checker.statement(bundle)
            if stated is not None and digest in bundles.stated_digests(stated):
                return True
        return False

    def beside(self, file: str) -> str:
        """``FILE.sigstore.json``."""
        return f"{file}.sigstore.json"

    def under(self, digest: str) -> str:
        """Bundles are referrers, which have no tag."""
        del digest
        return bundles.BUNDLE

    def command(self, environment: str) -> str:
        """What signs as an identity."""
        return f"mlpack sign {environment}".rstrip() + " --keyless"


@dataclass(frozen=True)
class _Image:
    descriptor: Descriptor


def sign(
    built: Built, signer: IdentitySigner, place: Place | None, reporter: Reporter
) -> tuple[Signed, ...]:
    """Sign the wheel and the zip, and the image in `place`, each time anew: a log has them all.

    Raises:
        InputError: there is nothing to sign, or the image is not in the registry.
        OutsideError: a service of Sigstore or the registry does not answer, or refuses.
    """
    done = []
    artifacts = signed_files(built)
    digest = placed_image(built, place) if place is not None else None
    if not artifacts and digest is None:
        raise nothing(built)  # before anything is in the log
    with reporter.stage(f"Signing as {signer.who}") as stage:
        for artifact in artifacts:
            path = built.dist / artifact.file
            beside = path.with_name(f"{path.name}.sigstore.json")
            files.write(beside, signer.file(bytes.fromhex(files.sha256_file(path))))
            done.append(Signed(path.name, beside.name, fresh=True))
        if place is not None and digest is not None:
            bundle = signer.statement(bundles.statement(place.name, digest))
            bundles.add(place.registry, _described(place, digest), bundle)
            done.append(Signed(f"{place.name}@{digest}", bundles.BUNDLE, fresh=True))
        stage.result(f"{len(done)} signed")
    return tuple(done)


def _described(place: Place, digest: str) -> _Image:
    got = place.registry.get_manifest(digest)
    if got is None:
        raise InputError(f"the image {digest[:19]} is not in {place.name} any more")
    data, media_type = got
    return _Image(Descriptor(media_type=media_type, digest=digest, size=len(data)))
