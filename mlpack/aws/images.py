"""The image on its way into ECR, and the model's files back out of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack.aws.calls import Service
from mlpack.aws.policies import Statement
from mlpack.delivery.pushing import Pusher
from mlpack.delivery.settings import Reader
from mlpack.delivery.unpacked import unpack_image
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential
from mlpack.oci.reference import parse
from mlpack.oci.registry import Registry, connect
from mlpack.oci.values import Image, MultiImage
from mlpack.operating import Fetched
from mlpack.ports import Action, Built, Reporter

KEYS = ("attach", "create_repository", "platform", "repository")
"""Keys of ``[deploy]`` about the image, in every target of AWS that runs one."""

NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
PLATFORMS = ("linux/amd64", "linux/arm64")

_NO_REPOSITORY = "RepositoryNotFoundException"
_THERE_ALREADY = "RepositoryAlreadyExistsException"
_MOST = 256


@dataclass(frozen=True)
class Chosen:
    """The built image, on the platform that it shall run on.

    Attributes:
        platform: ``linux/amd64`` or ``linux/arm64``.
        digest: of its manifest.
        health: what asks its container whether it is well; empty where nothing does.
    """

    platform: str
    digest: str
    health: tuple[str, ...]


def chosen(built: Built, platform: str) -> Chosen:
    """What of the built image shall run.

    Args:
        built: what was built.
        platform: the one that is asked for; empty for what there is, amd64 first.

    Raises:
        InputError: there is no image, or none for `platform`.
    """
    artifact = built.artifacts.get("image")
    if artifact is None:
        raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
    image = read_whole_archive(built.dist / artifact.file)
    there: Mapping[str, Image] = {
        f"{each.config.os}/{each.config.architecture}": each
        for each in (image.images if isinstance(image, MultiImage) else (image,))
    }
    wanted = platform or next((each for each in PLATFORMS if each in there), "")
    if wanted not in there:
        raise InputError(
            f"{artifact.file} is for {', '.join(sorted(there))}, not for "
            f"{wanted or ' or '.join(PLATFORMS)}",
            where=built.dist.name,
            hint=f"Run: mlpack build --platform {wanted or PLATFORMS[0]}",
        )
    found = there[wanted]
    execution = found.config.config
    check = execution.healthcheck if execution is not None else None
    test = tuple(check.test or ()) if check is not None else ()
    return Chosen(
        platform=wanted,
        digest=found.digest,
        health=test if test[:1] == ("CMD",) else (),
    )


@dataclass(frozen=True)
class Shelf:
    """A repository of ECR.

    Attributes:
        ecr: the service.
        name: the repository's.
        create: make it where it is not there.
        attach: put bills of materials and provenance beside the image.
        cache: keeps what is pulled.
    """

    ecr: Service
    name: str
    create: bool
    attach: bool
    cache: Cache

    def plan(self, built: Built) -> Sequence[Action]:
        """What `push` would do. Only reads.

        Raises:
            InputError: there is no image or no repository, or the version has other content.
            OutsideError: AWS does not answer, or refuses.
        """
        uri = self._address()
        if uri is not None:
            return self._pusher(uri).plan(built)
        artifact = built.artifacts.get("image")
        return [
            Action("create", f"repository {self.name}", "in ECR"),
            Action("push", f"image {artifact.image if artifact else ''}".strip()),
        ]

    def push(self, built: Built, reporter: Reporter) -> str:
        """Make the repository if it is asked for, and bring the image; the repository's address.

        Raises:
            InputError, OutsideError: as of `plan`.
        """
        uri = self._address()
        if uri is None:
            with reporter.stage(f"Creating the repository {self.name}") as stage:
                # Signatures and lists of referrers stand under tags that move; versions' tags are
                # put once by mlpack itself.
                found = self.ecr.find(
                    "create_repository",
                    _THERE_ALREADY,
                    repositoryName=self.name,
                    imageTagMutability="MUTABLE",
                    imageScanningConfiguration={"scanOnPush": True},
                )
                uri = str(found["repository"]["repositoryUri"]) if found else self._address()
                stage.result(str(uri))
        if uri is None:
            raise OutsideError(f"the repository {self.name} is there and is not", where="ECR")
        self._pusher(uri).push(built, reporter)
        return uri

    def fetch(self, reference: str, into: Path) -> None:
        """Bring the model's files of an image into a folder that is not there yet.

        Raises:
            InputError: it is no image of mlpack's.
            OutsideError: it is not there any more, or AWS refuses.
        """
        repository, _, digest = reference.partition("@")
        host, registry = self._connect(repository)
        wanted = parse(f"{host}/{repository.partition('/')[2]}@{digest}")
        unpack_image(registry.pull_whole(wanted, self.cache), into, reference)

    def statements(self, partition: str, region: str, account: str) -> Sequence[Statement]:
        """What it takes to push, to look and to pull."""
        actions = [
            *("BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload"),
            *("DescribeRepositories", "GetDownloadUrlForLayer", "InitiateLayerUpload"),
            *("PutImage", "UploadLayerPart"),
        ]
        if self.create:
            actions.append("CreateRepository")
        return [
            Statement("LogInToEcr", ["ecr:GetAuthorizationToken"], ["*"]),
            Statement(
                "PushImages",
                [f"ecr:{action}" for action in actions],
                [f"arn:{partition}:ecr:{region}:{account}:repository/{self.name}"],
            ),
        ]

    def _address(self) -> str | None:
        """Where the repository is; None where it is not and shall be made."""
        found = self.ecr.find("describe_repositories", _NO_REPOSITORY, repositoryNames=[self.name])
        if found is not None and found["repositories"]:
            return str(found["repositories"][0]["repositoryUri"])
        if not self.create:
            raise InputError(
                f"there is no repository {self.name} in ECR",
                where="[deploy] repository",
                hint="create_repository = true",
            )
        return None

    def _connect(self, uri: str) -> tuple[str, Registry]:
        """The registry's address, and what talks to one of its repositories."""
        answer = self.ecr.ask("get_authorization_token")["authorizationData"][0]
        try:
            login = base64.b64decode(answer["authorizationToken"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise OutsideError("ECR's token cannot be read", where="ECR") from error
        user, _, password = login.partition(":")
        # Where something stands in for ECR, it is named there and not in the repository's address.
        host = str(answer.get("proxyEndpoint") or uri.partition("/")[0]).rstrip("/")
        host = host.removeprefix("https://")
        reference = parse(f"{host}/{uri.partition('/')[2]}", "ECR")
        return host, connect(reference, Credential(user, password))

    def _pusher(self, uri: str) -> Pusher:
        host, registry = self._connect(uri)
        reference = parse(f"{host}/{uri.partition('/')[2]}", "ECR")
        return Pusher(reference, lambda: registry, self.attach)


def shelf(config: Mapping[str, Any], ecr: Service, cache: Cache) -> Shelf:
    """What ``[deploy]`` says of the repository.

    Args:
        config: ``repository``, its name in ECR; optionally ``create_repository`` (false by default)
            and ``attach``.
        ecr: the service.
        cache: keeps what is pulled.

    Raises:
        InputError: a key is missing or wrong.
    """
    given = Reader(config)
    name = given.needed("repository", NAME, 'repository = "team/churn"')
    if not 2 <= len(name) <= _MOST:
        raise InputError(f"{name!r} is no name", where="[deploy] repository")
    return Shelf(
        ecr=ecr,
        name=name,
        create=given.switch("create_repository", default=False),
        attach=given.switch("attach", default=True),
        cache=cache,
    )


def platform(config: Mapping[str, Any]) -> str:
    """The platform that ``[deploy]`` asks for; empty for the built one.

    Raises:
        InputError: it is none.
    """
    return Reader(config).choice("platform", ("", *PLATFORMS), "")


def fetched(
    shelf: Shelf, reference: str, into: Path, reporter: Reporter, version: str, release: int
) -> Fetched:
    """Bring the model's files of a release; see `mlpack.operating.Holding.fetch`.

    Raises:
        InputError: it is no image of mlpack's.
        OutsideError: it is not there any more, or AWS refuses.
    """
    digest = reference.partition("@")[2]
    with reporter.stage(f"Fetching release {release} ({version})") as stage:
        shelf.fetch(reference, into)
        stage.result(digest[:19])
    return Fetched(into, version, release, digest)
