"""An image on its way into a registry: what is there is not sent, a version's tag is put once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpack.delivery.settings import Reader
from mlpack.delivery.unpacked import Unpacked, unpack_image
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import docker_config_file, from_docker, from_environment
from mlpack.oci.layout import layers_of
from mlpack.oci.reference import Reference, parse
from mlpack.oci.referrers import Attachment, attach, attachment, listed
from mlpack.oci.registry import Registry, connect
from mlpack.oci.values import ANNOTATION, AnyImage, Image, Layer, MultiImage
from mlpack.ports import Action, Built, Reporter
from mlpack.process import run
from mlpack.sizes import megabytes

KEYS = ("attach", "ca_file", "insecure", "repository")
"""Keys of ``[deploy]`` that say where images are pushed to, in every target that pushes."""

_SECRETS = ("username", "user", "password", "token", "auth")
_BASE_NAME = f"{ANNOTATION}base.name"
_WITHOUT = "Where the registry takes images alone: attach = false in [deploy]"
_EXAMPLE = 'repository = "registry.example/team/churn"'


@dataclass(frozen=True)
class Stand:
    """How the built image stands to what the registry has.

    Attributes:
        image: the built one.
        tag: the version's tag.
        missing: the layers that are not there.
        version: the digest that the version's tag stands for, or None.
        documents: what belongs to the image, and whether it is attached already.
    """

    image: AnyImage
    tag: str
    missing: frozenset[str]
    version: str | None
    documents: tuple[tuple[Attachment, bool], ...] = ()


@dataclass(frozen=True)
class Pusher:
    """Pushes ``dist/``'s image to one repository.

    Attributes:
        repository: where to; its tag is not used.
        connect: connects to its registry.
        attach_documents: attach bills of materials and provenance to the image.
    """

    repository: Reference
    connect: Callable[[], Registry]
    attach_documents: bool = True

    def look(self, built: Built, registry: Registry) -> Stand:
        """What is there already. Only reads.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        image, tag = self._image(built)
        version = registry.resolve(tag)
        if version not in (None, image.digest):
            raise InputError(
                f"{self.repository.name}:{tag} is there with other content "
                f"({str(version)[:19]}, not {image.digest[:19]})",
                hint="A version is never overwritten. Raise it: mlpack version patch",
            )
        missing: frozenset[str] = frozenset()
        if version is None:
            missing = frozenset(layer.descriptor.digest for layer in registry.missing(image))
        return Stand(image, tag, missing, version, self._documents(built, image, registry))

    def named(self, built: Built) -> tuple[str, AnyImage]:
        """What the built image is called once it is pushed, ``REPOSITORY@DIGEST``, and itself.

        No registry is asked.

        Raises:
            InputError: there is no image.
        """
        image, _ = self._image(built)
        return f"{self.repository.name}@{image.digest}", image

    def plan(self, built: Built) -> Sequence[Action]:
        """What `push` would do. Only reads; errors as in `look`."""
        return self.actions(self.look(built, self.connect()))

    def push(self, built: Built, reporter: Reporter) -> tuple[str, str]:
        """Push what is not there, then name it.

        Returns:
            ``REPOSITORY@DIGEST``, which nobody can move, and the digest.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        registry = self.connect()
        found = self.look(built, registry)
        self.bring(found, registry, reporter)
        return f"{self.repository.name}@{found.image.digest}", found.image.digest

    def bring(self, found: Stand, registry: Registry, reporter: Reporter) -> None:
        """Push what is missing, put the version's tag, attach the documents.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        if found.version is None:
            self._push(found, registry, reporter)
        self._attach_documents(found, registry, reporter)

    def pull(self, digest: str, cache: Cache, into: Path) -> Unpacked:
        """The model of an image that is there, in a folder that is not there yet.

        Args:
            digest: of the image's manifest or index.
            cache: keeps what is pulled.
            into: the folder.

        Raises:
            InputError: it is no image of mlpack's.
            OutsideError: it is not there any more, or the registry refuses.
        """
        reference = replace(self.repository, digest=digest)
        return unpack_image(self.connect().pull_whole(reference, cache), into, str(reference))

    def actions(self, found: Stand) -> list[Action]:
        """What `bring` would do."""
        image = found.image
        actions = []
        for layer in layers_of(image).values():
            there = layer.descriptor.digest not in found.missing
            size = megabytes(layer.descriptor.size)
            actions.append(
                Action(
                    verb="keep" if there else "push",
                    what=f"layer {layer.descriptor.digest[:19]}",
                    detail=f"{size}, is there" if there else size,
                    needed=not there,
                )
            )
        actions.append(tagging(f"{self.repository.name}:{found.tag}", image.digest, found.version))
        actions += [
            Action("keep", document.title, "is attached", needed=False)
            if there
            else Action("attach", document.title, document.media_type)
            for document, there in found.documents
        ]
        return actions

    def _push(self, found: Stand, registry: Registry, reporter: Reporter) -> None:
        layers = layers_of(found.image).values()
        total = sum(layer.descriptor.size for layer in layers)
        done = 0
        with reporter.stage(f"Pushing to {self.repository.name}") as stage:

            def on_layer(layer: Layer, _: str) -> None:
                nonlocal done
                done += layer.descriptor.size
                stage.advance(done, total)

            pushed = registry.push(found.image, (found.tag,), on_layer)
            sent = sum(item.size for item in pushed.sent)
            stage.result(
                f"{megabytes(sent)} sent, {len(pushed.there) + len(pushed.mounted)} of "
                f"{len(layers)} layers were there"
            )

    def _attach_documents(self, found: Stand, registry: Registry, reporter: Reporter) -> None:
        missing = [document for document, there in found.documents if not there]
        if not missing:
            return
        with reporter.stage("Attaching what is told of it") as stage:
            try:
                attach(registry, *missing)
            except OutsideError as error:
                # The image is there; not every registry takes what is no image.
                hint = "\n".join(filter(None, (error.hint, _WITHOUT)))
                raise replace(error, hint=hint) from error
            stage.result(f"{len(missing)} documents")

    def _documents(
        self, built: Built, image: AnyImage, registry: Registry
    ) -> tuple[tuple[Attachment, bool], ...]:
        artifact = built.artifacts["image"]
        if not self.attach_documents or not artifact.documents:
            return ()
        there = {each.digest for each in listed(registry, image.digest)}
        made = [
            attachment((built.dist / each.file).read_bytes(), each.media_type, each.file, image)
            for each in artifact.documents
        ]
        return tuple((each, each.digest in there) for each in made)

    def _image(self, built: Built) -> tuple[AnyImage, str]:
        artifact = built.artifacts.get("image")
        if artifact is None or artifact.image is None:
            raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
        tag = artifact.image.rpartition(":")[2]
        image = read_whole_archive(built.dist / artifact.file)
        if image.digest != artifact.digest:
            raise InputError(
                f"{artifact.file} is not the image that was built",
                where=built.dist.name,
                hint="Run: mlpack build",
            )
        if isinstance(image, MultiImage):
            return replace(image, images=tuple(map(_from_base, image.images))), tag
        return _from_base(image), tag


