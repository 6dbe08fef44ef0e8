"""A container registry: the image is pushed, a version's tag once and for all, channels move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mlpack.config import refuse_unknown
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.credentials import docker_config_file, from_docker, from_environment
from mlpack.oci.layout import layers_of
from mlpack.oci.reference import Reference, is_tag, parse
from mlpack.oci.referrers import Attachment, attach, attachment, listed
from mlpack.oci.registry import Registry, connect
from mlpack.oci.values import ANNOTATION, AnyImage, Image, Layer, MultiImage
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.process import run
from mlpack.sizes import megabytes

_KEYS = ("attach", "ca_file", "channel", "insecure", "repository", "target")
_SECRETS = ("username", "user", "password", "token", "auth")
_BASE_NAME = f"{ANNOTATION}base.name"
_WITHOUT = "Where the registry takes images alone: attach = false in [deploy]"
_EXAMPLE = '[deploy]\ntarget = "registry"\nrepository = "registry.example/team/churn"'


@dataclass(frozen=True)
class _Found:
    """How the image stands to what the registry has.

    Attributes:
        image: the built one.
        tag: the version's tag.
        missing: the layers that are not there.
        version: the digest that the version's tag stands for, or None.
        channel: the digest that the channel's tag stands for, or None.
        documents: what belongs to the image, and whether it is attached already.
    """

    image: AnyImage
    tag: str
    missing: frozenset[str]
    version: str | None
    channel: str | None
    documents: tuple[tuple[Attachment, bool], ...] = ()


class RegistryTarget:
    """Pushes ``dist/``'s image."""

    kind = "registry"
    verbs = frozenset({"plan", "apply"})

    def __init__(
        self,
        repository: Reference,
        registry: Callable[[], Registry],
        channel: str | None = None,
        *,
        attach_documents: bool = True,
    ) -> None:
        """A repository of a registry.

        Args:
            repository: where to; its tag is not used.
            registry: connects to it.
            channel: a tag that moves to what is deployed, such as ``production``.
            attach_documents: attach bills of materials and provenance to the image.
        """
        self._attach = attach_documents
        self._repository = repository
        self._registry = registry
        self._channel = channel

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Only reads.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        return self._actions(self._look(built, self._registry()))

    def apply(self, built: Built, reporter: Reporter) -> Deployment:
        """Push what is not there, then name it.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        registry = self._registry()
        found = self._look(built, registry)
        actions = self._actions(found)
        if found.version is None:
            self._push(found, registry, reporter)
        self._attach_documents(found, registry, reporter)
        if self._channel is not None and found.channel != found.image.digest:
            registry.tag(found.image, self._channel)
            reporter.note(f"{self._repository.name}:{self._channel} is now {found.tag}")
        return Deployment(
            target=self.kind,
            reference=f"{self._repository.name}:{found.tag}",
            digest=found.image.digest,
            actions=tuple(actions),
        )

    def place(self) -> tuple[Reference, Registry]:
        """The repository, and what talks to it."""
        return self._repository, self._registry()

    def _push(self, found: _Found, registry: Registry, reporter: Reporter) -> None:
        layers = layers_of(found.image).values()
        total = sum(layer.descriptor.size for layer in layers)
        done = 0
        with reporter.stage(f"Pushing to {self._repository.name}") as stage:

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

    def _attach_documents(self, found: _Found, registry: Registry, reporter: Reporter) -> None:
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

    def _look(self, built: Built, registry: Registry) -> _Found:
        image, tag = self._image(built)
        version = registry.resolve(tag)
        if version not in (None, image.digest):
            raise InputError(
                f"{self._repository.name}:{tag} is there with other content "
                f"({str(version)[:19]}, not {image.digest[:19]})",
                hint="A version is never overwritten. Raise it: mlpack version patch",
            )
        missing: frozenset[str] = frozenset()
        if version is None:
            missing = frozenset(layer.descriptor.digest for layer in registry.missing(image))
        channel = registry.resolve(self._channel) if self._channel else None
        documents = self._documents(built, image, registry)
        return _Found(image, tag, missing, version, channel, documents)

    def _documents(
        self, built: Built, image: AnyImage, registry: Registry
    ) -> tuple[tuple[Attachment, bool], ...]:
        artifact = built.artifacts["image"]
        if not self._attach or not artifact.documents:
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
        if tag == self._channel:
            raise InputError(f"[deploy] channel: {tag!r} is the version's own tag")
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

    def _actions(self, found: _Found) -> list[Action]:
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
        named = f"{self._repository.name}:{found.tag}"
        actions.append(_tagging(named, image.digest, found.version))
        actions += [
            Action("keep", document.title, "is attached", needed=False)
            if there
            else Action("attach", document.title, document.media_type)
            for document, there in found.documents
        ]
        if self._channel is not None:
            actions.append(
                _tagging(f"{self._repository.name}:{self._channel}", image.digest, found.channel)
            )
        return actions


def _from_base(image: Image) -> Image:
    """The image with its base's name: from the same registry, its layers need not be sent."""
    base = (image.manifest.annotations or {}).get(_BASE_NAME)
    if base is None:
        return image
    name = parse(base, "the image's base").name
    return replace(image, layers=tuple(replace(layer, origin=name) for layer in image.layers))


