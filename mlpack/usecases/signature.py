"""Sign what was built, and check signatures: files in ``dist/``, the image in its registry.

A file's signature lies beside it in ``FILE.sig``, as base64: what ``cosign verify-blob`` reads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpack import files
from mlpack.bundle import Artifact
from mlpack.errors import CheckFailedError, InputError
from mlpack.oci import signatures
from mlpack.oci.registry import Registry
from mlpack.oci.signatures import Signature
from mlpack.ports import Built, Checker, Reporter, Signer

KINDS = ("wheel", "zip")
"""What is signed as a file. An image is signed in its registry."""

_LARGEST = 4096


@dataclass(frozen=True)
class Place:
    """A repository of a registry.

    Attributes:
        name: such as ``registry.example/team/churn``.
        registry: talks to it.
        environment: the environment that is deployed to it.
    """

    name: str
    registry: Registry
    environment: str


@dataclass(frozen=True)
class Signed:
    """Something that is signed.

    Attributes:
        what: a file's name, or an image's with its digest.
        signature: where its signature is.
        fresh: whether it was signed only now.
    """

    what: str
    signature: str
    fresh: bool = False


class By(Protocol):
    """Whose signatures are looked for, and where they are."""

    @property
    def who(self) -> str:
        """What signs, in a word."""
        ...

    def is_file_signed(self, path: Path) -> bool:
        """Whether the signature beside a file is theirs."""
        ...

    def is_image_signed(self, registry: Registry, digest: str) -> bool:
        """Whether one of an image's signatures in its registry is theirs."""
        ...

    def beside(self, file: str) -> str:
        """The name of a file's signature."""
        ...

    def under(self, digest: str) -> str:
        """What a registry calls an image's signatures."""
        ...

    def command(self, environment: str) -> str:
        """What signs so."""
        ...


@dataclass(frozen=True)
class ByKey:
    """Signatures by a key in cosign's format."""

    checker: Checker
    who: str = "key"

    def is_file_signed(self, path: Path) -> bool:
        """See `file_is_signed`."""
        return file_is_signed(path, self.checker)

    def is_image_signed(self, registry: Registry, digest: str) -> bool:
        """See `image_is_signed`."""
        return image_is_signed(registry, digest, self.checker)

    def beside(self, file: str) -> str:
        """``FILE.sig``."""
        return f"{file}.sig"

    def under(self, digest: str) -> str:
        """The tag under which cosign looks."""
        return signatures.tag_of(digest)

    def command(self, environment: str) -> str:
        """What signs with a key."""
        return f"mlpack sign {environment}".rstrip() + " --key cosign.key"


def sign(
    built: Built, signer: Signer, place: Place | None, reporter: Reporter
) -> tuple[Signed, ...]:
    """Sign the wheel and the zip, and the image in `place`. What is signed already stays so.

    Raises:
        InputError: there is nothing to sign, or the image is not in the registry.
        OutsideError: the registry does not answer, or refuses.
    """
    done = []
    with reporter.stage("Signing") as stage:
        for artifact in signed_files(built):
            path = built.dist / artifact.file
            fresh = not file_is_signed(path, signer)
            if fresh:
                value = signer.sign(bytes.fromhex(files.sha256_file(path)))
                files.write(_beside(path), base64.b64encode(value))
            done.append(Signed(path.name, _beside(path).name, fresh))
        if place is not None:
            done.append(_sign_image(placed_image(built, place), signer, place))
        if not done:
            raise nothing(built)
        new = sum(each.fresh for each in done)
        before = len(done) - new
        stage.result(f"{new} signed" + (f", {before} were already" if before else ""))
    return tuple(done)


def check(built: Built, by: By, place: Place | None) -> tuple[Signed, ...]:
    """See that the wheel, the zip and the image in `place` are signed by a key or an identity.

    Raises:
        CheckFailedError: something is not; the error names all that is not.
        InputError: there is nothing to check, or the image is not in the registry.
        OutsideError: the registry does not answer, or refuses.
    """
    found = [
        (
            Signed(artifact.file, by.beside(artifact.file)),
            by.is_file_signed(built.dist / artifact.file),
        )
        for artifact in signed_files(built)
    ]
    if place is not None:
        digest = placed_image(built, place)
        signed = Signed(f"{place.name}@{digest}", by.under(digest))
        found.append((signed, by.is_image_signed(place.registry, digest)))
    if not found:
        raise nothing(built)
    missing = [signed.what for signed, good in found if not good]
    if missing:
        raise CheckFailedError(
            f"not signed by this {by.who}: {', '.join(missing)}",
            hint=by.command(place.environment if place else ""),
        )
    return tuple(signed for signed, _ in found)


def file_is_signed(path: Path, checker: Checker) -> bool:
    """Whether ``FILE.sig`` beside a file holds its signature by a key.

    Raises:
        InputError: what is there is no file, or must not be read.
    """
    try:
        with _beside(path).open("rb") as stream:
            value = base64.b64decode(stream.read(_LARGEST).strip(), validate=True)
    except (FileNotFoundError, binascii.Error):
        return False
    except OSError as error:
        raise InputError(
            f"the signature cannot be read: {error.strerror}", where=_beside(path).name
        ) from error
    return checker.valid(bytes.fromhex(files.sha256_file(path)), value)


def image_is_signed(registry: Registry, digest: str, checker: Checker) -> bool:
    """Whether one of an image's signatures in its registry is by a key, and of this very image.

    Raises:
        OutsideError: the registry does not answer, or refuses.
    """
    return any(
        signatures.signed_digest(each.payload) == digest
        and checker.valid(hashlib.sha256(each.payload).digest(), each.value)
        for each in signatures.read(registry, digest)
    )


def _sign_image(digest: str, signer: Signer, place: Place) -> Signed:
    fresh = not image_is_signed(place.registry, digest, signer)
    if fresh:
        payload = signatures.payload(place.name, digest)
        value = signer.sign(hashlib.sha256(payload).digest())
        signatures.add(place.registry, digest, Signature(payload, value))
    return Signed(f"{place.name}@{digest}", signatures.tag_of(digest), fresh)


def signed_files(built: Built) -> list[Artifact]:
    """What was built and is signed as a file."""
    return [built.artifacts[kind] for kind in KINDS if kind in built.artifacts]


def placed_image(built: Built, place: Place) -> str:
    """The digest of the built image, which is in the registry.

    Raises:
        InputError: there is none, or it is not there.
        OutsideError: the registry does not answer, or refuses.
    """
    artifact = built.artifacts.get("image")
    if artifact is None or artifact.digest is None:
        raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
    if place.registry.resolve(artifact.digest) is None:
        raise InputError(
            f"the image {artifact.digest[:19]} is not in {place.name}",
            hint=f"mlpack deploy {place.environment}",
        )
    return artifact.digest


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def nothing(built: Built) -> InputError:
    """What to tell where there is nothing to sign."""
    return InputError(
        "there is neither a wheel nor a zip to sign",
        where=built.dist.name,
        hint="mlpack build, or name the environment whose registry holds the image",
    )