def _from_base(image: Image) -> Image:
    """The image with its base's name: from the same registry, its layers need not be sent."""
    base = (image.manifest.annotations or {}).get(_BASE_NAME)
    if base is None:
        return image
    name = parse(base, "the image's base").name
    return replace(image, layers=tuple(replace(layer, origin=name) for layer in image.layers))


def tagging(what: str, digest: str, present: str | None) -> Action:
    """A tag that is put on a digest, or stands there already."""
    if present == digest:
        return Action("keep", what, f"{digest}, is there", needed=False)
    before = f", was {present[:19]}" if present else ""
    return Action("tag", what, f"{digest}{before}")


def pusher(config: Mapping[str, Any], env: Mapping[str, str]) -> Pusher:
    """What ``[deploy]`` says of the registry.

    Args:
        config: ``repository`` (``registry.example:5000/team/churn``); optionally ``attach`` (false:
            without bills of materials and provenance), ``insecure`` (true: without TLS; false:
            with it, on this machine too) and ``ca_file`` (a private authority's certificates).
            Further keys are not looked at.
        env: ``MLPACK_REGISTRY_USERNAME`` and ``MLPACK_REGISTRY_PASSWORD``; where they are not
            set, what ``docker login`` has written down is used.

    Raises:
        InputError: a key is missing or wrong.
    """
    for key in config:
        if key in _SECRETS:
            raise InputError(
                f"[deploy] {key}: logins do not belong into a configuration file",
                hint="Set MLPACK_REGISTRY_USERNAME and MLPACK_REGISTRY_PASSWORD, "
                "or run: docker login",
            )
    given = Reader(config)
    ca_file = given.path("ca_file")
    insecure = given.switch("insecure", default=False)
    told = ca_file is not None or "insecure" in config
    repository = _repository(config, ("http://" if insecure else "https://") if told else "")
    home = Path.home()

    def registry() -> Registry:
        credential = from_environment(env) or from_docker(
            repository.host, docker_config_file(env, home), run
        )
        return connect(repository, credential, ca_file)

    return Pusher(repository, registry, given.switch("attach", default=True))


def _repository(config: Mapping[str, Any], scheme: str) -> Reference:
    """Where to. With no scheme it is TLS, but for names of this machine."""
    where = "[deploy] repository"
    text = config.get("repository")
    example = f'[deploy]\ntarget = "{config.get("target", "registry")}"\n{_EXAMPLE}'
    if text is None:
        raise InputError("[deploy] has no repository", hint=example)
    if not isinstance(text, str):
        raise InputError("it is not a text", where=where, hint=example)
    if "://" in text or "@" in text or ":" in text.rpartition("/")[2]:
        raise InputError(
            "a repository has no scheme, login, tag or digest in it", where=where, hint=example
        )
    return parse(f"{scheme}{text}", where)