def _tagging(what: str, digest: str, present: str | None) -> Action:
    if present == digest:
        return Action("keep", what, f"{digest}, is there", needed=False)
    before = f", was {present[:19]}" if present else ""
    return Action("tag", what, f"{digest}{before}")


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RegistryTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: ``repository`` (``registry.example:5000/team/churn``); optionally ``channel`` (a
            tag that moves), ``attach`` (false: without bills of materials and provenance),
            ``insecure`` (without TLS) and ``ca_file`` (a private authority's certificates).
        env: ``MLPACK_REGISTRY_USERNAME`` and ``MLPACK_REGISTRY_PASSWORD``; where they are not
            set, what ``docker login`` has written down is used.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    for key in config:
        if key in _SECRETS:
            raise InputError(
                f"[deploy] {key}: logins do not belong into a configuration file",
                hint="Set MLPACK_REGISTRY_USERNAME and MLPACK_REGISTRY_PASSWORD, "
                "or run: docker login",
            )
    refuse_unknown(config, _KEYS, "registry")
    repository = _repository(config)
    ca_file = _ca_file(config)
    home = Path.home()

    def registry() -> Registry:
        credential = from_environment(env) or from_docker(
            repository.host, docker_config_file(env, home), run
        )
        return connect(repository, credential, ca_file)

    return RegistryTarget(
        repository,
        registry,
        _channel(config),
        attach_documents=_switch(config, "attach", default=True),
    )


def _repository(config: Mapping[str, Any]) -> Reference:
    where = "[deploy] repository"
    text = config.get("repository")
    if text is None:
        raise InputError("[deploy] has no repository", hint=_EXAMPLE)
    if not isinstance(text, str):
        raise InputError("it is not a text", where=where, hint=_EXAMPLE)
    if "://" in text or "@" in text or ":" in text.rpartition("/")[2]:
        raise InputError(
            "a repository has no scheme, login, tag or digest in it", where=where, hint=_EXAMPLE
        )
    insecure = _switch(config, "insecure", default=False)
    return parse(f"http://{text}" if insecure else text, where)


def _switch(config: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise InputError("it is neither true nor false", where=f"[deploy] {key}")
    return value


def _ca_file(config: Mapping[str, Any]) -> Path | None:
    value = config.get("ca_file")
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError("it is not a path", where="[deploy] ca_file")
    return Path(value)


def _channel(config: Mapping[str, Any]) -> str | None:
    channel = config.get("channel")
    if channel is None:
        return None
    where = "[deploy] channel"
    if not isinstance(channel, str) or not is_tag(channel):
        raise InputError(f"{str(channel)[:80]!r} is no tag", where=where)
    try:
        Version(channel)
    except InvalidVersion:
        return channel
    raise InputError(f"{channel!r} is a version; a channel moves, a version never", where=where)
